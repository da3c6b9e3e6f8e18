//! Views that no running poller publishes: before the first, between two, after a failure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::account::{Account, UserId};
use crate::channel::ChannelsAndRoles;
use crate::clock::Stamp;
use crate::exposition::{render_account, render_chunk};
use crate::metrics::Tally;
use crate::snapshot::{AccountView, CHUNK_USERS, Facts, ListStatus, Slot, UserView};

/// A slot for an account that has not been polled yet.
pub fn new_slot(account: Arc<Account>) -> Slot {
    slot_of_users(account, Arc::default())
}

fn slot_of_users(account: Arc<Account>, tally: Arc<Tally>) -> Slot {
    let users = account.users.iter().map(|user| UserView::new(Arc::clone(user)));
    let users: Vec<UserView> = users.collect();
    let view = view_of(account, &tally, Facts::default(), &users);
    Slot::new(tally, view)
}

/// Whether two settings are of the same account at Wazzup24: by its number, where both have it, or by
/// the token.
fn is_same(one: &Account, other: &Account) -> bool {
    match (&one.account_id, &other.account_id) {
        (Some(first), Some(second)) => first == second && one.base_url == other.base_url,
        _ => one.credential() == other.credential(),
    }
}

/// Whether an account is read from the same place with the same credential.
pub(super) fn is_read_alike(one: &Account, other: &Account) -> bool {
    let source = |account: &Account| (account.api, account.base_url.clone(), account.tls.clone());
    let same = source(one) == source(other) && one.proxy == other.proxy && one.auth == other.auth;
    same && is_same(one, other)
}

/// A slot for an account whose settings have changed: readings of its users stay, unless it may be
/// another account by now.
pub fn changed_slot(earlier: &Slot, account: Arc<Account>) -> Slot {
    match changed_view(earlier, Arc::clone(&account)) {
        Some(view) => Slot::new(Arc::clone(&earlier.tally), view).continuing(earlier),
        None => slot_of_users(account, Arc::clone(&earlier.tally)),
    }
}

/// The view of a slot under changed settings; `None` if it may be another account.
pub(super) fn changed_view(earlier: &Slot, account: Arc<Account>) -> Option<AccountView> {
    let view = earlier.view();
    if !is_same(&view.account, &account) {
        return None;
    }
    // The change may have removed the cause of a failure; the next sweep shows that.
    let mut facts = Facts { down: false, ..view.facts.clone() };
    if account.channels.is_none() {
        facts.channels_and_roles = ChannelsAndRoles::default();
        (facts.channels, facts.roles) = Default::default();
    }
    let mut users = configured_users(&account, &view);
    match &account.discovery {
        Some(discovery) => users.extend(still_found(&account, discovery.max_users, &view)),
        None => facts.discovery = ListStatus::default(),
    }
    for user in &mut users {
        user.trust = facts.channels_and_roles.of(user.user.id.as_str());
    }
    let newest = users.iter().filter_map(|user| user.last_good).map(|(_, at)| at);
    facts.newest_reading = newest.max_by_key(|at| at.uptime);
    Some(view_of(account, &earlier.tally, facts, &users))
}

/// The configured users with their earlier readings.
fn configured_users(account: &Account, view: &AccountView) -> Vec<UserView> {
    let known: HashMap<&UserId, &UserView> =
        view.users().map(|user| (&user.user.id, user)).collect();
    let users = account.users.iter().map(|user| match known.get(&user.id) {
        Some(known) => UserView { user: Arc::clone(user), found: false, ..(*known).clone() },
        None => UserView::new(Arc::clone(user)),
    });
    users.collect()
}

/// Users that were discovered and are not configured: they stay until the list is read again.
fn still_found(account: &Account, most: usize, view: &AccountView) -> Vec<UserView> {
    let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
    let stays = |user: &&UserView| user.found && !configured.contains(&user.user.id);
    view.users().filter(stays).take(most).cloned().collect()
}

fn view_of(account: Arc<Account>, tally: &Tally, facts: Facts, users: &[UserView]) -> AccountView {
    let facts = Facts { tally: tally.values(), users: users.len(), ..facts };
    let now = Stamp::now();
    let chunks = users.chunks(CHUNK_USERS);
    let chunks = chunks.map(|users| Arc::new(render_chunk(&account, users.to_vec(), None, now)));
    let chunks = chunks.collect();
    let blocks = render_account(&account, &facts, None, now);
    AccountView { account, facts, chunks, blocks }
}

/// Marks an account whose poller has failed as down; its readings stay until they are stale.
pub fn mark_down(slot: &Arc<Slot>) {
    let writer = slot.writer();
    let view = slot.view();
    let facts = Facts { down: true, tally: slot.tally.values(), ..view.facts.clone() };
    let blocks = render_account(&view.account, &facts, Some(&view.blocks), Stamp::now());
    let (account, chunks) = (Arc::clone(&view.account), view.chunks.clone());
    writer.publish(AccountView { account, facts, chunks, blocks });
}
