//! The conventional `process_*` metrics, read from the operating system at every scrape.
//!
//! The collector of the `prometheus` crate counts processor time in whole seconds, which makes a
//! `rate()` over a small exporter jump between 0 and 1; this one reads it to the nanosecond.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::blocking::lock;
use fs_err as fs;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Reads the process' own use of processor, memory, descriptors and threads.
#[derive(Debug, Clone)]
pub(super) struct OsCollector {
    cpu: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start_time: prometheus::Gauge,
    refresh_lock: Arc<Mutex<()>>,
}

/// The fields of `/proc/self/stat` that are exported.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: i64,
    start_ticks: u64,
    virtual_bytes: i64,
    resident_pages: i64,
}

impl OsCollector {
    pub(super) fn new() -> Self {
        let int =
            |name: &str, help: &str| IntGauge::new(name, help).expect("the literal name is valid");
        let this = Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )
            .expect("the literal name is valid"),
            resident: int("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: int("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            open_fds: int("process_open_fds", "Number of open file descriptors."),
            max_fds: int("process_max_fds", "Maximum number of open file descriptors."),
            threads: int("process_threads", "Number of OS threads in the process."),
            start_time: prometheus::Gauge::new(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )
            .expect("the literal name is valid"),
            refresh_lock: Arc::default(),
        };
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            this.max_fds.set(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        if let (Some(stat), Some(boot)) = (read_stat(), boot_time()) {
            let ticks = clock_ticks_per_second() as f64;
            this.start_time.set(boot as f64 + stat.start_ticks as f64 / ticks);
        }
        this
    }

    fn refresh(&self) {
        // Two scrapes at once must not both add the time since the last one.
        let _refreshing = lock(&self.refresh_lock);
        let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
        self.cpu.inc_by((used.as_secs_f64() - self.cpu.get()).max(0.0));
        if let Some(stat) = read_stat() {
            self.threads.set(stat.threads);
            self.virtual_memory.set(stat.virtual_bytes);
            self.resident.set(stat.resident_pages.saturating_mul(page_size() as i64));
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The listing itself holds one descriptor open.
            self.open_fds.set(entries.count() as i64 - 1);
        }
    }

    fn parts(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_memory,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
            &self.start_time,
        ]
    }
}

impl Collector for OsCollector {
    fn desc(&self) -> Vec<&Desc> {
        let mut descs = Vec::new();
        for part in self.parts() {
            descs.extend(part.desc());
        }
        descs
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

fn read_stat() -> Option<Stat> {
    parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads proc(5)'s `stat` line; its second field is the program's name and may hold anything.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, after_name) = line.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    // The first field here is number 3 of proc(5): threads 20, start 22, size 23, pages 24.
    let threads = fields.nth(17)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    let virtual_bytes = fields.next()?.parse().ok()?;
    let resident_pages = fields.next()?.parse().ok()?;
    Some(Stat { threads, start_ticks, virtual_bytes, resident_pages })
}

/// When the machine booted, in unix seconds.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let line = "42 (a (b) c) S 1 42 42 0 -1 4194560 500 0 0 0 7 3 0 0 20 0 5 0 1234 8192000 321 18446744073709551615 1";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                threads: 5,
                start_ticks: 1234,
                virtual_bytes: 8_192_000,
                resident_pages: 321
            })
        );
    }

    #[test]
    fn a_cut_off_line_gives_nothing() {
        assert_eq!(parse_stat("42 (x) S 1 42"), None);
    }

    #[test]
    fn this_process_has_memory_threads_and_a_start() {
        let collector = OsCollector::new();
        collector.collect();
        assert!(collector.resident.get() > 0);
        assert!(collector.threads.get() > 0);
        assert!(collector.open_fds.get() > 0);
        assert!(collector.start_time.get() > 1e9);
        assert!(collector.cpu.get() > 0.0);
    }
}
