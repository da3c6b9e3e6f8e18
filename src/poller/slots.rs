//! Views that no running poller publishes: before the first, between two, after a failure; and how a poller
//! starts: fresh, or in place of another whose account has new settings.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::identity::AccountIdentity;
use super::state::TrustBasis;
use super::users::{PolledUsers, named_users};
use crate::account::{Account, Auth, Discovery, User, UserId};
use crate::auth::account_named_in;
use crate::channel::ChannelsAndRoles;
use crate::clock::Stamp;
use crate::metrics::Tally;
use crate::snapshot::{AccountView, Facts, SkippedUsers, Slot, UserView};

/// A slot for an account that has not been polled yet.
pub fn new_slot(account: Arc<Account>) -> Slot {
    slot_of_users(account, Arc::default())
}

fn slot_of_users(account: Arc<Account>, tally: Arc<Tally>) -> Slot {
    let users = account.users.iter().map(|user| UserView::new(Arc::clone(user)));
    let users = PolledUsers::new(users);
    let facts = Facts::new(&account, Stamp::now());
    let view = view_of(account, &tally, facts, &users);
    Slot::new(tally, Arc::default(), view)
}

/// Whether new settings are of the account of a view, as far as it is known without a token.
fn is_same(view: &AccountView, account: &Account) -> bool {
    let named = match &account.auth {
        Auth::Token(token) | Auth::TokenEnv { token, .. } => {
            account_named_in(token.expose_secret())
        }
        // It is found out with the next token.
        _ => None,
    };
    let earlier = AccountIdentity::new(&view.account, view.facts.token_account.as_deref());
    earlier.is_same(&AccountIdentity::new(account, named.as_deref()))
}

/// Whether an account is read from the same place with the same credential.
pub(super) fn is_read_alike(view: &AccountView, other: &Account) -> bool {
    let one = &view.account;
    let source = |account: &Account| (account.api, account.base_url.clone(), account.tls.clone());
    let same = source(one) == source(other) && one.proxy == other.proxy && one.auth == other.auth;
    same && is_same(view, other)
}

/// A slot for an account whose settings have changed: readings of its users stay, unless it may be
/// another account by now.
pub fn changed_slot(earlier: &Slot, account: Arc<Account>) -> Slot {
    match changed_view(earlier, Arc::clone(&account)) {
        Some(view) => Slot::new(Arc::clone(&earlier.tally), Arc::clone(&earlier.history), view),
        None => slot_of_users(account, Arc::clone(&earlier.tally)),
    }
}

/// The view of a slot under changed settings; `None` if it may be another account.
pub(super) fn changed_view(earlier: &Slot, account: Arc<Account>) -> Option<AccountView> {
    let view = earlier.view();
    if !is_same(&view, &account) {
        return None;
    }
    // The change may have removed the cause of a failure; the next sweep shows that.
    let mut facts = Facts { down: false, ..view.facts.clone() };
    facts.api_proven &= is_read_alike(&view, &account);
    if account.channels.is_none() {
        facts.channels_and_roles = ChannelsAndRoles::default();
    }
    if account.discovery.is_none() {
        facts.skipped = SkippedUsers::default();
    }
    let now = Stamp::now();
    let (wanted, earlier_lists) = (Facts::new(&account, now), &mut facts);
    for (list, wanted) in [
        (&mut earlier_lists.channels, wanted.channels),
        (&mut earlier_lists.roles, wanted.roles),
        (&mut earlier_lists.discovery, wanted.discovery),
    ] {
        if list.wanted_since.is_none() || wanted.wanted_since.is_none() {
            *list = wanted;
        }
    }
    let mut users = users_under(&account, &view);
    TrustBasis::new(&account, &facts, now).apply(&mut users);
    let newest = users.iter().filter_map(|user| user.last_good).map(|(_, at)| at);
    facts.newest_reading = newest.max_by_key(|at| at.uptime);
    Some(view_of(account, &earlier.tally, facts, &users))
}

/// The users to poll under changed settings, with what is known of each.
fn users_under(account: &Account, view: &AccountView) -> PolledUsers {
    let discovery = account.discovery.as_ref();
    let listed = discovery.map(|discovery| still_listed(account, discovery, view));
    let mut users = PolledUsers::from_view(view);
    users.replace(named_users(account, listed.unwrap_or_default()), UserView::new);
    users
}

