//! Requests on behalf of one account: counters here, the others in `lists` and `clear`.
//!
//! Only requests that upstream refuses with 429 are sent again here, after the requested pause; all
//! other retries are decided by the poller.

use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::freshness::{UpstreamClock, cached_for, made_at};
use super::urls::counter_url;
use super::wire::parse_counter;
use crate::account::{Account, UserId};
use crate::auth::{Token, TokenError, TokenSource};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::limit::{Lane, Limiter, Permit};
use crate::metrics::{Endpoint, Outcome, ProcessMetrics, Tally};
use crate::transport::{BODY_MAX, Body, Error, HttpClient, Malformed, read_body, refusal};
use crate::{blocking, text};

/// Longest body that is shown as it came, in characters.
const BODY_SHOWN_MAX: usize = 2000;
/// Longest name of an encoding that is repeated, in characters.
const ENCODING_SHOWN_MAX: usize = 40;
/// How often a request is sent that is refused with 429 each time.
pub const ATTEMPTS_MAX: u32 = 5;

/// One request for a body of JSON.
pub(super) struct ApiRequest {
    pub(super) endpoint: Endpoint,
    pub(super) lane: Lane,
    pub(super) url: Url,
    /// Longest response that is read, in bytes.
    pub(super) body_max: usize,
}

/// A counter as upstream answered.
pub struct CounterResponse {
    /// The counter.
    pub reading: Reading,
    /// When it was requested: it is at least as recent as that.
    pub asked: Stamp,
    /// The token that was sent, which may be another one than was given.
    pub token: Token,
}

/// Sends requests to the API on behalf of one account.
pub struct Client {
    http: HttpClient,
    pub(crate) account: Arc<Account>,
    pub(crate) limiter: Limiter,
    pub(super) process: Arc<ProcessMetrics>,
    pub(super) tally: Arc<Tally>,
    pub(crate) tokens: TokenSource,
    /// By the times in the bodies of counters.
    pub(super) clock: Arc<Mutex<UpstreamClock>>,
    /// By the headers of all answers.
    dates: Mutex<UpstreamClock>,
}

impl Client {
    /// A client for `account` that sends through `http`, one of the
    /// [`ConnectionPools`](crate::transport::ConnectionPools), after passing `limiter`, with tokens from
    /// `tokens`, and counts in `tally`.
    pub fn new(
        http: HttpClient,
        account: Arc<Account>,
        limiter: Limiter,
        process: Arc<ProcessMetrics>,
        tally: Arc<Tally>,
        tokens: TokenSource,
    ) -> Self {
        let (clock, dates) = Default::default();
        Self { http, account, limiter, process, tally, tokens, clock, dates }
    }

    /// The token to use now. Renewed ahead of its expiry, otherwise cached.
    ///
    /// # Errors
    /// When there is none and none can be had.
    pub async fn token(&self) -> Result<Token, TokenError> {
        self.tokens.token().await
    }

