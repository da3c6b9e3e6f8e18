//! The control endpoints under `/_control/`, for steering a simulator from outside.
//!
//! `api` hands requests over when `Settings::control` is on; they are neither logged nor limited
//! nor broken by faults. There is no credential: whoever reaches the listener may use them, which
//! is why the listener should be on loopback.
//!
//! - `GET state`: accounts and users with their counters.
//! - `PUT accounts/{account}/users/{user}` with `{"counter":7,"type":"red"}`: sets a counter.
//! - `DELETE` of the same path: the API no longer knows the user.
//! - `PUT accounts/{account}/users/{user}/roles/{channel}` with `{"role":"manager"}`: `sales_rep`,
//!   `manager`, `quality_control` or `none`.
//! - `PUT accounts/{account}/channels/{channel}` with `{"state":"phoneUnavailable"}`.
//! - `POST faults` with a fault in text form; `DELETE faults` ends all of them.
//! - `GET log`: the remembered requests, times in milliseconds since the start.

use std::time::Instant;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Reply};
use super::fault::Fault;
use super::record;
use super::spec::{Pinned, Role};
use super::world::{Unknown, World};

pub(super) const PREFIX: &str = "/_control/";
/// More than any order needs; a fault may carry a body.
const MAX_BODY: usize = 1024 * 1024;

pub(super) async fn answer(world: &World, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return refused(400, "the body could not be read or is too large");
    };
    let body = body.to_bytes();
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let order = (&head.method, segments.as_slice());
    match order {
        (&Method::GET, ["state"]) => done(&json!({"accounts": world.state()})),
        (&Method::GET, ["log"]) => done(&log(world)),
        (&Method::POST, ["faults"]) => add_fault(world, &body),
        (&Method::DELETE, ["faults"]) => {
            world.faults.clear();
            done(&json!({}))
        }
        (&Method::PUT, ["accounts", account, "users", user]) => set(world, account, user, &body),
        (&Method::DELETE, ["accounts", account, "users", user]) => {
            outcome(world.remove_user(&decoded(account), &decoded(user)))
        }
        (&Method::PUT, ["accounts", account, "users", user, "roles", channel]) => {
            set_role(world, [account, user, channel].map(|part| decoded(part)), &body)
        }
        (&Method::PUT, ["accounts", account, "channels", channel]) => {
            set_channel(world, &decoded(account), &decoded(channel), &body)
        }
        (_, ["state" | "log"]) => answer::method_not_allowed("GET"),
        (_, ["faults"]) => answer::method_not_allowed("POST, DELETE"),
        (_, ["accounts", _, "users", _]) => answer::method_not_allowed("PUT, DELETE"),
        (_, ["accounts", _, "users", _, "roles", _] | ["accounts", _, "channels", _]) => {
            answer::method_not_allowed("PUT")
        }
        _ => refused(404, "there is no such control endpoint"),
    }
}

fn set(world: &World, account: &str, user: &str, body: &[u8]) -> Reply {
    match serde_json::from_slice::<Pinned>(body) {
        Ok(pinned) => outcome(
            world.user(&decoded(account), &decoded(user)).map(|user| user.pin(Some(pinned))),
        ),
        Err(error) => {
            refused(400, &format!("expected {{\"counter\":7,\"type\":\"red\"}}: {error}"))
        }
    }
}

#[derive(Deserialize)]
struct NewRole {
    role: Role,
}

fn set_role(world: &World, [account, user, channel]: [String; 3], body: &[u8]) -> Reply {
    match serde_json::from_slice(body) {
        Ok(NewRole { role }) => outcome(world.set_role(&account, &user, &channel, role)),
        Err(error) => refused(400, &format!("expected {{\"role\":\"manager\"}}: {error}")),
    }
}

#[derive(Deserialize)]
struct NewState {
    state: String,
}

fn set_channel(world: &World, account: &str, channel: &str, body: &[u8]) -> Reply {
    match serde_json::from_slice(body) {
        Ok(NewState { state }) => outcome(world.set_channel_state(account, channel, &state)),
        Err(error) => refused(400, &format!("expected {{\"state\":\"active\"}}: {error}")),
    }
}

