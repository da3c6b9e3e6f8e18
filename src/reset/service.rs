//! The service that executes resets, each in a task of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::elsewhere::{Elsewhere, ElsewhereAccount};
use super::execute::Execution;
use super::guards::Refusal;
use super::journal::ResetJournal;
use super::request::{ReplyBody, ResetReply, ResetRequest};
use super::token::ResetTokens;
use crate::account::{Account, AccountId, AccountName, Reset};
use crate::blocking::lock;
use crate::metrics::AdminCode;
use crate::poller::{PollerHandle, Registry};
use crate::shutdown::Shutdown;
use crate::storage::{AccountFolder, DISK_TIMEOUT, Storage};
use crate::text;

/// Executes resets; clones are of the same service.
#[derive(Clone)]
pub struct ResetService(Arc<Inner>);

struct Inner {
    registry: Arc<Registry>,
    elsewhere: Arc<Elsewhere>,
    storage: Option<Storage>,
    tokens: ResetTokens,
    by_account: Mutex<HashMap<AccountFolder, Arc<ResetJournal>>>,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

/// An account of which a valid reset token was given.
pub struct AdmittedReset {
    poller: PollerHandle,
    limits: Reset,
}

/// Why a request goes no further than its token.
pub enum NotAdmitted {
    /// It is refused.
    Refused(AdminCode),
    /// Another shard polls the account, whose token is right.
    Elsewhere(Box<ResetReply>),
}

impl ResetService {
    /// A service for the accounts in `registry`, which keeps its journals in `storage` and refers requests for those that
    /// are `elsewhere`.
    pub fn new(
        registry: Arc<Registry>,
        elsewhere: Arc<Elsewhere>,
        storage: Option<Storage>,
        shutdown: Shutdown,
    ) -> Self {
        Self(Arc::new(Inner {
            registry,
            elsewhere,
            storage,
            tokens: ResetTokens::new(),
            by_account: Mutex::default(),
            tasks: TaskTracker::new(),
            shutdown,
        }))
    }

    /// Loads the journals of accounts whose pollers register, until shutdown.
    pub async fn run(self) {
        let Inner { registry, tasks, shutdown, .. } = &*self.0;
        loop {
            tokio::select! {
                () = registry.changed.notified() => {
                    let service = self.clone();
                    tasks.spawn(async move { service.load_journals().await });
                }
                () = shutdown.wait() => return,
            }
        }
    }

    /// Waits until every reset that was decided has its outcome on disk, for `time_limit` at most.
    pub async fn finish(&self, time_limit: Duration) {
        self.0.tasks.close();
        let _ = timeout(time_limit, self.0.tasks.wait()).await;
    }

    /// The account of this name, if `token` is its reset token. Checked before anything else of a request
    /// is read; the refusal of an unknown account is that of a wrong token.
    ///
    /// # Errors
    /// Why the request is refused.
    pub async fn admit(&self, account: &str, token: &[u8]) -> Result<AdmittedReset, NotAdmitted> {
        if self.0.shutdown.has_begun() {
            return Err(NotAdmitted::Refused(AdminCode::Busy));
        }
        let (all, elsewhere) = (self.0.registry.all(), self.0.elsewhere.all());
        let files =
            all.iter().filter_map(|poller| Some(&poller.account.reset.as_ref()?.token_file));
        let files = files.chain(elsewhere.values().map(|account| &account.token_file));
        let files: Vec<PathBuf> = files.cloned().collect();
        let here = self.0.registry.find(account).and_then(|poller| {
            let limits = poller.account.reset.clone()?;
            Some(AdmittedReset { poller, limits })
        });
        let name = AccountName::parse(account).ok();
        let there = name.and_then(|name| elsewhere.get(&name)).filter(|_| here.is_none());
        let file = here.as_ref().map(|found| &found.limits.token_file);
        let file = file.or(there.map(|account| &account.token_file)).map(PathBuf::as_path);
        match (self.0.tokens.admit(account, file, &files, token).await, here, there) {
            (true, Some(admitted), _) => Ok(admitted),
            (true, None, Some(there)) => {
                Err(NotAdmitted::Elsewhere(Box::new(refer(account, there))))
            }
            _ => Err(NotAdmitted::Refused(AdminCode::Unauthorized)),
        }
    }

    /// Executes a request, in a task of its own: once it was decided, nothing cancels it. `None` if that task
    /// has panicked.
    pub async fn reset(
        &self,
        admitted: AdmittedReset,
        request: ResetRequest,
    ) -> Option<ResetReply> {
        let (reply, replied) = oneshot::channel();
        let service = self.clone();
        self.0.tasks.spawn(async move {
            let answer = service.execute(&admitted, &request, || reply.is_closed()).await;
            // The caller may be gone.
            let _ = reply.send(answer);
        });
        replied.await.ok()
    }

    async fn execute(
        &self,
        admitted: &AdmittedReset,
        request: &ResetRequest,
        disconnected: impl Fn() -> bool,
    ) -> ResetReply {
        let AdmittedReset { poller, limits } = admitted;
        let journal = self.journal_of(&poller.account);
        let shutdown = &self.0.shutdown;
        let execution = Execution { journal: &journal, poller, limits, request, shutdown };
        match execution.run(disconnected).await {
            Ok(reply) => reply,
            Err(refusal) => refuse(poller, request, refusal),
        }
    }

    /// By number: a renamed account keeps its cooldown and its lock.
    fn journal_of(&self, account: &Account) -> Arc<ResetJournal> {
        let number = account.account_id.as_ref().map(AccountId::as_str);
        let folder = AccountFolder::new(account.name.as_str(), number);
        let new = || Arc::new(ResetJournal::new(folder.clone(), self.0.storage.clone()));
        Arc::clone(lock(&self.0.by_account).entry(folder.clone()).or_insert_with(new))
    }

    /// Loads the journals of accounts whose pollers have registered, before the first request.
    async fn load_journals(&self) {
        let all = self.0.registry.all();
        for poller in all.iter().filter(|poller| poller.account.reset.is_some()) {
            let journal = self.journal_of(&poller.account);
            if let Err(Refusal { message: problem, .. }) = journal.load(poller).await {
                let account = &poller.account.name;
                error!(%account, "resets are refused for now: {problem}");
            }
        }
    }
}

/// How long a reset that was decided may still take: waiting for the limit, the request, the disk.
pub fn completion_timeout(longest_timeout: Duration) -> Duration {
    longest_timeout.saturating_mul(2).saturating_add(DISK_TIMEOUT)
}

/// The reply where another shard polls the account.
fn refer(account: &str, there: &ElsewhereAccount) -> ResetReply {
    let code = AdminCode::OtherShard;
    let body = ReplyBody {
        code: code.label(),
        message: format!(
            "the account is polled by {}; send the request to its admin listener",
            there.place
        ),
        account: Some(account.to_owned()),
        ..ReplyBody::default()
    };
    ResetReply { status: code.status(), body }
}

/// Counts and logs a refusal, and makes the reply.
fn refuse(poller: &PollerHandle, request: &ResetRequest, refusal: Refusal) -> ResetReply {
    let Refusal { code, message, retry_after } = refusal;
    let (account, caller) = (&poller.account.name, request.caller);
    poller.tally.change(|tally| tally.resets.refused(code));
    poller.publish.notify_one();
    warn!(%account, code = code.label(), %caller, "a reset was refused: {message}");
    let body = ReplyBody {
        code: code.label(),
        message,
        account: Some(account.to_string()),
        retry_after_seconds: retry_after.map(text::seconds_up),
        ..ReplyBody::default()
    };
    ResetReply { status: code.status(), body }
}
