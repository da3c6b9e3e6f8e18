//! What the simulated API answers to a request.
//!
//! [`answer`] is called by the server for every request: it notes the request, applies the limit
//! and the faults, and otherwise answers as the real API would. An [`Aborted`] request gets no
//! answer at all; the server resets its connection.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::json;

use super::account::Account;
use super::answer::{self, Reply};
use super::authorize;
use super::control;
use super::counts::Traffic;
use super::endpoint::{Endpoint, Route, Version};
use super::fault::{FaultKind, Subject};
use super::lists;
use super::oauth::TokenRequest;
use super::partner::Partner;
use super::rate_limit::RateLimit;
use super::record;
use super::spec::Access;
use super::user::User;
use super::v3;
use super::world::World;

/// The request is to end in a connection reset.
#[derive(Debug, thiserror::Error)]
#[error("a fault resets the connection")]
pub(super) struct Aborted;

/// Answers one request.
pub(super) async fn answer(
    world: Arc<World>,
    request: Request<Incoming>,
) -> Result<Reply, Aborted> {
    if world.control && request.uri().path().starts_with(control::PREFIX) {
        return Ok(control::answer(&world, request).await);
    }
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let mut route = Route::of(head.uri.path());
    let takes_body = matches!(route.endpoint, Endpoint::OtherGrant | Endpoint::Authorize);
    let body = if takes_body { read(body).await } else { Bytes::new() };
    let token = (route.endpoint == Endpoint::OtherGrant).then(|| TokenRequest::read(&head, &body));
    if let Some(token) = &token {
        route.endpoint = token.endpoint();
    }
    let api_request = ApiRequest {
        arrived,
        caller: Caller::of(&world, &head, token.as_ref()),
        head,
        body,
        route,
        token,
    };
    let (traffics, endpoint) = (api_request.caller.traffics(), api_request.route.endpoint);
    let open = world.recorder.open(traffics, endpoint, || api_request.describe());
    tracing::trace!(method = %api_request.head.method, path = api_request.path(), "request");
    let reply = api_request.reply(&world).await?;
    open.answered(reply.status().as_u16());
    Ok(reply)
}

/// A body as far as it can be had; one that is broken or too large is as good as none.
async fn read(body: Incoming) -> Bytes {
    const LARGEST: usize = 64 * 1024;
    let body = Limited::new(body, LARGEST).collect().await;
    body.map(Collected::to_bytes).unwrap_or_default()
}

/// The account or the partner whose credential a request carries.
#[derive(Clone, Copy)]
struct Caller<'a> {
    account: Option<&'a Account>,
    partner: Option<&'a Partner>,
    /// Whether the bearer token is still good.
    live: bool,
}

impl<'a> Caller<'a> {
    fn of(world: &'a World, head: &Parts, token: Option<&TokenRequest>) -> Self {
        if let Some(token) = token {
            let (account, partner) = (token.account(world), token.partner(world));
            let (account, partner) = (account.map(|(_, one)| one), partner.map(|(_, one)| one));
            return Self { account, partner, live: false };
        }
        let bearer = bearer(&head.headers).and_then(|token| world.bearer(token));
        Self {
            account: bearer.map(|(account, _)| account),
            partner: None,
            live: bearer.is_some_and(|(_, live)| live),
        }
    }

    fn traffics(self) -> [Option<&'a Traffic>; 2] {
        [self.account.map(|account| &account.traffic), self.partner.map(|partner| &partner.traffic)]
    }

    /// Counts the request against the limit of its credential. The error is the time to the next
    /// window. An unknown credential has no window.
    fn admit(self, since_start: Duration, limit: &RateLimit) -> Result<(), Duration> {
        match (self.partner, self.account) {
            (Some(partner), _) => partner.admit(since_start, limit),
            (None, Some(account)) if self.live => account.admit(since_start, limit),
            _ => Ok(()),
        }
    }
}

/// A request taken apart.
struct ApiRequest<'a> {
    arrived: Instant,
    head: Parts,
    body: Bytes,
    route: Route,
    caller: Caller<'a>,
    /// Set where the request is for a token.
    token: Option<TokenRequest>,
}

