//! The lists of an account: users, channels, roles and webhooks.
//!
//! They are requested after all counters ([`Lane::List`]), except users that a reset waits for. A
//! refused token is replaced once.

use std::collections::HashSet;

use futures_util::future::BoxFuture;

use super::client::{ApiRequest, Client};
use super::error::ListError;
use super::urls::list_url;
use super::wire::{ListedUser, UserPage, parse_channels, parse_roles, parse_users, parse_webhooks};
use crate::account::Api;
use crate::auth::Token;
use crate::channel::{Channel, Roles};
use crate::limit::Lane;
use crate::metrics::{Endpoint, Outcome};
use crate::transport::{Error, Malformed};

/// Longest list that is read: a hundred thousand users with long names.
const LIST_MAX: usize = 32 * 1024 * 1024;
/// Users on a page of v3 (docs/upstream.md, "Users"); a full page may be followed by another.
const PAGE: usize = 100;
/// Most users of an account that are read.
const USERS_MAX: usize = 100_000;

impl Client {
    /// Reads all users of the account, each id once.
    ///
    /// # Errors
    /// Everything but a complete list is an error.
    pub async fn users(&self) -> Result<Vec<ListedUser>, ListError> {
        self.with_token(|client, token| Box::pin(client.all_users(Lane::List, token))).await
    }

    /// The same ahead of all counters, because a reset waits for it.
    ///
    /// # Errors
    /// As for [`users`](Self::users).
    pub async fn fresh_users(&self) -> Result<Vec<ListedUser>, ListError> {
        self.with_token(|client, token| Box::pin(client.all_users(Lane::Fresh, token))).await
    }

    /// Reads the account's channels, without deleted ones.
    ///
    /// # Errors
    /// Everything but a complete list is an error.
    pub async fn channels(&self) -> Result<Vec<Channel>, ListError> {
        self.with_token(|client, token| {
            Box::pin(
                async move { client.list(Endpoint::Channels, 0, &token, parse_channels).await },
            )
        })
        .await
    }

    /// Reads the roles of the account's users; v3 has none.
    ///
    /// # Errors
    /// Everything but complete settings is an error.
    pub async fn roles(&self) -> Result<Option<Roles>, ListError> {
        if self.account.api == Api::V3 {
            return Ok(None);
        }
        self.with_token(|client, token| {
            Box::pin(async move { client.list(Endpoint::Settings, 0, &token, parse_roles).await })
        })
        .await
        .map(Some)
    }

    /// Counts the account's webhooks.
    ///
    /// # Errors
    /// Everything but a list of them is an error.
    pub async fn webhooks(&self) -> Result<usize, ListError> {
        self.with_token(|client, token| {
            Box::pin(
                async move { client.list(Endpoint::Webhooks, 0, &token, parse_webhooks).await },
            )
        })
        .await
    }

    /// Sends a request with the account's token, and once more with another one if that was refused.
    async fn with_token<'a, T>(
        &'a self,
        send: impl Fn(&'a Self, Token) -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, ListError> {
        let token = self.token().await?;
        match send(self, token.clone()).await {
            Err(error) if error.outcome() == Outcome::Unauthorized => {
                let other = self.other_token(&token).await?;
                if other == token { Err(error.into()) } else { Ok(send(self, other).await?) }
            }
            response => Ok(response?),
        }
    }

    /// Follows the pages. Whether v2 has any is not documented (docs/upstream.md, "Users"): one that
    /// has no new user, or refuses an offset, has listed all users on the first page.
    async fn all_users(&self, lane: Lane, token: Token) -> Result<Vec<ListedUser>, Error> {
        let mut users: Vec<ListedUser> = Vec::new();
        let mut known = HashSet::new();
        loop {
            let page =
                self.list_in_lane(lane, Endpoint::Users, users.len(), &token, parse_users).await;
            let UserPage { users: page, count } = match page {
                Err(error) if !users.is_empty() && self.may_have_no_pages(&error) => break,
                page => page?,
            };
            let full = page.len() >= PAGE;
            let before = users.len();
            users.extend(page.into_iter().filter(|user| known.insert(user.id.clone())));
            if users.len() > USERS_MAX {
                return Err(Malformed::TooMany { limit: USERS_MAX }.into());
            }
            let complete = count.map_or(!full, |count| users.len() >= count);
            let has_new = users.len() > before;
            match count {
                _ if complete => break,
                // Pages that end too early are not a complete list.
                Some(count) if !has_new => {
                    return Err(Malformed::Incomplete { found: users.len(), count }.into());
                }
                _ if !has_new => break,
                _ => {}
            }
        }
        Ok(users)
    }

    fn may_have_no_pages(&self, error: &Error) -> bool {
        self.account.api == Api::V2
            && matches!(error.outcome(), Outcome::ClientError | Outcome::NotFound)
    }

    async fn list<T>(
        &self,
        endpoint: Endpoint,
        offset: usize,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        self.list_in_lane(Lane::List, endpoint, offset, token, parse).await
    }

    async fn list_in_lane<T>(
        &self,
        lane: Lane,
        endpoint: Endpoint,
        offset: usize,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let url = list_url(&self.account, endpoint, offset)
            .expect("each API is asked only for lists that it has");
        let request = ApiRequest { endpoint, lane, url, body_max: LIST_MAX };
        self.request(request, token, parse).await.map(|(list, _)| list)
    }
}
