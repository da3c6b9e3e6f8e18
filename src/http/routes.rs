//! The routes of the site.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::stream;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, REFERRER_POLICY, VARY,
};
use hyper::{HeaderMap, StatusCode};
use url::form_urlencoded;

use super::access::{Access, admit, is_from_browser};
use super::documents::SharedDocuments;
use super::handlers::{Handlers, count};
use super::page::{self, PageQuery};
use super::prefix::Prefix;
use super::probes;
use super::response::{gzip_body, joined, overloaded, plain_text, response};
use super::status::Status;

use crate::clock::Stamp;
use crate::exposition::{Documents, NoAnswer, Selection, accepts_gzip, negotiate};
use crate::health::Health;
use crate::metrics::ProcessMetrics;
use crate::reload::{Reloads, RunningConfig};
use crate::snapshot::Directory;

/// What the responses of the site are built from.
pub struct Site {
    /// The accounts.
    pub directory: Arc<Directory>,
    /// The metrics of the process.
    pub process: Arc<ProcessMetrics>,
    /// What the probes say.
    pub health: Arc<Health>,
    /// What `/config` shows.
    pub config: Arc<RunningConfig>,
    /// Where everything is.
    pub prefix: Prefix,
    /// Where the metrics are below it.
    pub telemetry_path: String,
    /// When the process started.
    pub started: Stamp,
    /// The handle for reloads, if `/-/reload` is enabled.
    pub reloads: Option<Reloads>,
}

/// What requests share.
struct SiteState {
    site: Site,
    scrapes: Arc<Documents>,
    documents: Arc<SharedDocuments<(View, bool)>>,
}

/// A document of the site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum View {
    Page(PageQuery),
    Status,
    Config,
}

impl Site {
    /// The routes: to all but the probes `access` applies. No route reads the body of a request.
    pub(super) fn routes(self, access: &Arc<Access>) -> Router {
        let at = |route: &str| self.prefix.path(route);
        let view = |view: View| {
            get(async move |State(state): State<Arc<SiteState>>, headers: HeaderMap| {
                state.view(view, &headers).await
            })
        };
        let mut routes = Router::new()
            .route(&at(&self.telemetry_path), get(scrape))
            .route(&at("/"), get(page))
            .route(&at("/api/v1/status"), view(View::Status))
            .route(&at("/config"), view(View::Config))
            .route(&at("/-/reload"), post(reload).put(reload));
        for asset in page::ASSETS {
            let respond = async move || response(StatusCode::OK, asset.content_type, asset.content);
            routes = routes.route(&at(asset.path), get(respond));
        }
        for (path, address) in self.prefix.above() {
            let redirect = |RawQuery(query): RawQuery| async move { redirect(address, query) };
            routes = routes.route(&path, get(redirect));
        }
        let routes = routes.fallback(async || plain_text(StatusCode::NOT_FOUND, "Not found.\n"));
        let probes = probes::routes(&self.health, &self.prefix);
        let handlers = Handlers::new(&self.process, &self.prefix, &self.telemetry_path);
        let scrapes = Documents::new(Arc::clone(&self.directory), Arc::clone(&self.process));
        let state = SiteState {
            site: self,
            scrapes: Arc::new(scrapes),
            documents: Arc::new(SharedDocuments::new()),
        };
        // Around them all, so that a refusal does not show which methods there are.
        let guarded = Router::new()
            .fallback_service(routes.with_state(Arc::new(state)))
            .layer(from_fn_with_state(Arc::clone(access), admit));
        let all = probes.fallback_service(guarded);
        all.layer(from_fn_with_state(Arc::new(handlers), count))
    }
}

