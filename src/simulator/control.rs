//! The control endpoints under `/_control/`, for steering a simulator from outside.
//!
//! `api` hands requests over when `Settings::control` is on; they are neither logged nor limited
//! nor broken by faults. There is no credential: any client that reaches the listener may use them, which
//! is why the listener should be on loopback.
//!
//! | command | with | what it does |
//! | --- | --- | --- |
//! | `GET state` | | accounts with their users and channels |
//! | `GET counts` | | numbers of requests |
//! | `GET log` | | the remembered requests, times in milliseconds since the start |
//! | `POST faults` | a fault in text form | adds it |
//! | `DELETE faults` | | ends all of them |
//! | `POST accounts/{account}/users` | `{"id":"7","name":"Anna","role":"sales_rep"}` | adds a user |
//! | `PUT accounts/{account}/users/{user}` | `{"counter":7,"type":"red"}` | sets a counter |
//! | `DELETE accounts/{account}/users/{user}` | | the API no longer knows the user |
//! | `PUT accounts/{account}/users/{user}/roles/{channel}` | `{"role":"manager"}` | `sales_rep`, `manager`, `quality_control` or `none` |
//! | `PUT accounts/{account}/channels/{channel}` | `{"state":"phoneUnavailable"}` | changes a channel |
//! | `PUT accounts/{account}/shapes` | `{"users":"nested","page":2}` | changes the form of lists |
//! | `PUT accounts/{account}/access` | `{"access":"revoked"}` | `normal`, `revoked` or `forbidden` |
//! | `DELETE accounts/{account}/tokens/{kind}` | | ends its tokens: `access` or `refresh` |
//! | `DELETE partners/{partner}/tokens` | | ends its machine tokens |
//! | `PUT partners/{partner}/login` | `{"login":"refused"}` | `good`, `refused` or `failing` |
//! | `PUT browser` | `{"account":"acme"}` | browsers are logged in to it |
//! | `DELETE browser` | | browsers are logged out |

use std::time::Instant;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{self, Reply};
use super::fault::Fault;
use super::partner::Login;
use super::record;
use super::role::Role;
use super::shapes::Shapes;
use super::spec::{Access, Pinned, UserSpec};
use super::tokens::Kind;
use super::world::{Unknown, World};

pub(super) const PREFIX: &str = "/_control/";
/// More than any command needs; a fault may carry a body.
const MAX_BODY: usize = 1024 * 1024;

pub(super) async fn answer(world: &World, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return refused(400, "the body could not be read or is too large");
    };
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = path.split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let command = Command { world, method: &head.method, body: &body.to_bytes() };
    let outcome = match segments.as_slice() {
        ["accounts", account, rest @ ..] => command.of_account(account, rest),
        ["partners", partner, rest @ ..] => command.of_partner(partner, rest),
        segments => command.of_all(segments),
    };
    match outcome {
        Ok(body) => answer::json(200, &body),
        Err(Refused::Bad(detail)) => refused(400, &detail),
        Err(Refused::Unknown(unknown)) => refused(404, &unknown.to_string()),
        Err(Refused::Nothing) => refused(404, "there is no such control endpoint"),
        Err(Refused::Method(allowed)) => answer::method_not_allowed(allowed),
    }
}

fn refused(status: u16, detail: &str) -> Reply {
    answer::json(status, &json!({"detail": detail}))
}

/// Why an command was not carried out.
enum Refused {
    /// Its body makes no sense.
    Bad(String),
    Unknown(Unknown),
    Nothing,
    /// Only these methods work there.
    Method(&'static str),
}

impl From<Unknown> for Refused {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

type Outcome = Result<Value, Refused>;

/// The response to a command without a result.
fn done(carried_out: Result<(), Unknown>) -> Outcome {
    carried_out.map(|()| json!({})).map_err(Refused::Unknown)
}

/// An command without its path.
struct Command<'a> {
    world: &'a World,
    method: &'a Method,
    body: &'a [u8],
}

impl Command<'_> {
    /// The body, which should look like the example.
    fn read<T: DeserializeOwned>(&self, example: &str) -> Result<T, Refused> {
        serde_json::from_slice(self.body)
            .map_err(|error| Refused::Bad(format!("expected something like {example}: {error}")))
    }

