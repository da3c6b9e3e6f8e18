//! Scrapes: the exposition in the format and the encoding that a client accepts.

use std::sync::Arc;

use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;

use super::response::{BufferedResponse, joined, overloaded, response_with_permit};
use crate::blocking;
use crate::clock::Stamp;
use crate::exposition::{accepts_gzip, document, negotiate};
use crate::metrics::ProcessMetrics;
use crate::snapshot::{AccountView, Directory};

/// Scrapes served at the same time; more get 503 with `Retry-After`.
pub const SCRAPES_MAX: usize = 8;

/// What scrapes are answered from.
#[derive(Debug)]
pub(super) struct Scrapes {
    directory: Arc<Directory>,
    process: Arc<ProcessMetrics>,
    permits: Arc<Semaphore>,
}

impl Scrapes {
    pub(super) fn new(directory: Arc<Directory>, process: Arc<ProcessMetrics>) -> Self {
        Self { directory, process, permits: Arc::new(Semaphore::new(SCRAPES_MAX)) }
    }

    /// Responds to a scrape; nothing in its query matters.
    pub(super) async fn respond(
        &self,
        _query: Option<&str>,
        headers: &HeaderMap,
    ) -> BufferedResponse {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return overloaded() };
        let format = negotiate(&joined(headers, &ACCEPT));
        let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
        let views = self.views();
        let process = Arc::clone(&self.process);
        let body =
            blocking::run(move || document(&views, &process.gather(), format, gzip, Stamp::now()));
        let mut response =
            response_with_permit(StatusCode::OK, format.content_type(), body.await, Some(permit));
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// The current view of every account.
    fn views(&self) -> Vec<Arc<AccountView>> {
        self.directory.slots().iter().map(|slot| slot.view()).collect()
    }
}
