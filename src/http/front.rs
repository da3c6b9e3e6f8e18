//! What a listener shows, and to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;

use super::access::{Access, Encryption};
use super::admin::Admin;
use super::answer::Answer;
use super::probes;
use super::routes::Site;
use crate::health::Health;
use crate::shutdown::DRAIN;

/// What the requests of a listener are answered from.
#[derive(Debug)]
pub struct Front(Kind);

#[derive(Debug)]
enum Kind {
    Site { site: Arc<Site>, access: Arc<Access> },
    Admin { admin: Arc<Admin>, access: Arc<Access> },
    Probes(Arc<Health>),
}

impl Front {
    /// Everything that a site has, for those whom `access` lets in.
    pub fn site(site: Arc<Site>, access: Arc<Access>) -> Self {
        Self(Kind::Site { site, access })
    }

    /// The resets of accounts, for those whom `access` lets in and who have a token.
    pub fn admin(admin: Arc<Admin>, access: Arc<Access>) -> Self {
        Self(Kind::Admin { admin, access })
    }

    /// How long answers may still take once the exporter is to end.
    pub(super) fn drain(&self) -> Duration {
        match &self.0 {
            Kind::Site { .. } | Kind::Probes(_) => DRAIN,
            Kind::Admin { admin, .. } => DRAIN + admin.patience(),
        }
    }

    /// Health and readiness, for everybody, in plain HTTP.
    pub fn probes(health: Arc<Health>) -> Self {
        Self(Kind::Probes(health))
    }

    /// How to encrypt a connection that begins now; not at all if `None`.
    pub(super) fn encryption(&self) -> Option<Arc<Encryption>> {
        match &self.0 {
            Kind::Site { access, .. } | Kind::Admin { access, .. } => access.encryption(),
            Kind::Probes(_) => None,
        }
    }

    /// Answers one request from `peer`.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        match &self.0 {
            Kind::Site { site, access } => {
                let mut answer = match access.admit(&request).await {
                    Ok(()) => site.answer(request).await,
                    Err(refusal) => refusal,
                };
                access.dress(&mut answer);
                answer
            }
            Kind::Admin { admin, access } => {
                let mut answer = match access.admit_everywhere(&request).await {
                    Ok(()) => admin.answer(request, peer).await,
                    Err(refusal) => admin.rephrase(&refusal, peer),
                };
                access.dress(&mut answer);
                answer
            }
            Kind::Probes(health) => probes::answer(health, &request),
        }
    }
}
