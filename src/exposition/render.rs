//! Renders the families of users and accounts into blocks of lines.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::deflate::{Deflater, checksum};
use super::families::{
    ACCOUNT_FAMILIES, AccountFamily, Context, USER_FAMILIES, UserFamily, account_labels,
    first_expiry, user_labels,
};
use super::text::Lines;
use crate::account::Account;
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Block, Chunk, Facts, UserView};

/// Renders the lines of a run of users.
///
/// Lines that read as in `earlier`, the chunk that this one replaces, are not compressed again.
pub fn render_chunk(
    account: &Account,
    users: Vec<UserView>,
    earlier: Option<&Chunk>,
    now: Stamp,
) -> Chunk {
    let facts = Facts::default();
    let context = Context { account, facts: &facts, now };
    let labels = labels_of(account, &users);
    let expires = first_expiry(&users, &context);
    let mut renderer = Renderer::default();
    let mut blocks = Vec::with_capacity(USER_FAMILIES.len());
    for (index, family) in USER_FAMILIES.iter().enumerate() {
        renderer.lines.clear();
        write_users(&mut renderer.lines, family, &users, &labels, &context);
        let earlier = earlier.and_then(|chunk| chunk.blocks.get(index));
        blocks.push(renderer.block(earlier, expires.filter(|_| family.ages)));
    }
    Chunk { users, blocks }
}

/// Renders the lines of an account's own families; see [`render_chunk`] for `earlier`.
pub fn render_account(
    account: &Account,
    facts: &Facts,
    earlier: Option<&[Block]>,
    now: Stamp,
) -> Vec<Block> {
    let context = Context { account, facts, now };
    let labels = account_labels(account);
    let mut renderer = Renderer::default();
    let mut blocks = Vec::with_capacity(ACCOUNT_FAMILIES.len());
    for (index, family) in ACCOUNT_FAMILIES.iter().enumerate() {
        renderer.lines.clear();
        (family.write)(&mut renderer.lines, family.name, &labels, &context);
        let earlier = earlier.and_then(|blocks| blocks.get(index));
        blocks.push(renderer.block(earlier, family.ages.expiry(&context)));
    }
    blocks
}

/// Turns lines into blocks, with one buffer and one compressor for many of them.
#[derive(Default)]
struct Renderer {
    lines: Lines,
    deflater: Option<Deflater>,
}

impl Renderer {
    fn block(&mut self, earlier: Option<&Block>, expires: Option<Duration>) -> Block {
        let text = self.lines.as_bytes();
        if let Some(same) = earlier.filter(|block| block.text == text) {
            return Block { expires, ..same.clone() };
        }
        let deflater = self.deflater.get_or_insert_with(Deflater::new);
        Block {
            text: Bytes::copy_from_slice(text),
            deflated: deflater.part(text).into(),
            crc: Arc::new(checksum(text)),
            expires,
        }
    }
}

fn labels_of(account: &Account, users: &[UserView]) -> Vec<String> {
    let account = account_labels(account);
    users.iter().map(|user| user_labels(&account, &user.user)).collect()
}

fn write_users(
    lines: &mut Lines,
    family: &UserFamily,
    users: &[UserView],
    labels: &[String],
    context: &Context<'_>,
) {
    if family.wanted(context.account) {
        for (user, labels) in users.iter().zip(labels) {
            (family.write)(lines, family.name, labels, user, context);
        }
    }
}

pub(super) fn write_stale_users(
    lines: &mut Lines,
    family: &UserFamily,
    view: &AccountView,
    chunk: &Chunk,
    now: Stamp,
) {
    let context = Context { account: &view.account, facts: &view.facts, now };
    let labels = labels_of(&view.account, &chunk.users);
    write_users(lines, family, &chunk.users, &labels, &context);
}

pub(super) fn write_stale_account(
    lines: &mut Lines,
    family: &AccountFamily,
    view: &AccountView,
    now: Stamp,
) {
    let context = Context { account: &view.account, facts: &view.facts, now };
    (family.write)(lines, family.name, &account_labels(&view.account), &context);
}
