//! Requests to the site are counted by what is at their path, never by the path itself: clients choose that.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::page;
use super::prefix::Prefix;
use crate::metrics::ProcessMetrics;

/// The values of the label `handler`: routes as they are without a prefix, the files of the page, and the rest.
pub const HANDLERS: [&str; 9] =
    [METRICS, "/", "/api/v1/status", "/config", "/-/healthy", "/-/ready", RELOAD, ASSETS, OTHER];

/// Whether the site has something else at a path, so that the metrics cannot be there.
pub fn is_site_path(path: &str) -> bool {
    let route = path != METRICS && HANDLERS.contains(&path);
    route || page::ASSETS.iter().any(|asset| asset.path == path)
}

const METRICS: &str = "/metrics";
const RELOAD: &str = "/-/reload";
const ASSETS: &str = "assets";
const OTHER: &str = "other";

/// What is at each path of a site.
pub(super) struct Handlers {
    process: Arc<ProcessMetrics>,
    paths: HashMap<String, &'static str>,
}

impl Handlers {
    /// Of a site below `prefix`, with the metrics at `telemetry_path` below that.
    pub(super) fn new(
        process: &Arc<ProcessMetrics>,
        prefix: &Prefix,
        telemetry_path: &str,
    ) -> Self {
        // Exported from the start, so that a first increase is seen.
        for handler in HANDLERS {
            for code in ["200", "401", "503"] {
                process.http_requests.with_label_values(&[handler, code]);
            }
        }
        process.http_requests.with_label_values(&[RELOAD, "500"]);
        let root = Prefix::default();
        let mut paths = HashMap::new();
        for handler in HANDLERS.into_iter().filter(|handler| handler.starts_with('/')) {
            let route = if handler == METRICS { telemetry_path } else { handler };
            paths.insert(prefix.path(route), handler);
            // Probes are there without the prefix, too.
            if handler.starts_with("/-/") && handler != RELOAD {
                paths.insert(root.path(route), handler);
            }
        }
        paths.extend(page::ASSETS.map(|asset| (prefix.path(asset.path), ASSETS)));
        Self { process: Arc::clone(process), paths }
    }
}

/// Counts a request once there is an answer.
pub(super) async fn count(
    State(handlers): State<Arc<Handlers>>,
    request: Request,
    next: Next,
) -> Response {
    let handler = handlers.paths.get(request.uri().path()).copied().unwrap_or(OTHER);
    let response = next.run(request).await;
    let status = response.status();
    handlers.process.http_requests.with_label_values(&[handler, status.as_str()]).inc();
    response
}
