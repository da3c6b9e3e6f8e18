//! Assembles a whole document from rendered blocks.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::deflate::{Deflater, Gzip, checksum};
use super::families::{ACCOUNT_FAMILIES, USER_FAMILIES};
use super::render::{write_stale_account, write_stale_users};
use super::text::{Format, Lines};
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Block};

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
