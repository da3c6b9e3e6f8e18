//! What the simulated API answers to a request.
//!
//! [`answer`] is called by the server for every request outside `/_control/`: it notes the request,
//! applies the limit and the faults, and otherwise answers as the real API would.

use std::future::pending;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::json;

use super::account::{Account, AccountNow};
use super::answer::{self, with};
use super::authorize;
use super::endpoint::{Endpoint, Route, Version};
use super::fault::Broken;
use super::lists;
use super::lock::lock;
use super::oauth::TokenRequest;
use super::partner::Partner;
use super::record;
use super::spec::{Access, AccountSpec};
use super::v3;
use super::world::World;

/// The largest body that is read.
const MAX_BODY: usize = 64 * 1024;

/// The request is to end in a connection reset.
#[derive(Debug, thiserror::Error)]
#[error("a fault resets the connection")]
pub(super) struct Aborted;

/// Answers one request.
pub(super) async fn answer(world: &World, request: Request<Incoming>) -> Result<Response, Aborted> {
    let call = Call::read(world, request).await;
    let open = world.recorder.open(&call.request);
    tracing::trace!(method = %call.head.method, path = call.request.path, "request");
    let reply = call.reply(world).await?;
    open.answered(reply.status().as_u16());
    Ok(reply)
}

/// A request taken apart.
struct Call<'a> {
    head: Parts,
    version: Version,
    /// As it is remembered.
    request: record::Request,
    /// Set where the request is for a token.
    token: Option<TokenRequest>,
    /// The account it is about.
    account: Option<&'a Account>,
    /// Whether its bearer token is still good.
    live: bool,
    /// The partner who asks for a token.
    partner: Option<&'a Partner>,
}

impl<'a> Call<'a> {
    async fn read(world: &'a World, request: Request<Incoming>) -> Self {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let Route { version, mut endpoint, user } = Route::of(head.uri.path());
        let (mut token, mut account, mut live, mut partner) = (None, None, false, None);
        if endpoint == Endpoint::OtherGrant {
            // A body that is broken or too large is as good as none.
            let body = to_bytes(Body::new(body), MAX_BODY).await.unwrap_or_default();
            let asked = TokenRequest::read(&head, &body);
            endpoint = asked.endpoint;
            account = asked.account(world).map(|(_, account)| account);
            partner = asked.partner(world).map(|(_, partner)| partner);
            token = Some(asked);
        } else if let Some(found) = bearer(&head.headers).and_then(|text| world.bearer(text)) {
            (account, live) = (Some(found.0), found.1);
        }
        let request = record::Request {
            arrived,
            path: match head.uri.path_and_query() {
                // The query of a person's login holds what is theirs.
                Some(whole) if endpoint != Endpoint::Authorize => whole.as_str().to_owned(),
                _ => head.uri.path().to_owned(),
            },
            endpoint,
            account: account.map(|account| account.name.clone()),
            partner: partner.map(|partner| partner.spec.name.clone()),
            user,
            status: None,
        };
        Self { head, version, request, token, account, live, partner }
    }

    async fn reply(&self, world: &World) -> Result<Response, Aborted> {
        if !self.admitted(world) {
            return Ok(answer::error(Version::V2, 429));
        }
        let verdict = world.faults.judge(&self.request, world.settings.latency);
        pause(verdict.delay).await;
        let mut reply = match verdict.broken {
            Some(broken) => self.broken(broken, world).await?,
            None => self.plain(world),
        };
        if verdict.gzip {
            reply = answer::gzipped(reply).await;
        }
        for (name, value) in verdict.headers {
            reply = with(reply, name, value);
        }
        pause(verdict.late).await;
        Ok(reply)
    }

    /// Counts the request against the limit of its credential. An unknown credential has no window.
    fn admitted(&self, world: &World) -> bool {
        let since = self.request.arrived.saturating_duration_since(world.started);
        let limit = &world.settings.limit;
        match (self.partner, self.account) {
            (Some(partner), _) => lock(&partner.window).admits(since, limit),
            (None, Some(account)) if self.live => account.now().admits(since, limit),
            _ => true,
        }
    }

