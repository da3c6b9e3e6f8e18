//! Applies changes of the web configuration while the daemon runs.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::clock::Stamp;
use crate::http::Access;
use crate::metrics::ProcessMetrics;
use crate::shutdown::Shutdown;
use crate::web_config::{Watch, WebConfig};

/// How often the files are checked; a change counts from the second check on.
pub(super) const CHECK_PERIOD: Duration = Duration::from_secs(2);

/// Time to the next check once one has panicked, which is logged.
const PANIC_PAUSE: Duration = Duration::from_mins(1);

/// Applies what `watch` finds, once per `period`, to `access`, until `shutdown`.
pub(super) async fn follow(
    mut watch: Watch,
    period: Duration,
    access: Arc<Access>,
    process: Arc<ProcessMetrics>,
    shutdown: Shutdown,
) {
    let mut pause = period;
    loop {
        tokio::select! {
            () = sleep(pause) => pause = period,
            () = shutdown.wait() => return,
        }
        let mut next = watch.clone();
        let checked = spawn_blocking(move || {
            let change = next.look();
            (next, change)
        });
        let checked = tokio::select! {
            checked = checked => checked,
            // A disk that hangs does not delay the shutdown.
            () = shutdown.wait() => return,
        };
        let Ok((looked, change)) = checked else {
            process.web_config_refused();
            error!(
                "the program failed while it read the web configuration, the earlier one stays in use"
            );
            pause = PANIC_PAUSE;
            continue;
        };
        watch = looked;
        if let Some(change) = change {
            apply(change, &access, &process);
        }
    }
}

fn apply(change: Result<WebConfig, impl Display>, access: &Access, process: &ProcessMetrics) {
    match change {
        Ok(config) => {
            let waiting = access.replace(&config);
            process.web_config_loaded(Stamp::now().unix);
            log_in_use(&config, "the web configuration has changed and is in use");
            if !waiting.is_empty() {
                let waiting = waiting.join(", ");
                warn!("a part of the web configuration needs a restart: {waiting}");
            }
        }
        Err(problems) => {
            process.web_config_refused();
            let problems = problems.to_string().replace('\n', "; ");
            error!("the web configuration is broken, the earlier one stays in use: {problems}");
        }
    }
}

/// Logs the warnings and the summary of a configuration that is applied.
pub(super) fn log_in_use(config: &WebConfig, what: &str) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let (tls, users) = (config.tls.is_some(), config.users.len());
    info!(tls, http2 = tls && config.http2, users, "{what}");
}