impl SiteState {
    /// Responds with a document, compressed if the client accepts gzip.
    async fn view(self: Arc<Self>, view: View, headers: &HeaderMap) -> Response {
        let content_type = match view {
            View::Page(_) => "text/html; charset=utf-8",
            View::Status => "application/json",
            // Browsers download a YAML type instead of showing it.
            View::Config => "text/plain; charset=utf-8",
        };
        let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
        let (this, shown) = (Arc::clone(&self), view.clone());
        let make = move || {
            let content = this.site.render(&shown);
            if gzip { gzip_body(&content) } else { content }
        };
        let Some(document) = self.documents.get((view, gzip), make).await else {
            return overloaded();
        };
        let mut response = document.into_response(content_type);
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

impl Site {
    fn render(&self, view: &View) -> Vec<u8> {
        match view {
            View::Config => self.config.text().into_bytes(),
            View::Page(query) => {
                page::render(&self.status(), query, &self.telemetry_path).into_bytes()
            }
            View::Status => serde_json::to_vec(&self.status())
                .expect("the status has text keys and finite numbers"),
        }
    }

    fn status(&self) -> Status {
        let slots = self.directory.slots();
        Status::new(&slots, &self.process, self.config.broken_files(), self.started, Stamp::now())
    }
}

/// Responds to a scrape. `account` in the query, which may be repeated, names the accounts to show;
/// anything else in it is ignored.
async fn scrape(
    State(state): State<Arc<SiteState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let format = negotiate(&joined(&headers, &ACCEPT));
    let gzip = accepts_gzip(&joined(&headers, &ACCEPT_ENCODING));
    let selection = Selection { format, accounts: accounts(query.as_deref()) };
    let answer = match state.scrapes.answer(selection, gzip).await {
        Ok(answer) => answer,
        Err(NoAnswer::Busy) => return overloaded(),
        Err(error @ NoAnswer::UnknownAccount(_)) => {
            return plain_text(StatusCode::NOT_FOUND, format!("{error}\n"));
        }
    };
    let mut response = response(StatusCode::OK, format.content_type(), Bytes::new());
    // The connection that sends it is aborted when the answer is cut.
    response.extensions_mut().insert(answer.cut());
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, answer.length.into());
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Body::from_stream(stream::iter(answer.map(Ok::<_, Infallible>)));
    response
}

async fn page(
    State(state): State<Arc<SiteState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut response = state.view(View::Page(PageQuery::of(query.as_deref())), &headers).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn reload(State(state): State<Arc<SiteState>>, headers: HeaderMap) -> Response {
    let Some(reloads) = &state.site.reloads else {
        let text = "Reloading over HTTP is off; --web.enable-lifecycle turns it on where there is a \
                    configuration file.\n";
        return plain_text(StatusCode::FORBIDDEN, text);
    };
    if is_from_browser(&headers) {
        let text = "Browsers may not reload the configuration; use curl, or send SIGHUP.\n";
        return plain_text(StatusCode::FORBIDDEN, text);
    }
    match reloads.reload().await {
        Ok(broken) => plain_text(StatusCode::OK, reloaded(&broken)),
        Err(why) => {
            let text = format!("The earlier configuration stays in use:\n{why}\n");
            plain_text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
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

/// Redirects to the address of the site, with the query of the request.
fn redirect(mut address: String, query: Option<String>) -> Response {
    let mut response = plain_text(StatusCode::FOUND, format!("Found at {address}\n"));
    if let Some(query) = query {
        address = format!("{address}?{query}");
    }
    // A prefix and a query consist of characters that are valid in a header.
    if let Ok(address) = HeaderValue::try_from(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// The accounts that a query names; none for all.
fn accounts(query: Option<&str>) -> Vec<String> {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut accounts: Vec<String> =
        query.filter(|(name, _)| name == "account").map(|(_, value)| value.into_owned()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use super::accounts;

    #[test]
    fn accounts_are_named_once_each_whatever_their_order() {
        assert_eq!(accounts(None), Vec::<String>::new());
        assert_eq!(accounts(Some("x=1&accounts=a")), Vec::<String>::new());
        let named = accounts(Some("account=b%20%26&account=a+1&x=y&account=b+%26"));
        assert_eq!(named, ["a 1", "b &"]);
    }
}
