//! The lists of the v2 API: users, channels, settings with the roles, subscriptions.
//!
//! Called by `api` for an account whose credential was accepted. Each list comes in the form its
//! account's [`Shapes`](super::shapes::Shapes) name; [`page`] and [`user`] serve v3 as well.

use axum::response::Response;
use serde_json::{Value, json};

use super::account::AccountNow;
use super::answer;
use super::channels::ChannelSpec;
use super::endpoint::Version;
use super::shapes::{ChannelsShape, SettingsShape, UsersShape};
use super::spec::Role;
use super::user::{CounterView, User};

/// `GET /v2/counters/unanswered/{user_id}`.
pub(super) fn counter(view: &CounterView) -> Response {
    answer::enveloped(&json!({"counter": view.reading.counter, "type": view.reading.kind}))
}

/// `GET /v2/users`. Without pages the whole list is answered, whatever the offset.
pub(super) fn users(account: &AccountNow, query: Option<&str>) -> Response {
    let (users, _) = match page(account, query, account.spec.shapes.page) {
        Ok(page) => page,
        Err(detail) => return answer::invalid(Version::V2, detail),
    };
    match account.spec.shapes.users {
        UsersShape::Documented => answer::enveloped(&users.into()),
        UsersShape::Nested => answer::enveloped(&json!({"users": users})),
        UsersShape::Bare => answer::json(200, &users.into()),
    }
}

/// The users from the query's `offset` on, at most `length` of them, and how many there are in all.
pub(super) fn page(
    account: &AccountNow,
    query: Option<&str>,
    length: Option<usize>,
) -> Result<(Vec<Value>, usize), &'static str> {
    let (offset, length) = match length {
        Some(length) => (offset(query)?, length),
        None => (0, usize::MAX),
    };
    let listed = account.present().skip(offset).take(length).map(user);
    Ok((listed.collect(), account.present().count()))
}

fn offset(query: Option<&str>) -> Result<usize, &'static str> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    match pairs.find(|(name, _)| name == "offset") {
        Some((_, offset)) => offset.parse().map_err(|_| "offset is a whole number"),
        None => Ok(0),
    }
}

/// A user as lists show it.
pub(super) fn user(user: &User) -> Value {
    let mut shown = json!({"id": user.spec.id, "name": user.spec.name});
    if let Some(phone) = &user.spec.phone {
        add(&mut shown, "phone", phone);
    }
    shown
}

/// `GET /v2/channels`.
pub(super) fn channels(account: &AccountNow) -> Response {
    let (shape, channels) = (account.spec.shapes.channels, &account.spec.channels);
    if shape == ChannelsShape::Old {
        let listed: Vec<_> = channels.iter().map(old_channel).collect();
        return answer::json(200, &json!({"count": listed.len(), "channels": listed}));
    }
    let present = channels.iter().filter(|channel| !channel.deleted);
    answer::enveloped(&present.map(|listed| channel(listed, shape)).collect())
}

fn channel(channel: &ChannelSpec, shape: ChannelsShape) -> Value {
    let ChannelSpec { id, transport, state, status, name, phone, deleted: _ } = channel;
    let mut shown = json!({
        "channel_id": id,
        "transport": transport,
        "phone": phone,
        "messenger_id": phone,
        "name": name,
    });
    if shape != ChannelsShape::StatusOnly {
        add(&mut shown, "state", state);
    }
    if shape != ChannelsShape::StateOnly {
        add(&mut shown, "status", status);
    }
    if shape == ChannelsShape::StatusOnly && status != state {
        add(&mut shown, "reason", state);
    }
    shown
}

/// Adds a field that is not always there.
pub(super) fn add(object: &mut Value, key: &str, value: &str) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value.into());
    }
}

fn old_channel(channel: &ChannelSpec) -> Value {
    json!({
        "guid": channel.id,
        "phone": channel.phone,
        "name": channel.name,
        "state": channel.state,
        "transport": channel.transport,
        "deleted": channel.deleted,
        "visible": true,
        "hasAccess": true,
    })
}

/// `GET /v2/settings`: who has which role on which channel.
pub(super) fn settings(account: &AccountNow) -> Response {
    let mut roles = Vec::new();
    for channel in account.spec.channels.iter().filter(|channel| !channel.deleted) {
        for user in account.present() {
            if let Some(word) = word(user.role_on(channel)) {
                roles.push(json!({
                    "channel_id": channel.id,
                    "user_id": user.spec.id,
                    "role": word,
                    "allow_get_new_clients": true,
                }));
            }
        }
    }
    let recorded = json!({
        "user_roles": roles,
        "hide_phone_numbers_for_user_ids": [],
        "push_input_output_message_events_for_managers": false,
    });
    match account.spec.shapes.settings {
        SettingsShape::Recorded => answer::json(200, &recorded),
        SettingsShape::Enveloped => answer::enveloped(&recorded),
        SettingsShape::CamelCase => answer::json(200, &camel_case(recorded)),
    }
}

