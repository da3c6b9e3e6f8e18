//! The lists of an account: users, channels, roles and webhooks.
//!
//! They are requested after all counters ([`Lane::List`]), except users that a reset waits for. A
//! refused token is replaced once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::client::{ApiRequest, Client};
use super::urls::list_url;
use super::wire::{
    Listed, ListedUser, USERS_MAX, UnreadableRows, parse_channels, parse_roles, parse_users,
    parse_webhooks, shortened,
};
use crate::account::Api;
use crate::auth::Token;
use crate::blocking::lock;
use crate::channel::{Channel, Roles};
use crate::clock::Stamp;
use crate::limit::Lane;
use crate::metrics::{Endpoint, Outcome};
use crate::transport::{Error, Malformed};

/// Longest list that is read, in bytes: 250 for each of a hundred thousand users.
const LIST_MAX: usize = 24 * 1024 * 1024;
/// Users on a full page of v3 (docs/upstream.md, "Users").
const V3_PAGE: usize = 100;

impl Client {
    /// Reads all users of the account, each id once.
    ///
    /// # Errors
    /// Everything but a complete list is an error.
    pub async fn users(&self) -> Result<Listed<Vec<ListedUser>>, Error> {
        self.with_token(|token| self.all_users(Lane::List, token)).await
    }

    /// The same ahead of all counters, because a reset waits for it.
    ///
    /// # Errors
    /// As for [`users`](Self::users).
    pub async fn fresh_users(&self) -> Result<Listed<Vec<ListedUser>>, Error> {
        self.with_token(|token| self.all_users(Lane::Fresh, token)).await
    }

    /// Reads the account's channels, without deleted ones.
    ///
    /// # Errors
    /// Everything but a complete list is an error.
    pub async fn channels(&self) -> Result<Listed<Vec<Channel>>, Error> {
        let send = |token: Token| async move {
            let listed = self.page(Lane::List, Endpoint::Channels, 0, &token, parse_channels);
            let masked = |channel: Channel| {
                let name = channel.name.map(|name| shortened(&token.mask(&name)));
                Channel { name, ..channel }
            };
            Ok(listed.await?.map(|channels| channels.into_iter().map(masked).collect()))
        };
        self.with_token(send).await
    }

    /// Reads the roles of the account's users; v3 has none.
    ///
    /// # Errors
    /// Everything but complete settings is an error.
    pub async fn roles(&self) -> Result<Option<Listed<Roles>>, Error> {
        match self.account.api {
            Api::V2 => self.list(Endpoint::Settings, parse_roles).await.map(Some),
            Api::V3 => Ok(None),
        }
    }

    /// Counts the account's webhooks.
    ///
    /// # Errors
    /// Everything but a list of them is an error.
    pub async fn webhooks(&self) -> Result<usize, Error> {
        self.list(Endpoint::Webhooks, parse_webhooks).await.map(|listed| listed.list)
    }

    /// Sends a request with the account's token, and once more with another one if that was refused.
    async fn with_token<T, F>(&self, send: impl Fn(Token) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let token = self.token().await?;
        match send(token.clone()).await {
            Err(error) if error.outcome() == Outcome::Unauthorized => {
                let other = self.other_token(&token).await?;
                if other == token { Err(error) } else { send(other).await }
            }
            response => response,
        }
    }

    /// Reads pages until one brings no new user, whatever `count` says. A server without pages answers
    /// with the same list again, or refuses the offset of the first extra page; any other failure of
    /// any page leaves the whole list unread (docs/upstream.md, "Users").
    async fn all_users(&self, lane: Lane, token: Token) -> Result<Listed<Vec<ListedUser>>, Error> {
        let mut users: Vec<ListedUser> = Vec::new();
        let mut unreadable = UnreadableRows::default();
        let mut known = HashSet::new();
        let (mut rows, mut pages) = (0, 0);
        // v3 has pages: behind a full one there may be another.
        let may_follow = |rows| self.account.api == Api::V3 && rows == V3_PAGE;
        loop {
            let page = self.page(lane, Endpoint::Users, rows, &token, parse_users).await;
            let page = match page {
                Err(error) if pages == 1 && !may_follow(rows) && has_no_pages(&error) => break,
                page => page?,
            };
            let before = users.len();
            let new = page.list.into_iter().filter(|user| known.insert(user.id.clone()));
            users.extend(new.map(|user| {
                let name = user.name.map(|name| token.mask(&name));
                ListedUser { name, ..user }
            }));
            if users.len() > USERS_MAX {
                return Err(Malformed::TooMany(USERS_MAX).into());
            }
            if users.len() == before {
                // The same list again has the same rows that cannot be read.
                if unreadable.count == 0 {
                    unreadable.extend(page.unreadable, rows);
                }
                break;
            }
            unreadable.extend(page.unreadable, rows);
            rows += page.rows;
            pages += 1;
        }
        Ok(Listed { list: users, rows, unreadable, server_time: None })
    }

    async fn list<T: Send + 'static>(
        &self,
        endpoint: Endpoint,
        parse: fn(&[u8]) -> Result<Listed<T>, Malformed>,
    ) -> Result<Listed<T>, Error> {
        let send = |token| async move { self.page(Lane::List, endpoint, 0, &token, parse).await };
        self.with_token(send).await
    }

    async fn page<T: Send + 'static>(
        &self,
        lane: Lane,
        endpoint: Endpoint,
        offset: usize,
        token: &Token,
        parse: fn(&[u8]) -> Result<Listed<T>, Malformed>,
    ) -> Result<Listed<T>, Error> {
        let url = list_url(&self.account, endpoint, offset);
        let request = ApiRequest { endpoint, lane, url, body_max: LIST_MAX };
        let (clock, stale_after) = (Arc::clone(&self.clock), self.account.poll.stale_after);
        let parse = move |body: &[u8]| {
            let list = parse(body)?;
            if let Some(time) = list.server_time {
                let time = Duration::from_secs(time.unsigned_abs());
                let age = lock(&clock).age(time, Stamp::now());
                if age > stale_after {
                    return Err(Malformed::Old(age));
                }
            }
            Ok(list)
        };
        self.request(request, token, parse).await.map(|(list, ..)| list)
    }
}

/// Whether a refused offset means that there is one page only.
fn has_no_pages(error: &Error) -> bool {
    error.may_be_of_the_api() && matches!(error, Error::Status { status: 400 | 404, .. })
}
