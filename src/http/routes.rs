//! The routes of the site.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderValue,
    LOCATION, REFERRER_POLICY, VARY,
};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::Semaphore;

use super::metrics::Scrapes;
use super::page::{self, Asset, PageQuery};
use super::prefix::{PathMatch, Prefix};
use super::probes::Probe;
use super::response::{
    BufferedResponse, gzip_body, joined, method_not_allowed, overloaded, plain_text, response,
    response_with_permit,
};
use super::running_config::RunningConfig;
use super::status::{ProcessInfo, Status};
use crate::blocking;
use crate::clock::Stamp;
use crate::exposition::accepts_gzip;
use crate::health::Health;
use crate::metrics::ProcessMetrics;
use crate::reload::Reloads;
use crate::snapshot::Directory;

/// Pages and status documents served at the same time, besides the scrapes.
pub const VIEWS_MAX: usize = 8;

/// The site of a listener: its routes, and the data that responses are built from.
#[derive(Debug)]
pub struct Site {
    directory: Arc<Directory>,
    process: Arc<ProcessMetrics>,
    health: Arc<Health>,
    config: Arc<RunningConfig>,
    prefix: Prefix,
    telemetry_path: String,
    started: Stamp,
    scrapes: Scrapes,
    views: Arc<Semaphore>,
    /// The handle for reloads, if `/-/reload` is enabled.
    reloads: Option<Reloads>,
}

/// The target of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SiteRoute<'a> {
    Metrics,
    Page,
    Asset(Asset),
    Status,
    Config,
    Probe(Probe),
    Reload,
    /// The site is at this address, relative to the path.
    Redirect(&'a str),
}

impl SiteRoute<'_> {
    /// The supported methods, in the form of the header `Allow`.
    fn methods(self) -> &'static str {
        if self == Self::Reload { "POST, PUT" } else { "GET, HEAD" }
    }
}

impl Site {
    /// A site without a prefix that serves `config` and, at `telemetry_path`, the metrics.
    pub fn new(
        directory: Arc<Directory>,
        process: Arc<ProcessMetrics>,
        health: Arc<Health>,
        config: Arc<RunningConfig>,
        telemetry_path: String,
    ) -> Self {
        let scrapes = Scrapes::new(Arc::clone(&directory), Arc::clone(&process));
        let views = Arc::new(Semaphore::new(VIEWS_MAX));
        Self {
            directory,
            process,
            health,
            config,
            prefix: Prefix::default(),
            telemetry_path,
            started: Stamp::now(),
            scrapes,
            views,
            reloads: None,
        }
    }

    /// The same site below `prefix`.
    #[must_use]
    pub fn below(self, prefix: Prefix) -> Self {
        Self { prefix, ..self }
    }

    /// The same site with `/-/reload`, if there is a handle for it.
    #[must_use]
    pub fn reloading(self, reloads: Option<Reloads>) -> Self {
        Self { reloads, ..self }
    }

    /// Whether a path is that of a probe.
    pub(super) fn is_probe(&self, path: &str) -> bool {
        Probe::at(path, &self.prefix).is_some()
    }

    /// Responds to one request. Bodies of requests are never read: no route needs one.
    pub(super) async fn respond(&self, request: Request<Incoming>) -> BufferedResponse {
        let Some(route) = self.route(request.uri().path()) else {
            return plain_text(StatusCode::NOT_FOUND, "Not found.\n");
        };
        if !route.methods().split(", ").any(|method| method == request.method().as_str()) {
            return method_not_allowed(route.methods());
        }
        match route {
            SiteRoute::Metrics => {
                self.scrapes.respond(request.uri().query(), request.headers()).await
            }
            SiteRoute::Page => self.page(request.uri().query(), request.headers()).await,
            SiteRoute::Asset(asset) => response(StatusCode::OK, asset.content_type, asset.content),
            SiteRoute::Status => self.status(request.headers()).await,
            SiteRoute::Config => self.config(request.headers()).await,
            SiteRoute::Probe(probe) => {
                self.health.wait_for_turn().await;
                probe.respond(&self.health)
            }
            SiteRoute::Redirect(address) => redirect(address),
            SiteRoute::Reload => self.reload().await,
        }
    }

