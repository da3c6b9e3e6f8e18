//! The metrics of the process as a whole, in one registry.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::os::OsCollector;
use super::resets::AdminCode;
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
#[derive(Debug)]
pub struct ProcessMetrics {
    registry: Registry,
    request_duration: HistogramVec,
    reload_successful: IntGauge,
    /// The gauge is 1 while nothing failed.
    failed: Mutex<FailedLoads>,
    reload_timestamp: Gauge,
    config_hash: Gauge,
    shard_ordinal: IntGauge,
    shards: IntGauge,
    accounts: IntGauge,
    accounts_configured: IntGauge,
    account_files: IntGaugeVec,
    /// The files that `account_files` has a series for.
    known_files: Mutex<BTreeSet<String>>,
    admin_refusals: IntCounterVec,
    http_requests: IntCounterVec,
    login_failures: IntCounter,
}

/// The part of the configured accounts that a process polls, as the metrics show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardInfo {
    /// Which part it is, from 0.
    pub ordinal: u32,
    /// How many parts there are.
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

impl ProcessMetrics {
    /// Registers every metric of the process, so that all of them exist from the first scrape on.
    pub fn new() -> Self {
        let registry = Registry::new();
        add(&registry, OsCollector::new());
        let build_info = GaugeVec::new(
            Opts::new(
                "wazzup_exporter_build_info",
                "Always 1; the labels tell which build of the exporter this is.",
            ),
            &["version", "revision"],
        )
        .expect("the literal options are valid");
        build_info.with_label_values(&[BuildInfo::THIS.version, BuildInfo::THIS.revision]).set(1.0);
        add(&registry, build_info);
        add(&registry, dropped_log_lines().clone());
        let process = Self {
            shard_ordinal: int_gauge(
                &registry,
                "wazzup_exporter_shard_ordinal",
                "Which shard of the accounts this process polls, counted from 0; 0 without sharding.",
            ),
            shards: int_gauge(
                &registry,
                "wazzup_exporter_shards",
                "Into how many shards the accounts are split; 1 without sharding.",
            ),
            request_duration: request_duration(&registry),
            reload_successful: int_gauge(
                &registry,
                "wazzup_exporter_config_last_reload_successful",
                "1 if the last attempt to load the configuration and the web configuration succeeded, 0 if one of them was refused and the earlier one is still in use.",
            ),
            failed: Mutex::default(),
            reload_timestamp: gauge(
                &registry,
                "wazzup_exporter_config_last_reload_success_timestamp_seconds",
                "When a configuration was last loaded with success, unix time.",
            ),
            config_hash: gauge(
                &registry,
                "wazzup_exporter_config_hash",
                "Hash of the configuration in use, 48 bits of it; it differs where configurations differ.",
            ),
            accounts: int_gauge(
                &registry,
                "wazzup_exporter_accounts",
                "Accounts that this process polls.",
            ),
            accounts_configured: int_gauge(
                &registry,
                "wazzup_exporter_accounts_configured",
                "Accounts in the configuration, over all shards.",
            ),
            account_files: account_files(&registry),
            known_files: Mutex::default(),
            admin_refusals: admin_refusals(&registry),
            http_requests: http_requests(&registry),
            login_failures: login_failures(&registry),
            registry,
        };
        process.set_shard(0, 1);
        process
    }

    /// Notes which shard of how many this process is.
    pub fn set_shard(&self, ordinal: u32, shards: u32) {
        self.shard_ordinal.set(ordinal.into());
        self.shards.set(shards.into());
    }

    /// Which shard this process is, as the metrics show it; nothing without sharding.
    pub fn shard(&self) -> Option<ShardInfo> {
        let shards = u32::try_from(self.shards.get()).ok().filter(|shards| *shards > 1)?;
        let elsewhere = self.accounts_configured.get().saturating_sub(self.accounts.get());
        Some(ShardInfo {
            ordinal: u32::try_from(self.shard_ordinal.get()).unwrap_or_default(),
            shards,
            accounts_elsewhere: usize::try_from(elsewhere).unwrap_or_default(),
        })
    }

    /// Creates the counter of every refusal code at 0, where there is an admin listener.
    pub fn admin_opens(&self) {
        for code in AdminCode::ALL {
            self.admin_refusals.with_label_values(&[code.label()]);
        }
    }

    /// Creates the counters of good answers and of refusals by each handler of the main listener at 0.
    pub fn http_opens(&self, handlers: &[&str]) {
        for handler in handlers {
            for code in ["200", "503"] {
                self.http_requests.with_label_values(&[*handler, code]);
            }
        }
    }

    /// Counts a request to the main listener by what it was for and the status of its answer.
    pub fn http_request(&self, handler: &str, code: &str) {
        self.http_requests.with_label_values(&[handler, code]).inc();
    }

