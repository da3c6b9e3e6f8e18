//! The one request that changes something: clearing the counters of a whole account
//! (docs/upstream.md, "Reset").
//!
//! It is sent over a client of its own, made for this one request: HTTP/1.1, no idle connection that
//! could be used again, no redirect, no second attempt ([`SingleUseClient`]). Its results differ in one
//! point: can it have been carried out ([`ClearOutcome`])?

use std::sync::Arc;
use std::time::Instant;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::client::Client;
use super::urls::below;
use super::wire::parse_reset;
use crate::account::AccountId;
use crate::auth::Token;
use crate::limit::Lane;
use crate::metrics::{Endpoint, Outcome};
use crate::transport::{
    BODY_MAX, BuildError, ConnectionPools, Error, HttpClient, read_body, refusal,
};
use crate::{blocking, text};

/// Longest account number of a response that is repeated, in characters.
const FOUND_MAX: usize = 40;

/// A client for one request.
pub struct SingleUseClient(HttpClient);

/// The result of a reset that was to be sent.
#[derive(Debug)]
pub enum ClearOutcome {
    /// Upstream says that the account's counters are cleared.
    Cleared,
    /// Upstream names another account, so something was cleared that should not have been.
    OtherAccount {
        /// The number it names, cut and cleaned.
        found: String,
    },
    /// Upstream says of the right account that it was not cleared.
    NotCleared,
    /// Upstream refused before doing anything.
    Refused(Error),
    /// It was not sent: there was no connection, or no room in the limit.
    NotSent(Error),
    /// It may have been sent, and no response says whether it was carried out.
    Unknown(Error),
}

impl Client {
    /// The client over which a reset of this account is sent; nothing is sent yet.
    ///
    /// # Errors
    /// When TLS or the proxy cannot be set up, which a validated configuration rules out.
    pub async fn single_use_client(&self) -> Result<SingleUseClient, BuildError> {
        let account = Arc::clone(&self.account);
        // The system's certificates are read from disk.
        let built = blocking::run(move || ConnectionPools::single_use(&account)).await;
        built.map(SingleUseClient)
    }

    /// Clears the counters of all chats of the account. Sent once, whatever happens. Only for a task that
    /// nothing cancels: the result would be lost.
    pub async fn clear(&self, http: SingleUseClient, token: Token) -> ClearOutcome {
        let limit = self.account.poll.timeout;
        // A request that waits without limit would be sent when it is no longer expected.
        let permitted = timeout(limit, self.permitted(Lane::Urgent, &token)).await;
        let (permit, token) = match permitted {
            Ok(Ok(permitted)) => permitted,
            Ok(Err(error)) => return ClearOutcome::NotSent(error),
            Err(_) => {
                let why = format!("the rate limit left no room for it within {limit:?}");
                return ClearOutcome::NotSent(Error::NotSent(why, Outcome::RateLimited));
            }
        };
        let url = below(&self.account.base_url, "v2/chats/unanswered");
        let sent = Instant::now();
        let request =
            http.0.request(Method::DELETE, url).header(AUTHORIZATION, token.header.clone());
        let clearing = match http.0.send(request, limit).await {
            Ok(response) => self.interpret(response, &token).await,
            Err(error) if error.was_not_sent() => ClearOutcome::NotSent(error),
            Err(error) => ClearOutcome::Unknown(error),
        };
        self.process.observe_request(Endpoint::Reset, sent.elapsed());
        let outcome = clearing.outcome();
        self.tally.request(Endpoint::Reset, outcome);
        self.limiter.request_ended(outcome == Outcome::Timeout);
        drop(permit);
        if let ClearOutcome::Refused(Error::Status { status: 429, retry_after, .. }) = &clearing {
            self.limiter.pause(*retry_after);
        }
        clearing
    }

    async fn interpret(&self, response: Response, token: &Token) -> ClearOutcome {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, BODY_MAX, self.account.poll.timeout).await;
        if status != StatusCode::OK {
            let mask = |text: &str| token.mask(text);
            let error = refusal(status, &headers, body.as_deref().ok(), mask);
            return if error.was_turned_away() {
                ClearOutcome::Refused(error)
            } else {
                ClearOutcome::Unknown(error)
            };
        }
        let response = body.and_then(|body| Ok(parse_reset(&body)?));
        let response = match response {
            Ok(response) => response,
            Err(error) => return ClearOutcome::Unknown(error),
        };
        let found = AccountId::parse(&response.account_id).ok();
        if found.is_none() || found != self.account.account_id {
            let found = text::one_line(&token.mask(&response.account_id), FOUND_MAX);
            return ClearOutcome::OtherAccount { found };
        }
        if response.cleared { ClearOutcome::Cleared } else { ClearOutcome::NotCleared }
    }
}

impl ClearOutcome {
    /// The label value under which the request is counted.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Cleared => Outcome::Ok,
            Self::OtherAccount { .. } | Self::NotCleared => Outcome::Malformed,
            Self::Refused(error) | Self::NotSent(error) | Self::Unknown(error) => error.outcome(),
        }
    }
}