    fn of_all(&self, segments: &[&str]) -> Outcome {
        match (self.method, segments) {
            (&Method::GET, ["state"]) => Ok(json!({"accounts": self.world.state()})),
            (&Method::GET, ["counts"]) => Ok(json!(self.world.counts())),
            (&Method::GET, ["log"]) => Ok(log(self.world)),
            (&Method::POST, ["faults"]) => self.add_fault(),
            (&Method::DELETE, ["faults"]) => {
                self.world.faults.clear();
                done(Ok(()))
            }
            (&Method::PUT, ["browser"]) => {
                let Browser { account } = self.read(r#"{"account":"acme"}"#)?;
                done(self.world.log_browser_in(Some(&account)))
            }
            (&Method::DELETE, ["browser"]) => done(self.world.log_browser_in(None)),
            (_, ["state" | "counts" | "log"]) => Err(Refused::Method("GET")),
            (_, ["faults"]) => Err(Refused::Method("POST, DELETE")),
            (_, ["browser"]) => Err(Refused::Method("PUT, DELETE")),
            _ => Err(Refused::Nothing),
        }
    }

    fn add_fault(&self) -> Outcome {
        let fault: Result<Fault, _> = String::from_utf8_lossy(self.body).parse();
        self.world.faults.add(fault.map_err(|error| Refused::Bad(error.to_string()))?);
        done(Ok(()))
    }

    fn of_account(&self, account: &str, segments: &[&str]) -> Outcome {
        match (self.method, segments) {
            (&Method::POST, ["users"]) => {
                let NewUser { id, name, role } =
                    self.read(r#"{"id":"7","name":"Anna","role":"sales_rep"}"#)?;
                done(self.world.add_user(account, UserSpec::new(&id, &name, role)))
            }
            (&Method::PUT, ["shapes"]) => {
                let shapes: Shapes = self.read(r#"{"users":"nested","page":2}"#)?;
                done(self.world.account(account).map(|account| account.set_shapes(shapes)))
            }
            (&Method::PUT, ["access"]) => {
                let NewAccess { access } = self.read(r#"{"access":"revoked"}"#)?;
                done(self.world.account(account).map(|account| account.set_access(access)))
            }
            (&Method::PUT, ["channels", channel]) => {
                let NewState { state } = self.read(r#"{"state":"phoneUnavailable"}"#)?;
                done(self.world.set_channel_state(account, channel, &state))
            }
            (&Method::DELETE, ["tokens", "access"]) => {
                done(self.world.end_tokens(account, &[Kind::Access]))
            }
            (&Method::DELETE, ["tokens", "refresh"]) => {
                done(self.world.end_tokens(account, &[Kind::Refresh]))
            }
            (_, ["users", user, rest @ ..]) => self.of_user(account, user, rest),
            (_, ["users"]) => Err(Refused::Method("POST")),
            (_, ["shapes" | "access"] | ["channels", _]) => Err(Refused::Method("PUT")),
            (_, ["tokens", "access" | "refresh"]) => Err(Refused::Method("DELETE")),
            _ => Err(Refused::Nothing),
        }
    }

    fn of_user(&self, account: &str, user: &str, segments: &[&str]) -> Outcome {
        match (self.method, segments) {
            (&Method::PUT, []) => {
                let pinned: Pinned = self.read(r#"{"counter":7,"type":"red"}"#)?;
                done(self.world.user(account, user).map(|user| user.pin(Some(pinned))))
            }
            (&Method::DELETE, []) => done(self.world.remove_user(account, user)),
            (&Method::PUT, ["roles", channel]) => {
                let NewRole { role } = self.read(r#"{"role":"manager"}"#)?;
                done(self.world.set_role(account, user, channel, role))
            }
            (_, []) => Err(Refused::Method("PUT, DELETE")),
            (_, ["roles", _]) => Err(Refused::Method("PUT")),
            _ => Err(Refused::Nothing),
        }
    }

    fn of_partner(&self, partner: &str, segments: &[&str]) -> Outcome {
        let (place, partner) = self.world.partner(partner)?;
        match (self.method, segments) {
            (&Method::DELETE, ["tokens"]) => self.world.tokens.end_machine(place),
            (&Method::PUT, ["login"]) => {
                let NewLogin { login } = self.read(r#"{"login":"refused"}"#)?;
                partner.set_login(login);
            }
            (_, ["tokens"]) => return Err(Refused::Method("DELETE")),
            (_, ["login"]) => return Err(Refused::Method("PUT")),
            _ => return Err(Refused::Nothing),
        }
        done(Ok(()))
    }
}

#[derive(Deserialize)]
struct Browser {
    account: String,
}

#[derive(Deserialize)]
struct NewUser {
    id: String,
    name: String,
    role: Role,
}

#[derive(Deserialize)]
struct NewAccess {
    access: Access,
}

#[derive(Deserialize)]
struct NewRole {
    role: Role,
}

#[derive(Deserialize)]
struct NewState {
    state: String,
}

#[derive(Deserialize)]
struct NewLogin {
    login: Login,
}

fn log(world: &World) -> Value {
    let millis = |at: Instant| at.saturating_duration_since(world.started).as_secs_f64() * 1_000.0;
    let entry = |request: record::Request| {
        json!({
            "sequence": request.sequence,
            "arrived_ms": millis(request.arrived),
            "finished_ms": request.finished.map(millis),
            "method": request.method,
            "path": request.path,
            "endpoint": request.endpoint,
            "account": request.account.as_deref(),
            "partner": request.partner.as_deref(),
            "user": request.user,
            "status": request.status,
        })
    };
    Value::Array(world.recorder.requests().into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{Served, serve, settings};
    use super::super::{AccountSpec, PartnerSpec, Settings};
    use super::*;

    async fn command(served: &Served, method: &str, path: &str, body: &str) -> (u16, Value) {
        let reply = served.request(method, &format!("{PREFIX}{path}"), "", body).await;
        (reply.status, reply.json())
    }

    async fn steered() -> Served {
        serve(Settings { control: true, ..settings() }).await
    }

    #[tokio::test]
    async fn sets_and_removes_users() {
        let served = steered().await;
        let path = "accounts/acme/users/1";
        let put = command(&served, "PUT", path, r#"{"counter":7,"type":"grey"}"#).await;
        assert_eq!(put, (200, json!({})));
        assert_eq!(served.simulator.counter("acme", "1"), Some((7, "grey".into())));
        let (status, state) = command(&served, "GET", "state", "").await;
        let expected = json!({"id": "1", "name": "Anna", "role": "sales_rep", "counter": 7,
            "type": "grey", "pinned": true, "removed": false});
        assert_eq!((status, &state["accounts"][0]["users"][0]), (200, &expected));
        assert!(!state.to_string().contains("token-a"));
        assert_eq!(command(&served, "DELETE", path, "").await.0, 200);
        assert_eq!(served.get("/v2/counters/unanswered/1", "token-a").await.status, 404);
        let (status, again) = command(&served, "DELETE", path, "").await;
        assert_eq!((status, again["detail"].as_str().unwrap().contains("`1`")), (404, true));
        assert_eq!(command(&served, "PUT", "accounts/nope/users/1", "{}").await.0, 400);
    }

    #[tokio::test]
    async fn changes_channels_and_roles() {
        let served = steered().await;
        let channel = "808e0654-0000-4000-8000-000012345678";
        let path = format!("accounts/acme/channels/{channel}");
        let dead = r#"{"state":"phoneUnavailable"}"#;
        assert_eq!(command(&served, "PUT", &path, dead).await, (200, json!({})));
        let path = format!("accounts/acme/users/1/roles/{channel}");
        assert_eq!(command(&served, "PUT", &path, r#"{"role":"manager"}"#).await.0, 200);
        let channels = served.get("/v2/channels", "token-a").await.json();
        assert_eq!(channels["data"][0]["state"], "phoneUnavailable");
        let settings = served.get("/v2/settings", "token-a").await.json();
        assert_eq!(settings["user_roles"][0]["role"], "manager");
        let state = command(&served, "GET", "state", "").await.1;
        assert_eq!(state["accounts"][0]["channels"][0]["status"], "disabled");
        assert_eq!(command(&served, "PUT", &path, r#"{"role":"boss"}"#).await.0, 400);
        assert_eq!(command(&served, "GET", &path, "").await.0, 405);
        assert_eq!(command(&served, "PUT", "accounts/acme/channels/fax", dead).await.0, 404);
    }

    #[tokio::test]
    async fn adds_users_and_changes_the_form_of_their_list() {
        let served = steered().await;
        let new = r#"{"id":"7","name":"Юлия","role":"sales_rep"}"#;
        assert_eq!(command(&served, "POST", "accounts/acme/users", new).await.0, 200);
        let nested = r#"{"users":"nested"}"#;
        assert_eq!(command(&served, "PUT", "accounts/acme/shapes", nested).await.0, 200);
        let users = served.get("/v2/users", "token-a").await.json();
        assert_eq!(users["data"]["users"][1], json!({"id": "7", "name": "Юлия"}));
        assert_eq!(command(&served, "PUT", "accounts/acme/shapes", r#"{"user":1}"#).await.0, 400);
        let revoked = r#"{"access":"revoked"}"#;
        assert_eq!(command(&served, "PUT", "accounts/acme/access", revoked).await.0, 200);
        assert_eq!(served.get("/v2/users", "token-a").await.status, 401);
        assert_eq!(command(&served, "PUT", "accounts/unknown/access", revoked).await.0, 404);
    }

    #[tokio::test]
    async fn ends_tokens_and_logins() {
        let accounts = vec![AccountSpec::label("label", "33333333", "main", "seed")];
        let partners = vec![PartnerSpec::new("main", "main@example.com", "p")];
        let settings = Settings { accounts, partners, control: true, ..Settings::default() };
        let served = serve(settings).await;
        let refresh = async |token: &str| {
            let data = json!({"refresh_token": token, "client_id": "app-main"});
            let body = json!({"grant_type": "refresh_token", "refresh_token_data": data});
            served.request_token("main@example.com:p", &body).await
        };
        let tokens = refresh("seed").await.json()["data"].clone();
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(served.get("/v2/users", access).await.status, 200);
        assert_eq!(command(&served, "DELETE", "accounts/label/tokens/access", "").await.0, 200);
        assert_eq!(served.get("/v2/users", access).await.status, 401);
        let refused = r#"{"login":"refused"}"#;
        assert_eq!(command(&served, "PUT", "partners/main/login", refused).await.0, 200);
        let next = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(refresh(next).await.json()["code"], "OAUTH_CLIENT_UNAUTHORIZED");
        command(&served, "PUT", "partners/main/login", r#"{"login":"good"}"#).await;
        assert_eq!(command(&served, "DELETE", "accounts/label/tokens/refresh", "").await.0, 200);
        assert_eq!(refresh(next).await.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
        assert_eq!(command(&served, "DELETE", "partners/main/tokens", "").await.0, 200);
        assert_eq!(command(&served, "DELETE", "partners/unknown/tokens", "").await.0, 404);
        let counts = command(&served, "GET", "counts", "").await.1;
        assert_eq!(counts["partners"]["main"]["asked"], json!({"refresh": 3}));
        assert_eq!(counts["partners"]["main"]["granted"], json!({"refresh": 1}));
        assert_eq!(counts["accounts"]["label"]["endpoints"], json!({"users": 2, "refresh": 3}));
        assert_eq!(command(&served, "PUT", "browser", r#"{"account":"label"}"#).await.0, 200);
        assert_eq!(command(&served, "PUT", "browser", r#"{"account":"unknown"}"#).await.0, 404);
        assert_eq!(command(&served, "DELETE", "browser", "").await.0, 200);
    }

    #[tokio::test]
    async fn adds_and_clears_faults() {
        let served = steered().await;
        let path = "/v2/counters/unanswered/1";
        assert_eq!(command(&served, "POST", "faults", "status=503,account=acme").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 503);
        assert_eq!(command(&served, "DELETE", "faults", "").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 200);
        let (status, body) = command(&served, "POST", "faults", "status=teapot").await;
        assert_eq!((status, body["detail"].as_str().unwrap().contains("teapot")), (400, true));
    }

    #[tokio::test]
    async fn shows_the_log_without_itself() {
        let served = steered().await;
        served.get("/v2/counters/unanswered/1?a=b", "token-a").await;
        let (status, log) = command(&served, "GET", "log", "").await;
        assert_eq!((status, log.as_array().unwrap().len()), (200, 1));
        assert_eq!(log[0]["path"], "/v2/counters/unanswered/1?a=b");
        assert_eq!((&log[0]["user"], &log[0]["status"]), (&json!("1"), &json!(200)));
        assert_eq!((&log[0]["endpoint"], &log[0]["account"]), (&json!("counter"), &json!("acme")));
        assert_eq!(served.simulator.counts().total, 1);
    }

    #[tokio::test]
    async fn is_absent_unless_switched_on() {
        let served = serve(settings()).await;
        assert_eq!(served.request("GET", "/_control/state", "", "").await.status, 404);
        let served = steered().await;
        assert_eq!(command(&served, "POST", "state", "").await.0, 405);
        assert_eq!(command(&served, "GET", "elsewhere", "").await.0, 404);
    }
}
