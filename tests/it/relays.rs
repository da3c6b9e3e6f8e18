//! What may stand between the exporter and the simulated API: a server that ends TLS, and a proxy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderName, LOCATION, PROXY_AUTHORIZATION};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::http::client;
use super::support::pki::authority;

/// A private authority and the file that holds its certificate.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// Ends TLS in front of an API. Every connection is noted with the version of each of its requests.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<Vec<Version>>>>,
}

/// An HTTP proxy that connects all clients to the same address, whatever name they request.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request to a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// The whole address, or name and port of a tunnel.
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) proxy_authorization: Option<String>,
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = authority(folder.path().to_str().unwrap());
        let authority = Self { issuer, folder };
        std::fs::write(authority.file(), authority.issuer.pem()).unwrap();
        authority
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server named `name` needs, which offers `protocols`.
    fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(Arc::new(provider));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl TlsFront {
    /// Serves on a port of its own, as `name`, what the API at `url` answers.
    pub(crate) async fn start(
        authority: &Authority,
        name: &str,
        protocols: &[&str],
        url: &str,
    ) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(name, protocols)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<Vec<Vec<Version>>>> = Arc::default();
        let noted = Arc::clone(&connections);
        let url = url.to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, noted, url) = (acceptor.clone(), Arc::clone(&noted), url.clone());
                tokio::spawn(end_tls(acceptor, stream, noted, url));
            }
        });
        Self { address, connections }
    }

    /// The versions of the requests on each connection that got through the handshake.
    pub(crate) fn connections(&self) -> Vec<Vec<Version>> {
        self.connections.lock().unwrap().clone()
    }
}

async fn end_tls(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    noted: Arc<Mutex<Vec<Vec<Version>>>>,
    url: String,
) {
    // Clients that do not like the certificate go away here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let number = {
        let mut noted = noted.lock().unwrap();
        noted.push(Vec::new());
        noted.len() - 1
    };
    let service = service_fn(move |request: Request<Incoming>| {
        noted.lock().unwrap()[number].push(request.version());
        let address = format!("{url}{}", request.uri().path());
        async move { pass_on(&request, &address).await }
    });
    // How a connection ends is its client's business.
    let stream = TokioIo::new(stream);
    if http2 {
        let builder = http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(stream, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(stream, service).await;
    }
}

impl Proxy {
    /// Serves on a port of its own and takes every request to `place`.
    pub(crate) async fn start(place: SocketAddr) -> Self {
        Self::serve(Ok(place)).await
    }

    /// Serves on a port of its own and refuses every request.
    pub(crate) async fn refusing(status: StatusCode) -> Self {
        Self::serve(Err(status)).await
    }

    async fn serve(place: Result<SocketAddr, StatusCode>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                let service = service_fn(move |request: Request<Incoming>| {
                    noted.lock().unwrap().push(Seen::of(&request));
                    relay(request, place)
                });
                let conversation =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(conversation.with_upgrades());
            }
        });
        Self { address, seen }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Seen {
    fn of(request: &Request<Incoming>) -> Self {
        let header = |name: HeaderName| {
            let value = request.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Self {
            method: request.method().clone(),
            target: request.uri().to_string(),
            authorization: header(AUTHORIZATION),
            proxy_authorization: header(PROXY_AUTHORIZATION),
        }
    }
}

async fn relay(request: Request<Incoming>, place: Result<SocketAddr, StatusCode>) -> Answer {
    let place = match place {
        Ok(place) => place,
        Err(status) => return Ok(empty(status)),
    };
    if request.method() != Method::CONNECT {
        return pass_on(&request, &format!("http://{place}{}", request.uri().path())).await;
    }
    tokio::spawn(async move {
        let tunnel = hyper::upgrade::on(request).await.unwrap();
        let mut there = TcpStream::connect(place).await.unwrap();
        // It lasts until one side closes, in whatever way.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(tunnel), &mut there).await;
    });
    Ok(Response::default())
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

/// Asks `address` the same and answers as it does.
async fn pass_on(request: &Request<Incoming>, address: &str) -> Answer {
    let mut onward = client().request(request.method().clone(), address);
    if let Some(token) = request.headers().get(AUTHORIZATION) {
        onward = onward.header(AUTHORIZATION, token);
    }
    let Ok(answer) = onward.send().await else {
        return Ok(empty(StatusCode::BAD_GATEWAY));
    };
    let mut response = Response::builder().status(answer.status());
    if let Some(location) = answer.headers().get(LOCATION) {
        response = response.header(LOCATION, location);
    }
    Ok(response.body(Full::new(answer.bytes().await.unwrap())).unwrap())
}
