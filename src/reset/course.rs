//! The course of one request, from the guards to the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use tracing::{error, info, warn};

use super::Affair;
use super::audit::{Kind, Line};
use super::book::BookError;
use super::cooldown::Mark;
use super::end::End;
use super::guards::{self, Ask, Extent, Refusal};
use crate::account::Reset;
use crate::blocking;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetResult};
use crate::poller::{PollerHandle, Readings, ResetProgress};
use crate::reset::{Call, Caller, Figures, Reply, Told};
use crate::shutdown::Shutdown;
use crate::text;

/// Longest foreign text in the audit log, in characters.
const AUDIT_TEXT_MAX: usize = 500;

/// One request and what it is about.
pub(super) struct Course<'a> {
    pub(super) affair: &'a Arc<Affair>,
    pub(super) poller: &'a PollerHandle,
    pub(super) bounds: &'a Reset,
    pub(super) caller: &'a Caller,
    pub(super) shutdown: &'a Shutdown,
}

/// The account's turn, given back when dropped.
struct Turn<'a>(&'a Affair);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
    }
}

impl Course<'_> {
    /// Takes a request that had a valid token to its end. `gone` tells whether its caller has.
    pub(super) async fn ask(&self, call: &Call, gone: impl Fn() -> bool) -> Result<Reply, Refusal> {
        let account = &self.poller.account;
        let ask = guards::request(
            account.name.as_str(),
            account.account_id.as_ref(),
            call.content_type.as_deref(),
            call.body.as_deref(),
        )?;
        let claimed = !self.affair.busy.swap(true, SeqCst);
        let turn = claimed.then(|| Turn(self.affair));
        if claimed {
            self.affair
                .recall(self.poller)
                .await
                .map_err(|error| Refusal::Storage(error.to_string()))?;
        }
        let locked = self.affair.locked.load(SeqCst);
        guards::turn(!claimed, locked, self.affair.book.wait(self.bounds.cooldown))?;
        let mut progress = self.poller.start_reset().map_err(|_| AWAY)?;
        let read = (&mut progress.readings).await.map_err(|_| AWAY)?;
        let (before, read) = match read {
            Ok(readings) => {
                let extent =
                    Extent { red: readings.red(), grey: readings.grey(), other: readings.other() };
                (readings, Ok(extent))
            }
            Err(unread) => (Readings::default(), Err(unread.to_string())),
        };
        let denied = self.affair.book.denied_by(before.server_time(), self.bounds.cooldown);
        guards::extent(read, denied, self.bounds.max_unanswered, ask.expected_unanswered)?;
        let reply = if ask.dry_run {
            self.rehearse(&ask, &before).await?
        } else {
            if gone() {
                return Err(Refusal::Interrupted("whoever asked for it has gone"));
            }
            if self.shutdown.has_begun() {
                return Err(Refusal::Interrupted("the exporter is stopping"));
            }
            self.carry_out(&ask, &before, progress).await?
        };
        drop(turn);
        Ok(reply)
    }

    async fn rehearse(&self, ask: &Ask, before: &Readings) -> Result<Reply, Refusal> {
        let line = self.described(Kind::DryRun, ask, before);
        let id = line.id.clone();
        self.written(line, |affair, line| affair.book.note(line)).await?;
        self.poller.tally.resets.ended(ResetResult::DryRun);
        self.poller.request_publish();
        let account = &self.poller.account.name;
        let before = figures(before);
        info!(%account, id, total = before.total, "a reset was rehearsed; nothing was sent");
        let message = format!(
            "dry run: every guard holds, {} unanswered messages of {} users would be cleared; nothing \
             was sent",
            before.total, before.users
        );
        let told = Told { code: "dry_run", message, before: Some(before), ..self.told(id) };
        Ok(Reply { status: 200, told })
    }

    async fn carry_out(
        &self,
        ask: &Ask,
        before: &Readings,
        progress: ResetProgress,
    ) -> Result<Reply, Refusal> {
        let account = &self.poller.account.name;
        let boot = clock::boot();
        let mark = Mark::new(Stamp::now(), boot, before.server_time(), self.bounds.cooldown);
        let mut intent = self.described(Kind::Intent, ask, before);
        intent.mark = Some(mark.clone());
        let (id, at) = (intent.id.clone(), Stamp::now().unix);
        let written = self.written(intent, move |affair, intent| affair.book.intend(mark, intent));
        written.await.map_err(|refusal| match refusal {
            Refusal::Storage(why) => {
                Refusal::Storage(format!("{why} (the cooldown holds all the same)"))
            }
            other => other,
        })?;
        let before = figures(before);
        warn!(%account, id, total = before.total, caller = %self.caller.address, "resetting the counters of the account");
        let ResetProgress { decision, outcome, after, .. } = progress;
        let end = match decision.send(()) {
            Ok(()) => outcome.await.map_or_else(|_| End::without_a_word(), |said| End::of(&said)),
            Err(()) => End::not_taken(),
        };
        if end.code == MISMATCH {
            self.affair.locked.store(true, SeqCst);
        }
        let mut last = LastReset { at, result: end.result, before: before.total, after: None };
        let noted = self.conclude(&id, &end, last).await;
        let after = after.await.ok().map(|readings| figures(&readings));
        if let Some(after) = after {
            last.after = Some(after.total);
            let marks = self.affair.book.tell(|told| told.last = Some(last));
            self.poller.tally.resets.mark(marks);
            self.poller.request_publish();
            let line =
                Line { figures: Some(after), ..Line::new(Kind::After, &id, Stamp::now().unix) };
            let written = self.written(line, |affair, line| affair.book.note(line)).await;
            if let Err(refusal) = written {
                error!(%account, id, "the figures after the reset are not in the audit log: {refusal}");
            }
        }
        let mut message = end.message;
        if let Err(refusal) = noted {
            message.push_str("; this could not be written to the audit log: ");
            message.push_str(&refusal.to_string());
        }
        let told = Told {
            code: end.code,
            message,
            before: Some(before),
            after,
            upstream_status: end.upstream_status,
            ..self.told(id)
        };
        Ok(Reply { status: end.status, told })
    }

    fn told(&self, id: String) -> Told {
        let account = Some(self.poller.account.name.to_string());
        Told { account, id: Some(id), ..Told::default() }
    }

    /// Writes down how a reset ended, counts and tells it.
    async fn conclude(&self, id: &str, end: &End, last: LastReset) -> Result<(), Refusal> {
        let now = Stamp::now().unix;
        let tally = &self.poller.tally.resets;
        tally.ended(end.result);
        tally.mark(self.affair.book.tell(|told| {
            told.last = Some(last);
            told.unresolved = end.result == ResetResult::Unknown;
            if end.result == ResetResult::Cleared {
                told.last_success = Some(now);
            }
        }));
        let (account, code, problem) =
            (&self.poller.account.name, end.code, end.problem.as_deref());
        if end.result == ResetResult::Cleared {
            warn!(%account, id, "the counters of the account are cleared");
        } else {
            error!(%account, id, code, problem, "the reset did not end well: {}", end.message);
        }
        let line = Line {
            result: Some(end.result.label().to_owned()),
            code: Some(end.code.to_owned()),
            upstream_status: end.upstream_status,
            problem: end.problem.clone(),
            ..Line::new(Kind::Outcome, id, now)
        };
        let written = self.written(line, |affair, line| affair.book.note(line)).await;
        if let Err(refusal) = &written {
            error!(%account, id, "the outcome of the reset is not in the audit log: {refusal}");
        }
        written
    }

    /// A line that says who wants what, and what there is to lose.
    fn described(&self, kind: Kind, ask: &Ask, before: &Readings) -> Line {
        let now = Stamp::now().unix;
        let id = format!("{:x}", now.as_nanos());
        let agent = self.caller.user_agent.as_deref();
        let readings = before.users.iter().map(|(user, reading)| {
            (user.as_str().to_owned(), (reading.count, reading.kind.label()))
        });
        Line {
            account_id: self.poller.account.account_id.as_ref().map(|id| id.as_str().to_owned()),
            caller: Some(self.caller.address.to_string()),
            user_agent: agent.map(|agent| audit_text(&String::from_utf8_lossy(agent))),
            reason: ask.reason.as_deref().map(audit_text).filter(|reason| !reason.is_empty()),
            expected_unanswered: ask.expected_unanswered,
            figures: Some(figures(before)),
            readings: Some(readings.collect()),
            ..Line::new(kind, &id, now)
        }
    }

    async fn written(
        &self,
        line: Line,
        write: impl FnOnce(&Affair, &Line) -> Result<(), BookError> + Send + 'static,
    ) -> Result<(), Refusal> {
        let affair = Arc::clone(self.affair);
        let written = blocking::run(move || write(&affair, &line)).await;
        written.map_err(|error| Refusal::Storage(error.to_string()))
    }
}

/// The poller has gone before anything was decided.
const AWAY: Refusal = Refusal::Interrupted("the account's poller has ended or was started anew");

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
