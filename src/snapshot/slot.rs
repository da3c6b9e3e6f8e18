//! The slots that hold the current views, and the right to replace them.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::history::History;
use super::view::AccountView;
use crate::blocking::lock;
use crate::metrics::Tally;

/// The accounts being polled, in configuration order.
#[derive(Default)]
pub struct Directory {
    slots: ArcSwap<Vec<Arc<Slot>>>,
}

/// Where one account's current view is found.
pub struct Slot {
    /// The account's counters; they outlive restarts of its poller.
    pub tally: Arc<Tally>,
    /// The account's last hours.
    pub history: Arc<History>,
    view: ArcSwap<AccountView>,
    /// The number of the writer that may publish.
    writer: Mutex<u64>,
}

/// The right to publish in a slot. There is one at a time: a newer one ends it, so that a poller that
/// was given up cannot overwrite its successor when it wakes up after all.
pub struct Writer {
    pub(crate) slot: Arc<Slot>,
    number: u64,
}

impl Directory {
    /// The slots now.
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// The longest time limit of a request of any account.
    pub fn longest_timeout(&self) -> Duration {
        let slots = self.slots();
        slots.iter().map(|slot| slot.view().account.poll.timeout).max().unwrap_or_default()
    }

    /// Replaces all slots at once.
    pub fn replace(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
    }
}

impl Slot {
    /// A slot that shows `view` until the first publication.
    pub fn new(tally: Arc<Tally>, history: Arc<History>, view: AccountView) -> Self {
        let (view, writer) = (ArcSwap::from_pointee(view), Mutex::default());
        Self { tally, history, view, writer }
    }

    /// The current view.
    pub fn view(&self) -> Arc<AccountView> {
        self.view.load_full()
    }

    /// Whether this is the current view.
    pub fn shows(&self, view: &Weak<AccountView>) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.view.load()), view.as_ptr())
    }

    /// Takes over the right to publish.
    pub fn writer(self: &Arc<Self>) -> Writer {
        let mut current = lock(&self.writer);
        *current += 1;
        Writer { slot: Arc::clone(self), number: *current }
    }
}

impl Writer {
    /// Replaces the view, unless a newer writer has taken over.
    pub fn publish(&self, view: AccountView) {
        let current = lock(&self.slot.writer);
        if *current == self.number {
            self.slot.view.store(Arc::new(view));
        }
    }
}
