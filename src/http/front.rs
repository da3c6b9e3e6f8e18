//! What a listener shows, and to whom.

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use super::access::{Access, Encryption};
use super::answer::Answer;
use super::probes;
use super::routes::Site;
use crate::health::Health;

/// What the requests of a listener are answered from.
#[derive(Debug)]
pub struct Front(Kind);

#[derive(Debug)]
enum Kind {
    Site { site: Arc<Site>, access: Arc<Access> },
    Probes(Arc<Health>),
}

impl Front {
    /// Everything that a site has, for those whom `access` lets in.
    pub fn site(site: Arc<Site>, access: Arc<Access>) -> Self {
        Self(Kind::Site { site, access })
    }

    /// Health and readiness, for everybody, in plain HTTP.
    pub fn probes(health: Arc<Health>) -> Self {
        Self(Kind::Probes(health))
    }

    /// How to encrypt a connection that begins now; not at all if `None`.
    pub(super) fn encryption(&self) -> Option<Arc<Encryption>> {
        match &self.0 {
            Kind::Site { access, .. } => access.encryption(),
            Kind::Probes(_) => None,
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        match &self.0 {
            Kind::Site { site, access } => {
                let mut answer = match access.admit(&request).await {
                    Ok(()) => site.answer(request).await,
                    Err(refusal) => refusal,
                };
                access.dress(&mut answer);
                answer
            }
            Kind::Probes(health) => probes::answer(health, &request),
        }
    }
}
