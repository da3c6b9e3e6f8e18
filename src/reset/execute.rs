//! Executes one request, from the guards to the reply.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::SeqCst;

use tracing::{error, info, warn};

use super::audit::{AuditKind, AuditLine};
use super::clear_outcome::ResetOutcome;
use super::cooldown::CooldownMark;
use super::guards::{self, Refusal, RequestBody};
use super::journal::ResetJournal;
use super::request::{Figures, ReplyBody, ResetReply, ResetRequest};
use crate::account::Reset;
use crate::api::ClearOutcome;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetResult};
use crate::poller::{BeforeReset, HeldPoller, PollerHandle, Readings};
use crate::shutdown::Shutdown;
use crate::text;

/// Longest foreign text in the audit log, in characters.
const AUDIT_TEXT_MAX: usize = 500;

/// One request with a valid token, and its account.
pub(super) struct Execution<'a> {
    pub(super) journal: &'a ResetJournal,
    pub(super) poller: &'a PollerHandle,
    pub(super) limits: &'a Reset,
    pub(super) request: &'a ResetRequest,
    pub(super) shutdown: &'a Shutdown,
}

impl Execution<'_> {
    /// Executes the request: the guards in their order, then the reset. `disconnected` says whether the
    /// caller is gone.
    pub(super) async fn run(&self, disconnected: impl Fn() -> bool) -> Result<ResetReply, Refusal> {
        let (account, request) = (&self.poller.account, self.request);
        let body = guards::request(
            account.name.as_str(),
            account.account_id.as_ref(),
            request.content_type.as_deref(),
            request.body.as_deref(),
        )?;
        let in_flight = self.journal.in_flight.try_lock();
        if in_flight.is_ok() {
            self.journal.load(self.poller).await?;
        }
        let locked = self.journal.locked.load(SeqCst);
        let cooldown = self.journal.cooldown_left(self.limits.cooldown);
        guards::availability(in_flight.is_err(), locked, cooldown)?;
        let mut poller = self.poller.hold().await.ok_or_else(Refusal::poller_ended)?;
        let before = guards::complete(poller.read_before().await)?;
        let (max, expected) = (self.limits.max_unanswered, body.expected_unanswered);
        guards::unanswered(&Figures::of(&before.readings), max, expected)?;
        if body.dry_run {
            return self.dry_run(&body, &before.readings).await;
        }
        if disconnected() {
            return Err(Refusal::interrupted("the caller has disconnected"));
        }
        if self.shutdown.has_begun() {
            return Err(Refusal::interrupted("the exporter is stopping"));
        }
        if poller.stop.has_begun() {
            return Err(Refusal::poller_ended());
        }
        self.clear(&body, before, poller).await
    }

    async fn dry_run(&self, body: &RequestBody, before: &Readings) -> Result<ResetReply, Refusal> {
        let line = self.line(AuditKind::DryRun, body, before);
        let id = line.id.clone();
        self.journal.append(line).await?;
        self.poller.tally.change(|tally| tally.resets.ended(ResetResult::DryRun));
        self.poller.publish.notify_one();
        let account = &self.poller.account.name;
        let before = Figures::of(before);
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

    /// Records the intent, sends the request, and records what came of it.
    async fn clear(
        &self,
        body: &RequestBody,
        before: BeforeReset,
        mut poller: HeldPoller,
    ) -> Result<ResetReply, Refusal> {
        let users = before.readings.iter().map(|(user, _)| user.clone()).collect();
        let figures = Figures::of(&before.readings);
        let at = Stamp::now().unix;
        let id = self.write_intent(body, &before.readings).await?;
        let (account, total) = (&self.poller.account.name, figures.total);
        warn!(%account, id, total, caller = %self.request.caller, "resetting the counters of the account");
        let cleared = poller.clear(before).await;
        if matches!(cleared, ClearOutcome::OtherAccount { .. }) {
            self.journal.locked.store(true, SeqCst);
        }
        let mut outcome = ResetOutcome::of(&cleared);
        let last = LastReset { at, result: outcome.result, before: total, after: None };
        self.record_outcome(&id, &mut outcome, last).await;
        let after = poller.read_after(users, self.shutdown).await;
        let after = after.map(|readings| Figures::of(&readings));
        if let Some(after) = after {
            self.record_after(&id, after, last).await;
        }
        let ResetOutcome { code, status, message, upstream_status, .. } = outcome;
        let (before, reply) = (Some(figures), self.reply_body(id));
        let body = ReplyBody { code, message, before, after, upstream_status, ..reply };
        Ok(ResetReply { status, body })
    }

    /// Records that the request is about to be sent; the cooldown holds from then on. Returns the reset's id.
    async fn write_intent(&self, body: &RequestBody, before: &Readings) -> Result<String, Refusal> {
        let boot = clock::boot().map(str::to_owned);
        let mark = CooldownMark::new(Stamp::now(), boot, self.limits.cooldown);
        let line = self.line(AuditKind::Intent, body, before);
        let id = line.id.clone();
        let intent = AuditLine { mark: Some(mark.clone()), ..line };
        self.journal.write_intent(mark, intent).await.map_err(|refusal| {
            let problem = refusal.message;
            Refusal::storage(format!("{problem}; nothing was sent, but the cooldown holds"))
        })?;
        Ok(id)
    }

    fn reply_body(&self, id: String) -> ReplyBody {
        let account = Some(self.poller.account.name.to_string());
        ReplyBody { account, id: Some(id), ..ReplyBody::default() }
    }

    /// Counts, logs and records how a reset ended. That it could not be recorded is added to its message.
    async fn record_outcome(&self, id: &str, outcome: &mut ResetOutcome, last: LastReset) {
        let now = Stamp::now().unix;
        let marks = self.journal.update_marks(|marks| {
            marks.last = Some(last);
            marks.unresolved = outcome.result == ResetResult::Unknown;
            if outcome.result == ResetResult::Cleared {
                marks.last_success = Some(now);
            }
        });
        self.poller.tally.change(|tally| {
            tally.resets.ended(outcome.result);
            tally.resets.marks = marks;
        });
        let (account, code, message) = (&self.poller.account.name, outcome.code, &outcome.message);
        let is_cleared = outcome.result == ResetResult::Cleared;
        if is_cleared {
            warn!(%account, id, "the counters of the account are cleared");
        } else {
            error!(%account, id, code, "the reset did not succeed: {message}");
        }
        let line = AuditLine {
            result: Some(outcome.result.label().to_owned()),
            code: Some(outcome.code.to_owned()),
            upstream_status: outcome.upstream_status,
            problem: (!is_cleared).then(|| message.clone()),
            ..AuditLine::new(AuditKind::Outcome, id, now)
        };
        if let Err(Refusal { message: problem, .. }) = self.journal.append(line).await {
            error!(%account, id, "the outcome of the reset is not in the audit log: {problem}");
            write!(outcome.message, "; this could not be written to the audit log: {problem}")
                .expect("a String takes everything");
        }
    }

    /// Records the figures after a reset.
    async fn record_after(&self, id: &str, after: Figures, last: LastReset) {
        let last = LastReset { after: Some(after.total), ..last };
        let marks = self.journal.update_marks(|marks| marks.last = Some(last));
        self.poller.tally.change(|tally| tally.resets.marks = marks);
        let line = AuditLine::new(AuditKind::After, id, Stamp::now().unix);
        let line = AuditLine { figures: Some(after), ..line };
        if let Err(Refusal { message: problem, .. }) = self.journal.append(line).await {
            let account = &self.poller.account.name;
            error!(%account, id, "the figures after the reset are not in the audit log: {problem}");
        }
    }

    /// An audit line with the request and the counters before.
    fn line(&self, kind: AuditKind, body: &RequestBody, before: &Readings) -> AuditLine {
        let now = Stamp::now().unix;
        let id = format!("{:x}", now.as_nanos());
        let agent = self.request.user_agent.as_deref();
        let readings = before.iter().map(|(user, reading)| {
            (user.as_str().to_owned(), (reading.count, reading.kind.label()))
        });
        AuditLine {
            account_id: self.poller.account.account_id.as_ref().map(|id| id.as_str().to_owned()),
            caller: Some(self.request.caller.to_string()),
            user_agent: agent.map(|agent| audit_text(&String::from_utf8_lossy(agent))),
            reason: body.reason.as_deref().map(audit_text).filter(|reason| !reason.is_empty()),
            expected_unanswered: body.expected_unanswered,
            figures: Some(Figures::of(before)),
            readings: Some(readings.collect()),
            ..AuditLine::new(kind, &id, now)
        }
    }
}

fn audit_text(text: &str) -> String {
    text::one_line(text, AUDIT_TEXT_MAX)
}
