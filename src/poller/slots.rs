//! Slots of accounts at the edges of a poller's life: before the first, between two, after a death.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::account::{Account, UserId};
use crate::channel::Surroundings;
use crate::clock::Stamp;
use crate::exposition::{render_account, render_chunk};
use crate::metrics::Tally;
use crate::snapshot::{AccountView, CHUNK_USERS, Facts, Listing, Slot, UserView};

/// A slot for an account nobody has polled yet.
pub fn new_slot(account: Arc<Account>) -> Slot {
    slot_of_users(account, Arc::default())
}

fn slot_of_users(account: Arc<Account>, tally: Arc<Tally>) -> Slot {
    let users = account.users.iter().map(|user| UserView::new(Arc::clone(user)));
    let users: Vec<UserView> = users.collect();
    let view = view_of(account, &tally, Facts::default(), &users);
    Slot::new(tally, view)
}

/// Whether two settings are of the same account at Wazzup24: by its number, where both tell it, or by
/// the token.
fn is_same(one: &Account, other: &Account) -> bool {
    match (&one.account_id, &other.account_id) {
        (Some(first), Some(second)) => first == second && one.base_url == other.base_url,
        _ => one.credential() == other.credential(),
    }
}

/// Whether counters of an account are asked for where they were, with the same right.
pub(super) fn is_read_alike(one: &Account, other: &Account) -> bool {
    let way = |account: &Account| (account.api, account.base_url.clone(), account.tls.clone());
    let same = way(one) == way(other) && one.proxy == other.proxy && one.auth == other.auth;
    same && is_same(one, other)
}

/// A slot for an account whose settings have changed: what is known of its users stays, unless it may
/// be another account by now.
pub fn changed_slot(earlier: &Slot, account: Arc<Account>) -> Slot {
    match changed_view(earlier, Arc::clone(&account)) {
        Some(view) => Slot::new(Arc::clone(&earlier.tally), view).continuing(earlier),
        None => slot_of_users(account, Arc::clone(&earlier.tally)),
    }
}

/// What a slot shows, as the account's changed settings have it; `None` if it may be another account.
pub(super) fn changed_view(earlier: &Slot, account: Arc<Account>) -> Option<AccountView> {
    let view = earlier.view();
    if !is_same(&view.account, &account) {
        return None;
    }
    // Why it fails may be what was changed, but that is for the next sweep to tell.
    let mut facts = Facts { down: false, ..view.facts.clone() };
    if account.channels.is_none() {
        facts.surroundings = Surroundings::default();
        (facts.channels, facts.roles) = Default::default();
    }
    let mut users = configured_users(&account, &view);
    match &account.discovery {
        Some(discovery) => users.extend(still_found(&account, discovery.max_users, &view)),
        None => facts.discovery = Listing::default(),
    }
    for user in &mut users {
        user.standing = facts.surroundings.of(user.user.id.as_str());
    }
    let newest = users.iter().filter_map(|user| user.last_good).map(|(_, at)| at);
    facts.newest_reading = newest.max_by_key(|at| at.uptime);
    Some(view_of(account, &earlier.tally, facts, &users))
}

/// The configured users with what is known of them.
fn configured_users(account: &Account, view: &AccountView) -> Vec<UserView> {
    let known: HashMap<&UserId, &UserView> =
        view.users().map(|user| (&user.user.id, user)).collect();
    let users = account.users.iter().map(|user| match known.get(&user.id) {
        Some(known) => UserView { user: Arc::clone(user), found: false, ..(*known).clone() },
        None => UserView::new(Arc::clone(user)),
    });
    users.collect()
}

/// Users who were found before and are not configured: they stay until the list is read again.
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

/// Shows an account whose poller has died as down; its readings stay until they are stale.
pub fn mark_down(slot: &Arc<Slot>) {
    let writer = slot.writer();
    let view = slot.view();
    let facts = Facts { down: true, tally: slot.tally.values(), ..view.facts.clone() };
    let blocks = render_account(&view.account, &facts, Some(&view.blocks), Stamp::now());
    let (account, chunks) = (Arc::clone(&view.account), view.chunks.clone());
    writer.publish(AccountView { account, facts, chunks, blocks });
}
