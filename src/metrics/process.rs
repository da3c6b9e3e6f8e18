//! The metrics of the process as a whole, in one registry.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, Registry,
};
use serde::Serialize;

use super::os::OsMetrics;
use super::registration::{add, counter, counters, gauge, gauges};
use super::tally::Endpoint;
use crate::blocking::lock;

/// Upper bounds of `wazzup_api_request_duration_seconds`: an API call over the internet takes tens
/// of milliseconds, the default time limit is ten seconds.
const DURATION_BUCKETS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The build, as shown by `wazzup_exporter_build_info` and `--version`.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The crate's version.
    pub version: &'static str,
    /// The git revision, where the build had `WAZZUP_EXPORTER_REVISION`.
    pub revision: &'static str,
}

/// Metrics that belong to no account; one per process.
pub struct ProcessMetrics {
    registry: Registry,
    os: OsMetrics,
    request_duration: HistogramVec,
    loads: LoadMetrics,
    shard: ShardMetrics,
    account_files: GaugeVec,
    pub(crate) admin_refusals: CounterVec,
    pub(crate) http_requests: CounterVec,
    pub(crate) login_failures: Counter,
    /// Held while metrics are gathered, and while the series of a metric are replaced.
    gathering: Mutex<()>,
}

/// Which accounts the process polls.
struct ShardMetrics {
    ordinal: Gauge,
    shards: Gauge,
    polled: Gauge,
    configured: Gauge,
}

/// How loading configurations went.
struct LoadMetrics {
    /// `successful` is 1 while nothing failed.
    failed: Mutex<FailedLoads>,
    successful: Gauge,
    timestamp: Gauge,
    hash: Gauge,
}

/// The part of the configured accounts that a process polls, as metrics and status show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ShardInfo {
    /// Which part it is, from 0.
    pub ordinal: u32,
    /// How many parts there are.
    #[serde(rename = "total")]
    pub shards: u32,
    /// Accounts of the configuration that other processes poll.
    pub accounts_elsewhere: usize,
}

/// Which files could not be loaded, so that the earlier content is in use.
#[derive(Debug, Default)]
struct FailedLoads {
    config: bool,
    web_config: bool,
}

impl BuildInfo {
    /// This build.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("WAZZUP_EXPORTER_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
    };
}

impl Default for ProcessMetrics {
    /// Registers every metric of the process, so that all of them exist from the first scrape on.
    fn default() -> Self {
        let registry = Registry::new();
        let help = "Always 1; the labels tell which build of the exporter this is.";
        gauges(&registry, "wazzup_exporter_build_info", help, &["version", "revision"])
            .with_label_values(&[BuildInfo::THIS.version, BuildInfo::THIS.revision])
            .set(1.0);
        add(&registry, dropped_log_lines().clone());
        let process = Self {
            os: OsMetrics::new(&registry),
            request_duration: request_duration(&registry),
            loads: LoadMetrics::new(&registry),
            shard: ShardMetrics::new(&registry),
            account_files: gauges(
                &registry,
                "wazzup_exporter_account_file_up",
                "1 if the account file was good when the configuration was last loaded, 0 if it is broken: its accounts are missing, or stay as they were before.",
                &["file"],
            ),
            gathering: Mutex::default(),
            admin_refusals: counters(
                &registry,
                "wazzup_exporter_admin_refusals_total",
                "Requests to the admin listener that were refused before they reached an account of this process, by code. Absent without --web.enable-admin-api.",
                &["code"],
            ),
            http_requests: counters(
                &registry,
                "wazzup_exporter_http_requests_total",
                "Requests to the main listener, by what is at their path and the status of the answer.",
                &["handler", "code"],
            ),
            login_failures: counter(
                &registry,
                "wazzup_exporter_login_failures_total",
                "Requests to the exporter with a wrong name or password.",
            ),
            registry,
        };
        process.set_shard(0, 1);
        process
    }
}

impl ProcessMetrics {
    /// Notes which shard of how many this process is.
    pub fn set_shard(&self, ordinal: u32, shards: u32) {
        self.shard.ordinal.set(ordinal.into());
        self.shard.shards.set(shards.into());
    }

    /// Which shard this process is, as the metrics show it; nothing without sharding.
    pub fn shard(&self) -> Option<ShardInfo> {
        let ShardMetrics { ordinal, shards, polled, configured } = &self.shard;
        let shards = Some(shards.get() as u32).filter(|shards| *shards > 1)?;
        let accounts_elsewhere = (configured.get() - polled.get()) as usize;
        Some(ShardInfo { ordinal: ordinal.get() as u32, shards, accounts_elsewhere })
    }

    /// Counts the time a request to upstream took, however it ended.
    pub fn observe_request(&self, endpoint: Endpoint, took: Duration) {
        self.request_duration.with_label_values(&[endpoint.label()]).observe(took.as_secs_f64());
    }

    /// Notes that a configuration with this hash was taken into use at `unix`.
    pub fn config_loaded(&self, hash: u64, unix: Duration) {
        self.loads.note(|failed| failed.config = false);
        self.loads.timestamp.set(unix.as_secs_f64());
        // A float holds 53 bits exactly; 48 leave no doubt.
        self.loads.hash.set((hash >> 16) as f64);
    }

