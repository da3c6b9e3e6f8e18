//! The services of the listeners: routes combined with access rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::header::{HOST, HeaderValue};
use hyper::{StatusCode, Version};
use tower_service::Service as _;

use super::access::Access;
use super::admin::Admin;
use super::prefix::Prefix;
use super::probes;
use super::response::plain_text;
use super::routes::Site;
use crate::health::Health;
use crate::shutdown::DRAIN;
use crate::web_config::ServerTls;

/// The service of a listener.
#[derive(Clone)]
pub struct Service {
    routes: Router,
    access: Option<Arc<Access>>,
    admin: Option<Arc<Admin>>,
}

impl Service {
    /// The site, with the rules of `access`.
    pub fn site(site: Site, access: Arc<Access>) -> Self {
        Self { routes: site.routes(&access), access: Some(access), admin: None }
    }

    /// Health and readiness, in plain HTTP without a login, below `prefix` and without it.
    pub fn probes(health: &Arc<Health>, prefix: &Prefix) -> Self {
        let routes = probes::routes(health, prefix).fallback(probes::not_found);
        Self { routes, access: None, admin: None }
    }

    /// The admin API, with the rules of `access`; its own token is checked as well.
    pub fn admin(admin: Arc<Admin>, access: Arc<Access>) -> Self {
        Self { routes: admin.routes(&access), access: Some(access), admin: Some(admin) }
    }

    /// Routes that are open to all.
    #[cfg(test)]
    pub(super) fn without_access(routes: Router) -> Self {
        Self { routes, access: None, admin: None }
    }

    /// How long responses may take during shutdown.
    pub(super) fn drain(&self) -> Duration {
        DRAIN + self.admin.as_ref().map_or(Duration::ZERO, |admin| admin.reset_time())
    }

    /// The TLS settings for a new connection; plain HTTP if `None`.
    pub(super) fn tls(&self) -> Option<ServerTls> {
        self.access.as_ref()?.tls()
    }

    /// Responds to one request from `peer`.
    pub(super) async fn respond(mut self, mut request: Request, peer: SocketAddr) -> Response {
        request.extensions_mut().insert(peer);
        let mut response = if names_one_host(&request) {
            let Ok(response) = self.routes.call(request).await;
            response
        } else {
            plain_text(StatusCode::BAD_REQUEST, "Send one Host header.\n")
        };
        let headers = response.headers_mut();
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        if let Some(access) = &self.access {
            access.add_headers(headers);
        }
        response
    }
}

/// Whether a request has no second `Host`, and one where it must. hyper checks neither.
fn names_one_host(request: &Request) -> bool {
    match request.headers().get_all(HOST).iter().count() {
        // In HTTP/2 it is a part of the address.
        0 => request.version() != Version::HTTP_11,
        hosts => hosts == 1,
    }
}
