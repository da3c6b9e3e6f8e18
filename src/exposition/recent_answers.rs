//! Answers in gzip that are given at once, as they were given before.
//!
//! Between two publications only the metrics of the process differ from one scrape to the next. They are
//! rendered again up to [`BURST`] times in a row and then once in each [`PERIOD`]; scrapes in between, of which
//! only load has any, share what was rendered last. That saves them the rendering, the compressing and two
//! switches between threads.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::document::Document;
use super::wanted::Selection;
use crate::blocking::lock;
use crate::clock::Stamp;

/// How long an answer is given again, under load.
const PERIOD: Duration = Duration::from_millis(20);
/// How many scrapes in a row are not load.
const BURST: u32 = 50;

/// The answers that may be given again.
#[derive(Default)]
pub(super) struct RecentAnswers(Mutex<State>);

#[derive(Default)]
struct State {
    /// One for each format at most.
    answers: Vec<Last>,
    /// Uptime up to which scrapes have used up their renderings.
    used: Duration,
}

/// The last answer to a selection.
struct Last {
    selection: Selection,
    /// Kept, or not, by others.
    document: Weak<Document>,
    end: Bytes,
    until: Duration,
}

impl RecentAnswers {
    /// A document and its end that may be given again.
    pub(super) fn get(&self, selection: &Selection, now: Stamp) -> Option<(Arc<Document>, Bytes)> {
        let state = lock(&self.0);
        let fits = |last: &&Last| now.uptime < last.until && last.selection == *selection;
        let last = state.answers.iter().find(fits)?;
        Some((last.document.upgrade()?, last.end.clone()))
    }

    /// Keeps a document and the end that was made for it, for as long as they may be given again.
    pub(super) fn keep(
        &self,
        selection: &Selection,
        document: &Arc<Document>,
        end: &Bytes,
        now: Stamp,
    ) {
        let mut state = lock(&self.0);
        state.answers.retain(|last| last.selection != *selection);
        state.used = state.used.max(now.uptime.saturating_sub(PERIOD * BURST)) + PERIOD;
        let until = state.used;
        if until > now.uptime {
            let (selection, end) = (selection.clone(), end.clone());
            let document = Arc::downgrade(document);
            state.answers.push(Last { selection, document, end, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Format;
    use crate::exposition::blocks::Blocks;
    use crate::exposition::wanted::Wanted;

    const TEXT: Selection = Selection { format: Format::Text, accounts: Vec::new() };

    #[test]
    fn only_load_is_given_the_metrics_of_the_process_as_they_were() {
        let recent = RecentAnswers::default();
        let start = Stamp::now();
        let wanted = Wanted::all(&[]);
        let document = Arc::new(Document::new(&mut Blocks::new(), &wanted, Format::Text, start));
        // When scrapes make an answer themselves that come every so often for a second.
        let made = |start: Stamp, period: Duration| {
            let times = (0..).map(|turn| period * turn);
            let times = times.take_while(|later| *later < Duration::from_secs(1));
            let made = times.filter(|later| {
                let now = start.plus(*later);
                let given = recent.get(&TEXT, now).is_some();
                if !given {
                    recent.keep(&TEXT, &document, &Bytes::new(), now);
                }
                !given
            });
            made.collect::<Vec<_>>()
        };
        assert_eq!(made(start, PERIOD).len(), 50);
        let later = start.plus(Duration::from_mins(1));
        let load = made(later, Duration::from_millis(1));
        assert!(load.iter().zip(0..50).all(|(at, millis)| at.as_millis() == millis), "{load:?}");
        assert_eq!(load.len(), 100, "{load:?}");
        assert!(load.windows(2).all(|two| two[1] <= two[0] + PERIOD), "{load:?}");
        let other = Selection { format: Format::OpenMetrics, ..TEXT };
        let now = later.plus(Duration::from_secs(1));
        recent.keep(&TEXT, &document, &Bytes::new(), now);
        assert!(recent.get(&TEXT, now).is_some() && recent.get(&other, now).is_none());
        drop(document);
        assert!(recent.get(&TEXT, now).is_none(), "it is not kept alive");
    }
}