impl ApiRequest<'_> {
    /// The path as it is remembered: with the query, except where a person's login begins.
    fn path(&self) -> &str {
        let uri = &self.head.uri;
        match uri.path_and_query() {
            Some(whole) if self.route.endpoint != Endpoint::Authorize => whole.as_str(),
            _ => uri.path(),
        }
    }

    fn describe(&self) -> record::Request {
        record::Request {
            sequence: 0,
            arrived: self.arrived,
            finished: None,
            method: self.head.method.to_string(),
            path: self.path().to_owned(),
            endpoint: self.route.endpoint,
            account: self.caller.account.map(|account| Arc::clone(&account.name)),
            partner: self.caller.partner.map(|partner| Arc::clone(&partner.name)),
            user: self.route.user.clone(),
            status: None,
        }
    }

    async fn reply(&self, world: &World) -> Result<Reply, Aborted> {
        let since_start = self.arrived.saturating_duration_since(world.started);
        if let Err(next_window) = self.caller.admit(since_start, &world.limit) {
            return Ok(answer::too_many(world.limit.retry_after.then_some(next_window)));
        }
        let subject = Subject {
            path: self.path(),
            endpoint: self.route.endpoint,
            account: self.caller.account.map(|account| &*account.name),
            user: self.route.user.as_deref(),
        };
        let verdict = world.faults.judge(subject, world.latency);
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        let reply = match verdict.kind {
            Some(kind) => broken(kind, self.route.version, || self.plain(world)).await,
            None => Ok(self.plain(world)),
        };
        let reply = match reply {
            Ok(reply) if verdict.gzip => Ok(answer::gzipped(reply).await),
            reply => reply,
        };
        if !verdict.late.is_zero() {
            tokio::time::sleep(verdict.late).await;
        }
        reply.map(|mut reply| {
            for (name, value) in verdict.headers {
                reply.headers_mut().insert(name, value);
            }
            reply
        })
    }

    /// The answer when nothing goes wrong.
    fn plain(&self, world: &World) -> Reply {
        let Route { version, endpoint, .. } = self.route;
        if endpoint == Endpoint::Other {
            return answer::error(version, 404);
        }
        if let Some(token) = &self.token {
            return match self.head.method {
                Method::POST => token.answer(world),
                _ => answer::method_not_allowed("POST"),
            };
        }
        if endpoint == Endpoint::Authorize {
            return authorize::answer(world, &self.head, &self.body);
        }
        let method = if endpoint == Endpoint::Reset { Method::DELETE } else { Method::GET };
        if self.head.method != method {
            let allowed = if endpoint == Endpoint::Reset { "DELETE" } else { "GET" };
            return answer::method_not_allowed(allowed);
        }
        let fits = |account: &&Account| self.caller.live && account.credential.version() == version;
        let Some(account) = self.caller.account.filter(fits) else {
            return answer::error(version, 401);
        };
        match account.access() {
            Access::Revoked => return answer::error(version, 401),
            Access::Forbidden => return answer::error(version, 403),
            Access::Normal => {}
        }
        if !account.credential.may_ask(endpoint) {
            return answer::error(version, 403);
        }
        match version {
            Version::V2 => self.v2(world, account),
            Version::V3 => self.v3(world, account),
        }
    }

    fn v2(&self, world: &World, account: &Account) -> Reply {
        match self.route.endpoint {
            Endpoint::Counter => self.of_user(account, |user| {
                answer::counter(account.counter_view(user, world.now()).reading)
            }),
            Endpoint::User => self.of_user(account, |user| answer::enveloped(&lists::user(user))),
            Endpoint::Users => lists::users(account, self.head.uri.query()),
            Endpoint::Channels => lists::channels(account),
            Endpoint::Settings => lists::settings(account),
            Endpoint::Webhooks => lists::webhooks(account),
            Endpoint::Reset => {
                account.clear(world.now());
                answer::enveloped(&json!({"account_id": account.id, "cleared": true}))
            }
            _ => answer::error(Version::V2, 404),
        }
    }

    fn v3(&self, world: &World, account: &Account) -> Reply {
        match self.route.endpoint {
            Endpoint::Counter => {
                self.of_user(account, |user| v3::counter(&account.counter_view(user, world.now())))
            }
            Endpoint::User => self.of_user(account, |user| answer::json(200, &lists::user(user))),
            Endpoint::Users => v3::users(account, self.head.uri.query()),
            Endpoint::Channels => v3::channels(account),
            Endpoint::Webhooks => v3::webhooks(account),
            _ => answer::error(Version::V3, 404),
        }
    }

    fn of_user(&self, account: &Account, answered: impl FnOnce(&User) -> Reply) -> Reply {
        match self.route.user.as_deref().and_then(|id| account.user(id)) {
            Some(user) => answered(&user),
            None => answer::user_not_found(self.route.version),
        }
    }
}

