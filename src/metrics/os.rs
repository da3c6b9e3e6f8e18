//! The conventional `process_*` metrics, read from the operating system at every scrape.
//!
//! The collector of the `prometheus` crate counts processor time in whole seconds, which makes a
//! `rate()` over a small exporter jump between 0 and 1; this one reads it to the nanosecond.

use std::time::Duration;

use fs_err as fs;
use prometheus::{Counter, Gauge, Registry};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::registration::{counter, gauge};

/// The process' own use of processor, memory, descriptors and threads.
pub(super) struct OsMetrics {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    threads: Gauge,
}

/// The fields of `/proc/self/stat` that are exported.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: u32,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl OsMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| gauge(registry, name, help);
        let max_fds = gauge("process_max_fds", "Maximum number of open file descriptors.");
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            max_fds.set(limit as f64);
        }
        let help = "Start time of the process since unix epoch in seconds.";
        let start_time = gauge("process_start_time_seconds", help);
        if let Some(seconds) = started() {
            start_time.set(seconds);
        }
        let help = "Total user and system CPU time spent in seconds.";
        Self {
            cpu: counter(registry, "process_cpu_seconds_total", help),
            resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            open_fds: gauge("process_open_fds", "Number of open file descriptors."),
            threads: gauge("process_threads", "Number of OS threads in the process."),
        }
    }

    /// Reads the values now. Not to be called twice at once: both would add the time since the last call.
    pub(super) fn refresh(&self) {
        let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
        self.cpu.inc_by((used.as_secs_f64() - self.cpu.get()).max(0.0));
        if let Some(stat) = read_stat() {
            self.threads.set(stat.threads.into());
            self.virtual_memory.set(stat.virtual_bytes as f64);
            self.resident.set(stat.resident_pages as f64 * page_size() as f64);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The listing itself holds one descriptor open.
            self.open_fds.set(entries.count() as f64 - 1.0);
        }
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

/// When the process started, in seconds since the epoch.
fn started() -> Option<f64> {
    let ticks = read_stat()?.start_ticks as f64 / clock_ticks_per_second() as f64;
    Some(boot_time()? as f64 + ticks)
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
        let registry = Registry::new();
        OsMetrics::new(&registry).refresh();
        let families = registry.gather();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        assert!(value("process_resident_memory_bytes") > 0.0);
        assert!(value("process_threads") > 0.0);
        assert!(value("process_open_fds") > 0.0);
        assert!(value("process_start_time_seconds") > 1e9);
        assert!(value("process_cpu_seconds_total") > 0.0);
    }
}
