//! The reset of an account's counters: the most distrustful code here.
//!
//! `DELETE /v2/chats/unanswered` empties the counters of every chat of an account, for good. A [`Desk`]
//! takes requests for that from `hook`, lets them pass the guards one after the
//! other (`guards`; `token` first), has the account's [`poller`](crate::poller) read everybody, writes
//! down what it is about to do (`book`, `audit`, `cooldown`) and only then gives the word. Each request
//! is a task of its own: whoever asked may go away, and a shutdown waits for what was sent.

mod audit;
mod book;
mod cooldown;
mod course;
mod end;
mod guards;
mod hook;
mod token;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

pub use self::audit::{AUDIT_FILE, Kind, Line, each_line};
pub use self::guards::BODY_MAX;
pub use self::hook::{Call, Caller, Credentials, Figures, Hook, Message, Reply, Told};

use self::book::{Book, BookError};
use self::course::Course;
use self::token::Keys;
use crate::account::{AccountName, Reset};
use crate::blocking;
use crate::blocking::lock;
use crate::metrics::{AdminCode, ResetResult};
use crate::poller::{PollerHandle, Registry};
use crate::shutdown::Shutdown;
use crate::storage::Storage;
use crate::text;

/// How long the disk may take.
const DISK: Duration = Duration::from_secs(5);

/// Decides about resets.
#[derive(Debug)]
pub struct Desk {
    counter: Arc<Counter>,
    messages: mpsc::Receiver<Message>,
}

/// What the requests share.
#[derive(Debug)]
struct Counter {
    registry: Arc<Registry>,
    storage: Option<Storage>,
    keys: Keys,
    affairs: Mutex<HashMap<AccountName, Arc<Affair>>>,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

/// One account's resets. It outlives changes of the account's settings.
#[derive(Debug)]
struct Affair {
    book: Book,
    /// Whether a reset is under way.
    busy: AtomicBool,
    /// Whether an answer has named another account.
    locked: AtomicBool,
}

/// Waits for the end of resets that are under way.
#[derive(Debug)]
pub struct Settling(Arc<Counter>);

/// An account that may be reset.
struct Target {
    poller: PollerHandle,
    bounds: Reset,
}

impl Desk {
    /// A desk for the accounts at `registry`, which keeps what it has to in `storage`; and the hook to
    /// ask it by, and what waits for it.
    pub fn new(
        registry: Arc<Registry>,
        storage: Option<Storage>,
        shutdown: Shutdown,
    ) -> (Self, Hook, Settling) {
        let (hook, messages) = Hook::new();
        let counter = Arc::new(Counter {
            registry,
            storage,
            keys: Keys::new(),
            affairs: Mutex::default(),
            tasks: TaskTracker::new(),
            shutdown,
        });
        (Self { counter: Arc::clone(&counter), messages }, hook, Settling(counter))
    }

    /// Answers messages until shutdown.
    pub async fn run(mut self) {
        let counter = &self.counter;
        let shutdown = counter.shutdown.clone();
        loop {
            tokio::select! {
                Some(message) = self.messages.recv() => {
                    let shared = Arc::clone(counter);
                    counter.tasks.spawn(async move { shared.answer(message).await });
                }
                () = counter.registry.changed() => {
                    let shared = Arc::clone(counter);
                    counter.tasks.spawn(async move { shared.recall().await });
                }
                () = shutdown.wait() => return,
            }
        }
    }
}

impl Settling {
    /// Waits until every reset that was decided has its outcome on disk, for `patience` at most.
    pub async fn settle(self, patience: Duration) {
        self.0.tasks.close();
        let _ = timeout(patience, self.0.tasks.wait()).await;
    }
}

impl Counter {
    async fn answer(&self, message: Message) {
        match message {
            Message::Knock(credentials, reply) => {
                let admitted = self.admit(&credentials).await.is_some();
                let _ = reply.send(admitted);
            }
            Message::Call(call, reply) => self.call(call, reply).await,
        }
    }

