//! The service that receives requests for resets, and runs each in a task of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::account_resets::AccountResets;
use super::execute::Execution;
use super::hook::{HookMessage, ReplyBody, ResetCredentials, ResetHook, ResetReply, ResetRequest};
use super::token::ResetTokens;
use crate::account::{Account, AccountId, Reset};
use crate::blocking::lock;
use crate::metrics::AdminCode;
use crate::poller::{PollerHandle, Registry};
use crate::shutdown::Shutdown;
use crate::storage::{AccountFolder, DISK_TIMEOUT, Storage};
use crate::text;

/// Receives requests for resets.
#[derive(Debug)]
pub struct ResetService {
    shared: Arc<Shared>,
    messages: mpsc::Receiver<HookMessage>,
}

/// What the tasks of the requests share.
#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    storage: Option<Storage>,
    tokens: ResetTokens,
    by_account: Mutex<HashMap<AccountFolder, Arc<AccountResets>>>,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

/// Waits for the end of resets that are under way.
#[derive(Debug)]
pub struct InFlightResets(Arc<Shared>);

/// An account that may be reset.
struct ResetTarget {
    poller: PollerHandle,
    limits: Reset,
}

impl ResetService {
    /// A service for the accounts in `registry`, which keeps its journals in `storage`; the hook to send
    /// requests with; and what waits for resets in flight.
    pub fn new(
        registry: Arc<Registry>,
        storage: Option<Storage>,
        shutdown: Shutdown,
    ) -> (Self, ResetHook, InFlightResets) {
        let (hook, messages) = ResetHook::new();
        let shared = Arc::new(Shared {
            registry,
            storage,
            tokens: ResetTokens::new(),
            by_account: Mutex::default(),
            tasks: TaskTracker::new(),
            shutdown,
        });
        (Self { shared: Arc::clone(&shared), messages }, hook, InFlightResets(shared))
    }

    /// Handles requests until shutdown.
    pub async fn run(mut self) {
        let shared = &self.shared;
        let shutdown = shared.shutdown.clone();
        loop {
            tokio::select! {
                Some(message) = self.messages.recv() => {
                    let task = Arc::clone(shared);
                    shared.tasks.spawn(async move { task.handle(message).await });
                }
                () = shared.registry.changed() => {
                    let task = Arc::clone(shared);
                    shared.tasks.spawn(async move { task.load_journals().await });
                }
                () = shutdown.wait() => return,
            }
        }
    }
}

impl InFlightResets {
    /// Waits until every reset that was decided has its outcome on disk, for `time_limit` at most.
    pub async fn wait(self, time_limit: Duration) {
        self.0.tasks.close();
        let _ = timeout(time_limit, self.0.tasks.wait()).await;
    }
}

impl Shared {
    async fn handle(&self, message: HookMessage) {
        match message {
            HookMessage::CheckToken(credentials, reply) => {
                let admitted = self.admit(&credentials).await.is_some();
                let _ = reply.send(admitted);
            }
            HookMessage::Reset(request, reply) => self.reset(request, reply).await,
        }
    }

    /// The account, if the token is its reset token.
    async fn admit(&self, credentials: &ResetCredentials) -> Option<ResetTarget> {
        let all = self.registry.all();
        let files: Vec<PathBuf> = all
            .iter()
            .filter_map(|poller| Some(poller.account.reset.as_ref()?.token_file.clone()))
            .collect();
        let target = self.registry.find(&credentials.account).and_then(|poller| {
            let limits = poller.account.reset.clone()?;
            Some(ResetTarget { poller, limits })
        });
        let file = target.as_ref().map(|target| target.limits.token_file.as_path());
        let token = credentials.token.expose_secret();
        let admitted = self.tokens.admit(file, files, token).await;
        target.filter(|_| admitted)
    }

    async fn reset(&self, request: ResetRequest, reply: oneshot::Sender<ResetReply>) {
        let Some(target) = self.admit(&request.credentials).await else {
            let _ = reply.send(unauthorized());
            return;
        };
        let account = &target.poller.account.name;
        let resets = self.resets_of(&target.poller.account);
        let execution = Execution {
            resets: &resets,
            poller: &target.poller,
            limits: &target.limits,
            caller: &request.caller,
            shutdown: &self.shutdown,
        };
        let result = execution.run(&request, || reply.is_closed()).await;
        let answer = result.unwrap_or_else(|refusal| {
            let (code, caller) = (refusal.code(), request.caller.address);
            target.poller.tally.resets.refused(code);
            target.poller.request_publish();
            warn!(%account, code = code.label(), %caller, "a reset was refused: {refusal}");
            let retry = refusal.retry_after().map(text::seconds_up);
            let body = ReplyBody {
                code: code.label(),
                message: refusal.to_string(),
                account: Some(account.to_string()),
                retry_after_seconds: retry,
                ..ReplyBody::default()
            };
            ResetReply { status: code.status(), body }
        });
        let _ = reply.send(answer);
    }

    /// By number: a renamed account keeps its cooldown and its lock.
    fn resets_of(&self, account: &Account) -> Arc<AccountResets> {
        let number = account.account_id.as_ref().map(AccountId::as_str);
        let folder = AccountFolder::new(account.name.as_str(), number);
        let new = || Arc::new(AccountResets::new(folder.clone(), self.storage.clone()));
        Arc::clone(lock(&self.by_account).entry(folder.clone()).or_insert_with(new))
    }

    /// Loads the journals of accounts whose pollers have registered, before the first request.
    async fn load_journals(&self) {
        for poller in
            self.registry.all().into_iter().filter(|poller| poller.account.reset.is_some())
        {
            let resets = self.resets_of(&poller.account);
            if let Err(error) = resets.load(&poller).await {
                let account = &poller.account.name;
                error!(%account, "resets are refused for now: {error}");
            }
        }
    }
}

/// How long a reset that was decided may still take: waiting for the limit, the request, the disk.
pub fn completion_timeout(longest_timeout: Duration) -> Duration {
    longest_timeout.saturating_mul(2).saturating_add(DISK_TIMEOUT)
}

/// The reply where the token is not that of an account that may be reset: the same for an unknown
/// account and for a wrong token.
fn unauthorized() -> ResetReply {
    let code = AdminCode::Unauthorized;
    let message = "no reset token of this account: send the content of its reset.token_file as \
                   X-Reset-Token";
    let body =
        ReplyBody { code: code.label(), message: message.to_owned(), ..ReplyBody::default() };
    ResetReply { status: code.status(), body }
}
