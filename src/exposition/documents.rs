//! Documents that are made by one task at a time and shared by all requests.
//!
//! A request takes the document that there is, if it shows what was published last and nothing stale. Else it
//! waits for its turn and makes a new one, away from the async threads; all who came before that was begun
//! take it as well. The turn belongs to the work: a client that hangs up frees nothing that still runs. Once
//! there is an answer, sending it takes no turn, and neither does a [recent one](super::recent_answers).
//!
//! Documents may be as large as eight of all accounts together. Beyond that those are dropped that no client is
//! being sent, and then the readers of the oldest are cut.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::blocks::Blocks;
use super::document::{Answer, Document};
use super::recent_answers::RecentAnswers;
use super::wanted::{NoAnswer, Selection, Wanted};
use crate::blocking::{self, lock};
use crate::clock::Stamp;
use crate::metrics::ProcessMetrics;
use crate::snapshot::Directory;

/// Requests that wait for their turn: all that the connections of a listener can have. A turn takes milliseconds, and
/// those who wait share documents.
const WAITING: usize = 8192;
/// For so many turns an outdated document is kept for those who have waited for it.
const AWAITED: u64 = 256;
/// Documents of all accounts that memory is kept for, be it for others.
const WHOLE: usize = 8;
/// What one of them takes at least.
const WHOLE_SIZE: usize = 1 << 20;
/// Clients that are sent plain text, which is made on the way out, with 100 KB of state each.
const INFLATING: usize = 32;

/// Answers to scrapes.
pub struct Documents {
    directory: Arc<Directory>,
    process: Arc<ProcessMetrics>,
    /// How many documents were begun.
    begun: AtomicU64,
    waiting: Semaphore,
    turn: Arc<Semaphore>,
    recent: RecentAnswers,
    state: Mutex<State>,
}

struct State {
    blocks: Blocks,
    /// The documents that may be used again, oldest first.
    kept: Vec<Kept>,
    /// All that are in memory, oldest first.
    alive: Vec<Weak<Document>>,
    /// The size of the largest document so far.
    whole: usize,
    inflating: Vec<Weak<CancellationToken>>,
}

struct Kept {
    selection: Selection,
    number: u64,
    document: Arc<Document>,
}

impl Documents {
    /// Answers from what `directory` shows at the time.
    pub fn new(directory: Arc<Directory>, process: Arc<ProcessMetrics>) -> Self {
        let state = State {
            blocks: Blocks::new(),
            kept: Vec::new(),
            alive: Vec::new(),
            whole: WHOLE_SIZE,
            inflating: Vec::new(),
        };
        Self {
            directory,
            process,
            begun: AtomicU64::new(0),
            waiting: Semaphore::new(WAITING),
            turn: Arc::new(Semaphore::new(1)),
            recent: RecentAnswers::default(),
            state: Mutex::new(state),
        }
    }

    /// The answer to one request.
    ///
    /// # Errors
    /// When too many requests wait, or there is no such account.
    pub async fn answer(
        self: &Arc<Self>,
        selection: Selection,
        gzip: bool,
    ) -> Result<Answer, NoAnswer> {
        if gzip && let Some(answer) = self.recent(&selection) {
            return Ok(answer);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let begun = self.begun.load(SeqCst);
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.expect("this semaphore is never closed");
        let this = Arc::clone(self);
        let work = move || {
            let answer = this.make(&selection, gzip, begun);
            drop(turn);
            answer
        };
        blocking::run(work).await
    }

    /// The answer in gzip that was made last, if it can be given again.
    fn recent(&self, selection: &Selection) -> Option<Answer> {
        let now = Stamp::now();
        let (document, end) = self.recent.get(selection, now)?;
        let good = document.holds(now) && document.shows_all(&self.directory.slots());
        good.then(|| Answer::gzip(document, end))
    }

    /// Makes an answer from the current document, or from one that was begun after `begun` others.
    fn make(&self, selection: &Selection, gzip: bool, begun: u64) -> Result<Answer, NoAnswer> {
        let state = &mut *lock(&self.state);
        // Who had the turn before may have made it.
        if gzip && let Some(answer) = self.recent(selection) {
            return Ok(answer);
        }
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let views: Vec<_> = self.directory.slots().iter().map(|slot| slot.view()).collect();
        let wanted = Wanted::new(selection, &views)?;
        let now = Stamp::now();
        let found = state.find(selection, begun, &wanted, now);
        let document = found.unwrap_or_else(|| {
            let document = Document::new(&mut state.blocks, &wanted, selection.format, now);
            let document = Arc::new(document);
            let (selection, kept) = (selection.clone(), Arc::clone(&document));
            state.keep(Kept { selection, number, document: kept });
            document
        });
        let all = selection.accounts.is_empty();
        let process = if all { self.process.gather() } else { Vec::new() };
        Ok(if gzip {
            let end = document.end(&process, selection.format, &mut state.blocks);
            if all {
                self.recent.keep(selection, &document, &end, now);
            }
            Answer::gzip(document, end)
        } else {
            let cut = state.admit_inflating(&document);
            Answer::identity(document, &process, selection.format, cut)
        })
    }
}

impl State {
    fn find(
        &self,
        selection: &Selection,
        begun: u64,
        wanted: &Wanted<'_>,
        now: Stamp,
    ) -> Option<Arc<Document>> {
        let good = |kept: &&Kept| {
            kept.selection == *selection
                && kept.document.holds(now)
                && (kept.number > begun || kept.document.shows(wanted))
        };
        self.kept.iter().find(good).map(|kept| Arc::clone(&kept.document))
    }

