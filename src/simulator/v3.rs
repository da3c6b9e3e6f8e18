//! The public v3 API, which an account's API key opens: counters and lists in shapes of its own.
//!
//! Called by `api` for an account whose key was accepted. Keys made for a CRM integration
//! ("Sidecar") never get here with users and counters.

use std::time::SystemTime;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::AccountNow;
use super::answer;
use super::endpoint::Version;
use super::lists;
use super::shapes::UsersShape;
use super::user::CounterView;

/// Users a page, as documented.
const PAGE: usize = 100;

/// `GET /v3/unanswered/{user_id}`. A simulated counter has no type while nothing waits, and no last
/// message before the first one of the day.
pub(super) fn counter(shown: CounterView) -> Response {
    let nothing_waits = shown.simulated && shown.reading.counter == 0;
    let kind = if nothing_waits { Value::Null } else { shown.reading.kind };
    let mut body = json!({"counterV2": shown.reading.counter, "type": kind});
    if let Some(at) = shown.last_message {
        lists::add(&mut body, "lastMsgDateTime", &iso(at));
    }
    answer::json(200, &body)
}

/// As `2023-05-25T12:30:46.000Z`; the year 1970 for what no calendar has.
fn iso(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `GET /v3/users`, in pages. Whether `count` is of all users or of the page is not documented; it
/// is taken for all.
pub(super) fn users(account: &AccountNow, query: Option<&str>) -> Response {
    let shapes = account.spec.shapes;
    match lists::page(account, query, Some(shapes.page.unwrap_or(PAGE))) {
        Ok((users, _)) if shapes.users == UsersShape::Bare => answer::json(200, &users.into()),
        Ok((users, count)) => answer::json(200, &json!({"count": count, "data": users})),
        Err(detail) => answer::invalid(Version::V3, detail),
    }
}

/// `GET /v3/channels`.
pub(super) fn channels(account: &AccountNow) -> Response {
    let present = account.spec.channels.iter().filter(|channel| !channel.deleted);
    let listed = present.map(|channel| {
        json!({
            "channelId": channel.id,
            "transport": channel.transport,
            "plainId": channel.phone,
            "state": channel.state,
        })
    });
    answer::json(200, &listed.collect())
}

/// `GET /v3/webhooks`: the one address an account has. What is answered where it has none is not
/// documented; it is taken for null.
pub(super) fn webhooks(account: &AccountNow) -> Response {
    let subscribed = account.spec.webhook;
    let body = json!({
        "webhooksUri": subscribed.then(|| lists::webhook_url(&account.spec.account_id)),
        "subscriptions": {
            "messagesAndStatuses": subscribed,
            "contactsAndDealsCreation": false,
            "channelsUpdates": subscribed,
            "templateStatus": false,
        },
    });
    answer::json(200, &body)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::super::test_client::{Served, serve};
    use super::super::{
        AccountSpec, ChannelSpec, Credential, Pinned, Role, Settings, Shapes, UserSpec, UsersShape,
    };

    /// Account `shop` with 101 users and a key, and `old` with a v2 token.
    async fn shop() -> Served {
        let user = |number: u64| {
            let spec = UserSpec::new(&number.to_string(), "User", Role::SalesRep);
            spec.pinned(number, "red")
        };
        let shop =
            (1..=101).map(user).fold(AccountSpec::v3("shop", "12345678", "key"), AccountSpec::user);
        let shop = shop.channels([
            ChannelSpec::of_account("12345678"),
            ChannelSpec { deleted: true, ..ChannelSpec::new("gone", "vk") },
            ChannelSpec::new("tg", "tgapi").state("qr"),
        ]);
        let sidecar = Credential::SidecarKey("sidecar".into());
        let crm = AccountSpec { credential: sidecar, ..shop.clone() };
        let crm = AccountSpec { name: "crm".into(), ..crm };
        let old = AccountSpec::new("old", "87654321", "token").user(user(1));
        serve(Settings { accounts: vec![shop, crm, old], ..Settings::default() }).await
    }

    async fn body(served: &Served, path: &str) -> Value {
        let reply = served.get(path, "key").await;
        assert_eq!(reply.status, 200, "{path}");
        reply.json()
    }

    #[tokio::test]
    async fn answers_a_counter_without_an_envelope() {
        let served = shop().await;
        let seven = "/v3/unanswered/7";
        assert_eq!(body(&served, seven).await, json!({"counterV2": 7, "type": "red"}));
        let at = UNIX_EPOCH + Duration::from_millis(1_685_017_846_005);
        let nothing = Pinned { counter: json!(0), kind: Value::Null };
        served
            .simulator
            .change_user("shop", "7", |user| {
                (user.pinned, user.last_message) = (Some(nothing), Some(at));
            })
            .unwrap();
        let last = "2023-05-25T12:30:46.005Z";
        let expected = json!({"counterV2": 0, "type": null, "lastMsgDateTime": last});
        assert_eq!(body(&served, seven).await, expected);
        let unknown = served.get("/v3/unanswered/unknown", "key").await;
        assert_eq!((unknown.status, &unknown.json()["error"]), (404, &json!("USER_NOT_FOUND")));
    }

    #[tokio::test]
    async fn a_simulated_counter_has_no_type_while_nothing_waits() {
        let served = shop().await;
        served.simulator.add_user("shop", UserSpec::new("x", "X", Role::None)).unwrap();
        let nothing = json!({"counterV2": 0, "type": null});
        assert_eq!(body(&served, "/v3/unanswered/x").await, nothing);
    }

    #[tokio::test]
    async fn a_simulated_message_arrived_in_the_past() {
        let served = shop().await;
        // A counter above 0 at the start has a message from before it.
        let waiting = (0..50).map(|id| format!("sim-{id}"));
        let mut seen = 0;
        for id in waiting {
            served.simulator.add_user("shop", UserSpec::new(&id, "Y", Role::SalesRep)).unwrap();
            let shown = body(&served, &format!("/v3/unanswered/{id}")).await;
            let last = shown.get("lastMsgDateTime");
            if shown["counterV2"] == 0 {
                assert_eq!(last, None);
                continue;
            }
            let last: jiff::Timestamp = last.unwrap().as_str().unwrap().parse().unwrap();
            let age = jiff::Timestamp::now().as_second() - last.as_second();
            assert!((0..60).contains(&age), "{shown}");
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[tokio::test]
    async fn lists_users_in_pages_of_a_hundred() {
        let served = shop().await;
        let first = body(&served, "/v3/users").await;
        assert_eq!((&first["count"], first["data"].as_array().unwrap().len()), (&json!(101), 100));
        assert_eq!(first["data"][0], json!({"id": "1", "name": "User"}));
        let last = body(&served, "/v3/users?offset=100").await;
        assert_eq!(last, json!({"count": 101, "data": [{"id": "101", "name": "User"}]}));
        let end = body(&served, "/v3/users?offset=101").await;
        assert_eq!(end, json!({"count": 101, "data": []}));
        let refused = served.get("/v3/users?offset=x", "key").await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("VALIDATION_FAILED")));
        let shapes = Shapes { users: UsersShape::Bare, page: Some(2), ..Shapes::default() };
        served.simulator.set_shapes("shop", shapes).unwrap();
        let bare = body(&served, "/v3/users?offset=100").await;
        assert_eq!(bare, json!([{"id": "101", "name": "User"}]));
    }

    #[tokio::test]
    async fn lists_channels_and_the_one_address_of_webhooks() {
        let served = shop().await;
        let channels = body(&served, "/v3/channels").await;
        assert_eq!(channels.as_array().unwrap().len(), 2);
        let plain = "77000000000";
        assert_eq!(
            channels[1],
            json!({"channelId": "tg", "transport": "tgapi", "plainId": plain, "state": "qr"})
        );
        let webhooks = body(&served, "/v3/webhooks").await;
        assert_eq!(webhooks["webhooksUri"], "https://crm.example/wazzup/12345678");
        assert_eq!(webhooks["subscriptions"]["messagesAndStatuses"], true);
        let none = AccountSpec { webhook: false, ..AccountSpec::v3("shop", "12345678", "key") };
        let served = serve(Settings { accounts: vec![none], ..Settings::default() }).await;
        assert_eq!(body(&served, "/v3/webhooks").await["webhooksUri"], Value::Null);
    }

    #[tokio::test]
    async fn keys_and_tokens_do_not_open_each_other_s_api() {
        let served = shop().await;
        let wrong = served.get("/v3/unanswered/1", "token").await;
        let refused = json!({"error": "INVALID_APIKEY", "description": "The API key is unknown",
            "data": {}});
        assert_eq!((wrong.status, wrong.json()), (401, refused.clone()));
        let last = served.simulator.log().pop().unwrap();
        assert_eq!(last.account.as_deref(), Some("old"));
        let unheard = served.get("/v3/unanswered/1", "unheard-of").await;
        assert_eq!((unheard.status, unheard.json()), (401, refused));
        let wrong = served.get("/v2/counters/unanswered/1", "key").await;
        let code = json!("OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
        assert_eq!((wrong.status, &wrong.json()["code"]), (401, &code));
        for path in ["/v3/settings", "/v3/counters/unanswered/1", "/v2/unanswered/1"] {
            assert_eq!(served.get(path, "key").await.status, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_sidecar_key_reads_channels_and_webhooks_only() {
        let served = shop().await;
        for (path, status) in [
            ("/v3/channels", 200),
            ("/v3/webhooks", 200),
            ("/v3/users", 403),
            ("/v3/unanswered/1", 403),
            ("/v3/unanswered/unknown", 403),
        ] {
            assert_eq!(served.get(path, "sidecar").await.status, status, "{path}");
        }
        let body = served.get("/v3/users", "sidecar").await.json();
        assert_eq!((&body["error"], &body["data"]), (&json!("FORBIDDEN"), &json!({})));
    }
}