    /// The hash of the configuration in use, as the metric shows it.
    pub fn config_hash(&self) -> u64 {
        self.loads.hash.get() as u64
    }

    /// Notes that a configuration was refused and the earlier one is still in use.
    pub fn config_refused(&self) {
        self.loads.note(|failed| failed.config = true);
    }

    /// Notes that a web configuration was taken into use at `unix`.
    pub fn web_config_loaded(&self, unix: Duration) {
        self.loads.note(|failed| failed.web_config = false);
        self.loads.timestamp.set(unix.as_secs_f64());
    }

    /// Notes that a web configuration was refused and the earlier one is still in use.
    pub fn web_config_refused(&self) {
        self.loads.note(|failed| failed.web_config = true);
    }

    /// Notes how many accounts there are, and how many of them this process polls.
    pub fn set_accounts(&self, configured: usize, polled: usize) {
        self.shard.configured.set(configured as f64);
        self.shard.polled.set(polled as f64);
    }

    /// Notes which account files there are, and which of them are good.
    pub fn set_account_files(&self, files: &[(String, bool)]) {
        let _replacing = lock(&self.gathering);
        self.account_files.reset();
        for (file, good) in files {
            self.account_files.with_label_values(&[file]).set(f64::from(u8::from(*good)));
        }
    }

    /// Every family with its samples, sorted by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let _gathering = lock(&self.gathering);
        self.os.refresh();
        self.registry.gather()
    }
}

impl LoadMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            failed: Mutex::default(),
            successful: gauge(
                registry,
                "wazzup_exporter_config_last_reload_successful",
                "1 if the last attempt to load the configuration and the web configuration succeeded, 0 if one of them was refused and the earlier one is still in use.",
            ),
            timestamp: gauge(
                registry,
                "wazzup_exporter_config_last_reload_success_timestamp_seconds",
                "When a configuration was last loaded with success, unix time.",
            ),
            hash: gauge(
                registry,
                "wazzup_exporter_config_hash",
                "Hash of the configuration in use, 48 bits of it; it differs where configurations differ.",
            ),
        }
    }

    fn note(&self, change: impl FnOnce(&mut FailedLoads)) {
        let mut failed = lock(&self.failed);
        change(&mut failed);
        // Set while it is locked, so that the gauge shows the last change.
        self.successful.set(if failed.config || failed.web_config { 0.0 } else { 1.0 });
    }
}

impl ShardMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            ordinal: gauge(
                registry,
                "wazzup_exporter_shard_ordinal",
                "Which shard of the accounts this process polls, counted from 0; 0 without sharding.",
            ),
            shards: gauge(
                registry,
                "wazzup_exporter_shards",
                "Into how many shards the accounts are split; 1 without sharding.",
            ),
            polled: gauge(
                registry,
                "wazzup_exporter_accounts",
                "Accounts that this process polls.",
            ),
            configured: gauge(
                registry,
                "wazzup_exporter_accounts_configured",
                "Accounts in the configuration, over all shards.",
            ),
        }
    }
}

/// Counts lines that were lost because the log was not read in time. Of the process and not of a
/// [`ProcessMetrics`]: there is one log, and it is set up before anything else.
pub fn dropped_log_lines() -> &'static IntCounter {
    static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
        let help = "Lines of the log that were lost, because they were not read in time or the log was closed.";
        IntCounter::new("wazzup_exporter_log_lines_dropped_total", help)
            .expect("the literal name is valid")
    });
    &DROPPED
}

fn request_duration(registry: &Registry) -> HistogramVec {
    let options = HistogramOpts::new(
        "wazzup_api_request_duration_seconds",
        "How long requests to the Wazzup24 API took, failed ones included, waiting for the own limits excluded.",
    )
    .buckets(DURATION_BUCKETS.to_vec());
    let histogram =
        HistogramVec::new(options, &["endpoint"]).expect("the literal options are valid");
    let of_the_daemon = |one: &&Endpoint| !matches!(one, Endpoint::Webhooks | Endpoint::Reset);
    for endpoint in Endpoint::ALL.iter().filter(of_the_daemon) {
        histogram.with_label_values(&[endpoint.label()]);
    }
    add(registry, histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_configuration_of_two_is_a_failed_reload() {
        let process = ProcessMetrics::default();
        let gauge = || process.loads.successful.get() as u64;
        process.config_loaded(1, Duration::ZERO);
        assert_eq!(gauge(), 1);
        process.web_config_refused();
        process.config_refused();
        assert_eq!(gauge(), 0);
        process.config_loaded(2, Duration::ZERO);
        assert_eq!(gauge(), 0);
        process.web_config_loaded(Duration::ZERO);
        assert_eq!(gauge(), 1);
        process.config_refused();
        process.web_config_loaded(Duration::ZERO);
        assert_eq!(gauge(), 0);
    }

    #[test]
    fn every_metric_exists_from_the_start() {
        let names: Vec<String> = ProcessMetrics::default()
            .gather()
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        for name in [
            "process_cpu_seconds_total",
            "wazzup_api_request_duration_seconds",
            "wazzup_exporter_accounts",
            "wazzup_exporter_build_info",
            "wazzup_exporter_config_hash",
            "wazzup_exporter_shards",
        ] {
            assert!(names.iter().any(|present| present == name), "{name} is missing: {names:?}");
        }
    }
}