    /// Counts a refused request to the admin listener.
    pub fn admin_refused(&self, code: AdminCode) {
        self.admin_refusals.with_label_values(&[code.label()]).inc();
    }

    /// Counts a login with a wrong name or password.
    pub fn login_failed(&self) {
        self.login_failures.inc();
    }

    /// Counts the time a request to upstream took, however it ended.
    pub fn observe_request(&self, endpoint: Endpoint, took: Duration) {
        self.request_duration.with_label_values(&[endpoint.label()]).observe(took.as_secs_f64());
    }

    /// Notes that a configuration with this hash was taken into use at `unix`.
    pub fn config_loaded(&self, hash: u64, unix: Duration) {
        self.set_failed(|failed| failed.config = false);
        self.reload_timestamp.set(unix.as_secs_f64());
        // A float holds 53 bits exactly; 48 leave no doubt.
        self.config_hash.set((hash >> 16) as f64);
    }

    /// The hash of the configuration in use, as the metric shows it.
    pub fn config_hash(&self) -> u64 {
        self.config_hash.get() as u64
    }

    /// Notes that a configuration was refused and the earlier one is still in use.
    pub fn config_refused(&self) {
        self.set_failed(|failed| failed.config = true);
    }

    /// Notes that a web configuration was taken into use at `unix`.
    pub fn web_config_loaded(&self, unix: Duration) {
        self.set_failed(|failed| failed.web_config = false);
        self.reload_timestamp.set(unix.as_secs_f64());
    }

    /// Notes that a web configuration was refused and the earlier one is still in use.
    pub fn web_config_refused(&self) {
        self.set_failed(|failed| failed.web_config = true);
    }

    fn set_failed(&self, change: impl FnOnce(&mut FailedLoads)) {
        let mut failed = lock(&self.failed);
        change(&mut failed);
        // Set while it is locked, so that the gauge shows the last change.
        self.reload_successful.set(i64::from(!failed.config && !failed.web_config));
    }

    /// Notes how many accounts there are, and how many of them this process polls.
    pub fn set_accounts(&self, configured: usize, polled: usize) {
        self.accounts_configured.set(configured as i64);
        self.accounts.set(polled as i64);
    }

    /// Notes which account files there are, and which of them are good.
    pub fn set_account_files(&self, files: &[(String, bool)]) {
        let mut known = lock(&self.known_files);
        let now: BTreeSet<String> = files.iter().map(|(file, _)| file.clone()).collect();
        for gone in known.difference(&now) {
            // It was set, so it can be removed.
            let _ = self.account_files.remove_label_values(&[gone]);
        }
        for (file, good) in files {
            self.account_files.with_label_values(&[file]).set(i64::from(*good));
        }
        *known = now;
    }

    /// Every family with its samples, sorted by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts lines that were lost because the log was not read in time. Of the process and not of a
/// [`ProcessMetrics`]: there is one log, and it is set up before anything else.
pub fn dropped_log_lines() -> &'static IntCounter {
    static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
        let help = "Lines of the log that were lost, because nobody read them in time or the log was closed.";
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

fn account_files(registry: &Registry) -> IntGaugeVec {
    let options = Opts::new(
        "wazzup_exporter_account_file_up",
        "1 if the account file was good when the configuration was last loaded, 0 if it is broken: its accounts are missing, or stay as they were before.",
    );
    add(registry, IntGaugeVec::new(options, &["file"]).expect("the literal options are valid"))
}

fn http_requests(registry: &Registry) -> IntCounterVec {
    let options = Opts::new(
        "wazzup_exporter_http_requests_total",
        "Requests to the main listener, by what is at their path and the status of the answer.",
    );
    let labels = ["handler", "code"];
    add(registry, IntCounterVec::new(options, &labels).expect("the literal options are valid"))
}

fn admin_refusals(registry: &Registry) -> IntCounterVec {
    let options = Opts::new(
        "wazzup_exporter_admin_refusals_total",
        "Requests to the admin listener that were refused before they reached an account of this process, by code. Absent without --web.enable-admin-api.",
    );
    add(registry, IntCounterVec::new(options, &["code"]).expect("the literal options are valid"))
}

fn login_failures(registry: &Registry) -> IntCounter {
    let help = "Requests to the exporter with a wrong name or password.";
    let counter = IntCounter::new("wazzup_exporter_login_failures_total", help);
    add(registry, counter.expect("the literal name is valid"))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Gauge {
    add(registry, Gauge::new(name, help).expect("the literal name is valid"))
}

fn int_gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    add(registry, IntGauge::new(name, help).expect("the literal name is valid"))
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("each literal name is registered once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_configuration_of_two_is_a_failed_reload() {
        let process = ProcessMetrics::new();
        let gauge = || process.reload_successful.get();
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
        let names: Vec<String> =
            ProcessMetrics::new().gather().iter().map(|family| family.name().to_owned()).collect();
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
