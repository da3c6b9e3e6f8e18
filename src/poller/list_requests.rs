//! Reading the account's lists: its users, its channels and their roles.
//!
//! [`Lists`] reads them beside the sweeps and in the pauses between them; `apply_lists` applies what
//! comes in, between sweeps only. A list that cannot be read, or is not plausible, changes nothing.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::report::ListFailure;
use crate::account::Account;
use crate::api::{Client, Listed, ListedUser};
use crate::channel::{Channel, Roles};
use crate::transport::Error;

/// Longest time until a list that could not be read is tried again, up to a quarter more at random beside it.
pub(super) const RETRY_MAX: Duration = Duration::from_mins(1);

/// When lists are due, and the requests for them that are open.
pub(super) struct Lists {
    /// When the list of users is due, if it is configured; `None` while a request for it is open.
    pub(super) users: Option<Instant>,
    /// The same for channels and roles.
    pub(super) channels_and_roles: Option<Instant>,
    /// Tasks, so that a permit that one of them has been given is used even while the poller waits for a token
    /// or is held by a reset, both of which may need that permit.
    open: FuturesUnordered<AbortOnDropHandle<ListUpdate>>,
    /// Lists that came in during a sweep and wait for its end.
    pub(super) received: Vec<ListUpdate>,
    /// Consecutive empty lists of users that were not accepted.
    pub(super) empty_in_a_row: u32,
    /// Failures of each list, and whether they were logged.
    pub(super) failures: BTreeMap<&'static str, ListFailure>,
}

/// The result of a request for lists.
pub(super) enum ListUpdate {
    Users(Result<Listed<Vec<ListedUser>>, Error>),
    ChannelsAndRoles(Result<Listed<Vec<Channel>>, Error>, Result<Option<Listed<Roles>>, Error>),
}

impl Lists {
    /// Every list that is configured is due.
    pub(super) fn new(account: &Account) -> Self {
        let now = Instant::now();
        Self {
            users: account.discovery.as_ref().map(|_| now),
            channels_and_roles: account.channels.map(|_| now),
            open: FuturesUnordered::new(),
            received: Vec::new(),
            empty_in_a_row: 0,
            failures: BTreeMap::new(),
        }
    }

    /// The next list; requests what is due unless on `hold`, when one more request would only fail as the
    /// sweeps do. Cancel safe.
    pub(super) async fn next(&mut self, client: &Arc<Client>, hold: bool) -> ListUpdate {
        loop {
            if !hold {
                self.request_due(client);
            }
            let due =
                [self.users, self.channels_and_roles].into_iter().flatten().min().filter(|_| !hold);
            tokio::select! {
                Some(ended) = self.open.next() => match ended.map_err(JoinError::try_into_panic) {
                    Ok(update) => return update,
                    Err(Ok(panic)) => resume_unwind(panic),
                    // Only the end of the runtime cancels it.
                    Err(Err(_)) => {}
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                else => std::future::pending().await,
            }
        }
    }

    /// How many requests are due or will be.
    pub(super) fn due(&self) -> usize {
        [self.users, self.channels_and_roles].into_iter().flatten().count()
    }

    fn request_due(&mut self, client: &Arc<Client>) {
        let now = Instant::now();
        if self.users.is_some_and(|due| due <= now) {
            self.users = None;
            let client = Arc::clone(client);
            self.request(async move { ListUpdate::Users(client.users().await) });
        }
        if self.channels_and_roles.is_some_and(|due| due <= now) {
            self.channels_and_roles = None;
            let client = Arc::clone(client);
            self.request(async move {
                let channels = client.channels().await;
                ListUpdate::ChannelsAndRoles(channels, client.roles().await)
            });
        }
    }

    fn request(&mut self, request: impl Future<Output = ListUpdate> + Send + 'static) {
        self.open.push(AbortOnDropHandle::new(tokio::spawn(request)));
    }
}
