//! A whole exposition, compressed and shared by all who want it, and the answer to one of them.

use std::iter::Chain;
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::{array, option};

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use tokio_util::sync::CancellationToken;

use super::blocks::{Assembled, Blocks};
use super::deflate::{Checksum, Inflater};
use super::text::{Format, Lines};
use super::wanted::Wanted;
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Slot};

/// The metrics of accounts as of one moment, in one format.
pub(super) struct Document {
    bytes: Bytes,
    checksum: Checksum,
    /// Uptime from which on it shows what is stale.
    expires: Option<Duration>,
    clock: i128,
    /// The accounts that it shows.
    views: Vec<Weak<AccountView>>,
    /// Ends its readers.
    pub(super) cut: Arc<CancellationToken>,
}

/// An exposition on its way to one client, piece by piece: the document, and the metrics of the process
/// after it.
pub struct Answer {
    pieces: Pieces,
    /// Bytes that are left.
    pub(crate) length: u64,
    cut: Arc<CancellationToken>,
    /// As long as it is being sent, it takes memory.
    _document: Arc<Document>,
}

enum Pieces {
    Gzip(array::IntoIter<Bytes, 2>),
    Identity(Box<Chain<Inflater, option::IntoIter<Bytes>>>),
}

impl Document {
    /// A document of the accounts that are `wanted`, as of `now`.
    pub(super) fn new(
        blocks: &mut Blocks,
        wanted: &Wanted<'_>,
        format: Format,
        now: Stamp,
    ) -> Self {
        let Assembled { gzip, expires } = blocks.assemble(wanted, format, now);
        Self {
            bytes: gzip.bytes.into(),
            checksum: gzip.checksum,
            expires,
            clock: now.offset(),
            views: wanted.views().map(Arc::downgrade).collect(),
            cut: Arc::default(),
        }
    }

    /// Size in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it may be shown: no reading in it is stale, and its timestamps are by the wall clock as it is.
    pub(super) fn holds(&self, now: Stamp) -> bool {
        self.expires.is_none_or(|expires| now.uptime < expires)
            && self.clock == now.offset()
            && !self.cut.is_cancelled()
    }

    /// Whether these are the views that it shows.
    pub(super) fn shows(&self, wanted: &Wanted<'_>) -> bool {
        wanted.views().map(Arc::as_ptr).eq(self.views.iter().map(Weak::as_ptr))
    }

    /// The same of all accounts, where they are published.
    pub(super) fn shows_all(&self, slots: &[Arc<Slot>]) -> bool {
        let mut views = self.views.iter();
        let same = |slot: &Arc<Slot>| views.next().is_some_and(|view| slot.shows(view));
        slots.len() == self.views.len() && slots.iter().all(same)
    }

    /// Whether a publication has replaced what it shows.
    pub(super) fn is_outdated(&self) -> bool {
        self.views.iter().any(|view| view.strong_count() == 0)
    }

    /// What comes after it in gzip: the families of the process, and the end.
    pub(super) fn end(
        &self,
        process: &[MetricFamily],
        format: Format,
        blocks: &mut Blocks,
    ) -> Bytes {
        self.checksum.end(&blocks.part(&rest(process, format))).into()
    }
}

impl Answer {
    /// The document in gzip, with its [end](Document::end).
    pub(super) fn gzip(document: Arc<Document>, end: Bytes) -> Self {
        let length = (document.bytes.len() + end.len()) as u64;
        let pieces = Pieces::Gzip([document.bytes.clone(), end].into_iter());
        let cut = Arc::clone(&document.cut);
        Self { pieces, length, cut, _document: document }
    }

    /// The same as plain text, which is made while it is sent.
    pub(super) fn identity(
        document: Arc<Document>,
        process: &[MetricFamily],
        format: Format,
        cut: Arc<CancellationToken>,
    ) -> Self {
        let rest = rest(process, format);
        let length = u64::from(document.checksum.length) + rest.len() as u64;
        let text = Inflater::new(document.bytes.clone(), document.checksum);
        let rest = (!rest.is_empty()).then(|| rest.into());
        let pieces = Pieces::Identity(Box::new(text.chain(rest)));
        Self { pieces, length, cut, _document: document }
    }

    /// Cancelled when the client has to be disconnected, because newer answers need the memory.
    pub fn cut(&self) -> CancellationToken {
        CancellationToken::clone(&self.cut)
    }
}

/// What follows the metrics of accounts.
fn rest(process: &[MetricFamily], format: Format) -> Vec<u8> {
    let mut lines = Lines::default();
    for family in process {
        lines.family(format, family);
    }
    lines.text.push_str(format.end());
    lines.text.into_bytes()
}

impl Iterator for Answer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = match &mut self.pieces {
            Pieces::Gzip(pieces) => pieces.next(),
            Pieces::Identity(pieces) => pieces.next(),
        }?;
        self.length = self.length.saturating_sub(piece.len() as u64);
        Some(piece)
    }
}

/// The text of an exposition, at once: for commands.
pub fn text(
    views: &[Arc<AccountView>],
    process: &[MetricFamily],
    format: Format,
    now: Stamp,
) -> Vec<u8> {
    let document = Document::new(&mut Blocks::new(), &Wanted::all(views), format, now);
    let answer = Answer::identity(Arc::new(document), process, format, Arc::default());
    answer.fold(Vec::new(), |mut text, piece| {
        text.extend_from_slice(&piece);
        text
    })
}
