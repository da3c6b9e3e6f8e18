//! Asks a running daemon whether it is healthy, for containers that have no curl.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::error::CommandError;
use crate::net::without_login;
use crate::transport::{BuildError, causes, http_client};

/// Longer than any healthy answer takes, shorter than the usual time limit of a container's check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks `url`, usually `http://127.0.0.1:10117/-/healthy`, and wants a 200. With `insecure` any
/// certificate will do: that of a daemon on loopback is for another name.
///
/// # Errors
/// Any other answer, or none within five seconds.
pub async fn healthcheck(url: Url, insecure: bool) -> Result<(), CommandError> {
    // No health check needs a login, and an error must not print one.
    let url = without_login(&url);
    let client = http_client()?.no_proxy().timeout(TIMEOUT);
    let client = client.tls_danger_accept_invalid_certs(insecure).build().map_err(BuildError)?;
    match client.get(url.clone()).send().await {
        Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
        Ok(answer) => Err(CommandError::Runtime(format!("{url} answered {}", answer.status()))),
        Err(error) => {
            let why = causes(&error.without_url());
            Err(CommandError::Runtime(format!("no answer from {url}: {why}")))
        }
    }
}