    fn route<'a>(&'a self, path: &'a str) -> Option<SiteRoute<'a>> {
        if let Some(probe) = Probe::at(path, &self.prefix) {
            return Some(SiteRoute::Probe(probe));
        }
        let path = match self.prefix.match_path(path) {
            PathMatch::Below(path) => path,
            PathMatch::Above(address) => return Some(SiteRoute::Redirect(address)),
            PathMatch::Outside => return None,
        };
        if path == self.telemetry_path {
            return Some(SiteRoute::Metrics);
        }
        match path {
            "/" => Some(SiteRoute::Page),
            "/api/v1/status" => Some(SiteRoute::Status),
            "/config" => Some(SiteRoute::Config),
            "/-/reload" => Some(SiteRoute::Reload),
            _ => page::ASSETS.into_iter().find(|asset| asset.path == path).map(SiteRoute::Asset),
        }
    }

    async fn reload(&self) -> BufferedResponse {
        let Some(reloads) = &self.reloads else {
            let text = "Reloading over HTTP is off; --web.enable-lifecycle turns it on.\n";
            return plain_text(StatusCode::FORBIDDEN, text);
        };
        match reloads.reload().await {
            Ok(broken) => plain_text(StatusCode::OK, reloaded(&broken)),
            Err(why) => {
                let text = format!("The earlier configuration stays in use:\n{why}\n");
                plain_text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    async fn status(&self, headers: &HeaderMap) -> BufferedResponse {
        let render = self.rendering(|status: &Status| {
            serde_json::to_vec(status).expect("the status has text keys and finite numbers")
        });
        self.view(headers, "application/json", render).await
    }

    async fn config(&self, headers: &HeaderMap) -> BufferedResponse {
        let config = Arc::clone(&self.config);
        // Browsers download a YAML type instead of showing it.
        let render = move || config.text().into_bytes();
        self.view(headers, "text/plain; charset=utf-8", render).await
    }

    async fn page(&self, query: Option<&str>, headers: &HeaderMap) -> BufferedResponse {
        let (query, metrics) = (PageQuery::of(query), self.telemetry_path.clone());
        let render = move |status: &Status| page::render(status, &query, &metrics).into_bytes();
        let render = self.rendering(render);
        let mut response = self.view(headers, "text/html; charset=utf-8", render).await;
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    /// Renders the status with `render`.
    fn rendering<F: FnOnce(&Status) -> Vec<u8>>(
        &self,
        render: F,
    ) -> impl FnOnce() -> Vec<u8> + use<F> {
        let slots = self.directory.slots();
        let about = ProcessInfo {
            started: self.started,
            config_hash: self.process.config_hash(),
            shard: self.process.shard(),
            broken_files: self.config.broken(),
        };
        move || render(&Status::new(&slots, about, Stamp::now()))
    }

    /// Responds with the result of `render`, compressed if the client accepts gzip.
    async fn view(
        &self,
        headers: &HeaderMap,
        content_type: &'static str,
        render: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> BufferedResponse {
        let Ok(permit) = Arc::clone(&self.views).try_acquire_owned() else { return overloaded() };
        let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
        let body = blocking::run(move || {
            let body = render();
            if gzip { gzip_body(&body) } else { body }
        });
        let mut response =
            response_with_permit(StatusCode::OK, content_type, body.await, Some(permit));
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        // A cached page would show old figures as current.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// What a reload says that went well: for the main file at least.
fn reloaded(broken: &[String]) -> String {
    let mut text = "The configuration is in use.\n".to_owned();
    if !broken.is_empty() {
        text.push_str("Broken account files, whose accounts stay as they were:\n");
        for problem in broken {
            text.push_str(problem);
            text.push('\n');
        }
    }
    text
}

/// Redirects to the address of the site.
fn redirect(address: &str) -> BufferedResponse {
    let mut response = plain_text(StatusCode::FOUND, format!("Found at {address}\n"));
    // A prefix consists of characters that are valid in a header.
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}
