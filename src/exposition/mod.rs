//! From views to the text that Prometheus scrapes.
//!
//! A poller calls [`render_chunk`] and [`render_account`] when it publishes, so the lines of each
//! family are ready and compressed before anyone asks. A scrape ([`document`]) only collects them,
//! family by family over all accounts, and renders anew the blocks in which a reading has turned
//! stale since: staleness is judged at scrape time, and a dead poller cannot keep a series alive.
//! Metrics of the process follow, written by the same `text` writer.

mod deflate;
mod families;
mod negotiate;
mod text;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::proto::MetricFamily;

pub use self::negotiate::{accepts_gzip, negotiate};
pub use self::text::Format;

use self::deflate::{Deflater, Gzip, checksum};
use self::families::{
    ACCOUNT_FAMILIES, AccountFamily, Context, USER_FAMILIES, UserFamily, account_labels,
    first_expiry, user_labels,
};
use self::text::Lines;
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

/// Puts a whole exposition together, as of `now`; compressed if `gzip`.
pub fn document(
    views: &[Arc<AccountView>],
    process: &[MetricFamily],
    format: Format,
    gzip: bool,
    now: Stamp,
) -> Vec<u8> {
    let mut document = Document::new(views, gzip);
    for (index, family) in USER_FAMILIES.iter().enumerate() {
        let describe = |lines: &mut Lines| {
            lines.describe(format, family.name, family.kind, family.help);
        };
        let mut section = Section { document: &mut document, describe: Some(describe) };
        for view in views {
            for chunk in &view.chunks {
                section.add(chunk.blocks.get(index), now, |lines| {
                    write_stale_users(lines, family, view, chunk, now);
                });
            }
        }
    }
    for (index, family) in ACCOUNT_FAMILIES.iter().enumerate() {
        let describe = |lines: &mut Lines| {
            lines.describe(format, family.name, family.kind, family.help);
        };
        let mut section = Section { document: &mut document, describe: Some(describe) };
        for view in views {
            section.add(view.blocks.get(index), now, |lines| {
                write_stale_account(lines, family, view, now);
            });
        }
    }
    for family in process {
        document.lines.family(format, family);
    }
    document.lines.push(format.end());
    document.finish()
}

/// One family of a document: its description goes out with its first lines, if any.
struct Section<'a, D: FnOnce(&mut Lines)> {
    document: &'a mut Document,
    describe: Option<D>,
}

impl<D: FnOnce(&mut Lines)> Section<'_, D> {
    /// Adds a block as it is, or what `render` writes if it has expired.
    fn add(&mut self, block: Option<&Block>, now: Stamp, render: impl FnOnce(&mut Lines)) {
        let Some(block) = block.filter(|block| !block.text.is_empty()) else { return };
        if let Some(describe) = self.describe.take() {
            describe(&mut self.document.lines);
        }
        if block.expires.is_some_and(|expires| expires <= now.uptime) {
            render(&mut self.document.lines);
        } else {
            self.document.block(block);
        }
    }
}

/// A document under construction.
struct Document {
    body: Body,
    /// Text that was not rendered before and waits to be added.
    lines: Lines,
}

enum Body {
    Plain(Vec<u8>),
    Gzip(Gzip, Deflater),
}

impl Document {
    fn new(views: &[Arc<AccountView>], gzip: bool) -> Self {
        /// Room for the descriptions and the metrics of the process.
        const OWN: usize = 16 * 1024;
        let chunks = views.iter().flat_map(|view| &view.chunks);
        let blocks = chunks.flat_map(|chunk| &chunk.blocks);
        let blocks = blocks.chain(views.iter().flat_map(|view| &view.blocks));
        let body = if gzip {
            let size: usize = blocks.map(|block| block.deflated.len()).sum();
            Body::Gzip(Gzip::with_capacity(size + OWN), Deflater::new())
        } else {
            let size: usize = blocks.map(|block| block.text.len()).sum();
            Body::Plain(Vec::with_capacity(size + OWN))
        };
        Self { body, lines: Lines::default() }
    }

    fn block(&mut self, block: &Block) {
        self.flush();
        match &mut self.body {
            Body::Plain(bytes) => bytes.extend_from_slice(&block.text),
            Body::Gzip(gzip, _) => gzip.append(&block.deflated, &block.crc),
        }
    }

    fn flush(&mut self) {
        let text = self.lines.as_bytes();
        if text.is_empty() {
            return;
        }
        match &mut self.body {
            Body::Plain(bytes) => bytes.extend_from_slice(text),
            Body::Gzip(gzip, deflater) => gzip.append(&deflater.part(text), &checksum(text)),
        }
        self.lines.clear();
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush();
        match self.body {
            Body::Plain(bytes) => bytes,
            Body::Gzip(gzip, _) => gzip.finish(),
        }
    }
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

fn write_stale_users(
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

fn write_stale_account(lines: &mut Lines, family: &AccountFamily, view: &AccountView, now: Stamp) {
    let context = Context { account: &view.account, facts: &view.facts, now };
    (family.write)(lines, family.name, &account_labels(&view.account), &context);
}

#[cfg(test)]
mod tests;