    /// Keeps a document, and makes room for it.
    fn keep(&mut self, new: Kept) {
        self.whole = self.whole.max(new.document.size());
        let awaited = new.number.saturating_sub(AWAITED);
        self.kept.retain(|kept| {
            kept.selection != new.selection
                && (kept.number > awaited || !kept.document.is_outdated())
        });
        self.alive.push(Arc::downgrade(&new.document));
        self.kept.push(new);
        loop {
            self.alive.retain(|document| document.strong_count() > 0);
            let documents = self.alive.iter().filter_map(Weak::upgrade);
            if documents.map(|document| document.size()).sum::<usize>() <= WHOLE * self.whole {
                return;
            }
            let unread = |kept: &Kept| Arc::strong_count(&kept.document) == 1;
            if let Some(index) = self.kept.iter().position(unread) {
                self.kept.remove(index);
            } else if let Some(oldest) = self.alive.remove(0).upgrade() {
                oldest.cut.cancel();
                self.kept.retain(|kept| !Arc::ptr_eq(&kept.document, &oldest));
            }
        }
    }

    /// A token for one more client that is sent plain text; the oldest of too many is cut.
    fn admit_inflating(&mut self, document: &Document) -> Arc<CancellationToken> {
        self.inflating.retain(|client| client.strong_count() > 0);
        if self.inflating.len() >= INFLATING {
            let oldest = self.inflating.remove(0).upgrade();
            oldest.inspect(|client| client.cancel());
        }
        let client = Arc::new(document.cut.child_token());
        self.inflating.push(Arc::downgrade(&client));
        client
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::account::fixture;
    use crate::counter::{CounterType, Reading};
    use crate::exposition::Format;
    use crate::snapshot::{AccountView, Facts, Slot, UserView, Writer};

    const ALL: Selection = Selection { format: Format::Text, accounts: Vec::new() };

    /// A view in which every user has this counter.
    fn view(name: &str, users: usize, count: u64) -> AccountView {
        let ids: Vec<String> = (0..users).map(|number| format!("u{number}")).collect();
        let account = fixture(name, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let kind = CounterType::Red;
        let reading = Reading { count, kind, server_time: None, last_message: None };
        let user =
            |user| UserView { last_good: Some((reading, Stamp::now())), ..UserView::new(user) };
        let users: Vec<UserView> = account.users.iter().cloned().map(user).collect();
        AccountView::new(Arc::new(account), Facts::default(), &users)
    }

    fn documents(names: &[&str], users: usize) -> (Arc<Documents>, Vec<Writer>) {
        let slots = names
            .iter()
            .map(|name| Arc::new(Slot::new(Arc::default(), Arc::default(), view(name, users, 0))));
        let slots: Vec<Arc<Slot>> = slots.collect();
        let writers = slots.iter().map(Slot::writer).collect();
        let directory = Arc::new(Directory::default());
        directory.replace(slots);
        (Arc::new(Documents::new(directory, Arc::default())), writers)
    }

    async fn text_of(documents: &Arc<Documents>, accounts: &[&str]) -> Result<String, NoAnswer> {
        let accounts = accounts.iter().map(|name| (*name).to_owned()).collect();
        let answer = documents.answer(Selection { accounts, ..ALL }, false).await?;
        Ok(String::from_utf8(answer.flat_map(|piece| piece.to_vec()).collect()).unwrap())
    }

    /// The counters of red that an account shows.
    fn counters(text: &str, name: &str) -> Vec<u64> {
        let start = format!("wazzup_unanswered_messages{{account=\"{name}\",");
        let lines =
            text.lines().filter(|line| line.starts_with(&start) && line.contains("type=\"red\""));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn scrapes_during_publications_show_each_account_whole_and_as_published_before() {
        const NAMES: [&str; 2] = ["one", "other"];
        let (documents, writers) = documents(&NAMES, 700);
        let published = Arc::new(AtomicU64::new(0));
        let last = Arc::clone(&published);
        let publications = thread::spawn(move || {
            for count in 1..20 {
                for (writer, name) in writers.iter().zip(NAMES) {
                    writer.publish(view(name, 700, count));
                }
                last.store(count, SeqCst);
            }
        });
        let scrapes = (0..8).map(|_| {
            let (documents, published) = (Arc::clone(&documents), Arc::clone(&published));
            tokio::spawn(async move {
                loop {
                    let before = published.load(SeqCst);
                    let text = text_of(&documents, &[]).await.unwrap();
                    for name in NAMES {
                        let counters = counters(&text, name);
                        assert_eq!(counters.len(), 700);
                        assert!(
                            counters.iter().all(|count| *count == counters[0]),
                            "{name} is torn"
                        );
                        assert!(counters[0] >= before, "{} was shown, not {before}", counters[0]);
                    }
                    if before == 19 {
                        return;
                    }
                }
            })
        });
        for scrape in scrapes.collect::<Vec<_>>() {
            scrape.await.unwrap();
        }
        publications.join().unwrap();
    }

    #[tokio::test]
    async fn an_account_has_its_own_document_and_an_unknown_one_is_named() {
        let (documents, _writers) = documents(&["one", "other", "third"], 3);
        let text = text_of(&documents, &["other"]).await.unwrap();
        assert_eq!([counters(&text, "one").len(), counters(&text, "other").len()], [0, 3]);
        assert!(!text.contains("process_") && !text.contains("account=\"third\""), "{text}");
        let text = text_of(&documents, &["other", "third"]).await.unwrap();
        assert_eq!([counters(&text, "one").len(), counters(&text, "third").len()], [0, 3]);
        let unknown =
            text_of(&documents, &["one", "fourth", "fifth", "sixth", "seventh"]).await.unwrap_err();
        assert_eq!(unknown.to_string(), "no account is named fourth here");
        assert!(text_of(&documents, &[]).await.unwrap().contains("process_cpu_seconds_total"));
    }

    #[tokio::test]
    async fn a_document_is_shared_until_a_publication() {
        let (documents, writers) = documents(&["one"], 3);
        let document = async || {
            documents.answer(ALL, true).await.unwrap();
            Arc::as_ptr(&lock(&documents.state).kept[0].document)
        };
        let first = document().await;
        assert_eq!(document().await, first);
        writers[0].publish(view("one", 3, 1));
        assert_ne!(document().await, first);
        assert_eq!(lock(&documents.state).kept.len(), 1);
    }

    #[tokio::test]
    async fn the_readers_of_the_oldest_of_too_many_documents_are_cut() {
        let (documents, writers) = documents(&["one"], 300);
        lock(&documents.state).whole = 1;
        let mut answers = Vec::new();
        for count in 0..=WHOLE as u64 {
            writers[0].publish(view("one", 300, count));
            answers.push(documents.answer(ALL, true).await.unwrap());
        }
        let cut: Vec<bool> = answers.iter().map(|answer| answer.cut().is_cancelled()).collect();
        assert_eq!(cut, [vec![true], vec![false; WHOLE]].concat());
        // What no client is being sent makes room first.
        answers.truncate(WHOLE - 1);
        for count in 0..20 {
            writers[0].publish(view("one", 300, count));
            documents.answer(ALL, true).await.unwrap();
        }
        assert_eq!(answers.iter().filter(|answer| answer.cut().is_cancelled()).count(), 1);
    }

    #[tokio::test]
    async fn the_oldest_of_too_many_clients_of_plain_text_is_cut() {
        let (documents, _writers) = documents(&["one"], 3);
        let mut answers = Vec::new();
        for _ in 0..=INFLATING {
            answers.push(documents.answer(ALL, false).await.unwrap());
        }
        let cut: Vec<bool> = answers.iter().map(|answer| answer.cut().is_cancelled()).collect();
        assert_eq!(cut, [vec![true], vec![false; INFLATING]].concat());
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_frees_no_turn_while_its_work_goes_on() {
        let (documents, _writers) = documents(&["one"], 3);
        let (held, release) = hold_state(&documents);
        held.recv().unwrap();
        let asking = Arc::clone(&documents);
        let client = tokio::spawn(async move { asking.answer(ALL, true).await.map(drop) });
        while documents.turn.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        assert_eq!(documents.turn.available_permits(), 0);
        release.send(()).unwrap();
        while documents.turn.available_permits() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(lock(&documents.state).kept.len(), 1, "the work was finished");
    }

    /// Holds up all work until the sender is used.
    fn hold_state(documents: &Arc<Documents>) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (send_held, held) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let documents = Arc::clone(documents);
        thread::spawn(move || {
            let _state = lock(&documents.state);
            send_held.send(()).unwrap();
            released.recv().unwrap();
        });
        (held, release)
    }
}
