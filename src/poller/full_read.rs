//! Fresh readings of every user, configured and listed, before and after a reset.
//!
//! Unlike a sweep it is all or nothing: one user who cannot be read makes it incomplete. The readings
//! also go into the poller's state, for users that are polled.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::timeout;

use super::actor::{Poller, REQUESTS_TIMEOUT};
use super::counter_requests::CounterRequests;
use crate::account::UserId;
use crate::auth::{Token, TokenError};
use crate::counter::Reading;
use crate::metrics::Outcome;
use crate::transport::{BuildError, Error};

/// A fresh counter of every user of an account, in the order of their ids.
pub type Readings = Vec<(UserId, Reading)>;

/// Why not every user could be read.
#[derive(Debug, thiserror::Error)]
pub enum FullReadError {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The list of users cannot be read.
    #[error("the list of users cannot be read: {0}")]
    List(#[source] Error),
    /// The list of users is empty, so it does not say which counters exist.
    #[error("the list of users is empty, so it is unknown which counters would be cleared")]
    Empty,
    /// The list of users has rows that cannot be read, so it does not say which counters exist.
    #[error("the list of users has rows that cannot be read: {0}")]
    Rows(String),
    /// A user on the list has an invalid id.
    #[error("the list has a user with an invalid id")]
    Id,
    /// A user could not be read.
    #[error("user {user}: {error}")]
    User {
        /// The user.
        user: UserId,
        /// The error.
        error: Error,
    },
    /// It takes too long to be a reading of one moment.
    #[error("not every user could be read within {0:?}")]
    Slow(Duration),
    /// The request could not be prepared.
    #[error(transparent)]
    Client(BuildError),
    /// The poller is to stop.
    #[error("the poller is to stop")]
    Stopped,
}

/// How many attempts a user has whose failure may be temporary.
const ATTEMPTS: u32 = 2;

impl Poller {
    /// Reads every user that is configured or on the account's list; also returns the token that worked.
    pub(super) async fn read_all_users(&mut self) -> Result<(Readings, Token), FullReadError> {
        let client = &self.client;
        // Upstream may have asked for a pause of hours.
        let listed = timeout(REQUESTS_TIMEOUT, async {
            let token = client.token().await?;
            Ok::<_, FullReadError>((
                token,
                client.fresh_users().await.map_err(FullReadError::List)?,
            ))
        });
        let slow = |_| FullReadError::Slow(REQUESTS_TIMEOUT);
        let (token, listed) = listed.await.map_err(slow).flatten()?;
        if let Some(rows) = listed.unreadable.words() {
            return Err(FullReadError::Rows(rows));
        }
        if listed.list.is_empty() {
            return Err(FullReadError::Empty);
        }
        let mut users: BTreeSet<UserId> =
            self.account().users.iter().map(|user| user.id.clone()).collect();
        for user in listed.list {
            users.insert(UserId::parse(&user.id).map_err(|_| FullReadError::Id)?);
        }
        self.read_in_time(token, users.into_iter().collect()).await
    }

    /// Reads these users; also returns the token that worked.
    pub(super) async fn read_in_time(
        &mut self,
        token: Token,
        users: Vec<UserId>,
    ) -> Result<(Readings, Token), FullReadError> {
        let limit = self.account().rate_limit;
        let paced = limit.per.as_secs_f64() / limit.usable() * users.len() as f64;
        let time_limit = REQUESTS_TIMEOUT + Duration::from_secs_f64(2.0 * paced);
        let read = timeout(time_limit, self.read_users(token, users)).await;
        read.map_err(|_| FullReadError::Slow(time_limit))?
    }

    /// Reads `users` as fast as the limit allows, and gives up at the first that cannot be read.
    async fn read_users(
        &mut self,
        token: Token,
        users: Vec<UserId>,
    ) -> Result<(Readings, Token), FullReadError> {
        let polled = self.state.users.iter().enumerate();
        let indices: HashMap<UserId, usize> =
            polled.map(|(index, view)| (view.user.id.clone(), index)).collect();
        let mut requests = CounterRequests::fresh(&self.client, token);
        let mut read = Vec::with_capacity(users.len());
        let mut queue: VecDeque<(UserId, u32)> = users.into_iter().map(|user| (user, 1)).collect();
        loop {
            while requests.has_room()
                && let Some((user, attempt)) = queue.pop_front()
            {
                requests.send((user.clone(), attempt), user);
            }
            let Some(ended) = requests.next().await else { break };
            let (user, attempt) = ended.key;
            let error = match ended.result {
                Ok(counter) => {
                    if let Some(index) = indices.get(&user) {
                        self.state.succeeded(*index, counter.reading, counter.asked);
                    }
                    read.push((user, counter.reading));
                    continue;
                }
                Err(error) => error,
            };
            if error.outcome() == Outcome::Unauthorized && ended.token != requests.token {
                queue.push_back((user, attempt));
            } else if let Some(error) = requests.renewal_error.take() {
                return Err(error.into());
            } else if attempt < ATTEMPTS && may_be_temporary(&error) {
                queue.push_back((user, attempt + 1));
            } else {
                return Err(FullReadError::User { user, error });
            }
        }
        read.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok((read, requests.token))
    }
}

/// Whether a retry may succeed.
pub(super) fn may_be_temporary(error: &Error) -> bool {
    matches!(error.outcome(), Outcome::Timeout | Outcome::Connect | Outcome::ServerError)
}
