//! Rendered lines that are kept, compressed only, and rendered again when what they show has changed.
//!
//! A publication renders nothing. Assembling a document renders the blocks whose accounts have
//! published since, or in which a reading has turned stale: the work follows scrapes, however often pollers
//! publish.

use std::cell::LazyCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::deflate::{Deflater, Gzip, Part};
use super::families::Family;
use super::runs::{Origin, Source, Subject};
use super::text::{Format, Lines};
use super::wanted::Wanted;
use crate::clock::Stamp;

/// Every block of the exposition.
pub(super) struct Blocks {
    renderer: Renderer,
    sections: [Section; 2],
}

/// A piece of an exposition: the lines of one family and one run, or the description of a family.
struct Block {
    part: Part,
    /// To see that new lines read the same, which saves compressing them.
    hash: u128,
    /// Uptime ([`Stamp::uptime`]) from which on the lines have to be rendered again.
    expires: Option<Duration>,
}

/// Turns lines into blocks, with one buffer and one compressor for all.
struct Renderer {
    lines: Lines,
    deflater: Deflater,
    /// Users choose their names, and must not be able to choose lines of equal hashes.
    seed: u64,
}

/// All families of users, or all of accounts.
struct Section {
    subject: Subject,
    runs: Vec<Run>,
    /// HELP and TYPE of each family, as text and in OpenMetrics.
    descriptions: [Vec<Block>; 2],
}

/// The lines of a run of users, or of accounts.
#[derive(Default)]
struct Run {
    /// One for each family.
    blocks: Vec<Block>,
    origins: Vec<Origin>,
    /// Which wall clock its timestamps are by.
    clock: Option<i128>,
}

/// What is put into a document.
enum Choice<'a> {
    Kept(&'a Run),
    /// Some accounts of a run alone.
    Own(Run),
}

/// The parts of a document that do not depend on the process, and until when they hold.
pub(super) struct Assembled {
    pub(super) gzip: Gzip,
    pub(super) expires: Option<Duration>,
}

impl Blocks {
    /// No blocks yet.
    pub(super) fn new() -> Self {
        let mut renderer = Renderer {
            lines: Lines::default(),
            deflater: Deflater::new(),
            seed: RandomState::new().build_hasher().finish(),
        };
        let sections = [Subject::Users, Subject::Accounts].map(|subject| Section {
            subject,
            runs: Vec::new(),
            descriptions: [Format::Text, Format::OpenMetrics]
                .map(|format| renderer.descriptions(subject, format)),
        });
        Self { renderer, sections }
    }

    /// Puts together the families of the accounts that are `wanted`, as of `now`.
    pub(super) fn assemble(
        &mut self,
        wanted: &Wanted<'_>,
        format: Format,
        now: Stamp,
    ) -> Assembled {
        let Self { renderer, sections } = self;
        let sections = sections.each_mut().map(|section| {
            let Section { subject, runs, descriptions: [text, open_metrics] } = section;
            let choices = choose(*subject, runs, wanted, now, renderer);
            (choices, if format == Format::Text { text } else { open_metrics })
        });
        let mut pieces: Vec<&Block> = Vec::new();
        let mut expires: Option<Duration> = None;
        for (choices, descriptions) in &sections {
            for (index, description) in descriptions.iter().enumerate() {
                let start = pieces.len();
                pieces.push(description);
                for block in choices.iter().filter_map(|choice| choice.run().blocks.get(index)) {
                    expires = earliest(expires, block.expires);
                    pieces.extend((!block.part.packed.is_empty()).then_some(block));
                }
                // A family without lines is not described.
                if pieces.len() == start + 1 {
                    pieces.pop();
                }
            }
        }
        let mut gzip =
            Gzip::with_capacity(pieces.iter().map(|block| block.part.packed.len()).sum());
        for block in pieces {
            gzip.append(&block.part);
        }
        Assembled { gzip, expires }
    }

