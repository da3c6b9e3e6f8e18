//! The services of the listeners: routes combined with access rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;

use super::access::{Access, Encryption};
use super::admin::Admin;
use super::prefix::Prefix;
use super::probes;
use super::response::BufferedResponse;
use super::routes::Site;
use crate::health::Health;
use crate::shutdown::DRAIN;

/// The service of a listener.
#[derive(Debug)]
pub struct Service(Kind);

#[derive(Debug)]
enum Kind {
    Site { site: Arc<Site>, access: Arc<Access> },
    Admin { admin: Arc<Admin>, access: Arc<Access> },
    Probes { health: Arc<Health>, prefix: Prefix },
}

impl Service {
    /// The site, with the rules of `access`.
    pub fn site(site: Arc<Site>, access: Arc<Access>) -> Self {
        Self(Kind::Site { site, access })
    }

    /// Health and readiness, in plain HTTP without a login, below `prefix` and without it.
    pub fn probes(health: Arc<Health>, prefix: Prefix) -> Self {
        Self(Kind::Probes { health, prefix })
    }

    /// The admin API, with the rules of `access`; its own token is checked as well.
    pub fn admin(admin: Arc<Admin>, access: Arc<Access>) -> Self {
        Self(Kind::Admin { admin, access })
    }

    /// How long responses may take during shutdown.
    pub(super) fn drain(&self) -> Duration {
        match &self.0 {
            Kind::Site { .. } | Kind::Probes { .. } => DRAIN,
            Kind::Admin { admin, .. } => DRAIN + admin.reset_time(),
        }
    }

    /// The TLS settings for a new connection; plain HTTP if `None`.
    pub(super) fn encryption(&self) -> Option<Arc<Encryption>> {
        match &self.0 {
            Kind::Site { access, .. } | Kind::Admin { access, .. } => access.encryption(),
            Kind::Probes { .. } => None,
        }
    }

    /// Responds to one request from `peer`.
    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BufferedResponse {
        match &self.0 {
            Kind::Site { site, access } => {
                let probe = site.is_probe(request.uri().path());
                let admitted = if probe { Ok(()) } else { access.admit(&request).await };
                let mut response = match admitted {
                    Ok(()) => site.respond(request).await,
                    Err(refusal) => refusal,
                };
                access.add_headers(&mut response);
                response
            }
            Kind::Admin { admin, access } => {
                let mut response = match access.admit(&request).await {
                    Ok(()) => admin.respond(request, peer).await,
                    Err(refusal) => admin.access_refused(&refusal, peer),
                };
                access.add_headers(&mut response);
                response
            }
            Kind::Probes { health, prefix } => {
                health.wait_for_turn().await;
                probes::respond(health, prefix, &request)
            }
        }
    }
}