    async fn broken(&self, broken: Broken, world: &World) -> Result<Response, Aborted> {
        Ok(match broken {
            Broken::Hang => pending().await,
            Broken::Reset => return Err(Aborted),
            Broken::Lost => {
                let _never_sent = self.plain(world);
                return Err(Aborted);
            }
            Broken::Truncated(status) => answer::truncated(status),
            Broken::Empty(status) => answer::text(status, String::new()),
            Broken::Body(body) => answer::text(200, body),
            Broken::Status(status, header) => {
                let reply = answer::error(self.version, status);
                header.into_iter().fold(reply, |reply, (name, value)| with(reply, name, value))
            }
        })
    }

    /// The answer when nothing goes wrong.
    fn plain(&self, world: &World) -> Response {
        let (version, endpoint) = (self.version, self.request.endpoint);
        let allowed = match endpoint {
            Endpoint::Other => return answer::error(version, 404),
            Endpoint::Reset => "DELETE",
            _ if self.token.is_some() => "POST",
            _ => "GET",
        };
        if self.head.method != allowed {
            return answer::method_not_allowed(allowed);
        }
        if let Some(token) = &self.token {
            return token.answer(world);
        }
        if endpoint == Endpoint::Authorize {
            return authorize::answer(world, self.head.uri.query().unwrap_or_default());
        }
        let Some(account) = self.account.filter(|_| self.live) else {
            return answer::error(version, 401);
        };
        let mut account = account.now();
        let AccountSpec { credential, access, .. } = &account.spec;
        if credential.version() != version || *access == Access::Revoked {
            return answer::error(version, 401);
        }
        if *access == Access::Forbidden || !credential.may_ask(endpoint) {
            return answer::error(version, 403);
        }
        self.of_account(&mut account, world)
    }

    fn of_account(&self, account: &mut AccountNow, world: &World) -> Response {
        let (query, moment) = (self.head.uri.query(), world.now());
        let user = self.request.user.as_deref().unwrap_or_default();
        let found = match (self.version, self.request.endpoint) {
            (Version::V2, Endpoint::Counter) => {
                account.counter(user, moment).map(|view| lists::counter(&view))
            }
            (Version::V3, Endpoint::Counter) => account.counter(user, moment).map(v3::counter),
            (Version::V2, Endpoint::Users) => Some(lists::users(account, query)),
            (Version::V3, Endpoint::Users) => Some(v3::users(account, query)),
            (Version::V2, Endpoint::Channels) => Some(lists::channels(account)),
            (Version::V3, Endpoint::Channels) => Some(v3::channels(account)),
            (Version::V2, Endpoint::Webhooks) => Some(lists::webhooks(account)),
            (Version::V3, Endpoint::Webhooks) => Some(v3::webhooks(account)),
            (_, Endpoint::Settings) => Some(lists::settings(account)),
            (_, Endpoint::Reset) => {
                account.clear(moment);
                let id = &account.spec.account_id;
                Some(answer::enveloped(&json!({"account_id": id, "cleared": true})))
            }
            (version, _) => Some(answer::error(version, 404)),
        };
        let detail = "There is no user with this id";
        found.unwrap_or_else(|| answer::refusal(self.version, 404, "USER_NOT_FOUND", detail))
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
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
        served.simulator.set("acme", "1", 1.5, json!(null)).unwrap();
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
            ("/v2/channels", Endpoint::Channels),
            ("/v2/settings", Endpoint::Settings),
            ("/v2/webhooks", Endpoint::Webhooks),
        ];
        for (path, endpoint) in endpoints {
            assert_eq!(served.get(path, "token-a").await.status, 200, "{path}");
            let last = served.simulator.log().pop().unwrap();
            assert_eq!((last.endpoint, last.account.as_deref()), (endpoint, Some("acme")));
            assert_eq!((last.path.as_str(), last.status), (path, Some(200)));
            let name = json!(endpoint);
            let name = format!("endpoint={}", name.as_str().unwrap());
            for condition in [format!("path={path}"), name] {
                served.simulator.add_fault(format!("status=503,{condition}").parse().unwrap());
                for (other, _) in endpoints {
                    let status = served.get(other, "token-a").await.status;
                    let expected = if other == path { 503 } else { 200 };
                    assert_eq!(status, expected, "{condition}, {other}");
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
        for path in ["/v2/users", "/v2/channels", "/v2/settings", "/v2/webhooks"] {
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
        let limit = RateLimit { requests: 2, window: std::time::Duration::from_hours(1) };
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
    }
}
