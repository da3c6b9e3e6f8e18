//! Bodies of responses: bounded each, and the large ones together.

use std::ops::Deref;
use std::time::Duration;

use reqwest::Response;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::error::{Error, Malformed};

/// Longest body of a counter or a refusal that is read; a counter's has about a hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// From this size on a body counts as large: a list of some thousand users.
const LARGE: usize = 1024 * 1024;
/// Large bodies that are read or parsed at the same time, over all accounts.
static LARGE_BODIES: Semaphore = Semaphore::const_new(3);
/// How long one may be read while others wait: servers that send slowly would keep all of them out.
const TURN: Duration = Duration::from_secs(2);

/// A body. A large one is kept until it has been parsed: no more than three exist.
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
/// large bodies counts as stalling, and so does being large for more than two seconds while others wait.
pub async fn read_body(
    mut response: Response,
    limit: usize,
    timeout: Duration,
) -> Result<Body, Error> {
    let mut body = Body::default();
    let mut turn_ends = Instant::now();
    loop {
        let part = tokio::select! {
            biased;
            part = response.chunk() => part.map_err(|error| body_error(error, timeout))?,
            () = sleep_until(turn_ends), if body.large.is_some() => {
                // What is given back goes to those who wait, if there are any.
                body.large = None;
                let again = LARGE_BODIES.try_acquire();
                body.large = Some(again.map_err(|_| Error::Timeout(TURN))?);
                turn_ends = Instant::now() + TURN;
                continue;
            }
        };
        let Some(part) = part else { return Ok(body) };
        let length = body.len() + part.len();
        if length > limit {
            return Err(Malformed::TooLong(limit).into());
        }
        if length > LARGE && body.large.is_none() {
            // The request holds permits that others could use.
            let permit = tokio::time::timeout(timeout, LARGE_BODIES.acquire()).await;
            let permit = permit.map_err(|_| Error::Timeout(timeout))?;
            body.large = Some(permit.expect("this semaphore is never closed"));
            turn_ends = Instant::now() + TURN;
        }
        body.bytes.extend_from_slice(&part);
    }
}

fn body_error(error: reqwest::Error, timeout: Duration) -> Error {
    if error.is_timeout() {
        return Error::sending(error, timeout);
    }
    Malformed::CutOff(error.without_url()).into()
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};

    use super::*;

    /// Reads a large body that stalls.
    async fn read_stalling() -> Result<Body, Error> {
        let part = Frame::data(Bytes::from(vec![b' '; LARGE + 1]));
        let stalls = stream::iter([Ok::<_, io::Error>(part)]).chain(stream::pending());
        let response = hyper::Response::new(reqwest::Body::wrap(StreamBody::new(stalls)));
        read_body(Response::from(response), 2 * LARGE, Duration::from_mins(1)).await
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_but_not_for_ever() {
        let read = async || {
            let response = hyper::Response::new(vec![b' '; LARGE + 1]);
            read_body(Response::from(response), 2 * LARGE, Duration::from_secs(10)).await
        };
        for _ in 0..9 {
            tokio::spawn(read_stalling());
        }
        tokio::task::yield_now().await;
        assert_eq!(LARGE_BODIES.available_permits(), 0);
        read().await.unwrap();
        let first = read().await.unwrap();
        let others = [read().await.unwrap(), read().await.unwrap()];
        assert!(matches!(read().await, Err(Error::Timeout(_))));
        drop(first);
        assert_eq!(read().await.unwrap().len(), LARGE + 1);
        drop(others);
    }
}
