//! Requests for counters in flight and the token that they are sent with: what sweeps and full reads share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::actor::with_heartbeat;
use crate::account::UserId;
use crate::api::{Client, CounterResponse};
use crate::auth::{Token, TokenError};
use crate::health::Heartbeat;
use crate::transport::Error;

/// Requests for counters; `K` is what the caller knows a request by.
pub(super) struct CounterRequests<K> {
    client: Arc<Client>,
    /// Whether they go ahead of other requests for counters.
    fresh: bool,
    /// The token of the next request.
    pub(super) token: Token,
    /// Whether another one was requested because one was refused; that is done once.
    replaced: bool,
    /// Why that gave no token, if it failed.
    pub(super) renewal_error: Option<TokenError>,
    open: FuturesUnordered<BoxFuture<'static, EndedRequest<K>>>,
}

/// How a request ended.
pub(super) struct EndedRequest<K> {
    pub(super) key: K,
    /// The token that it was given.
    pub(super) token: Token,
    pub(super) took: Duration,
    pub(super) result: Result<CounterResponse, Error>,
}

impl<K: Send + 'static> CounterRequests<K> {
    /// None yet, for a sweep.
    pub(super) fn new(client: &Arc<Client>, token: Token) -> Self {
        Self {
            client: Arc::clone(client),
            fresh: false,
            token,
            replaced: false,
            renewal_error: None,
            open: FuturesUnordered::new(),
        }
    }

    /// None yet, ahead of those of sweeps.
    pub(super) fn fresh(client: &Arc<Client>, token: Token) -> Self {
        Self { fresh: true, ..Self::new(client, token) }
    }

    /// How many are in flight.
    pub(super) fn len(&self) -> usize {
        self.open.len()
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
            EndedRequest { key, token, took: sent.elapsed(), result }
        }));
    }

    /// The next that ends; `None` if there is none in flight. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<EndedRequest<K>> {
        self.open.next().await
    }

    /// Whether there is another token than `refused`: it has changed since that request was sent, or does
    /// so now that another one is requested.
    pub(super) async fn has_other_token(&mut self, refused: &Token, heartbeat: &Heartbeat) -> bool {
        if *refused != self.token {
            return true;
        }
        if std::mem::replace(&mut self.replaced, true) {
            return false;
        }
        let other = self.client.other_token(refused);
        match with_heartbeat(heartbeat, &self.client, other).await {
            Ok(token) => {
                self.token = token;
                self.token != *refused
            }
            Err(error) => {
                self.renewal_error = Some(error);
                false
            }
        }
    }
}