fn add_fault(world: &World, body: &[u8]) -> Reply {
    match String::from_utf8_lossy(body).parse::<Fault>() {
        Ok(fault) => {
            world.faults.add(fault);
            done(&json!({}))
        }
        Err(error) => refused(400, &error.to_string()),
    }
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
            "user": request.user,
            "status": request.status,
        })
    };
    Value::Array(world.recorder.requests().into_iter().map(entry).collect())
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn outcome(result: Result<(), Unknown>) -> Reply {
    match result {
        Ok(()) => done(&json!({})),
        Err(unknown) => refused(404, &unknown.to_string()),
    }
}

fn done(body: &Value) -> Reply {
    answer::json(200, body)
}

fn refused(status: u16, detail: &str) -> Reply {
    answer::json(status, &json!({"detail": detail}))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::test_client::{Served, serve, settings};
    use super::*;

    async fn order(served: &Served, method: &str, path: &str, body: &str) -> (u16, Value) {
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
        let put = order(&served, "PUT", path, r#"{"counter":7,"type":"grey"}"#).await;
        assert_eq!(put, (200, json!({})));
        assert_eq!(served.simulator.counter("acme", "1"), Some((7, "grey".into())));
        let (status, state) = order(&served, "GET", "state", "").await;
        let expected = json!({"id": "1", "name": "Anna", "role": "sales_rep", "counter": 7,
            "type": "grey", "pinned": true, "removed": false});
        assert_eq!((status, &state["accounts"][0]["users"][0]), (200, &expected));
        assert!(!state.to_string().contains("token-a"));
        assert_eq!(order(&served, "DELETE", path, "").await.0, 200);
        assert_eq!(served.get("/v2/counters/unanswered/1", "token-a").await.status, 404);
        let (status, again) = order(&served, "DELETE", path, "").await;
        assert_eq!((status, again["detail"].as_str().unwrap().contains("`1`")), (404, true));
        assert_eq!(order(&served, "PUT", "accounts/nope/users/1", "{}").await.0, 400);
    }

    #[tokio::test]
    async fn changes_channels_and_roles() {
        let served = steered().await;
        let channel = "808e0654-0000-4000-8000-000012345678";
        let path = format!("accounts/acme/channels/{channel}");
        let dead = r#"{"state":"phoneUnavailable"}"#;
        assert_eq!(order(&served, "PUT", &path, dead).await, (200, json!({})));
        let path = format!("accounts/acme/users/1/roles/{channel}");
        assert_eq!(order(&served, "PUT", &path, r#"{"role":"manager"}"#).await.0, 200);
        let channels = served.get("/v2/channels", "token-a").await.json();
        assert_eq!(channels["data"][0]["state"], "phoneUnavailable");
        let settings = served.get("/v2/settings", "token-a").await.json();
        assert_eq!(settings["user_roles"][0]["role"], "manager");
        let state = order(&served, "GET", "state", "").await.1;
        assert_eq!(state["accounts"][0]["channels"][0]["status"], "disabled");
        assert_eq!(order(&served, "PUT", &path, r#"{"role":"boss"}"#).await.0, 400);
        assert_eq!(order(&served, "GET", &path, "").await.0, 405);
        assert_eq!(order(&served, "PUT", "accounts/acme/channels/fax", dead).await.0, 404);
    }

    #[tokio::test]
    async fn adds_and_clears_faults() {
        let served = steered().await;
        let path = "/v2/counters/unanswered/1";
        assert_eq!(order(&served, "POST", "faults", "status=503,account=acme").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 503);
        assert_eq!(order(&served, "DELETE", "faults", "").await.0, 200);
        assert_eq!(served.get(path, "token-a").await.status, 200);
        let (status, body) = order(&served, "POST", "faults", "status=teapot").await;
        assert_eq!((status, body["detail"].as_str().unwrap().contains("teapot")), (400, true));
    }

    #[tokio::test]
    async fn shows_the_log_without_itself() {
        let served = steered().await;
        served.get("/v2/counters/unanswered/1?a=b", "token-a").await;
        let (status, log) = order(&served, "GET", "log", "").await;
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
        assert_eq!(order(&served, "POST", "state", "").await.0, 405);
        assert_eq!(order(&served, "GET", "elsewhere", "").await.0, 404);
    }
}
