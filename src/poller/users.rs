//! The users of an account and what is known of each, in the chunks that views share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::account::{Account, User, UserId};
use crate::snapshot::{AccountView, CHUNK_USERS, Chunk, UserView, chunks};

/// The polled users, in the order of the view. Requests know them by their index. A chunk is copied when
/// one of its users changes while a view has it.
#[derive(Debug, Clone)]
pub(super) struct PolledUsers(Vec<Arc<Chunk>>);

impl PolledUsers {
    /// Users before any of them was read.
    pub(super) fn new(users: impl IntoIterator<Item = UserView>) -> Self {
        Self(chunks(users))
    }

    /// The users of a published view.
    pub(super) fn from_view(view: &AccountView) -> Self {
        Self(view.chunks.clone())
    }

    /// The users for a view.
    pub(super) fn chunks(&self) -> Vec<Arc<Chunk>> {
        self.0.clone()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &UserView> {
        self.0.iter().flat_map(|chunk| &**chunk)
    }

    pub(super) fn get(&self, index: usize) -> Option<&UserView> {
        self.0.get(index / CHUNK_USERS)?.get(index % CHUNK_USERS)
    }

    /// A user that is about to change.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut UserView> {
        Arc::make_mut(self.0.get_mut(index / CHUNK_USERS)?).get_mut(index % CHUNK_USERS)
    }

    /// Changes every user.
    pub(super) fn update(&mut self, change: impl FnMut(&mut UserView)) {
        self.0.iter_mut().flat_map(Arc::make_mut).for_each(change);
    }

    /// Changes users where one is `due`, and copies no other chunk.
    pub(super) fn update_due(
        &mut self,
        due: impl Fn(&UserView) -> bool,
        mut change: impl FnMut(&mut UserView),
    ) {
        for chunk in self.0.iter_mut().filter(|chunk| chunk.iter().any(&due)) {
            Arc::make_mut(chunk).iter_mut().filter(|user| due(user)).for_each(&mut change);
        }
    }

    /// Replaces the users by others, each with whether it was found in the account's list. Those that
    /// stay keep their readings; `new` makes the view of one that does not. Returns whether anything
    /// has changed.
    pub(super) fn replace(
        &mut self,
        users: Vec<(Arc<User>, bool)>,
        new: impl Fn(Arc<User>) -> UserView,
    ) -> bool {
        let same = self.iter().map(|view| (&view.user, view.found));
        if same.eq(users.iter().map(|(user, found)| (user, *found))) {
            return false;
        }
        let known: HashMap<&UserId, &UserView> =
            self.iter().map(|view| (&view.user.id, view)).collect();
        let views = users.into_iter().map(|(user, found)| match known.get(&user.id) {
            Some(view) => UserView { user, found, ..(*view).clone() },
            None => UserView { found, ..new(user) },
        });
        *self = Self::new(views);
        true
    }
}

/// The configured users, with the names of the list where they have none, and then the discovered
/// ones; each with whether it was discovered.
pub(super) fn named_users(account: &Account, found: Vec<User>) -> Vec<(Arc<User>, bool)> {
    let listed: HashMap<&UserId, &User> = found.iter().map(|user| (&user.id, user)).collect();
    let named = |user: &Arc<User>| match listed.get(&user.id) {
        Some(User { name: Some(name), .. }) if user.name.is_none() => {
            Arc::new(User { name: Some(name.clone()), ..User::clone(user) })
        }
        _ => Arc::clone(user),
    };
    let mut users: Vec<(Arc<User>, bool)> =
        account.users.iter().map(|user| (named(user), false)).collect();
    let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
    let more = found.into_iter().filter(|user| !configured.contains(&user.id));
    users.extend(more.map(|user| (Arc::new(user), true)));
    users
}
