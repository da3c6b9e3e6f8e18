//! The simulator's answers against those recorded in `tests/fixtures`.
//!
//! Every file there has to be the shape of an answer here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::oauth::challenge;
use super::test_client::{Reply, Served, serve};
use super::{
    AccountSpec, ChannelSpec, ChannelsShape, PartnerSpec, RateLimit, Role, Settings, SettingsShape,
    Shapes, TokenQuirk, UserSpec, UsersShape,
};

const LOGIN: &str = "main@example.com:p";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Where `answer` differs from `recorded` in keys or types. Of a list, each recorded item has to be
/// the shape of an answered one, and the other way round.
fn difference(recorded: &Value, answer: &Value) -> Option<String> {
    let differs = |what: &str| Some(format!("{what}: recorded {recorded}, answered {answer}"));
    match (recorded, answer) {
        (Value::Object(recorded), Value::Object(answer)) => {
            if !recorded.keys().eq(answer.keys()) {
                return differs("other keys");
            }
            recorded.iter().find_map(|(key, recorded)| difference(recorded, &answer[key]))
        }
        (Value::Array(recorded), Value::Array(answer)) => {
            let alike = |one: &Value, all: &[Value], turned: bool| {
                all.iter().any(|other| {
                    let (one, other) = if turned { (other, one) } else { (one, other) };
                    difference(one, other).is_none()
                })
            };
            let known = answer.iter().all(|item| alike(item, recorded, true));
            let shown = recorded.iter().all(|item| alike(item, answer, false));
            if known && shown { None } else { differs("other items") }
        }
        (Value::Null, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_)) => None,
        (Value::Number(recorded), Value::Number(answer))
            if recorded.is_u64() == answer.is_u64() =>
        {
            None
        }
        _ => differs("another type"),
    }
}

/// What the recorded account would be here, as `shop` of v2 and `key` of v3.
fn settings() -> Settings {
    let anna = UserSpec::new("7", "Анна Смирнова", Role::SalesRep).pinned(5, "red");
    let anna = UserSpec {
        phone: Some("77012345678".into()),
        last_message: Some(std::time::UNIX_EPOCH),
        ..anna
    };
    let boris = UserSpec::new("8", "Boris", Role::None).role_on("tg", Role::Manager);
    let wa = ChannelSpec::new("wa", "whatsapp").state("qridle");
    let gone = ChannelSpec { deleted: true, ..ChannelSpec::new("x", "vk") };
    let channels = [wa, ChannelSpec::new("tg", "tgapi"), gone];
    let shop = AccountSpec::new("shop", "78231464", "t").user(anna).user(boris).channels(channels);
    let key = AccountSpec::v3("key", "11111111", "k");
    Settings {
        accounts: vec![
            AccountSpec { users: shop.users.clone(), ..key },
            shop,
            AccountSpec::white_label("white", "22222222", "main"),
            AccountSpec::label("label", "33333333", "main", "seed"),
        ],
        partners: vec![PartnerSpec::new("main", "main@example.com", "p")],
        ..Settings::default()
    }
}

async fn with_quirk(quirk: Option<TokenQuirk>) -> Served {
    let mut settings = settings();
    settings.partners[0].quirks.extend(quirk);
    serve(settings).await
}

async fn machine(served: &Served) -> Value {
    let data = json!({"scope": "transport,crm"});
    let body = json!({"grant_type": "client_credentials", "client_credentials_data": data});
    served.request_token(LOGIN, &body).await.json()
}

async fn exchange(served: &Served) -> Value {
    let data = json!({
        "subject_token": machine(served).await["data"]["access_token"],
        "subject_token_type": "urn:wazzup:oauth:token-type:machine_token",
        "requested_subject": "22222222",
        "scope": "transport,crm",
    });
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let body = json!({"grant_type": grant, "token_exchange_data": data});
    served.request_token(LOGIN, &body).await.json()
}

async fn refresh(served: &Served) -> Value {
    let data = json!({"refresh_token": "seed", "client_id": "app-main"});
    let body = json!({"grant_type": "refresh_token", "refresh_token_data": data});
    served.request_token(LOGIN, &body).await.json()
}

async fn first_login(served: &Served) -> Value {
    let (back, verifier) = ("https://partner.example/wazzup", "v".repeat(43));
    let challenge = challenge(&verifier);
    let sent: Reply = served
        .get(
            &format!(
                "/v2/oauth/authorize?response_type=code&client_id=app-main&redirect_uri={back}\
                 &scope=crm&code_challenge={challenge}&code_challenge_method=S256&account=33333333"
            ),
            "",
        )
        .await;
    let (_, code) = sent.header("location").unwrap().split_once("code=").unwrap();
    let data = json!({"code": code, "redirect_uri": back, "client_id": "app-main",
        "code_verifier": verifier});
    let body = json!({"grant_type": "authorization_code", "authorize_code_data": data});
    served.request_token(LOGIN, &body).await.json()
}

