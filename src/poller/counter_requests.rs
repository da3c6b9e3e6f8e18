//! Requests for counters in flight and the token that they are sent with: what sweeps and full reads share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::account::UserId;
use crate::api::{Client, CounterResponse};
use crate::auth::{Token, TokenError};
use crate::metrics::Outcome;
use crate::transport::Error;

/// Requests for counters; `K` is what the caller knows a request by.
pub(super) struct CounterRequests<K> {
    client: Arc<Client>,
    /// Whether they go ahead of other requests for counters.
    fresh: bool,
    /// The token of the next request.
    pub(super) token: Token,
    /// Whether another token is awaited because one was refused, and whether it was: that is done once.
    renewal: Renewal,
    /// Why that gave no token, if it failed.
    pub(super) renewal_error: Option<TokenError>,
    open: FuturesUnordered<BoxFuture<'static, EndedRequest<K>>>,
}

#[derive(PartialEq)]
enum Renewal {
    NotNeeded,
    Awaited,
    Done,
}

/// How a request ended.
pub(super) struct EndedRequest<K> {
    pub(super) key: K,
    /// The token that it was given.
    pub(super) token: Token,
    pub(super) took: Duration,
    pub(super) result: Result<CounterResponse, Error>,
    /// Another token, requested because this one was refused.
    other: Option<Result<Token, TokenError>>,
}

impl<K: Send + 'static> CounterRequests<K> {
    /// None yet, for a sweep.
    pub(super) fn new(client: &Arc<Client>, token: Token) -> Self {
        Self {
            client: Arc::clone(client),
            fresh: false,
            token,
            renewal: Renewal::NotNeeded,
            renewal_error: None,
            open: FuturesUnordered::new(),
        }
    }

    /// None yet, ahead of those of sweeps.
    pub(super) fn fresh(client: &Arc<Client>, token: Token) -> Self {
        Self { fresh: true, ..Self::new(client, token) }
    }

    /// Whether none is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether another one may be sent: not while one in use was refused and another token is awaited.
    pub(super) fn has_room(&self) -> bool {
        let concurrency = self.client.account.poll.concurrency;
        self.open.len() < concurrency && self.renewal != Renewal::Awaited
    }

    pub(super) fn send(&mut self, key: K, user: UserId) {
        let (client, token, fresh) = (Arc::clone(&self.client), self.token.clone(), self.fresh);
        self.open.push(Box::pin(async move {
            let sent = Instant::now();
            let result = match client.check_end(&token).await {
                Err(error) => Err(error.into()),
                Ok(()) if fresh => client.fresh_counter(&token, &user).await,
                Ok(()) => client.counter(&token, &user).await,
            };
            EndedRequest { key, token, took: sent.elapsed(), result, other: None }
        }));
    }

    /// The next that ends; `None` if there is none in flight. One whose token is refused ends once another
    /// token was requested. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<EndedRequest<K>> {
        loop {
            let mut ended = self.open.next().await?;
            match ended.other.take() {
                Some(Ok(token)) => (self.token, self.renewal) = (token, Renewal::Done),
                Some(Err(error)) => {
                    (self.renewal_error, self.renewal) = (Some(error), Renewal::Done);
                }
                None if self.needs_other_token(&ended) => {
                    self.request_other_token(ended);
                    continue;
                }
                None => {}
            }
            return Some(ended);
        }
    }

    fn needs_other_token(&self, ended: &EndedRequest<K>) -> bool {
        let refused = |error: &Error| error.outcome() == Outcome::Unauthorized;
        let refused = ended.result.as_ref().is_err_and(refused);
        refused && ended.token == self.token && self.renewal != Renewal::Done
    }

    /// Requests another token in place of a refused one. That is one of the futures in flight, so that the
    /// others go on meanwhile and give their permits back.
    fn request_other_token(&mut self, refused: EndedRequest<K>) {
        self.renewal = Renewal::Awaited;
        let client = Arc::clone(&self.client);
        self.open.push(Box::pin(async move {
            let other = Some(client.other_token(&refused.token).await);
            EndedRequest { other, ..refused }
        }));
    }
}
