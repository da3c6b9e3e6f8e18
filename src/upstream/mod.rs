//! The client of the Wazzup24 API: version 2 (technical partners) and version 3 (public).
//!
//! A [`Client`] belongs to one account and is used by its poller. [`Transport`] holds the connection
//! pools that the accounts share. Every request waits at the account's
//! [`Limiter`], follows no redirect, reads a bounded answer and is counted by its
//! [`Outcome`]. Only what upstream refuses with 429 is sent again here, after the
//! pause it asked for; everything else is for the poller to decide. What upstream does is described in
//! docs/upstream.md, with how sure we are of it.

mod address;
mod error;
mod lists;
mod reset;
mod token;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

pub use self::address::counter_url;
pub use self::error::{BuildError, Error, Malformed, causes};
pub use self::lists::ListError;
pub use self::reset::{Clearing, Single, Unsent};
pub use self::token::{
    CommandError, LoggedIn, LoginReason, Token, TokenError, TokenFacts, TokenSource, Tokens,
};
pub use self::transport::{Transport, http_client};
pub use self::wire::{
    ListedUser, ResetAnswer, UserPage, parse_channels, parse_counter, parse_reset, parse_roles,
    parse_users, parse_webhooks,
};

use crate::account::{Account, UserId};
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::limit::{Lane, Limiter};
use crate::metrics::{Endpoint, Outcome, Process, Tally};

/// Longest body of a counter or a refusal that is read; a counter's has about a hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How often a request is sent that is refused with 429 each time.
pub const ATTEMPTS_MAX: u32 = 5;

/// What is asked, and how.
#[derive(Debug)]
struct Request {
    endpoint: Endpoint,
    lane: Lane,
    url: Url,
    /// Longest answer that is read, in bytes.
    longest: usize,
}

/// Asks the API on behalf of one account.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    account: Arc<Account>,
    limiter: Limiter,
    process: Arc<Process>,
    tally: Arc<Tally>,
    tokens: TokenSource,
}

impl Client {
    /// A client for `account` that sends through `http`, which [`Transport`] keeps for it, after
    /// passing `limiter`, with tokens from `tokens`, and counts in `tally`.
    pub fn new(
        http: reqwest::Client,
        account: Arc<Account>,
        limiter: Limiter,
        process: Arc<Process>,
        tally: Arc<Tally>,
        tokens: TokenSource,
    ) -> Self {
        Self { http, account, limiter, process, tally, tokens }
    }

    /// The token to use now. Renewed ahead of its end; otherwise it costs next to nothing.
    ///
    /// # Errors
    /// When there is none and none can be had.
    pub async fn token(&self) -> Result<Token, TokenError> {
        self.tokens.token().await
    }