async fn broken(
    kind: FaultKind,
    version: Version,
    plain: impl FnOnce() -> Reply,
) -> Result<Reply, Aborted> {
    Ok(match kind {
        FaultKind::Latency(_) | FaultKind::Late(_) | FaultKind::Header(..) | FaultKind::Gzip => {
            plain()
        }
        FaultKind::Hang => pending().await,
        FaultKind::Reset => return Err(Aborted),
        FaultKind::Lost => {
            let _never_sent = plain();
            return Err(Aborted);
        }
        FaultKind::Status(status) => answer::error(version, status),
        FaultKind::Truncated => answer::truncated(),
        FaultKind::Oversized(bytes) => answer::oversized(bytes),
        FaultKind::Malformed => answer::malformed(),
        FaultKind::WrongType => answer::wrong_type(),
        FaultKind::Body(body) => answer::text(200, body),
        FaultKind::Redirect(location) => answer::redirect(&location),
        FaultKind::RetryAfter(status, value) => answer::retry_after(status, &value),
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_client::{Served, serve, settings};
    use super::super::{Access, Endpoint, RateLimit, Settings};

    async fn counter(served: &Served, segment: &str) -> (u16, serde_json::Value) {
        let reply = served.get(&format!("/v2/counters/unanswered/{segment}"), "token-a").await;
        (reply.status, reply.json()["data"].clone())
    }

    #[tokio::test]
    async fn answers_a_counter_as_documented() {
        let served = serve(settings()).await;
        let reply = served.get("/v2/counters/unanswered/1", "token-a").await;
        let body = reply.json();
        assert_eq!(reply.status, 200);
        assert_eq!(body["data"], json!({"counter": 5, "type": "red"}));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let stamp = body["meta"]["timestamp"].as_u64().unwrap();
        assert!(stamp <= now.as_secs() && stamp > 1_700_000_000);
        served.simulator.set("acme", "1", 7, "grey").unwrap();
        assert_eq!(counter(&served, "1").await, (200, json!({"counter": 7, "type": "grey"})));
        served.simulator.pin_raw("acme", "1", json!(1.5), json!(null)).unwrap();
        assert_eq!(counter(&served, "1").await, (200, json!({"counter": 1.5, "type": null})));
    }

    #[tokio::test]
    async fn refuses_tokens_with_the_recorded_bodies() {
        let served = serve(settings()).await;
        let path = "/v2/counters/unanswered/1";
        let revoked = served.get(path, "unheard-of").await;
        assert_eq!(revoked.status, 401);
        assert_eq!(revoked.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
        assert_eq!(revoked.json()["errors"], json!([]));
        let bare = served.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(bare.status, 401);
        served.simulator.set_access("acme", Access::Revoked).unwrap();
        assert_eq!(served.get(path, "token-a").await.body, revoked.body);
        served.simulator.set_access("acme", Access::Forbidden).unwrap();
        let forbidden = served.get(path, "token-a").await;
        assert_eq!((forbidden.status, &forbidden.json()["error"]), (403, &json!("FORBIDDEN")));
        assert_eq!(forbidden.json()["data"], json!({}));
        served.simulator.set_access("acme", Access::Normal).unwrap();
        assert_eq!(served.get(path, "token-a").await.status, 200);
        assert_eq!(served.get(path, "token-b").await.status, 404, "the user is another account's");
    }

    #[tokio::test]
    async fn knows_its_paths_methods_and_users() {
        let served = serve(settings()).await;
        let unknown = served.get("/v2/counters/unanswered/unknown", "token-a").await;
        assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("USER_NOT_FOUND")));
        for path in ["/", "/v2/counters/unanswered/", "/v2/counters/unanswered/1/", "/_control/log"]
        {
            let reply = served.get(path, "token-a").await;
            assert_eq!((reply.status, &reply.json()["code"]), (404, &json!("NOT_FOUND")), "{path}");
        }
        let reply = served.request("DELETE", "/v2/counters/unanswered/1", "token-a", "").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
        served.simulator.remove_user("acme", "1").unwrap();
        assert_eq!(counter(&served, "1").await.0, 404);
    }

    #[tokio::test]
    async fn every_endpoint_is_counted_logged_and_breakable() {
        let served = serve(settings()).await;
        let endpoints = [
            ("/v2/counters/unanswered/1", Endpoint::Counter),
            ("/v2/users?offset=0", Endpoint::Users),
            ("/v2/users/1", Endpoint::User),
            ("/v2/channels", Endpoint::Channels),
            ("/v2/settings", Endpoint::Settings),
            ("/v2/webhooks", Endpoint::Webhooks),
        ];
        for (path, endpoint) in endpoints {
            assert_eq!(served.get(path, "token-a").await.status, 200, "{path}");
            let last = served.simulator.log().pop().unwrap();
            assert_eq!((last.endpoint, last.account.as_deref()), (endpoint, Some("acme")));
            assert_eq!((last.path.as_str(), last.status), (path, Some(200)));
            for condition in [format!("path={path}"), format!("endpoint={}", endpoint.name())] {
                served.simulator.add_fault(format!("status=503,{condition}").parse().unwrap());
                for (other, _) in endpoints {
                    let status = served.get(other, "token-a").await.status;
                    // `/v2/users` is a part of what leads to one user, too.
                    let hit = other == path || other.contains(path);
                    assert_eq!(status, if hit { 503 } else { 200 }, "{condition}, {other}");
                }
                served.simulator.clear_faults();
            }
            assert_eq!(served.get(path, "token-b").await.status == 404, path.ends_with("/1"));
        }
        let each = 2 * endpoints.len() as u64 + 2;
        let counts = served.simulator.counts();
        for (_, endpoint) in endpoints {
            assert_eq!(counts.endpoint(endpoint), each);
            assert_eq!(counts.accounts["acme"].endpoint(endpoint), each - 1);
            assert_eq!(counts.accounts["other"].endpoint(endpoint), 1);
        }
        served.simulator.wait_until(|log| log.endpoint(Endpoint::Users) == each).await;
        assert_eq!(counts.endpoint(Endpoint::Other), 0);
    }

    #[tokio::test]
    async fn lists_want_the_account_s_token_and_no_other_method() {
        let served = serve(settings()).await;
        for path in ["/v2/users", "/v2/users/1", "/v2/channels", "/v2/settings", "/v2/webhooks"] {
            let refused = served.get(path, "unheard-of").await;
            assert_eq!(refused.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED", "{path}");
            let posted = served.request("POST", path, "token-a", "{}").await;
            assert_eq!((posted.status, posted.header("allow")), (405, Some("GET")));
        }
        let v3 = served.get("/v3/channels", "token-a").await;
        assert_eq!((v3.status, &v3.json()["error"]), (401, &json!("INVALID_APIKEY")));
    }

    #[tokio::test]
    async fn a_reset_clears_every_counter_of_its_account_and_of_no_other() {
        let served = serve(settings()).await;
        let path = "/v2/chats/unanswered";
        assert_eq!(served.get(path, "token-a").await.header("allow"), Some("DELETE"));
        assert_eq!(served.request("DELETE", path, "unheard-of", "").await.status, 401);
        assert_eq!(served.simulator.counter("acme", "1"), Some((5, "red".to_owned())));
        let reply = served.request("DELETE", path, "token-a", "").await;
        assert_eq!((reply.status, &reply.json()["data"]["cleared"]), (200, &json!(true)));
        assert_eq!(counter(&served, "1").await, (200, json!({"counter": 0, "type": "red"})));
        assert_eq!(served.simulator.counts().accounts["acme"].endpoint(Endpoint::Reset), 3 - 1);
    }

    #[tokio::test]
    async fn an_encoded_id_is_one_segment_decoded_once() {
        let served = serve(settings()).await;
        for (number, (segment, id)) in [
            ("a%2Fb", "a/b"),
            ("%C3%BC", "ü"),
            ("q%22uo%5Cte", "q\"uo\\te"),
            ("%252E", "%2E"),
            ("%2e%2e", ".."),
        ]
        .into_iter()
        .enumerate()
        {
            let user = super::super::UserSpec::new(id, id, super::super::Role::Manager);
            served.simulator.add_user("acme", user.pinned(number as u64, "red")).unwrap();
            assert_eq!(counter(&served, segment).await.1["counter"], number, "{segment}");
            let last = served.simulator.log().pop().unwrap();
            assert_eq!(last.user.as_deref(), Some(id));
            assert_eq!(last.path, format!("/v2/counters/unanswered/{segment}"));
        }
        assert_eq!(counter(&served, "a/b").await.0, 404);
        assert_eq!(counter(&served, "%FF").await.0, 404);
    }

    #[tokio::test]
    async fn limits_each_token_by_itself() {
        let limit = RateLimit {
            requests: 2,
            window: std::time::Duration::from_hours(1),
            ..RateLimit::default()
        };
        let served = serve(Settings { limit, ..settings() }).await;
        let statuses = async |token: &str| {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let reply = served.get("/v2/counters/unanswered/1", token).await;
                statuses.push((reply.status, reply.header("retry-after").is_some()));
            }
            statuses
        };
        assert_eq!(statuses("token-a").await, [(200, false), (200, false), (429, false)]);
        assert_eq!(statuses("token-b").await, [(404, false), (404, false), (429, false)]);
        assert_eq!(statuses("unheard-of").await, [(401, false); 3]);
        assert_eq!(served.simulator.counts().status(429), 2);
        let limit = RateLimit { requests: 0, retry_after: true, ..limit };
        let served = serve(Settings { limit, ..settings() }).await;
        let reply = served.get("/v2/counters/unanswered/1", "token-a").await;
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3_600).contains(&wait));
    }
}