/// What the simulator answers where each fixture was recorded.
async fn answer(name: &str) -> Value {
    let served = serve(settings()).await;
    let shaped = async |path: &str, shapes: Shapes| {
        served.simulator.set_shapes("shop", shapes).unwrap();
        served.simulator.set_shapes("key", shapes).unwrap();
        let token = if path.starts_with("/v3") { "k" } else { "t" };
        served.get(path, token).await.json()
    };
    let usual = Shapes::default();
    let users = |users| Shapes { users, ..usual };
    let channels = |channels| Shapes { channels, ..usual };
    let roles = |settings| Shapes { settings, ..usual };
    match name {
        "v2-counter" => shaped("/v2/counters/unanswered/7", usual).await,
        "v2-users" => shaped("/v2/users", usual).await,
        "v2-users-nested" => shaped("/v2/users", users(UsersShape::Nested)).await,
        "v2-channels" => shaped("/v2/channels", usual).await,
        "v2-channels-status-only" => {
            shaped("/v2/channels", channels(ChannelsShape::StatusOnly)).await
        }
        "v2-channels-state-only" => {
            shaped("/v2/channels", channels(ChannelsShape::StateOnly)).await
        }
        "v2-channels-old" => shaped("/v2/channels", channels(ChannelsShape::Old)).await,
        "v2-settings" => shaped("/v2/settings", usual).await,
        "v2-settings-enveloped" => shaped("/v2/settings", roles(SettingsShape::Enveloped)).await,
        "v2-settings-camel-case" => shaped("/v2/settings", roles(SettingsShape::CamelCase)).await,
        "v2-reset" => served.request("DELETE", "/v2/chats/unanswered", "t", "").await.json(),
        "v2-webhooks" => shaped("/v2/webhooks", usual).await,
        "v2-token-machine" => machine(&served).await,
        "v2-token-exchange" => exchange(&served).await,
        "v2-token-label" => {
            let (renewed, first) = (refresh(&served).await, first_login(&served).await);
            assert_eq!(difference(&renewed, &first), None);
            first
        }
        "v2-token-refresh-end" => {
            refresh(&with_quirk(Some(TokenQuirk::RefreshExpiresIn)).await).await
        }
        "v2-token-bare" => refresh(&with_quirk(Some(TokenQuirk::Bare)).await).await,
        "v2-error-401" => served.get("/v2/users", "unheard-of").await.json(),
        "v2-error-validation" => {
            shaped("/v2/users?offset=x", Shapes { page: Some(1), ..usual }).await
        }
        "v3-counter" => shaped("/v3/unanswered/7", usual).await,
        "v3-counter-zero" => {
            served.simulator.set_role("key", "8", CHANNEL_OF_KEY, Role::None).unwrap();
            shaped("/v3/unanswered/8", usual).await
        }
        "v3-users" => shaped("/v3/users", usual).await,
        "v3-users-bare" => shaped("/v3/users", users(UsersShape::Bare)).await,
        "v3-channels" => shaped("/v3/channels", usual).await,
        "v3-webhooks" => shaped("/v3/webhooks", usual).await,
        "v3-error-401" => served.get("/v3/users", "t").await.json(),
        "error-429" => {
            let limit = RateLimit { requests: 0, ..RateLimit::default() };
            serve(Settings { limit, ..settings() }).await.get("/v2/users", "t").await.json()
        }
        _ => panic!("{name}.json is the answer to nothing here"),
    }
}

const CHANNEL_OF_KEY: &str = "808e0654-0000-4000-8000-000011111111";

#[tokio::test]
async fn answers_have_the_recorded_shapes() {
    let mut seen = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let difference = difference(&fixture(name), &answer(name).await);
        assert_eq!(difference, None, "{name}");
        seen += 1;
    }
    assert!(seen > 20, "only {seen}");
}

#[tokio::test]
async fn errors_have_the_recorded_codes() {
    for name in ["v2-error-401", "v2-error-validation", "v3-error-401", "error-429"] {
        assert_eq!(answer(name).await, fixture(name), "{name}");
    }
}

#[test]
fn the_readme_of_the_fixtures_names_each_once() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let named: Vec<_> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let listed: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(named.len(), listed.len());
    assert_eq!(named.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), listed);
}

#[test]
fn a_difference_is_found() {
    let recorded = json!({"data": [{"id": "1", "phone": "2"}, {"id": "1"}], "at": 1});
    for (answer, same) in [
        (json!({"data": [{"id": "9"}, {"id": "", "phone": ""}], "at": 7}), true),
        (json!({"data": [{"id": "9"}], "at": 7}), false),
        (json!({"data": [{"id": "9"}, {"id": "", "phone": null}], "at": 7}), false),
        (json!({"data": [{"id": "9"}, {"id": "", "phone": ""}, {}], "at": 7}), false),
        (json!({"data": [{"id": "9"}, {"id": "", "phone": ""}], "at": 7.5}), false),
        (json!({"data": [{"id": "9"}, {"id": "", "phone": ""}], "at": 7, "more": 1}), false),
        (json!({"data": {}, "at": 7}), false),
    ] {
        assert_eq!(difference(&recorded, &answer).is_none(), same, "{answer}");
    }
}