/// The users that may be on the account's list, with their names in it, until it is read again.
fn still_listed(account: &Account, discovery: &Discovery, view: &AccountView) -> Vec<User> {
    let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
    let (own, others): (Vec<&UserView>, Vec<&UserView>) =
        view.users().partition(|known| configured.contains(&known.user.id));
    let included =
        |known: &&UserView| discovery.includes(known.user.id.as_str(), known.user.name.as_deref());
    let others = others.into_iter().filter(included).take(discovery.max_users);
    let named = |known: &UserView| {
        let name = known.user.name.clone().filter(|_| account.export.user_names);
        User { name, ..User::clone(&known.user) }
    };
    own.into_iter().chain(others).map(named).collect()
}

fn view_of(account: Arc<Account>, tally: &Tally, facts: Facts, users: &PolledUsers) -> AccountView {
    let facts = Facts { tally: tally.values(), users: users.iter().count(), ..facts };
    AccountView { account, facts, chunks: users.chunks() }
}

/// Marks an account whose poller has failed as down; its readings stay until they are stale.
pub fn mark_down(slot: &Arc<Slot>) {
    let writer = slot.writer();
    let view = slot.view();
    let facts = Facts { down: true, tally: slot.tally.values(), ..view.facts.clone() };
    let (account, chunks) = (Arc::clone(&view.account), view.chunks.clone());
    writer.publish(AccountView { account, facts, chunks });
}

/// How a poller starts.
pub enum StartMode {
    /// With a sweep after this time.
    After(Duration),
    /// With what another poller has left, once that has ended.
    TakeOver(Predecessor),
}

/// The poller that had the account before its settings changed.
pub struct Predecessor {
    /// Its slot, which is no longer in the directory and is written until it ends.
    pub slot: Arc<Slot>,
    /// When it has ended.
    pub ended: CancellationToken,
}

/// When the next sweep is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct SweepSchedule {
    /// The origin of `due`.
    pub(super) origin: Instant,
    /// When the next sweep is due.
    pub(super) due: Duration,
    /// Whether the first sweep is to be as fast as the limit allows, because readings are missing.
    pub(super) hurried: bool,
    /// Users that were read since then may be skipped.
    pub(super) skip_read_since: Option<Stamp>,
}

impl StartMode {
    /// Time until the first sweep, as far as it is known.
    pub fn delay(&self) -> Duration {
        match self {
            Self::After(first) => *first,
            Self::TakeOver(_) => Duration::ZERO,
        }
    }
}

impl SweepSchedule {
    pub(super) fn after(first: Duration) -> Self {
        Self { origin: Instant::now(), due: first, hurried: true, skip_read_since: None }
    }

    /// Continues the schedule of the poller that published `view`, if the account is still read from the
    /// same place with the same credential.
    pub(super) fn resume(view: &AccountView, account: &Account) -> Self {
        let facts = &view.facts;
        let begun = facts.begun.filter(|_| is_read_alike(view, account));
        let Some(begun) = begun else { return Self::after(Duration::ZERO) };
        let finished = facts.sweep.is_some_and(|sweep| sweep.finished.uptime >= begun.uptime);
        let attempted = view.users().filter(|user| user.last_attempt.is_some());
        let attempted: HashSet<&UserId> = attempted.map(|user| &user.user.id).collect();
        let complete = finished && account.users.iter().all(|user| attempted.contains(&user.id));
        let origin = Instant::now().checked_sub(begun.age(Stamp::now()));
        // One that was broken off, or has not read all users of the new settings, is completed at once.
        origin.map_or(Self::after(Duration::ZERO), |origin| Self {
            origin,
            due: if complete { account.poll.interval } else { Duration::ZERO },
            hurried: !complete,
            skip_read_since: (!complete).then_some(begun),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::fixture;

    #[test]
    fn a_change_that_concerns_no_user_copies_none() {
        let account = fixture("acme", &["1", "2"]);
        let mut changed = account.clone();
        changed.poll.concurrency += 1;
        let earlier = new_slot(Arc::new(account));
        let later = changed_slot(&earlier, Arc::new(changed));
        let [earlier, later] = [earlier.view(), later.view()];
        assert!(earlier.chunks.iter().map(Arc::as_ptr).eq(later.chunks.iter().map(Arc::as_ptr)));
    }
}
