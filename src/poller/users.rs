//! The users of an account and what is known of each, in the chunks in which they are rendered.

use std::collections::HashMap;
use std::sync::Arc;

use crate::account::{User, UserId};
use crate::snapshot::{AccountView, CHUNK_USERS, UserView};

/// The polled users, in the order of the view. Requests know them by their index.
#[derive(Debug)]
pub(super) struct PolledUsers(Vec<ChunkState>);

#[derive(Debug)]
struct ChunkState {
    users: Vec<UserView>,
    /// Whether it differs from what was rendered last.
    changed: bool,
}

impl PolledUsers {
    /// The users of a published view.
    pub(super) fn from_view(view: &AccountView) -> Self {
        let chunks = view.chunks.iter();
        Self(
            chunks.map(|chunk| ChunkState { users: chunk.users.clone(), changed: false }).collect(),
        )
    }

    /// New users, none of which was rendered.
    fn new(users: &[UserView]) -> Self {
        let chunks = users.chunks(CHUNK_USERS);
        Self(chunks.map(|users| ChunkState { users: users.to_vec(), changed: true }).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &UserView> {
        self.0.iter().flat_map(|chunk| &chunk.users)
    }

    pub(super) fn get(&self, index: usize) -> Option<&UserView> {
        self.0.get(index / CHUNK_USERS)?.users.get(index % CHUNK_USERS)
    }

    /// A user that is about to change.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut UserView> {
        let chunk = self.0.get_mut(index / CHUNK_USERS)?;
        chunk.changed = true;
        chunk.users.get_mut(index % CHUNK_USERS)
    }

    /// Changes users; `change` returns whether that is to be rendered.
    pub(super) fn update(&mut self, mut change: impl FnMut(&mut UserView) -> bool) {
        for chunk in &mut self.0 {
            for user in &mut chunk.users {
                chunk.changed |= change(user);
            }
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
        let before = self.0.drain(..).flat_map(|chunk| chunk.users);
        let mut known: HashMap<UserId, UserView> =
            before.map(|view| (view.user.id.clone(), view)).collect();
        let views = users.into_iter().map(|(user, found)| match known.remove(&user.id) {
            Some(view) => UserView { user, found, ..view },
            None => UserView { found, ..new(user) },
        });
        *self = Self::new(&views.collect::<Vec<_>>());
        true
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.0.len()
    }

    /// Copies of the chunks that have changed since the last call, with their index.
    pub(super) fn take_changed(&mut self) -> Vec<(usize, Vec<UserView>)> {
        let chunks = self.0.iter_mut().enumerate();
        let changed = chunks.filter_map(|(index, chunk)| {
            std::mem::take(&mut chunk.changed).then(|| (index, chunk.users.clone()))
        });
        changed.collect()
    }
}
