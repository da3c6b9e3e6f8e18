//! The client of the Wazzup24 API, version 2 (technical partners).
//!
//! A [`Client`] belongs to one account and is used by its poller. [`Transport`] holds the connection
//! pools that the accounts share. Every request waits at the account's
//! [`Limiter`], follows no redirect, reads at most [`BODY_MAX`] bytes and is
//! counted by its [`Outcome`]. Only what upstream refuses with 429 is sent again here, after the
//! pause it asked for; everything else is for the poller to decide. What upstream does is described in
//! docs/upstream.md, with how sure we are of it.

mod error;
mod token;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

pub use self::error::{BuildError, Error, Malformed, causes};
use self::token::TokenReader;
pub use self::token::{Token, TokenError};
pub use self::transport::{Transport, http_client};
pub use self::wire::parse_counter;

use crate::account::{Account, UserId};
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::limit::{Lane, Limiter};
use crate::metrics::{Endpoint, Outcome, Process, Tally};

/// Longest body that is read; a counter's answer has about a hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How often a request is sent that is refused with 429 each time.
pub const ATTEMPTS_MAX: u32 = 5;

/// What RFC 3986 leaves unreserved stays as it is, everything else in a segment is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Asks the API on behalf of one account.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    account: Arc<Account>,
    limiter: Limiter,
    process: Arc<Process>,
    tally: Arc<Tally>,
    tokens: TokenReader,
}

impl Client {
    /// A client for `account` that sends through `http`, which [`Transport`] keeps for it, after
    /// passing `limiter`, and counts in `tally`.
    pub fn new(
        http: reqwest::Client,
        account: Arc<Account>,
        limiter: Limiter,
        process: Arc<Process>,
        tally: Arc<Tally>,
    ) -> Self {
        let tokens = TokenReader::default();
        Self { http, account, limiter, process, tally, tokens }
    }

    /// The account's token as it is now.
    ///
    /// # Errors
    /// When a token file cannot be read or holds nothing that could be a token.
    pub async fn token(&self) -> Result<Token, TokenError> {
        self.tokens.read(&self.account.auth).await
    }

    /// Whether upstream has asked for a pause that is not over.
    pub fn paused(&self) -> bool {
        self.limiter.paused()
    }

    /// Reads the counter of one user; also says when it was asked for, which is the latest time that
    /// the figure is certain to be as young as.
    ///
    /// # Errors
    /// Everything but a well-formed counter is an error.
    pub async fn counter(&self, token: &Token, user: &UserId) -> Result<(Reading, Stamp), Error> {
        let url = counter_url(&self.account.base_url, user);
        let mut attempt = 1;
        loop {
            match self.counter_once(url.clone(), token).await {
                Err(Error::Status { status: 429, retry_after, .. }) if attempt < ATTEMPTS_MAX => {
                    self.limiter.pause(retry_after);
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn counter_once(&self, url: Url, token: &Token) -> Result<(Reading, Stamp), Error> {
        let permit = self.limiter.acquire(Lane::Counter).await;
        let (sent, asked) = (Instant::now(), Stamp::now());
        let result = self.get(url, token).await.and_then(|body| Ok(parse_counter(&body)?));
        self.process.observe_request(Endpoint::Counter, sent.elapsed());
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| Outcome::Ok);
        self.tally.request(Endpoint::Counter, outcome);
        self.limiter.ended(outcome == Outcome::Timeout);
        drop(permit);
        result.map(|reading| (reading, asked))
    }

    async fn get(&self, url: Url, token: &Token) -> Result<Vec<u8>, Error> {
        let timeout = self.account.poll.timeout;
        let request = self.http.get(url).timeout(timeout);
        let request = request.header(AUTHORIZATION, token.header());
        let response = request.send().await.map_err(|error| Error::sending(error, timeout))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = read_body(response).await.map_err(|error| match error {
            BodyError::TooLong => Malformed::TooLong { limit: BODY_MAX }.into(),
            BodyError::Broken(error) if error.is_timeout() => Error::sending(error, timeout),
            BodyError::Broken(error) => Malformed::CutOff(error.without_url()).into(),
        });
        if status == StatusCode::OK {
            return body;
        }
        // Of a refusal the status counts; its body only helps to explain it.
        Err(refusal(status, &headers, &body.unwrap_or_default(), token))
    }
}

/// The address of a user's counter: the id is one segment, whatever it contains.
pub fn counter_url(base: &Url, user: &UserId) -> Url {
    let prefix = base.path().trim_end_matches('/');
    let id = utf8_percent_encode(user.as_str(), SEGMENT);
    let mut url = base.clone();
    url.set_path(&format!("{prefix}/v2/counters/unanswered/{id}"));
    url
}

enum BodyError {
    TooLong,
    Broken(reqwest::Error),
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + part.len() > BODY_MAX {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], token: &Token) -> Error {
    let detail = match headers.get(LOCATION).filter(|_| status.is_redirection()) {
        Some(target) => {
            let target = wire::parse_target(target.as_bytes());
            format!("redirected to {target}, which is not followed; check base_url")
        }
        None => wire::parse_problem(body, |text| token.mask(text)),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| wire::parse_retry_after(text, SystemTime::now()));
    Error::Status { status: status.as_u16(), detail, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, user: &str) -> String {
        counter_url(&base.parse().unwrap(), &UserId::parse(user).unwrap()).to_string()
    }

    #[test]
    fn a_user_id_is_one_encoded_segment() {
        let base = "https://tech.wazzup24.com";
        for (user, segment) in [
            ("1", "1"),
            ("a/b", "a%2Fb"),
            ("ünï", "%C3%BCn%C3%AF"),
            ("q\"uo\\te", "q%22uo%5Cte"),
            ("%2E", "%252E"),
            ("%2e%2e", "%252e%252e"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("...", "..."),
        ] {
            assert_eq!(
                url(base, user),
                format!("https://tech.wazzup24.com/v2/counters/unanswered/{segment}")
            );
        }
    }

    #[test]
    fn a_path_in_the_base_url_is_a_prefix() {
        for base in ["http://127.0.0.1:1/wazzup", "http://127.0.0.1:1/wazzup/"] {
            assert_eq!(url(base, "7"), "http://127.0.0.1:1/wazzup/v2/counters/unanswered/7");
        }
    }
}