    /// Another token than one that upstream has refused, if there is one or one can be had; the same
    /// if nothing speaks for it that another would be taken. However many ask, one is obtained.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn other_token(&self, refused: &Token) -> Result<Token, TokenError> {
        self.tokens.other_token(refused).await
    }

    /// What is known of the token, apart from itself.
    pub fn token_facts(&self) -> TokenFacts {
        self.tokens.facts()
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
        self.counter_in(Lane::Counter, token, user).await
    }

    /// The same ahead of all counters that are read for their own sake, because a reset waits for it.
    ///
    /// # Errors
    /// As for [`counter`](Self::counter).
    pub async fn fresh_counter(
        &self,
        token: &Token,
        user: &UserId,
    ) -> Result<(Reading, Stamp), Error> {
        self.counter_in(Lane::Fresh, token, user).await
    }

    async fn counter_in(
        &self,
        lane: Lane,
        token: &Token,
        user: &UserId,
    ) -> Result<(Reading, Stamp), Error> {
        let api = self.account.api;
        let url = counter_url(&self.account.base_url, api, user);
        let request = Request { endpoint: Endpoint::Counter, lane, url, longest: BODY_MAX };
        self.ask(request, token, |body| parse_counter(api, body)).await
    }

    /// Asks for a user's counter and gives the answer as it came, for people to look at.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn raw_counter(&self, user: &UserId) -> Result<RawAnswer, ListError> {
        let token = self.token().await?;
        let url = counter_url(&self.account.base_url, self.account.api, user);
        let _permit = self.limiter.acquire(Lane::Counter).await;
        let timeout = self.account.poll.timeout;
        let response = self.send(url, Some(&token)).await?;
        let status = response.status().as_u16();
        let body =
            read_body(response, BODY_MAX).await.map_err(|error| told(error, BODY_MAX, timeout))?;
        let body = wire::printable(&token.mask(&String::from_utf8_lossy(&body)));
        Ok(RawAnswer { status, body })
    }

    /// Whether anything answers at the account's address, whatever it says; asked without the token.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn reach(&self) -> Result<(), Error> {
        let _permit = self.limiter.acquire(Lane::List).await;
        self.send(self.account.base_url.clone(), None).await.map(|_| ())
    }

    /// Sends a request, again after each pause that upstream asks for, and reads the answer.
    async fn ask<T>(
        &self,
        request: Request,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<(T, Stamp), Error> {
        let mut attempt = 1;
        loop {
            match self.ask_once(&request, token, &parse).await {
                Err(Error::Status { status: 429, retry_after, .. }) if attempt < ATTEMPTS_MAX => {
                    self.limiter.pause(retry_after);
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn ask_once<T>(
        &self,
        request: &Request,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<(T, Stamp), Error> {
        let permit = self.limiter.acquire(request.lane).await;
        let (sent, asked) = (Instant::now(), Stamp::now());
        let result = self.get(request, token).await.and_then(|body| Ok(parse(&body)?));
        self.process.observe_request(request.endpoint, sent.elapsed());
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| Outcome::Ok);
        self.tally.request(request.endpoint, outcome);
        self.limiter.ended(outcome == Outcome::Timeout);
        drop(permit);
        result.map(|answer| (answer, asked))
    }

    async fn get(&self, request: &Request, token: &Token) -> Result<Vec<u8>, Error> {
        let response = self.send(request.url.clone(), Some(token)).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let longest = if status == StatusCode::OK { request.longest } else { BODY_MAX };
        let timeout = self.account.poll.timeout;
        let body = read_body(response, longest).await;
        let body = body.map_err(|error| told(error, longest, timeout));
        if status == StatusCode::OK {
            return body;
        }
        // Of a refusal the status counts; its body only helps to explain it.
        Err(refusal(status, &headers, &body.unwrap_or_default(), |text| token.mask(text)))
    }

    async fn send(&self, url: Url, token: Option<&Token>) -> Result<Response, Error> {
        let timeout = self.account.poll.timeout;
        let mut request = self.http.get(url).timeout(timeout);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.header());
        }
        request.send().await.map_err(|error| Error::sending(error, timeout))
    }
}

/// An answer as it came, but without the token in it, and shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

fn told(error: BodyError, longest: usize, timeout: Duration) -> Error {
    match error {
        BodyError::TooLong => Malformed::TooLong { limit: longest }.into(),
        BodyError::Broken(error) if error.is_timeout() => Error::sending(error, timeout),
        BodyError::Broken(error) => Malformed::CutOff(error.without_url()).into(),
    }
}

enum BodyError {
    TooLong,
    Broken(reqwest::Error),
}

async fn read_body(mut response: Response, longest: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + part.len() > longest {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// What an answer with another status says; `mask` takes out secrets that it may repeat.
fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    mask: impl Fn(&str) -> String,
) -> Error {
    let detail = match headers.get(LOCATION).filter(|_| status.is_redirection()) {
        Some(target) => {
            let target = wire::parse_target(target.as_bytes());
            format!("redirected to {target}, which is not followed; check base_url")
        }
        None => wire::parse_problem(body, mask),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| wire::parse_retry_after(text, SystemTime::now()));
    Error::Status { status: status.as_u16(), detail, retry_after }
}
