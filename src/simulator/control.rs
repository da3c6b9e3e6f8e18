//! The control endpoints under `/_control/`, for steering a simulator from outside.
//!
//! They are there when `Settings::control` is on; their requests are neither logged nor limited nor
//! broken by faults. There is no credential: any client that reaches the listener may use them, which
//! is why the listener should be on loopback.
//!
//! | command | with | what it does |
//! | --- | --- | --- |
//! | `GET state` | | accounts with their users and channels |
//! | `GET counts` | | numbers of requests |
//! | `POST faults` | a fault in text form | adds it |
//! | `DELETE faults` | | ends all of them |
//! | `POST accounts/{account}/users` | `{"id":"7","name":"Anna","role":"sales_rep"}` | adds a user |
//! | `PUT accounts/{account}/users/{user}` | `{"counter":7,"type":"red"}` | sets a counter |
//! | `DELETE accounts/{account}/users/{user}` | | the API no longer knows the user |
//! | `PUT accounts/{account}/users/{user}/roles/{channel}` | `manager` | `sales_rep`, `manager`, `quality_control` or `none` |
//! | `PUT accounts/{account}/channels/{channel}` | `phoneUnavailable` | changes a channel's state |
//! | `PUT accounts/{account}/shapes` | `{"users":"nested","page":2}` | changes the form of lists |
//! | `PUT accounts/{account}/access` | `revoked` | `normal`, `revoked` or `forbidden` |
//! | `DELETE accounts/{account}/tokens` | | ends its tokens, access and refresh |
//! | `DELETE accounts/{account}/tokens/access` | | ends its access tokens |
//! | `DELETE partners/{partner}/tokens` | | ends its machine tokens |
//! | `PUT partners/{partner}/login` | `refused` | `good`, `refused` or `failing` |

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer;
use super::fault_text::FaultError;
use super::handle::Simulator;
use super::world::Unknown;

pub(super) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/state", shown(|api| json!({"accounts": api.state()})))
        .route("/counts", shown(|api| json!(api.counts())))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/accounts/{account}/users", post(add_user))
        .route("/accounts/{account}/users/{user}", put(set_counter).delete(remove_user))
        .route("/accounts/{account}/users/{user}/roles/{channel}", put(set_role))
        .route("/accounts/{account}/channels/{channel}", put(set_channel_state))
        .route("/accounts/{account}/shapes", setter(Simulator::set_shapes))
        .route("/accounts/{account}/access", setter(Simulator::set_access))
        .route("/accounts/{account}/tokens", ender(Simulator::revoke_tokens))
        .route("/accounts/{account}/tokens/access", ender(Simulator::expire_tokens))
        .route("/partners/{partner}/tokens", ender(Simulator::revoke_machine_tokens))
        .route("/partners/{partner}/login", setter(Simulator::set_login))
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("the body is not what belongs here: {0}")]
    Body(#[from] serde_json::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(_) => 404,
            Self::Fault(_) | Self::Body(_) => 400,
        };
        answer::json(status, &json!({"detail": self.to_string()}))
    }
}

type Api = State<Simulator>;
type Outcome = Result<Response, Refused>;

/// The response to a command without a result.
fn done(carried_out: Result<(), Unknown>) -> Outcome {
    carried_out?;
    Ok(answer::json(200, &json!({})))
}

/// What is in a body; a word alone need not be quoted.
fn read<T: DeserializeOwned>(body: String) -> Result<T, Refused> {
    let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Ok(serde_json::from_value(value)?)
}

/// Shows something of the simulation.
fn shown(what: fn(&Simulator) -> Value) -> MethodRouter<Simulator> {
    get(async move |State(api): Api| answer::json(200, &what(&api)))
}

/// Sets something of what the path names.
fn setter<T: DeserializeOwned + 'static>(
    set: fn(&Simulator, &str, T) -> Result<(), Unknown>,
) -> MethodRouter<Simulator> {
    put(async move |State(api): Api, Path(name): Path<String>, body: String| {
        done(set(&api, &name, read(body)?))
    })
}

/// Ends something of what the path names.
fn ender(end: fn(&Simulator, &str) -> Result<(), Unknown>) -> MethodRouter<Simulator> {
    delete(async move |State(api): Api, Path(name): Path<String>| done(end(&api, &name)))
}

async fn add_fault(State(api): Api, body: String) -> Outcome {
    api.add_fault(body.parse()?);
    done(Ok(()))
}

async fn clear_faults(State(api): Api) -> Outcome {
    api.clear_faults();
    done(Ok(()))
}

async fn add_user(State(api): Api, Path(account): Path<String>, body: String) -> Outcome {
    done(api.add_user(&account, read(body)?))
}

