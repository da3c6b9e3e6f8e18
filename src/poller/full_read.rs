//! Fresh readings of every user there is, configured and listed, before and after a reset.
//!
//! Unlike a sweep it wants all or nothing: one user who cannot be read makes the whole incomplete.
//! What is read goes into the state, too, where the user is polled.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::{PATIENCE, PUBLISH_PERIOD, Poller, with_heartbeat};
use crate::account::UserId;
use crate::api::{Client, ListError};
use crate::auth::{Token, TokenError};
use crate::clock::Stamp;
use crate::counter::{CounterType, Reading};
use crate::metrics::Outcome;
use crate::transport::{BuildError, Error};

/// How often a user is asked for who cannot be read for a reason that may pass.
const ATTEMPTS: u32 = 2;

/// Everybody's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// Every user, in the order of their ids, with the counter.
    pub users: Vec<(UserId, Reading)>,
}

/// Why there is no reading of everybody.
#[derive(Debug, thiserror::Error)]
pub enum FullReadError {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The list of users cannot be read.
    #[error("the list of users cannot be read: {0}")]
    List(#[source] ListError),
    /// Nobody is on the list, which says nothing about whose counters there are.
    #[error("the list of users is empty, so that nobody knows whose counters would be cleared")]
    Empty,
    /// Somebody on the list cannot be asked for.
    #[error("the list has a user whose id cannot be asked for")]
    Id,
    /// Somebody could not be read.
    #[error("user {user}: {error}")]
    User {
        /// Who.
        user: UserId,
        /// Why not.
        error: Error,
    },
    /// It takes too long to be a reading of one moment.
    #[error("not everybody could be read within {0:?}")]
    Slow(Duration),
    /// The request could not be prepared.
    #[error(transparent)]
    Client(BuildError),
}

impl Readings {
    /// Messages of users' own customers.
    pub fn red(&self) -> u64 {
        self.sum(CounterType::Red)
    }

    /// Messages that users only look on.
    pub fn grey(&self) -> u64 {
        self.sum(CounterType::Grey)
    }

    /// Messages of an unknown type.
    pub fn other(&self) -> u64 {
        self.sum(CounterType::Other)
    }

    /// All of them: more than there are messages at most, because one may count for several users.
    pub fn total(&self) -> u64 {
        let counts = self.users.iter().map(|(_, reading)| reading.count);
        counts.fold(0, u64::saturating_add)
    }

    /// The latest time that upstream's clock told, in unix seconds.
    pub fn server_time(&self) -> Option<i64> {
        self.users.iter().filter_map(|(_, reading)| reading.server_time).max()
    }

    fn sum(&self, kind: CounterType) -> u64 {
        let users = self.users.iter().filter(|(_, reading)| reading.kind == kind);
        users.fold(0, |sum: u64, (_, reading)| sum.saturating_add(reading.count))
    }
}

/// How one request ended.
struct FreshResponse {
    user: UserId,
    attempt: u32,
    token: Token,
    result: Result<(Reading, Stamp), Error>,
}

impl Poller {
    /// Reads everybody who is configured or on the account's list; also gives the token that worked.
    pub(super) async fn read_everybody(&mut self) -> Result<(Readings, Token), FullReadError> {
        let client = Arc::clone(&self.client);
        let token = with_heartbeat(&self.heartbeat, &client, client.token()).await?;
        let listed = with_heartbeat(&self.heartbeat, &client, client.fresh_users()).await;
        let listed = listed.map_err(FullReadError::List)?;
        if listed.is_empty() {
            return Err(FullReadError::Empty);
        }
        let mut users: HashSet<UserId> =
            self.account().users.iter().map(|user| user.id.clone()).collect();
        for user in listed {
            users.insert(UserId::parse(&user.id).map_err(|_| FullReadError::Id)?);
        }
        self.read_users(token, users).await
    }

    /// Reads these users, as fast as the limit allows, and gives up at the first who cannot be read.
    pub(super) async fn read_users(
        &mut self,
        token: Token,
        users: HashSet<UserId>,
    ) -> Result<(Readings, Token), FullReadError> {
        let (client, account) = (Arc::clone(&self.client), Arc::clone(self.account()));
        let limit = account.rate_limit;
        let paced = limit.per.as_secs_f64() / f64::from(limit.requests.max(1));
        let patience = PATIENCE + Duration::from_secs_f64(2.0 * paced * users.len() as f64);
        let until = Instant::now() + patience;
        let places: HashMap<UserId, usize> = {
            let polled = self.state.users().enumerate();
            polled.map(|(place, view)| (view.user.id.clone(), place)).collect()
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
                        return Err(FullReadError::Slow(patience));
                    }
                    continue;
                }
            };
            let Some(FreshResponse { user, attempt, token: used, result }) = response else {
                break;
            };
            match result {
                Ok((reading, at)) => {
                    if let Some(place) = places.get(&user) {
                        self.state.succeeded(*place, reading, at);
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
                Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                    queue.push_back((user, attempt + 1));
                }
                Err(error) => return Err(FullReadError::User { user, error }),
            }
        }
        read.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok((Readings { users: read }, token))
    }
}

/// Whether asking once more may help.
fn may_pass(error: &Error) -> bool {
    matches!(error.outcome(), Outcome::Timeout | Outcome::Connect | Outcome::ServerError)
}

async fn request(client: Arc<Client>, token: Token, user: UserId, attempt: u32) -> FreshResponse {
    let result = client.fresh_counter(&token, &user).await;
    FreshResponse { user, attempt, token, result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_of_every_kind() {
        let user = |id: &str, count, kind| {
            let reading = Reading { count, kind, server_time: Some(7), last_message: None };
            (UserId::parse(id).unwrap(), reading)
        };
        let users = vec![
            user("1", 5, CounterType::Red),
            user("2", 7, CounterType::Grey),
            user("3", 11, CounterType::Other),
            user("4", 2, CounterType::Red),
        ];
        let readings = Readings { users };
        assert_eq!((readings.red(), readings.grey(), readings.other()), (7, 7, 11));
        assert_eq!((readings.total(), readings.server_time()), (25, Some(7)));
    }
}