    /// Compresses `text`.
    pub(super) fn part(&mut self, text: &[u8]) -> Part {
        self.renderer.deflater.part(text)
    }
}

/// Brings the runs of the wanted accounts up to date.
fn choose<'a>(
    subject: Subject,
    runs: &'a mut Vec<Run>,
    wanted: &Wanted<'_>,
    now: Stamp,
    renderer: &mut Renderer,
) -> Vec<Choice<'a>> {
    let layout = subject.runs(wanted.all);
    runs.resize_with(layout.len(), Run::default);
    let choose = |(run, mut sources): (&'a mut Run, Vec<Source>)| {
        let all = sources.len();
        sources.retain(|source| wanted.includes(&source.view));
        if sources.is_empty() {
            return None;
        }
        if sources.len() == all {
            run.refresh(subject, &sources, now, renderer);
            return Some(Choice::Kept(run));
        }
        let mut own = Run::default();
        own.refresh(subject, &sources, now, renderer);
        Some(Choice::Own(own))
    };
    runs.iter_mut().zip(layout).filter_map(choose).collect()
}

impl Choice<'_> {
    fn run(&self) -> &Run {
        match self {
            Self::Kept(run) => run,
            Self::Own(run) => run,
        }
    }
}

impl Run {
    /// Renders what has changed, or expired.
    fn refresh(
        &mut self,
        subject: Subject,
        sources: &[Source],
        now: Stamp,
        renderer: &mut Renderer,
    ) {
        let origins = sources.iter().flat_map(|source| source.origins(subject));
        let origins: Vec<Origin> = origins.collect();
        let clock = Some(now.offset());
        let earlier = &self.origins;
        let same = earlier.len() == origins.len()
            && earlier.iter().zip(&origins).all(|(one, other)| one.ptr_eq(other))
            && self.clock == clock;
        // Unless all of this is done, nothing counts as rendered.
        self.clock = None;
        let labels = LazyCell::new(|| {
            sources.iter().map(|source| source.labels(subject)).collect::<Vec<Vec<String>>>()
        });
        for (index, family) in subject.families().iter().enumerate() {
            let earlier = self.blocks.get(index);
            if same && earlier.is_some_and(|block| block.expires.is_none_or(|at| at > now.uptime)) {
                continue;
            }
            renderer.lines.text.clear();
            let mut expires = None;
            for (source, labels) in sources.iter().zip(labels.iter()) {
                let lines = &mut renderer.lines;
                expires = earliest(expires, source.write(family, lines, labels, now));
            }
            match self.blocks.get_mut(index) {
                Some(block) => renderer.replace(block, expires),
                None => self.blocks.push(renderer.block(expires)),
            }
        }
        (self.origins, self.clock) = (origins, clock);
    }
}

impl Renderer {
    fn descriptions(&mut self, subject: Subject, format: Format) -> Vec<Block> {
        let families = subject.families().iter();
        let described = |family: &Family| {
            self.lines.text.clear();
            family.describe(&mut self.lines, format);
            self.block(None)
        };
        families.map(described).collect()
    }

    /// Compresses the lines.
    fn block(&mut self, expires: Option<Duration>) -> Block {
        let text = self.lines.text.as_bytes();
        let hash = xxh3_128_with_seed(text, self.seed);
        Block { part: self.deflater.part(text), hash, expires }
    }

    /// Compresses the lines, unless they read as those of `block`.
    fn replace(&mut self, block: &mut Block, expires: Option<Duration>) {
        if block.hash == xxh3_128_with_seed(self.lines.text.as_bytes(), self.seed) {
            block.expires = expires;
        } else {
            *block = self.block(expires);
        }
    }
}

fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
impl Blocks {
    /// Where the compressed lines are, run by run and family by family.
    pub(super) fn addresses(&self) -> Vec<*const u8> {
        let runs = self.sections.iter().flat_map(|section| &section.runs);
        runs.flat_map(|run| &run.blocks).map(|block| block.part.packed.as_ptr()).collect()
    }
}