    /// Another token than one that upstream has refused, if there is one or one can be obtained; the
    /// same if another one is not likely to be accepted. One is obtained, however many callers ask.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn other_token(&self, refused: &Token) -> Result<Token, TokenError> {
        self.tokens.other_token(refused).await
    }

    /// Refuses a token that does not renew itself, has ended by both clocks, of which one may be wrong, and was
    /// not replaced.
    ///
    /// # Errors
    /// [`TokenError::Expired`], or why its file cannot be read.
    pub async fn check_end(&self, token: &Token) -> Result<(), TokenError> {
        let now = Stamp::now();
        if self.tokens.renews_itself() || !token.has_ended(now.unix) {
            return Ok(());
        }
        let theirs = lock(&self.dates).now(now).or_else(|| lock(&self.clock).now(now));
        let latest = self.tokens.latest(token).await?;
        let over = |theirs| latest.has_ended(now.unix) && latest.has_ended(theirs);
        if theirs.is_some_and(over) { Err(TokenError::Expired) } else { Ok(()) }
    }

    /// Reads the counter of one user.
    ///
    /// # Errors
    /// Everything but a well-formed counter is an error.
    pub async fn counter(&self, token: &Token, user: &UserId) -> Result<CounterResponse, Error> {
        self.counter_in_lane(Lane::Counter, token, user).await
    }

    /// The same ahead of the counters of sweeps, because a reset waits for it.
    ///
    /// # Errors
    /// As for [`counter`](Self::counter).
    pub async fn fresh_counter(
        &self,
        token: &Token,
        user: &UserId,
    ) -> Result<CounterResponse, Error> {
        self.counter_in_lane(Lane::Fresh, token, user).await
    }

    async fn counter_in_lane(
        &self,
        lane: Lane,
        token: &Token,
        user: &UserId,
    ) -> Result<CounterResponse, Error> {
        let api = self.account.api;
        let url = counter_url(&self.account.base_url, api, user);
        let request = ApiRequest { endpoint: Endpoint::Counter, lane, url, body_max: BODY_MAX };
        let (clock, stale_after) = (Arc::clone(&self.clock), self.account.poll.stale_after);
        let parse = move |body: &[u8]| {
            let reading = parse_counter(api, body)?;
            if let Some(time) = reading.server_time {
                let time = Duration::from_secs(time.unsigned_abs());
                let checked = lock(&clock).check(time, Stamp::now(), stale_after);
                checked.map_err(Malformed::Old)?;
            }
            Ok(reading)
        };
        let (reading, asked, token) = self.request(request, token, parse).await?;
        Ok(CounterResponse { reading, asked, token })
    }

    /// Requests a user's counter and returns the status and the body as they are, but without the token in it and
    /// shortened, for `doctor`.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn raw_counter(&self, user: &UserId) -> Result<(u16, String), Error> {
        let token = self.token().await?;
        let url = counter_url(&self.account.base_url, self.account.api, user);
        let _permit = self.limiter.acquire(Lane::Counter).await;
        let timeout = self.account.poll.timeout;
        let response = self.send(url, Some(&token)).await?;
        let status = response.status().as_u16();
        let body = read_body(response, BODY_MAX, timeout).await?;
        let body = text::one_line(&token.mask(&String::from_utf8_lossy(&body)), BODY_SHOWN_MAX);
        Ok((status, body))
    }

    /// Whether there is any response from the account's address; sent without the token.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn check_reachable(&self) -> Result<(), Error> {
        let _permit = self.limiter.acquire(Lane::List).await;
        self.send(self.account.base_url.clone(), None).await.map(|_| ())
    }

    /// Sends a request, again after each pause that upstream asks for, and reads the answer. Returns it with
    /// the time of the request and the token that was sent.
    pub(super) async fn request<T: Send + 'static>(
        &self,
        request: ApiRequest,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed> + Clone + Send + 'static,
    ) -> Result<(T, Stamp, Token), Error> {
        let mut attempt = 1;
        loop {
            match self.request_once(&request, token, parse.clone()).await {
                Err(Error::Status { status: 429, retry_after, .. }) if attempt < ATTEMPTS_MAX => {
                    self.limiter.pause(retry_after);
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn request_once<T: Send + 'static>(
        &self,
        request: &ApiRequest,
        token: &Token,
        parse: impl Fn(&[u8]) -> Result<T, Malformed> + Send + 'static,
    ) -> Result<(T, Stamp, Token), Error> {
        let (permit, token) = self.permitted(request.lane, token).await?;
        let (sent, asked) = (Instant::now(), Stamp::now());
        let (result, permit) = match self.get(request, &token).await {
            // The permit and the body go along: what no caller waits for any more still counts.
            Ok(body) if body.len() > BODY_MAX => {
                blocking::run(move || (parse(&body).map_err(Error::from), permit)).await
            }
            body => (body.and_then(|body| Ok(parse(&body)?)), permit),
        };
        self.process.observe_request(request.endpoint, sent.elapsed());
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| Outcome::Ok);
        self.tally.request(request.endpoint, outcome);
        self.limiter.request_ended(outcome == Outcome::Timeout);
        drop(permit);
        result.map(|response| (response, asked, token))
    }

    /// Waits for a permit, and returns it with the token that is good then: `token` may have expired while
    /// others went first.
    pub(super) async fn permitted(
        &self,
        lane: Lane,
        token: &Token,
    ) -> Result<(Permit, Token), Error> {
        let mut again = false;
        loop {
            let latest = self.tokens.latest(token).await?;
            // One that expires meanwhile is renewed without a permit, which that needs itself.
            let permit = self.limiter.acquire(lane).await;
            match self.tokens.unexpired(&latest) {
                Some(token) => return Ok((permit, token)),
                // One that has expired again is sent all the same: by a wrong clock every token has.
                None if again => return Ok((permit, latest)),
                None => again = true,
            }
        }
    }

    async fn get(&self, request: &ApiRequest, token: &Token) -> Result<Body, Error> {
        let mut response = self.send(request.url.clone(), Some(token)).await?;
        let status = response.status();
        let headers = mem::take(response.headers_mut());
        let body_max = if status == StatusCode::OK { request.body_max } else { BODY_MAX };
        let timeout = self.account.poll.timeout;
        let body = read_body(response, body_max, timeout).await;
        if status == StatusCode::OK {
            self.check_source(&headers, token)?;
            return body;
        }
        // Of a refusal the status counts; its body only helps to explain it.
        Err(refusal(status, &headers, body.as_deref().ok(), |text| token.mask(text)))
    }

    /// Whether an answer is upstream's own and as it was asked for: not from a cache, not compressed.
    fn check_source(&self, headers: &HeaderMap, token: &Token) -> Result<(), Malformed> {
        let stale_after = self.account.poll.stale_after;
        if let Some(age) = cached_for(headers).filter(|age| *age > stale_after) {
            return Err(Malformed::Old(age));
        }
        // Some caches add no `Age`, and v3 has no time of its own in its answers.
        if let Some(date) = made_at(headers) {
            let checked = lock(&self.dates).check(date, Stamp::now(), stale_after);
            checked.map_err(Malformed::Old)?;
        }
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        match encoding.map(str::trim) {
            None | Some("" | "identity") => Ok(()),
            Some(encoding) => {
                Err(Malformed::Encoded(text::one_line(&token.mask(encoding), ENCODING_SHOWN_MAX)))
            }
        }
    }

    async fn send(&self, url: Url, token: Option<&Token>) -> Result<Response, Error> {
        let timeout = self.account.poll.timeout;
        let mut request = self.http.request(Method::GET, url);
        // Without these a gateway on the way may answer from its cache, or compress.
        request = request.header(CACHE_CONTROL, "no-cache").header(ACCEPT_ENCODING, "identity");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        self.http.send(request, timeout).await
    }
}
