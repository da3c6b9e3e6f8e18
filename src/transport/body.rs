//! Bodies of responses: bounded each, and the large ones together.

use std::ops::Deref;
use std::time::Duration;

use reqwest::Response;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{Error, Malformed};

/// Longest body of a counter or a refusal that is read; a counter's has about a hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// From this size on a body counts as large: a list of some thousand users.
const LARGE: usize = 1024 * 1024;
/// Large bodies that are read or parsed at the same time, over all accounts.
static LARGE_BODIES: Semaphore = Semaphore::const_new(3);

/// A body. Whoever parses a large one keeps it until that is done: no more than three exist.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    large: Option<SemaphorePermit<'static>>,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body of a response to a request with the given timeout.
///
/// # Errors
/// When it has more than `limit` bytes, or ends or stalls before it is complete. Waiting for other
/// large bodies counts as stalling.
pub async fn read_body(
    mut response: Response,
    limit: usize,
    timeout: Duration,
) -> Result<Body, Error> {
    let mut body = Body::default();
    while let Some(part) = response.chunk().await.map_err(|error| body_error(error, timeout))? {
        let length = body.len() + part.len();
        if length > limit {
            return Err(Malformed::TooLong { limit }.into());
        }
        if length > LARGE && body.large.is_none() {
            let permit = LARGE_BODIES.acquire().await;
            body.large = Some(permit.expect("this semaphore is never closed"));
        }
        body.bytes.extend_from_slice(&part);
    }
    Ok(body)
}

fn body_error(error: reqwest::Error, timeout: Duration) -> Error {
    if error.is_timeout() {
        return Error::sending(error, timeout);
    }
    Malformed::CutOff(error.without_url()).into()
}