/// The API's word for a role.
const fn word(role: Role) -> Option<&'static str> {
    match role {
        Role::SalesRep => Some("seller"),
        Role::Manager => Some("manager"),
        Role::QualityControl => Some("auditor"),
        Role::None => None,
    }
}

/// The same with `userRoles` for `user_roles`, and so on.
fn camel_case(value: Value) -> Value {
    let key = |snake: &str| {
        let mut words = snake.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |out, word| {
            let (initial, rest) = word.split_at_checked(1).unwrap_or_default();
            out + &initial.to_uppercase() + rest
        })
    };
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (key(&name), camel_case(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(camel_case).collect(),
        value => value,
    }
}

/// `GET /v2/webhooks`.
pub(super) fn webhooks(account: &AccountNow) -> Response {
    let id = &account.spec.account_id;
    let webhook = json!({
        "id": format!("5c2d1f10-0000-4000-8000-{id:0>12}"),
        "url": webhook_url(id),
        "event": "message.add",
    });
    answer::enveloped(&Some(webhook).filter(|_| account.spec.webhook).into_iter().collect())
}

/// Where a CRM wants events to be sent. Nothing is sent in the simulation.
pub(super) fn webhook_url(account_id: &str) -> String {
    format!("https://crm.example/wazzup/{account_id}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::test_client::{Served, serve};
    use super::super::{
        AccountSpec, ChannelSpec, ChannelsShape, Role, Settings, SettingsShape, Shapes, UserSpec,
        UsersShape,
    };

    /// Three users and three channels, of which one was deleted.
    async fn shop() -> Served {
        let anna = UserSpec::new("1", "Anna", Role::SalesRep).role_on("tg", Role::None);
        let shop = AccountSpec::new("shop", "12345678", "t")
            .user(UserSpec { phone: Some("77012345678".into()), ..anna })
            .user(UserSpec::new("2", "Юлия", Role::Manager))
            .user(UserSpec::new("3", "Bookkeeping", Role::None).role_on("wa", Role::QualityControl))
            .channels([
                ChannelSpec::new("wa", "whatsapp").state("qridle"),
                ChannelSpec::new("tg", "tgapi").name("Shop"),
                ChannelSpec { deleted: true, ..ChannelSpec::new("old", "viber") },
            ]);
        serve(Settings { accounts: vec![shop], ..Settings::default() }).await
    }

    async fn get(served: &Served, path: &str, shapes: Shapes) -> Value {
        served.simulator.set_shapes("shop", shapes).unwrap();
        let mut body = served.get(path, "t").await.json();
        if let Some(meta) = body.as_object_mut().and_then(|body| body.remove("meta")) {
            assert!(meta["timestamp"].as_u64().unwrap() > 1_700_000_000);
        }
        body
    }

    fn users() -> Value {
        json!([
            {"id": "1", "name": "Anna", "phone": "77012345678"},
            {"id": "2", "name": "Юлия"},
            {"id": "3", "name": "Bookkeeping"},
        ])
    }

    #[tokio::test]
    async fn lists_users_in_every_form() {
        let served = shop().await;
        let get_with = async |users| {
            get(&served, "/v2/users?offset=2", Shapes { users, ..Shapes::default() }).await
        };
        assert_eq!(get_with(UsersShape::Documented).await, json!({"data": users()}));
        assert_eq!(get_with(UsersShape::Nested).await, json!({"data": {"users": users()}}));
        assert_eq!(get_with(UsersShape::Bare).await, users());
    }

    #[tokio::test]
    async fn pages_of_users_begin_at_their_offset_and_end() {
        let served = shop().await;
        let shapes = Shapes { page: Some(2), ..Shapes::default() };
        for (query, listed) in [
            ("", &["1", "2"][..]),
            ("?offset=0", &["1", "2"]),
            ("?limit=9&offset=2", &["3"]),
            ("?offset=3", &[]),
            ("?offset=99", &[]),
        ] {
            let body = get(&served, &format!("/v2/users{query}"), shapes).await;
            let ids: Vec<_> = body["data"].as_array().unwrap().iter().map(|u| &u["id"]).collect();
            assert_eq!(ids, listed, "{query}");
        }
        let refused = served.get("/v2/users?offset=-1", "t").await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("VALIDATION_FAILED")));
        assert_eq!(refused.json()["errors"], json!(["offset is a whole number"]));
    }

    #[tokio::test]
    async fn lists_a_user_until_it_is_removed() {
        let served = shop().await;
        served.simulator.remove_user("shop", "1").unwrap();
        let left = get(&served, "/v2/users", Shapes::default()).await;
        assert_eq!(left, json!({"data": [users()[1], users()[2]]}));
        let later = UserSpec::new("5", "Later", Role::Manager);
        let later = UserSpec { arrives_after: Duration::MAX, ..later };
        served.simulator.add_user("shop", later).unwrap();
        served.simulator.add_user("shop", UserSpec::new("4", "New", Role::Manager)).unwrap();
        let last = get(&served, "/v2/users", Shapes::default()).await["data"][2].clone();
        assert_eq!(last, json!({"id": "4", "name": "New"}));
    }

    #[tokio::test]
    async fn lists_channels_in_every_form() {
        let served = shop().await;
        let get_with = async |channels| {
            get(&served, "/v2/channels", Shapes { channels, ..Shapes::default() }).await
        };
        let phone = "77000000000";
        let wa = json!({"channel_id": "wa", "transport": "whatsapp", "phone": phone,
            "messenger_id": phone, "name": phone});
        let tg = json!({"channel_id": "tg", "transport": "tgapi", "phone": phone,
            "messenger_id": phone, "name": "Shop"});
        let with = |channel: &Value, more: Value| {
            let mut channel = channel.clone();
            channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            channel
        };
        assert_eq!(
            get_with(ChannelsShape::Recorded).await,
            json!({"data": [
                with(&wa, json!({"state": "qridle", "status": "disabled"})),
                with(&tg, json!({"state": "active", "status": "active"})),
            ]})
        );
        assert_eq!(
            get_with(ChannelsShape::StatusOnly).await,
            json!({"data": [
                with(&wa, json!({"status": "disabled", "reason": "qridle"})),
                with(&tg, json!({"status": "active"})),
            ]})
        );
        assert_eq!(
            get_with(ChannelsShape::StateOnly).await,
            json!({"data": [
                with(&wa, json!({"state": "qridle"})),
                with(&tg, json!({"state": "active"})),
            ]})
        );
        let old = get_with(ChannelsShape::Old).await;
        assert_eq!(old["count"], 3);
        assert_eq!(
            old["channels"][2],
            json!({"guid": "old", "phone": phone, "name": phone, "state": "active",
                "transport": "viber", "deleted": true, "visible": true, "hasAccess": true})
        );
    }

    #[tokio::test]
    async fn channels_change_while_serving() {
        let served = shop().await;
        served.simulator.set_channel_state("shop", "tg", "phoneUnavailable").unwrap();
        let listed = get(&served, "/v2/channels", Shapes::default()).await["data"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert_eq!(
            (&listed[1]["state"], &listed[1]["status"]),
            (&json!("phoneUnavailable"), &json!("disabled"))
        );
        let unknown = served.simulator.set_channel_state("shop", "fax", "active").unwrap_err();
        assert_eq!(unknown.to_string(), "in the simulator account `shop` has no channel `fax`");
    }

    #[tokio::test]
    async fn settings_have_the_roles_in_every_form() {
        let served = shop().await;
        let get_with = async |settings| {
            get(&served, "/v2/settings", Shapes { settings, ..Shapes::default() }).await
        };
        let role = |channel: &str, user: &str, role: &str| {
            json!({"channel_id": channel, "user_id": user, "role": role,
                "allow_get_new_clients": true})
        };
        let recorded = json!({
            "user_roles": [
                role("wa", "1", "seller"),
                role("wa", "2", "manager"),
                role("wa", "3", "auditor"),
                role("tg", "2", "manager"),
            ],
            "hide_phone_numbers_for_user_ids": [],
            "push_input_output_message_events_for_managers": false,
        });
        assert_eq!(get_with(SettingsShape::Recorded).await, recorded);
        assert_eq!(get_with(SettingsShape::Enveloped).await, json!({"data": recorded}));
        let camel = get_with(SettingsShape::CamelCase).await;
        let keys: Vec<_> = camel.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["hidePhoneNumbersForUserIds", "pushInputOutputMessageEventsForManagers", "userRoles"]
        );
        assert_eq!(
            camel["userRoles"][0],
            json!({"channelId": "wa", "userId": "1", "role": "seller", "allowGetNewClients": true})
        );
    }

    #[tokio::test]
    async fn a_role_changes_while_serving_and_the_counter_with_it() {
        let served = shop().await;
        let roles = async || {
            let settings = get(&served, "/v2/settings", Shapes::default()).await;
            settings["user_roles"].as_array().unwrap().iter().map(ToString::to_string).collect()
        };
        let before: Vec<String> = roles().await;
        served.simulator.set_role("shop", "1", "wa", Role::None).unwrap();
        let after: Vec<String> = roles().await;
        assert_eq!(after, before[1..]);
        assert_eq!(served.simulator.counter("shop", "1"), Some((0, "red".into())));
        assert!(served.simulator.set_role("shop", "1", "fax", Role::Manager).is_err());
        assert!(served.simulator.set_role("shop", "9", "wa", Role::Manager).is_err());
    }

    #[tokio::test]
    async fn lists_the_subscriptions() {
        let served = shop().await;
        let body = get(&served, "/v2/webhooks", Shapes::default()).await;
        let url = "https://crm.example/wazzup/12345678";
        let id = "5c2d1f10-0000-4000-8000-000012345678";
        assert_eq!(body, json!({"data": [{"id": id, "url": url, "event": "message.add"}]}));
        let none = AccountSpec { webhook: false, ..AccountSpec::new("shop", "12345678", "t") };
        let served = serve(Settings { accounts: vec![none], ..Settings::default() }).await;
        assert_eq!(get(&served, "/v2/webhooks", Shapes::default()).await, json!({"data": []}));
    }
}
