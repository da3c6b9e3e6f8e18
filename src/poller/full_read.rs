//! Fresh readings of every user, configured and listed, before and after a reset.
//!
//! Unlike a sweep it is all or nothing: one user who cannot be read makes it incomplete. The readings
//! also go into the poller's state, for users that are polled.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::actor::{PUBLISH_PERIOD, Poller, REQUESTS_TIMEOUT, with_heartbeat};
use super::readings::{FullReadError, Readings};
use crate::account::UserId;
use crate::api::Client;
use crate::auth::Token;
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::metrics::Outcome;
use crate::transport::Error;

/// How many attempts a user has whose failure may be temporary.
const ATTEMPTS: u32 = 2;

/// The response to one request.
struct FreshResponse {
    user: UserId,
    attempt: u32,
    token: Token,
    result: Result<(Reading, Stamp), Error>,
}

impl Poller {
    /// Reads every user that is configured or on the account's list; also returns the token that worked.
    pub(super) async fn read_all_users(&mut self) -> Result<(Readings, Token), FullReadError> {
        let client = Arc::clone(&self.client);
        let token = with_heartbeat(&self.heartbeat, &client, client.token()).await?;
        let listed = with_heartbeat(&self.heartbeat, &client, client.fresh_users()).await;
        let listed = listed.map_err(FullReadError::List)?;
        if let Some(rows) = listed.unreadable.words() {
            return Err(FullReadError::Rows(rows));
        }
        if listed.list.is_empty() {
            return Err(FullReadError::Empty);
        }
        let mut users: HashSet<UserId> =
            self.account().users.iter().map(|user| user.id.clone()).collect();
        for user in listed.list {
            users.insert(UserId::parse(&user.id).map_err(|_| FullReadError::Id)?);
        }
        self.read_users(token, users).await
    }

    /// Reads `users` as fast as the limit allows, and gives up at the first that cannot be read.
    pub(super) async fn read_users(
        &mut self,
        token: Token,
        users: HashSet<UserId>,
    ) -> Result<(Readings, Token), FullReadError> {
        let (client, account) = (Arc::clone(&self.client), Arc::clone(self.account()));
        let limit = account.rate_limit;
        let paced = limit.per.as_secs_f64() / limit.usable();
        let time_limit =
            REQUESTS_TIMEOUT + Duration::from_secs_f64(2.0 * paced * users.len() as f64);
        let until = Instant::now() + time_limit;
        let indices: HashMap<UserId, usize> = {
            let polled = self.state.users().enumerate();
            polled.map(|(index, view)| (view.user.id.clone(), index)).collect()
        };
        let mut token = token;
        let mut renewed = false;
        let mut read = Vec::with_capacity(users.len());
        let mut queue: VecDeque<(UserId, u32)> = users.into_iter().map(|user| (user, 1)).collect();
        let mut open: FuturesUnordered<BoxFuture<'static, FreshResponse>> = FuturesUnordered::new();
        loop {
            while open.len() < account.poll.concurrency {
                let Some((user, attempt)) = queue.pop_front() else { break };
                open.push(Box::pin(request(Arc::clone(&client), token.clone(), user, attempt)));
            }
            let soon = Instant::now() + PUBLISH_PERIOD;
            self.heartbeat.next_action_at(soon);
            let response = tokio::select! {
                response = open.next() => response,
                () = sleep_until(soon) => {
                    if Instant::now() >= until {
                        return Err(FullReadError::Slow(time_limit));
                    }
                    continue;
                }
            };
            let Some(FreshResponse { user, attempt, token: used, result }) = response else {
                break;
            };
            match result {
                Ok((reading, at)) => {
                    if let Some(index) = indices.get(&user) {
                        self.state.succeeded(*index, reading, at);
                    }
                    read.push((user, reading));
                }
                Err(error) if error.outcome() == Outcome::Unauthorized && used != token => {
                    queue.push_back((user, attempt));
                }
                Err(error) if error.outcome() == Outcome::Unauthorized && !renewed => {
                    renewed = true;
                    let other = client.other_token(&token);
                    let other = with_heartbeat(&self.heartbeat, &client, other).await?;
                    if other == token {
                        return Err(FullReadError::User { user, error });
                    }
                    token = other;
                    queue.push_back((user, attempt));
                }
                Err(error) if attempt < ATTEMPTS && may_be_temporary(&error) => {
                    queue.push_back((user, attempt + 1));
                }
                Err(error) => return Err(FullReadError::User { user, error }),
            }
        }
        read.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok((Readings { users: read }, token))
    }
}

/// Whether a retry may succeed.
fn may_be_temporary(error: &Error) -> bool {
    matches!(error.outcome(), Outcome::Timeout | Outcome::Connect | Outcome::ServerError)
}

async fn request(client: Arc<Client>, token: Token, user: UserId, attempt: u32) -> FreshResponse {
    let result = client.fresh_counter(&token, &user).await;
    FreshResponse { user, attempt, token, result }
}