    /// The account, if the token is that of its resets.
    async fn admit(&self, credentials: &Credentials) -> Option<Target> {
        let all = self.registry.all();
        let files: Vec<PathBuf> = all
            .iter()
            .filter_map(|poller| Some(poller.account.reset.as_ref()?.token_file.clone()))
            .collect();
        let target = self.registry.find(&credentials.account).and_then(|poller| {
            let bounds = poller.account.reset.clone()?;
            Some(Target { poller, bounds })
        });
        let wanted = target.as_ref().map(|target| target.bounds.token_file.as_path());
        let token = credentials.token.expose_secret();
        let admitted = self.keys.admit(wanted, files, token).await;
        target.filter(|_| admitted)
    }

    async fn call(&self, call: Call, reply: oneshot::Sender<Reply>) {
        let Some(target) = self.admit(&call.credentials).await else {
            let _ = reply.send(unauthorized());
            return;
        };
        let account = &target.poller.account.name;
        let affair = self.affair(account);
        let course = Course {
            affair: &affair,
            poller: &target.poller,
            bounds: &target.bounds,
            caller: &call.caller,
            shutdown: &self.shutdown,
        };
        let asked = course.ask(&call, || reply.is_closed()).await;
        let answer = asked.unwrap_or_else(|refusal| {
            let (code, caller) = (refusal.code(), call.caller.address);
            target.poller.tally.resets.refused(code);
            target.poller.request_publish();
            warn!(%account, code = code.label(), %caller, "a reset was refused: {refusal}");
            let retry = refusal.retry_after().map(text::seconds_up);
            let told = Told {
                code: code.label(),
                message: refusal.to_string(),
                account: Some(account.to_string()),
                retry_after_seconds: retry,
                ..Told::default()
            };
            Reply { status: code.status(), told }
        });
        let _ = reply.send(answer);
    }

    fn affair(&self, account: &AccountName) -> Arc<Affair> {
        let new = || {
            Arc::new(Affair {
                book: Book::new(account.as_str(), self.storage.clone()),
                busy: AtomicBool::new(false),
                locked: AtomicBool::new(false),
            })
        };
        Arc::clone(self.affairs().entry(account.clone()).or_insert_with(new))
    }

    fn affairs(&self) -> MutexGuard<'_, HashMap<AccountName, Arc<Affair>>> {
        lock(&self.affairs)
    }

    /// Finds out about the past of accounts whose pollers have come, before anybody asks.
    async fn recall(&self) {
        for poller in
            self.registry.all().into_iter().filter(|poller| poller.account.reset.is_some())
        {
            let affair = self.affair(&poller.account.name);
            if let Err(error) = affair.recall(&poller).await {
                let account = &poller.account.name;
                error!(%account, "resets are refused for now: {error}");
            }
        }
    }
}

impl Affair {
    /// Reads what is written down, unless that was done, and lets the account's metrics tell it.
    async fn recall(self: &Arc<Self>, poller: &PollerHandle) -> Result<(), BookError> {
        let affair = Arc::clone(self);
        let found = blocking::run(move || affair.book.open()).await?;
        let account = &poller.account.name;
        for _ in 0..found {
            poller.tally.resets.ended(ResetResult::Unknown);
            warn!(%account, "a reset was sent or about to be when the exporter ended; nobody knows \
                what came of it, and its cooldown holds");
        }
        let told = self.book.told();
        if found > 0 || poller.tally.resets.values().marks != told {
            poller.tally.resets.mark(told);
            poller.request_publish();
        }
        Ok(())
    }
}

/// How long a reset may still take that was decided: waiting for room in the limit, the request, and
/// the disk.
pub fn patience(longest_timeout: Duration) -> Duration {
    longest_timeout.saturating_mul(2).saturating_add(DISK)
}

/// The answer to whoever has no token of an account that may be reset, whichever of the two it is.
fn unauthorized() -> Reply {
    let code = AdminCode::Unauthorized;
    let message = "no reset token of this account: send the content of its reset.token_file as \
                   X-Reset-Token";
    let told = Told { code: code.label(), message: message.to_owned(), ..Told::default() };
    Reply { status: code.status(), told }
}

/// The codes of everything that is no refusal, with their HTTP status; for documentation.
pub fn ends() -> impl Iterator<Item = (&'static str, u16)> {
    end::CODES.into_iter()
}
