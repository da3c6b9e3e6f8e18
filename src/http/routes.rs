//! Which path gives what.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY,
};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::Semaphore;

use super::answer::{Answer, answer, compressed, holding, plain};
use super::page::{self, Ask, Asset};
use super::status::{About, Status};
use crate::clock::Stamp;
use crate::control::Reloads;
use crate::exposition::{accepts_gzip, document, negotiate};
use crate::health::Health;
use crate::metrics::Process;
use crate::snapshot::{AccountView, Directory};

/// Expositions being put together or sent at the same time; more are told to come back.
pub const SCRAPES_MAX: usize = 8;
/// Pages and status documents at the same time, beside the expositions.
pub const VIEWS_MAX: usize = 8;

/// What requests are answered from.
#[derive(Debug)]
pub struct Site {
    directory: Arc<Directory>,
    process: Arc<Process>,
    health: Arc<Health>,
    telemetry_path: String,
    started: Stamp,
    scrapes: Arc<Semaphore>,
    views: Arc<Semaphore>,
    /// How to have the configuration read anew, where that may be asked for.
    reloads: Option<Reloads>,
}

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Metrics,
    Page,
    Asset(Asset),
    Status,
    Healthy,
    Ready,
    Reload,
}

impl Route {
    /// The methods that it takes, as the header `Allow` lists them.
    fn methods(self) -> &'static str {
        if self == Self::Reload { "POST, PUT" } else { "GET, HEAD" }
    }
}

impl Site {
    /// A site that shows the metrics at `telemetry_path`.
    pub fn new(
        directory: Arc<Directory>,
        process: Arc<Process>,
        health: Arc<Health>,
        telemetry_path: String,
    ) -> Self {
        let scrapes = Arc::new(Semaphore::new(SCRAPES_MAX));
        let views = Arc::new(Semaphore::new(VIEWS_MAX));
        let started = Stamp::now();
        let reloads = None;
        Self { directory, process, health, telemetry_path, started, scrapes, views, reloads }
    }

    /// The same site, at which the configuration can be read anew.
    #[must_use]
    pub fn reloading(self, reloads: Option<Reloads>) -> Self {
        Self { reloads, ..self }
    }

    /// Answers one request. The body of a request is never read: none of them needs one.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let Some(route) = self.route(request.uri().path()) else {
            return plain(StatusCode::NOT_FOUND, "Not found.\n");
        };
        if !route.methods().split(", ").any(|method| method == request.method().as_str()) {
            return wrong_method(route.methods());
        }
        match route {
            Route::Metrics => self.metrics(request.headers()).await,
            Route::Page => self.page(request.uri().query(), request.headers()).await,
            Route::Asset(asset) => answer(StatusCode::OK, asset.content_type, asset.content),
            Route::Status => self.status(request.headers()).await,
            Route::Healthy => verdict(self.health.healthy(), "Healthy.\n", "Not healthy.\n"),
            Route::Ready => verdict(self.health.ready(), "Ready.\n", "Not ready.\n"),
            Route::Reload => self.reload().await,
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        if path == self.telemetry_path {
            return Some(Route::Metrics);
        }
        match path {
            "/" => Some(Route::Page),
            "/api/v1/status" => Some(Route::Status),
            "/-/healthy" => Some(Route::Healthy),
            "/-/ready" => Some(Route::Ready),
            "/-/reload" => Some(Route::Reload),
            _ => page::ASSETS.into_iter().find(|asset| asset.path == path).map(Route::Asset),
        }
    }

    async fn reload(&self) -> Answer {
        let Some(reloads) = &self.reloads else {
            let text = "Reloading over HTTP is off; --web.enable-lifecycle turns it on.\n";
            return plain(StatusCode::FORBIDDEN, text);
        };
        match reloads.reload().await {
            Ok(()) => plain(StatusCode::OK, "The configuration is in use.\n"),
            Err(why) => {
                let text = format!("The earlier configuration stays in use:\n{why}\n");
                plain(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Answer {
        let Ok(permit) = Arc::clone(&self.scrapes).try_acquire_owned() else { return crowded() };
        let format = negotiate(&joined(headers, &ACCEPT));
        let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
        let views = self.views();
        let process = Arc::clone(&self.process);
        let body = aside(move || document(&views, &process.gather(), format, gzip, Stamp::now()));
        let mut answer = holding(StatusCode::OK, format.content_type(), body.await, Some(permit));
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }

    async fn status(&self, headers: &HeaderMap) -> Answer {
        let render = |status: &Status| {
            serde_json::to_vec(status).expect("a status holds nothing that JSON cannot")
        };
        self.view(headers, "application/json", render).await
    }

    async fn page(&self, query: Option<&str>, headers: &HeaderMap) -> Answer {
        let (ask, metrics) = (Ask::of(query), self.telemetry_path.clone());
        let render = move |status: &Status| page::render(status, &ask, &metrics).into_bytes();
        let mut answer = self.view(headers, "text/html; charset=utf-8", render).await;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        answer
    }

    /// Answers with what `render` makes of the status, compressed where the client takes that.
    async fn view(
        &self,
        headers: &HeaderMap,
        content_type: &'static str,
        render: impl FnOnce(&Status) -> Vec<u8> + Send + 'static,
    ) -> Answer {
        let Ok(permit) = Arc::clone(&self.views).try_acquire_owned() else { return crowded() };
        let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
        let slots = self.directory.slots();
        let about = About { started: self.started, config_hash: self.process.config_hash() };
        let body = aside(move || {
            let body = render(&Status::new(&slots, about, Stamp::now()));
            if gzip { compressed(&body) } else { body }
        });
        let mut answer = holding(StatusCode::OK, content_type, body.await, Some(permit));
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        // Old figures must not look current.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }

    /// The current view of every account, each one publication.
    fn views(&self) -> Vec<Arc<AccountView>> {
        self.directory.slots().iter().map(|slot| slot.view()).collect()
    }
}

/// The answer to a method that a path does not take.
pub(super) fn wrong_method(allowed: &'static str) -> Answer {
    let words = allowed.replace(", ", " and ");
    let mut refusal =
        plain(StatusCode::METHOD_NOT_ALLOWED, format!("Only {words} are allowed here.\n"));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

/// The answer to one too many.
pub(super) fn crowded() -> Answer {
    let text = "Too many requests at once; try again.\n";
    let mut refusal = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    refusal
}

/// Runs what takes processor time away from the threads that serve sockets.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

pub(super) fn verdict(good: bool, yes: &'static str, no: &'static str) -> Answer {
    if good { plain(StatusCode::OK, yes) } else { plain(StatusCode::SERVICE_UNAVAILABLE, no) }
}

/// All values of a header that may be sent in several lines, as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