/// Account and user, or account and channel.
type Pair = Path<(String, String)>;

async fn set_counter(State(api): Api, Path((account, user)): Pair, body: String) -> Outcome {
    let pinned = Some(read(body)?);
    done(api.change_user(&account, &user, |user| user.pinned = pinned))
}

async fn remove_user(State(api): Api, Path((account, user)): Pair) -> Outcome {
    done(api.remove_user(&account, &user))
}

async fn set_role(
    State(api): Api,
    Path((account, user, channel)): Path<(String, String, String)>,
    body: String,
) -> Outcome {
    done(api.set_role(&account, &user, &channel, read(body)?))
}

async fn set_channel_state(State(api): Api, Path(names): Pair, body: String) -> Outcome {
    done(api.set_channel_state(&names.0, &names.1, &body))
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{Served, serve, settings};
    use super::super::{AccountSpec, PartnerSpec, Settings};
    use super::*;

    const PREFIX: &str = "/_control/";

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
        let odd = "accounts/acme/users/a%2Fb";
        let body = r#"{"id":"a/b","name":"Odd","role":"none"}"#;
        assert_eq!(command(&served, "POST", "accounts/acme/users", body).await.0, 200);
        assert_eq!(command(&served, "DELETE", odd, "").await.0, 200);
    }

    #[tokio::test]
    async fn changes_channels_and_roles() {
        let served = steered().await;
        let channel = "808e0654-0000-4000-8000-000012345678";
        let path = format!("accounts/acme/channels/{channel}");
        let dead = "phoneUnavailable";
        assert_eq!(command(&served, "PUT", &path, dead).await, (200, json!({})));
        let path = format!("accounts/acme/users/1/roles/{channel}");
        assert_eq!(command(&served, "PUT", &path, "manager").await.0, 200);
        let channels = served.get("/v2/channels", "token-a").await.json();
        assert_eq!(channels["data"][0]["state"], "phoneUnavailable");
        let settings = served.get("/v2/settings", "token-a").await.json();
        assert_eq!(settings["user_roles"][0]["role"], "manager");
        let state = command(&served, "GET", "state", "").await.1;
        assert_eq!(state["accounts"][0]["channels"][0]["status"], "disabled");
        assert_eq!(command(&served, "PUT", &path, "boss").await.0, 400);
        assert_eq!(served.get(&format!("{PREFIX}{path}"), "").await.status, 405);
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
        let revoked = "revoked";
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
        let refused = "refused";
        assert_eq!(command(&served, "PUT", "partners/main/login", refused).await.0, 200);
        let next = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(refresh(next).await.json()["code"], "OAUTH_CLIENT_UNAUTHORIZED");
        command(&served, "PUT", "partners/main/login", "\"good\"").await;
        assert_eq!(command(&served, "DELETE", "accounts/label/tokens", "").await.0, 200);
        assert_eq!(refresh(next).await.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
        assert_eq!(command(&served, "DELETE", "partners/main/tokens", "").await.0, 200);
        assert_eq!(command(&served, "DELETE", "partners/unknown/tokens", "").await.0, 404);
        let counts = command(&served, "GET", "counts", "").await.1;
        assert_eq!(counts["partners"]["main"]["asked"], json!({"refresh": 3}));
        assert_eq!(counts["partners"]["main"]["granted"], json!({"refresh": 1}));
        assert_eq!(counts["accounts"]["label"]["endpoints"], json!({"users": 2, "refresh": 3}));
    }

    #[tokio::test]
    async fn adds_and_clears_faults() {
        let served = steered().await;
        let path = "/v2/counters/unanswered/1";
        assert_eq!(command(&served, "POST", "faults", "status=503,account=acme").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 503);
        assert_eq!(command(&served, "DELETE", "faults", "").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 200);
        assert_eq!(served.simulator.counts().total, 2, "commands are not counted");
        let (status, body) = command(&served, "POST", "faults", "status=teapot").await;
        assert_eq!((status, body["detail"].as_str().unwrap().contains("teapot")), (400, true));
    }

    #[tokio::test]
    async fn is_absent_unless_switched_on() {
        let served = serve(settings()).await;
        assert_eq!(served.request("GET", "/_control/state", "", "").await.status, 404);
        let served = steered().await;
        let posted = served.request("POST", "/_control/state", "", "").await;
        assert_eq!((posted.status, posted.header("allow")), (405, Some("GET,HEAD")));
        let elsewhere = served.request("GET", "/_control/elsewhere", "", "").await;
        assert_eq!(elsewhere.status, 404);
    }
}
