//! What came of it, as text and as a verdict.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use wazzup_exporter::simulator::{Endpoint, PartnerCounts};

use super::chaos::Chaos;
use super::support::samples::{Samples, value};
use super::{names, sweeps};

/// How much more there may be in the end than in the beginning: connections that are kept for minutes, each with a
/// task and a descriptor, and memory that the allocator keeps.
pub(crate) const TASKS_MORE: usize = 64;
const DESCRIPTORS_MORE: usize = TASKS_MORE;
const THREADS_MORE: usize = 32;
const MEMORY_MORE_KIB: usize = 32 << 10;

/// Use of the system by a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) memory_kib: usize,
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
    pub(crate) threads: usize,
}

impl Usage {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            memory_kib: self.memory_kib.max(other.memory_kib),
            descriptors: self.descriptors.max(other.descriptors),
            tasks: self.tasks.max(other.tasks),
            threads: self.threads.max(other.threads),
        }
    }
}

pub(crate) struct Report {
    pub(crate) users: usize,
    pub(crate) interval: Duration,
    pub(crate) took: Duration,
    /// Before, at most, and after.
    pub(crate) usage: [Usage; 3],
    pub(crate) first: Samples,
    pub(crate) last: Samples,
    pub(crate) chaos: Chaos,
    pub(crate) renewals: PartnerCounts,
    pub(crate) tokens_lost: BTreeSet<String>,
}

impl Report {
    /// How much the series of these beginnings grew, over all their labels.
    fn grown(&self, beginning: &str, label: &str) -> u64 {
        let sum = |samples: &Samples| -> f64 {
            let found = samples
                .iter()
                .filter(|(series, _)| series.starts_with(beginning) && series.contains(label));
            found.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
        };
        (sum(&self.last) - sum(&self.first)).max(0.0) as u64
    }

    /// Sweeps of steady accounts that should have been and were not, that were made, and that failed in part.
    fn steady(&self) -> (u64, u64, u64) {
        let due = (self.took.as_secs_f64() / self.interval.as_secs_f64()).floor();
        let (mut missed, mut made, mut spoilt) = (0.0, 0.0, 0.0);
        for name in names().filter(|name| name.starts_with("steady")) {
            let grown = |result| {
                let count = |samples| value(samples, &sweeps(&name, result)).unwrap_or_default();
                count(&self.last) - count(&self.first)
            };
            made += grown("ok");
            spoilt += grown("partial") + grown("failed");
            missed += (due - grown("ok") - grown("partial") - grown("failed")).max(0.0);
        }
        (missed as u64, made as u64, spoilt as u64)
    }

    /// Why requests of steady accounts failed, and how many.
    fn spoiling(&self) -> Vec<(&String, u64)> {
        let steady = self.last.keys().filter(|series| {
            series.starts_with("wazzup_api_requests_total{account=\"steady")
                && !series.contains("outcome=\"ok\"")
        });
        let grown = steady.map(|series| (series, self.grown(series, "")));
        grown.filter(|(_, grown)| *grown > 0).collect()
    }

    fn per_account(&self) -> u64 {
        (self.users / names().count()) as u64
    }

    /// Fails where something leaks or was lost.
    pub(crate) fn check(&self) {
        let [before, _, after] = self.usage;
        assert!(after.tasks <= before.tasks + TASKS_MORE, "{:?}", self.usage);
        assert!(after.descriptors <= before.descriptors + DESCRIPTORS_MORE, "{:?}", self.usage);
        assert!(after.threads <= before.threads + THREADS_MORE, "{:?}", self.usage);
        let memory = before.memory_kib + before.memory_kib / 2 + MEMORY_MORE_KIB;
        assert!(after.memory_kib <= memory, "{:?}", self.usage);
        let spoilt = self.steady().2;
        assert_eq!(
            spoilt,
            0,
            "sweeps of accounts failed to which nothing was done: {:?}",
            self.spoiling()
        );
        assert!(self.tokens_lost.is_empty(), "{:?}", self.tokens_lost);
        assert_eq!((self.chaos.logins_needed, self.chaos.bad_answers), (0, 0));
        assert!(self.renewals.granted(Endpoint::Refresh) > 0 && self.chaos.reloads > 0);
        assert_eq!(self.grown("wazzup_exporter_poller_restarts_total", ""), 0);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chaos { faults, reloads, refused_reloads, scrapes, pages, broken_off, .. } = self.chaos;
        let (minutes, interval) = (self.took.as_secs_f64() / 60.0, self.interval.as_secs());
        writeln!(
            f,
            "{} users of {} accounts, read every {interval}s, for {minutes:.1} minutes.\n",
            self.users,
            names().count()
        )?;
        writeln!(f, "| what the exporter uses | before | at most | after |")?;
        writeln!(f, "| --- | --- | --- | --- |")?;
        let [before, most, after] = self.usage;
        let mib = |usage: Usage| usage.memory_kib as f64 / 1024.0;
        writeln!(f, "| memory, MiB | {:.1} | {:.1} | {:.1} |", mib(before), mib(most), mib(after))?;
        let parts = self.chaos.memory_kib.iter().map(|kib| format!("{:.1}", *kib as f64 / 1024.0));
        let parts: Vec<String> = parts.collect();
        writeln!(f, "| after each sixth of the time | | {} | |", parts.join(", "))?;
        for (what, of) in [
            ("tasks", (|usage| usage.tasks) as fn(Usage) -> usize),
            ("descriptors", |usage| usage.descriptors),
            ("threads", |usage| usage.threads),
        ] {
            writeln!(f, "| {what} | {} | {} | {} |", of(before), of(most), of(after))?;
        }
        let requests = |label: &str| self.grown("wazzup_api_requests_total", label);
        let counters = |outcome: &str| {
            self.grown(
                "wazzup_api_requests_total",
                &format!("endpoint=\"counter\",outcome=\"{outcome}\""),
            )
        };
        let good = counters("ok");
        let all = requests("endpoint=\"counter\"");
        let (missed, made, spoilt) = self.steady();
        let per_account = self.per_account();
        writeln!(f, "\n| what happened | |\n| --- | --- |")?;
        writeln!(f, "| faults of upstream | {faults} |")?;
        writeln!(
            f,
            "| reloads, and refused ones of broken files | {reloads}, {refused_reloads} |"
        )?;
        writeln!(
            f,
            "| scrapes, pages, readers that went away | {scrapes}, {pages}, {broken_off} |"
        )?;
        let [refreshes, exchanges] =
            [Endpoint::Refresh, Endpoint::Exchange].map(|kind| self.renewals.granted(kind));
        writeln!(f, "| renewals by refresh token, by exchange | {refreshes}, {exchanges} |")?;
        writeln!(f, "\n| what came of it | |\n| --- | --- |")?;
        writeln!(f, "| requests for counters, of which good | {all}, {good} |")?;
        writeln!(
            f,
            "| readings of accounts without faults, missed, failed | {}, {}, {} |",
            made * per_account,
            missed * per_account,
            spoilt * per_account
        )?;
        let restarts = self.grown("wazzup_exporter_poller_restarts_total", "");
        writeln!(f, "| pollers restarted | {restarts} |")?;
        writeln!(f, "| answers to readers that were not 200 | {} |", self.chaos.bad_answers)?;
        writeln!(f, "| refresh tokens lost | {} |", self.tokens_lost.len())
    }
}
