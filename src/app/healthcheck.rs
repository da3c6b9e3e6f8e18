//! Asks a running daemon whether it is healthy, for containers that have no curl.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use crate::net::without_login;
use crate::transport::{BuildError, causes, http_client};

/// Longer than any healthy answer takes, shorter than the usual time limit of a container's check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a daemon does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// The HTTP client could not be set up.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// There was no answer.
    #[error("no answer from {url}: {}", causes(source))]
    NoAnswer {
        /// What was asked.
        url: Url,
        /// Why.
        source: reqwest::Error,
    },
    /// It says itself that it is not.
    #[error("{url} answered {status}")]
    Unhealthy {
        /// What was asked.
        url: Url,
        /// Its answer.
        status: StatusCode,
    },
}

/// Asks `url`, usually `http://127.0.0.1:10117/-/healthy`, and wants a 200. With `insecure` any
/// certificate will do: that of a daemon on loopback is for another name.
///
/// # Errors
/// Any other answer, or none within five seconds.
pub async fn healthcheck(url: Url, insecure: bool) -> Result<(), HealthcheckError> {
    // No health check needs a login, and an error must not print one.
    let url = without_login(&url);
    let client = http_client()?.no_proxy().timeout(TIMEOUT);
    let client = client.tls_danger_accept_invalid_certs(insecure).build().map_err(BuildError)?;
    match client.get(url.clone()).send().await {
        Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
        Ok(answer) => Err(HealthcheckError::Unhealthy { url, status: answer.status() }),
        Err(source) => Err(HealthcheckError::NoAnswer { url, source: source.without_url() }),
    }
}
