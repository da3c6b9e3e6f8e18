//! Bodies of responses, up to a length.

use std::time::Duration;

use reqwest::Response;

use super::error::{Error, Malformed};

/// Longest body of a counter or a refusal that is read; a counter's has about a hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// The whole body of a response to a request with the given timeout.
///
/// # Errors
/// When it has more than `limit` bytes, or ends or stalls before it is complete.
pub async fn read_body(
    mut response: Response,
    limit: usize,
    timeout: Duration,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| body_error(error, timeout))? {
        if body.len() + part.len() > limit {
            return Err(Malformed::TooLong { limit }.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn body_error(error: reqwest::Error, timeout: Duration) -> Error {
    if error.is_timeout() {
        return Error::sending(error, timeout);
    }
    Malformed::CutOff(error.without_url()).into()
}
