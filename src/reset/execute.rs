//! Executes one request, from the guards to the reply.

use std::sync::atomic::Ordering::SeqCst;

use tracing::{error, info, warn};

use super::account_resets::AccountResets;
use super::audit::{AuditKind, AuditLine};
use super::clear_outcome::ResetOutcome;
use super::cooldown::CooldownMark;
use super::guards::{self, Refusal, RequestBody, UnansweredCounts};
use super::hook::{Caller, Figures, ReplyBody, ResetReply, ResetRequest};
use super::journal::JournalError;
use crate::account::Reset;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetResult};
use crate::poller::{PollerHandle, Readings, ResetProgress};
use crate::shutdown::Shutdown;
use crate::text;

/// Longest foreign text in the audit log, in characters.
const AUDIT_TEXT_MAX: usize = 500;

/// One request and its account.
pub(super) struct Execution<'a> {
    pub(super) resets: &'a AccountResets,
    pub(super) poller: &'a PollerHandle,
    pub(super) limits: &'a Reset,
    pub(super) caller: &'a Caller,
    pub(super) shutdown: &'a Shutdown,
}

/// Marks the account's reset as in progress until dropped.
struct InProgress<'a>(&'a AccountResets);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
    }
}

impl Execution<'_> {
    /// Executes a request with a valid token. `disconnected` says whether its caller is gone.
    pub(super) async fn run(
        &self,
        request: &ResetRequest,
        disconnected: impl Fn() -> bool,
    ) -> Result<ResetReply, Refusal> {
        let account = &self.poller.account;
        let body = guards::request(
            account.name.as_str(),
            account.account_id.as_ref(),
            request.content_type.as_deref(),
            request.body.as_deref(),
        )?;
        let claimed = !self.resets.busy.swap(true, SeqCst);
        let in_progress = claimed.then(|| InProgress(self.resets));
        if claimed {
            self.resets.load(self.poller).await.map_err(|error| storage_refusal(&error))?;
        }
        let locked = self.resets.locked.load(SeqCst);
        guards::availability(!claimed, locked, self.resets.journal.wait(self.limits.cooldown))?;
        let mut progress = self.poller.start_reset().map_err(|_| POLLER_ENDED)?;
        let read = (&mut progress.readings).await.map_err(|_| POLLER_ENDED)?;
        let (before, read) = match read {
            Ok(readings) => {
                let counts = UnansweredCounts {
                    red: readings.red(),
                    grey: readings.grey(),
                    other: readings.other(),
                };
                (readings, Ok(counts))
            }
            Err(error) => (Readings::default(), Err(error.to_string())),
        };
        let denied = self.resets.journal.denied_by(before.server_time(), self.limits.cooldown);
        guards::unanswered(read, denied, self.limits.max_unanswered, body.expected_unanswered)?;
        let reply = if body.dry_run {
            self.dry_run(&body, &before).await?
        } else {
            if disconnected() {
                return Err(Refusal::Interrupted("the caller has disconnected"));
            }
            if self.shutdown.has_begun() {
                return Err(Refusal::Interrupted("the exporter is stopping"));
            }
            self.clear(&body, &before, progress).await?
        };
        drop(in_progress);
        Ok(reply)
    }

    async fn dry_run(&self, body: &RequestBody, before: &Readings) -> Result<ResetReply, Refusal> {
        let line = self.line(AuditKind::DryRun, body, before);
        let id = line.id.clone();
        self.append(line).await?;
        self.poller.tally.resets.ended(ResetResult::DryRun);
        self.poller.request_publish();
        let account = &self.poller.account.name;
        let before = figures(before);
        info!(%account, id, total = before.total, "dry run of a reset; nothing was sent");
        let message = format!(
            "dry run: every guard holds, {} unanswered messages of {} users would be cleared; nothing \
             was sent",
            before.total, before.users
        );
        let body =
            ReplyBody { code: "dry_run", message, before: Some(before), ..self.reply_body(id) };
        Ok(ResetReply { status: 200, body })
    }

    async fn clear(
        &self,
        body: &RequestBody,
        before: &Readings,
        progress: ResetProgress,
    ) -> Result<ResetReply, Refusal> {
        let account = &self.poller.account.name;
        let boot = clock::boot();
        let mark =
            CooldownMark::new(Stamp::now(), boot, before.server_time(), self.limits.cooldown);
        let mut intent = self.line(AuditKind::Intent, body, before);
        intent.mark = Some(mark.clone());
        let (id, at) = (intent.id.clone(), Stamp::now().unix);
        let written = self.resets.journal.write_intent(mark, intent).await;
        written.map_err(|error| {
            Refusal::Storage(format!("{error} (the cooldown holds all the same)"))
        })?;
        let before = figures(before);
        warn!(%account, id, total = before.total, caller = %self.caller.address, "resetting the counters of the account");
        let ResetProgress { decision, outcome: result, after, .. } = progress;
        let outcome = match decision.send(()) {
            Ok(()) => result.await.map_or_else(
                |_| ResetOutcome::interrupted(),
                |clearing| ResetOutcome::of(&clearing),
            ),
            Err(()) => ResetOutcome::not_received(),
        };
        if outcome.code == MISMATCH {
            self.resets.locked.store(true, SeqCst);
        }
        let mut last = LastReset { at, result: outcome.result, before: before.total, after: None };
        let noted = self.record_outcome(&id, &outcome, last).await;
        let after = after.await.ok().map(|readings| figures(&readings));
        if let Some(after) = after {
            last.after = Some(after.total);
            let marks = self.resets.journal.update_marks(|marks| marks.last = Some(last));
            self.poller.tally.resets.mark(marks);
            self.poller.request_publish();
            let line = AuditLine {
                figures: Some(after),
                ..AuditLine::new(AuditKind::After, &id, Stamp::now().unix)
            };
            let written = self.append(line).await;
            if let Err(refusal) = written {
                error!(%account, id, "the figures after the reset are not in the audit log: {refusal}");
            }
        }
        let mut message = outcome.message;
        if let Err(refusal) = noted {
            message.push_str("; this could not be written to the audit log: ");
            message.push_str(&refusal.to_string());
        }
        let body = ReplyBody {
            code: outcome.code,
            message,
            before: Some(before),
            after,
            upstream_status: outcome.upstream_status,
            ..self.reply_body(id)
        };
        Ok(ResetReply { status: outcome.status, body })
    }

    fn reply_body(&self, id: String) -> ReplyBody {
        let account = Some(self.poller.account.name.to_string());
        ReplyBody { account, id: Some(id), ..ReplyBody::default() }
    }

    /// Counts, logs and records how a reset ended.
    async fn record_outcome(
        &self,
        id: &str,
        outcome: &ResetOutcome,
        last: LastReset,
    ) -> Result<(), Refusal> {
        let now = Stamp::now().unix;
        let tally = &self.poller.tally.resets;
        tally.ended(outcome.result);
        tally.mark(self.resets.journal.update_marks(|marks| {
            marks.last = Some(last);
            marks.unresolved = outcome.result == ResetResult::Unknown;
            if outcome.result == ResetResult::Cleared {
                marks.last_success = Some(now);
            }
        }));
        let (account, code, problem) =
            (&self.poller.account.name, outcome.code, outcome.problem.as_deref());
        if outcome.result == ResetResult::Cleared {
            warn!(%account, id, "the counters of the account are cleared");
        } else {
            error!(%account, id, code, problem, "the reset did not succeed: {}", outcome.message);
        }
        let line = AuditLine {
            result: Some(outcome.result.label().to_owned()),
            code: Some(outcome.code.to_owned()),
            upstream_status: outcome.upstream_status,
            problem: outcome.problem.clone(),
            ..AuditLine::new(AuditKind::Outcome, id, now)
        };
        let written = self.append(line).await;
        if let Err(refusal) = &written {
            error!(%account, id, "the outcome of the reset is not in the audit log: {refusal}");
        }
        written
    }

    /// An audit line with the request and the counters before.
    fn line(&self, kind: AuditKind, body: &RequestBody, before: &Readings) -> AuditLine {
        let now = Stamp::now().unix;
        let id = format!("{:x}", now.as_nanos());
        let agent = self.caller.user_agent.as_deref();
        let readings = before.users.iter().map(|(user, reading)| {
            (user.as_str().to_owned(), (reading.count, reading.kind.label()))
        });
        AuditLine {
            account_id: self.poller.account.account_id.as_ref().map(|id| id.as_str().to_owned()),
            caller: Some(self.caller.address.to_string()),
            user_agent: agent.map(|agent| audit_text(&String::from_utf8_lossy(agent))),
            reason: body.reason.as_deref().map(audit_text).filter(|reason| !reason.is_empty()),
            expected_unanswered: body.expected_unanswered,
            figures: Some(figures(before)),
            readings: Some(readings.collect()),
            ..AuditLine::new(kind, &id, now)
        }
    }

    async fn append(&self, line: AuditLine) -> Result<(), Refusal> {
        self.resets.journal.append(line).await.map_err(|error| storage_refusal(&error))
    }
}

fn storage_refusal(error: &JournalError) -> Refusal {
    Refusal::Storage(error.to_string())
}

/// The poller ended before the decision.
const POLLER_ENDED: Refusal =
    Refusal::Interrupted("the account's poller has ended or was restarted");

const MISMATCH: &str = "account_mismatch";

fn figures(readings: &Readings) -> Figures {
    Figures {
        red: readings.red(),
        grey: readings.grey(),
        other: readings.other(),
        total: readings.total(),
        users: readings.users.len(),
    }
}

fn audit_text(text: &str) -> String {
    text::one_line(text, AUDIT_TEXT_MAX)
}
