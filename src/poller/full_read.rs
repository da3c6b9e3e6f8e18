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
use crate::auth::Token;
use crate::counter::Reading;
use crate::metrics::Outcome;
use crate::transport::Error;

/// A fresh counter of every user of an account, in the order of their ids.
pub type Readings = Vec<(UserId, Reading)>;

/// How many attempts a user has whose failure may be temporary.
const ATTEMPTS: u32 = 2;

impl Poller {
    /// Reads every user that is configured or on the account's list; also returns the token that worked.
    ///
    /// # Errors
    /// Why not every user could be read, as have the other functions here.
    pub(super) async fn read_all_users(&mut self) -> Result<(Readings, Token), String> {
        let client = &self.client;
        // Upstream may have asked for a pause of hours.
        let listed = timeout(REQUESTS_TIMEOUT, async {
            let token = client.token().await.map_err(|error| error.to_string())?;
            let listed = client.fresh_users().await;
            Ok((
                token,
                listed.map_err(|error| format!("the list of users cannot be read: {error}"))?,
            ))
        });
        let (token, listed) = listed.await.map_err(|_| slow(REQUESTS_TIMEOUT)).flatten()?;
        if let Some(rows) = listed.unreadable.words() {
            return Err(format!("the list of users has rows that cannot be read: {rows}"));
        }
        if listed.list.is_empty() {
            let empty =
                "the list of users is empty, so it is unknown which counters would be cleared";
            return Err(empty.to_owned());
        }
        let mut users: BTreeSet<UserId> =
            self.account().users.iter().map(|user| user.id.clone()).collect();
        for user in listed.list {
            let id = UserId::parse(&user.id);
            users.insert(id.map_err(|_| "the list has a user with an invalid id".to_owned())?);
        }
        self.read_in_time(token, users.into_iter().collect()).await
    }

    /// Reads these users; also returns the token that worked.
    pub(super) async fn read_in_time(
        &mut self,
        token: Token,
        users: Vec<UserId>,
    ) -> Result<(Readings, Token), String> {
        let limit = self.account().rate_limit;
        let paced = limit.per.as_secs_f64() / limit.usable() * users.len() as f64;
        let time_limit = REQUESTS_TIMEOUT + Duration::from_secs_f64(2.0 * paced);
        let read = timeout(time_limit, self.read_users(token, users)).await;
        read.map_err(|_| slow(time_limit))?
    }

    /// Reads `users` as fast as the limit allows, and gives up at the first that cannot be read.
    async fn read_users(
        &mut self,
        token: Token,
        users: Vec<UserId>,
    ) -> Result<(Readings, Token), String> {
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
                return Err(error.to_string());
            } else if attempt < ATTEMPTS && may_be_temporary(&error) {
                queue.push_back((user, attempt + 1));
            } else {
                return Err(format!("user {user}: {error}"));
            }
        }
        read.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok((read, requests.token))
    }
}

/// It takes too long to be a reading of one moment.
pub(super) fn slow(time_limit: Duration) -> String {
    format!("not every user could be read within {time_limit:?}")
}

/// Whether a retry may succeed.
pub(super) fn may_be_temporary(error: &Error) -> bool {
    matches!(error.outcome(), Outcome::Timeout | Outcome::Connect | Outcome::ServerError)
}
