//! Waits for a browser that a login sends back to this machine.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use url::Url;

use super::authorization::InvalidRedirect;
use crate::net::is_loopback;

/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed and would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens where a browser is sent.
#[derive(Debug)]
pub(super) struct RedirectListener {
    requests: mpsc::Receiver<RedirectRequest>,
    listener: AbortHandle,
}

/// A browser that has come.
#[derive(Debug)]
pub(super) struct RedirectRequest {
    address: String,
    answer: oneshot::Sender<String>,
}

impl RedirectListener {
    /// Listens at `redirect`, if that is plain HTTP on loopback and the port is free.
    pub(super) async fn wait_at(redirect: &Url) -> Option<Self> {
        let host = redirect.host_str().filter(|_| is_loopback(redirect))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = redirect.port_or_known_default().filter(|_| redirect.scheme() == "http")?;
        let listener = TcpListener::bind((host, port)).await.ok()?;
        let (sender, requests) = mpsc::channel(1);
        let listener = tokio::spawn(listen(listener, redirect.clone(), sender)).abort_handle();
        Some(Self { requests, listener })
    }

    /// The next request; none without a listener.
    pub(super) async fn next(browser: &mut Option<Self>) -> Option<RedirectRequest> {
        browser.as_mut()?.requests.recv().await
    }
}

impl Drop for RedirectListener {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl RedirectRequest {
    /// Where the browser has come to.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Shows the result in the browser.
    pub(super) fn answer(self, unfit: Option<&InvalidRedirect>) {
        let text = match unfit {
            None => "That was it. You can close this page and go back to the terminal.".to_owned(),
            Some(unfit) => format!("This did not work: {unfit}."),
        };
        // The browser may have gone.
        let _ = self.answer.send(text);
    }
}

async fn listen(listener: TcpListener, redirect: Url, requests: mpsc::Sender<RedirectRequest>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (redirect, requests) = (redirect.clone(), requests.clone());
        let service = service_fn(move |request| {
            let (redirect, requests) = (redirect.clone(), requests.clone());
            async move { Ok::<_, Infallible>(respond(&request, &redirect, requests).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).keep_alive(false);
        // Errors of the connection do not matter.
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

/// Answers a request: one for the page that is waited for by what comes of it.
async fn respond(
    request: &Request<Incoming>,
    redirect: &Url,
    requests: mpsc::Sender<RedirectRequest>,
) -> Response<Full<Bytes>> {
    let asked = request.uri().path_and_query().and_then(|asked| redirect.join(asked.as_str()).ok());
    let Some(asked) = asked.filter(|asked| asked.path() == redirect.path()) else {
        return page(StatusCode::NOT_FOUND, "There is nothing here.".to_owned());
    };
    let (answer, answered) = oneshot::channel();
    // The receiver is gone once the login has ended.
    let _ = requests.send(RedirectRequest { address: asked.into(), answer }).await;
    match answered.await {
        Ok(text) => page(StatusCode::OK, text),
        Err(_) => page(StatusCode::GONE, "The login has ended already.".to_owned()),
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text + "\n")));
    *page.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    page.headers_mut().insert(CONTENT_TYPE, plain);
    page.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    // The address of the page holds a code.
    page.headers_mut().insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    page
}
