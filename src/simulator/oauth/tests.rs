use std::time::Duration;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::time::timeout;

use super::super::test_client::{Reply, Served, serve, token_request};
use super::super::{
    Access, AccountSpec, Endpoint, Login, PartnerSpec, RateLimit, Role, Settings, TokenQuirk,
    UserSpec,
};
use super::*;

const LOGIN: &str = "main@example.com:p:ss";
/// Only a failing test waits for it.
const DEADLINE: Duration = Duration::from_mins(1);

fn partner() -> PartnerSpec {
    PartnerSpec::new("main", "main@example.com", "p:ss")
}

/// White-label accounts `white` and `pale`, label account `label` with the refresh token `seed`.
fn settings(partner: PartnerSpec) -> Settings {
    let user = UserSpec::new("1", "Anna", Role::SalesRep).pinned(5, "red");
    let other = PartnerSpec::new("other", "other@example.com", "q");
    Settings {
        accounts: vec![
            AccountSpec::white_label("white", "11111111", "main").user(user.clone()),
            AccountSpec::white_label("pale", "22222222", "main"),
            AccountSpec::label("label", "33333333", "main", "seed").user(user),
            AccountSpec::white_label("foreign", "44444444", "other"),
        ],
        partners: vec![partner, other],
        ..Settings::default()
    }
}

async fn partner_api() -> Served {
    serve(settings(partner())).await
}

fn machine_body() -> Value {
    let data = json!({"scope": "transport,crm"});
    json!({"grant_type": "client_credentials", "client_credentials_data": data})
}

fn exchange_body(machine: &str, account_id: &str) -> Value {
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let data = json!({
        "subject_token": machine,
        "subject_token_type": "urn:wazzup:oauth:token-type:machine_token",
        "requested_subject": account_id,
        "scope": "transport,crm",
    });
    json!({"grant_type": grant, "token_exchange_data": data})
}

fn refresh_body(token: &str) -> Value {
    let data = json!({"refresh_token": token, "client_id": "app-main"});
    json!({"grant_type": "refresh_token", "refresh_token_data": data})
}

async fn request_token(served: &Served, body: &Value) -> Reply {
    served.request_token(LOGIN, body).await
}

/// What was granted, out of its envelope.
async fn granted(served: &Served, body: &Value) -> Value {
    let reply = request_token(served, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let body = reply.json();
    assert!(body["meta"]["timestamp"].as_u64().unwrap() > 1_700_000_000);
    body["data"].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn machine(served: &Served) -> String {
    text(&granted(served, &machine_body()).await["access_token"]).to_owned()
}

async fn white(served: &Served) -> String {
    let body = exchange_body(&machine(served).await, "11111111");
    text(&granted(served, &body).await["access_token"]).to_owned()
}

async fn status(served: &Served, token: &str) -> u16 {
    served.get("/v2/counters/unanswered/1", token).await.status
}

fn claims(token: &Value) -> Value {
    let claims = text(token).split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn a_machine_token_is_exchanged_for_an_account_s_any_number_of_times() {
    let served = partner_api().await;
    let machine = granted(&served, &machine_body()).await;
    assert_eq!(keys(&machine), ["access_token", "expires_in"]);
    let body = exchange_body(text(&machine["access_token"]), "11111111");
    let (first, second) = (granted(&served, &body).await, granted(&served, &body).await);
    assert_eq!(keys(&first), ["access_token", "expires_in"]);
    assert_eq!(first["expires_in"], 3_600);
    let claimed = claims(&first["access_token"]);
    assert_eq!(claimed["child_id"], "11111111");
    let life = claimed["exp"].as_u64().unwrap() - claimed["iat"].as_u64().unwrap();
    assert_eq!(life, 3_600);
    for token in [&first, &second] {
        let token = text(&token["access_token"]);
        let body = served.get("/v2/counters/unanswered/1", token).await.json();
        assert_eq!(body["data"], json!({"counter": 5, "type": "red"}));
    }
    assert_ne!(first["access_token"], second["access_token"]);
    let machine = text(&machine["access_token"]);
    assert_eq!(status(&served, machine).await, 401, "a machine token reads nothing");
}

#[tokio::test]
async fn the_log_and_the_counts_have_partner_account_and_endpoint() {
    let served = partner_api().await;
    let machine = machine(&served).await;
    request_token(&served, &exchange_body(&machine, "11111111")).await;
    request_token(&served, &exchange_body(&machine, "44444444")).await;
    request_token(&served, &refresh_body("seed")).await;
    request_token(&served, &refresh_body("seed")).await;
    request_token(&served, &json!({"grant_type": "password"})).await;
    served.request_token("main@example.com:wrong", &machine_body()).await;
    served.request_token("unknown@example.com:wrong", &machine_body()).await;
    let log: Vec<_> = served.simulator.log();
    let seen: Vec<_> = log
        .iter()
        .map(|one| (one.endpoint, one.account.as_deref(), one.partner.as_deref(), one.status))
        .collect();
    let main = Some("main");
    assert_eq!(
        seen,
        [
            (Endpoint::MachineToken, None, main, Some(200)),
            (Endpoint::Exchange, Some("white"), main, Some(200)),
            (Endpoint::Exchange, Some("foreign"), main, Some(403)),
            (Endpoint::Refresh, Some("label"), main, Some(200)),
            (Endpoint::Refresh, Some("label"), main, Some(401)),
            (Endpoint::OtherGrant, None, main, Some(400)),
            (Endpoint::MachineToken, None, main, Some(401)),
            (Endpoint::MachineToken, None, None, Some(401)),
        ]
    );
    let counts = served.simulator.counts();
    let main = &counts.partners["main"];
    let kinds = [Endpoint::MachineToken, Endpoint::Exchange, Endpoint::Refresh, Endpoint::Code];
    assert_eq!(kinds.map(|kind| main.asked(kind)), [2, 2, 2, 0]);
    assert_eq!(kinds.map(|kind| main.granted(kind)), [1, 1, 1, 0]);
    assert_eq!(counts.accounts["label"].endpoint(Endpoint::Refresh), 2);
    let output = format!("{log:?}{counts:?}{:?}", served.simulator);
    for secret in ["p:ss", "seed", &*machine, "wrong"] {
        assert!(!output.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_login_that_is_not_right_gets_nothing() {
    let served = partner_api().await;
    let refused = json!("OAUTH_CLIENT_UNAUTHORIZED");
    for login in ["main@example.com:pss", "main@example.com", "MAIN@example.com:p:ss", ":", ""] {
        let reply = served.request_token(login, &machine_body()).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &refused), "{login}");
    }
    for scheme in ["Bearer", "Basic !", ""] {
        let request = token_request(LOGIN, &machine_body()).replace("Basic", scheme);
        assert_eq!(served.send(&request).await.status, 401, "{scheme}");
    }
    served.simulator.set_login("main", Login::Refused).unwrap();
    assert_eq!(request_token(&served, &machine_body()).await.json()["code"], refused);
    served.simulator.set_login("main", Login::Failing).unwrap();
    assert_eq!(request_token(&served, &machine_body()).await.status, 500);
    served.simulator.set_login("main", Login::Good).unwrap();
    assert_eq!(request_token(&served, &machine_body()).await.status, 200);
    assert!(served.simulator.set_login("unknown", Login::Good).is_err());
    let got = served.request("GET", "/v2/oauth/token", "", "").await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn an_exchange_is_for_the_partner_s_own_accounts() {
    let served = partner_api().await;
    let machine = machine(&served).await;
    for account_id in ["33333333", "44444444", "99999999"] {
        let reply = request_token(&served, &exchange_body(&machine, account_id)).await;
        let code = reply.json()["code"].clone();
        assert_eq!((reply.status, text(&code)), (403, "OAUTH_SUBJECT_FORBIDDEN"), "{account_id}");
    }
    served.simulator.set_access("white", Access::Revoked).unwrap();
    assert_eq!(request_token(&served, &exchange_body(&machine, "11111111")).await.status, 403);
    served.simulator.set_access("white", Access::Normal).unwrap();
    assert_eq!(request_token(&served, &exchange_body(&machine, "11111111")).await.status, 200);
    let foreign = served.request_token("other@example.com:q", &machine_body()).await.json();
    let foreign = text(&foreign["data"]["access_token"]).to_owned();
    let account = white(&served).await;
    for token in [&*foreign, &*account, "unheard-of"] {
        let reply = request_token(&served, &exchange_body(token, "11111111")).await;
        let code = reply.json()["code"].clone();
        assert_eq!((reply.status, text(&code)), (401, "OAUTH_TOKEN_UNKNOWN_OR_REVOKED"));
    }
    served.simulator.revoke_machine_tokens("main").unwrap();
    assert_eq!(request_token(&served, &exchange_body(&machine, "11111111")).await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_brings_the_next() {
    let served = partner_api().await;
    let live = || served.simulator.live_refresh_tokens("label").unwrap();
    assert_eq!(live(), ["seed"]);
    let first = granted(&served, &refresh_body("seed")).await;
    assert_eq!(keys(&first), ["access_token", "expires_in", "refresh_token"]);
    assert_eq!(claims(&first["access_token"])["child_id"], "33333333");
    assert_eq!(live(), [text(&first["refresh_token"])]);
    let again = request_token(&served, &refresh_body("seed")).await;
    assert_eq!(again.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
    let second = granted(&served, &refresh_body(text(&first["refresh_token"]))).await;
    assert_eq!(live(), [text(&second["refresh_token"])]);
    for token in [&first, &second] {
        assert_eq!(status(&served, text(&token["access_token"])).await, 200);
    }
}

#[tokio::test]
async fn of_two_who_refresh_at_once_one_wins() {
    let served = partner_api().await;
    let (body, other) = (refresh_body("seed"), refresh_body("seed"));
    let (one, other) = tokio::join!(request_token(&served, &body), request_token(&served, &other));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    assert_eq!(served.simulator.live_refresh_tokens("label").unwrap().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_its_own_partner_and_application() {
    let served = partner_api().await;
    let mut body = refresh_body("seed");
    let foreign = served.request_token("other@example.com:q", &body).await;
    assert_eq!(foreign.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
    body["refresh_token_data"]["client_id"] = "app-other".into();
    assert_eq!(request_token(&served, &body).await.status, 401);
    served.simulator.set_access("label", Access::Revoked).unwrap();
    assert_eq!(request_token(&served, &refresh_body("seed")).await.status, 401);
    served.simulator.set_access("label", Access::Normal).unwrap();
    assert_eq!(
        request_token(&served, &refresh_body("seed")).await.status,
        200,
        "it was never spent"
    );
}

#[tokio::test]
async fn tokens_end_when_revoked() {
    let served = partner_api().await;
    let (machine, white) = (machine(&served).await, white(&served).await);
    let label = granted(&served, &refresh_body("seed")).await;
    let (access, refresh) = (text(&label["access_token"]), text(&label["refresh_token"]));
    served.simulator.expire_tokens("white").unwrap();
    let refused = served.get("/v2/users", &white).await;
    assert_eq!(refused.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
    let last = served.simulator.log().pop().unwrap();
    assert_eq!(last.account.as_deref(), Some("white"), "it is known whose it was");
    assert_eq!(status(&served, access).await, 200);
    assert_eq!(request_token(&served, &exchange_body(&machine, "11111111")).await.status, 200);
    served.simulator.revoke_tokens("label").unwrap();
    assert_eq!(request_token(&served, &refresh_body(refresh)).await.status, 401);
    assert_eq!(status(&served, access).await, 401);
    assert!(served.simulator.live_refresh_tokens("label").unwrap().is_empty());
}

#[tokio::test]
async fn tokens_end_by_themselves_to_the_fraction_of_a_second() {
    let mut brief = partner();
    brief.access_ttl = Duration::from_millis(1_500);
    brief.machine_ttl = Duration::ZERO;
    brief.refresh_ttl = Duration::ZERO;
    let served = serve(settings(brief)).await;
    let machine = granted(&served, &machine_body()).await;
    assert_eq!(machine["expires_in"], 0);
    let body = exchange_body(text(&machine["access_token"]), "11111111");
    assert_eq!(request_token(&served, &body).await.status, 401);
    assert_eq!(request_token(&served, &refresh_body("seed")).await.status, 401);
    let mut brief = partner();
    brief.access_ttl = Duration::from_millis(1_500);
    let served = serve(settings(brief)).await;
    let begun = std::time::Instant::now();
    let token = granted(&served, &refresh_body("seed")).await;
    assert_eq!(token["expires_in"], 2);
    let over = async {
        while status(&served, text(&token["access_token"])).await == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, over).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn answers_differ_as_their_quirks_say() {
    let quirks = partner()
        .quirk(TokenQuirk::Bare)
        .quirk(TokenQuirk::RefreshExpiresIn)
        .quirk(TokenQuirk::NoChildId);
    let served = serve(settings(quirks)).await;
    let machine = request_token(&served, &machine_body()).await.json();
    assert_eq!(keys(&machine), ["access_token", "expires_in"]);
    let body = exchange_body(text(&machine["access_token"]), "11111111");
    let white = request_token(&served, &body).await.json();
    assert_eq!(keys(&white), ["access_token", "expires_in"]);
    assert_eq!(claims(&white["access_token"])["child_id"], "11111111");
    let label = request_token(&served, &refresh_body("seed")).await.json();
    let all = ["access_token", "expires_in", "refresh_expires_in", "refresh_token"];
    assert_eq!(keys(&label), all);
    assert_eq!(label["refresh_expires_in"], 7 * 24 * 3_600);
    assert_eq!(claims(&label["access_token"]).get("child_id"), None);
    let lasting = partner().quirk(TokenQuirk::LastingRefreshTokens);
    let served = serve(settings(lasting)).await;
    for _ in 0..2 {
        let label = granted(&served, &refresh_body("seed")).await;
        assert_eq!(keys(&label), ["access_token", "expires_in"]);
    }
    assert_eq!(served.simulator.live_refresh_tokens("label").unwrap(), ["seed"]);
}

#[tokio::test]
async fn bodies_have_to_be_as_documented_and_are_not_repeated() {
    let served = partner_api().await;
    let machine = machine(&served).await;
    let mut dashed = exchange_body(&machine, "1111-1111");
    let mut typed = exchange_body(&machine, "11111111");
    typed["token_exchange_data"]["subject_token_type"] = "hush-hush".into();
    let mut number = refresh_body("hush-hush");
    number["refresh_token_data"]["client_id"] = 17.into();
    let verifier = json!({"code": "hush-hush", "redirect_uri": "x", "client_id": "x",
        "code_verifier": "hush-hush"});
    let code = json!({"grant_type": "authorization_code", "authorize_code_data": verifier});
    let flat = json!({"grant_type": "refresh_token", "refresh_token": "hush-hush"});
    for (body, detail) in [
        (&dashed, "token_exchange_data.requested_subject must be eight digits"),
        (&typed, "token_exchange_data.subject_token_type is not that of a machine token"),
        (&number, "refresh_token_data.client_id is missing or no text"),
        (&code, "authorize_code_data.code_verifier must be 43 to 128 letters, digits and -._~"),
        (&flat, "refresh_token_data.refresh_token is missing or no text"),
        (&json!({"grant_type": "hush-hush"}), "grant_type is missing or none of those known"),
        (&json!("hush-hush"), "grant_type is missing or none of those known"),
    ] {
        let reply = request_token(&served, body).await;
        assert_eq!(reply.status, 400);
        let expected = json!({"code": "VALIDATION_FAILED", "title": "Bad Request",
            "detail": detail, "errors": [detail]});
        assert_eq!(reply.json(), expected);
    }
    dashed["token_exchange_data"]["requested_subject"] = "11111111".into();
    dashed["token_exchange_data"]["scope"] = "billing".into();
    assert_eq!(request_token(&served, &dashed).await.json()["code"], "OAUTH_SCOPE_INVALID");
    let request = token_request(LOGIN, &machine_body());
    let form = request.replace("application/json", "application/x-www-form-urlencoded");
    let refused = served.send(&form).await.json();
    assert_eq!(refused["detail"], "the content type must be application/json");
    let charset = request.replace("application/json", "application/json; charset=utf-8");
    assert_eq!(served.send(&charset).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_has_had_its_effect() {
    let served = partner_api().await;
    served.simulator.add_fault("lost,endpoint=refresh,account=label".parse().unwrap());
    assert_eq!(request_token(&served, &machine_body()).await.status, 200);
    let (received, end) = served.exchange(&token_request(LOGIN, &refresh_body("seed"))).await;
    assert_eq!((received.len(), end.is_err()), (0, true));
    let live = served.simulator.live_refresh_tokens("label").unwrap();
    assert!(live.len() == 1 && live[0] != "seed", "the new one was not delivered");
    assert_eq!(served.simulator.counts().partners["main"].granted(Endpoint::Refresh), 1);
    assert_eq!(served.simulator.counts().unanswered, 1);
    served.simulator.clear_faults();
    assert_eq!(request_token(&served, &refresh_body("seed")).await.status, 401);
}

#[tokio::test]
async fn a_late_answer_has_had_its_effect_before() {
    let served = partner_api().await;
    let simulator = served.simulator.clone();
    simulator.add_fault("late=1m,endpoint=refresh".parse().unwrap());
    let spent = async {
        while simulator.live_refresh_tokens("label").unwrap() == ["seed"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let request = token_request(LOGIN, &refresh_body("seed"));
    tokio::select! {
        _ = served.exchange(&request) => panic!("answered"),
        spent = timeout(DEADLINE, spent) => spent.unwrap(),
    }
    timeout(DEADLINE, simulator.wait_until(|log| log.open == 0)).await.unwrap();
    assert_eq!(simulator.log()[0].status, None);
}

#[tokio::test]
async fn faults_and_the_limit_reach_the_login() {
    let limit = RateLimit { requests: 2, window: Duration::from_hours(1) };
    let served = serve(Settings { limit, ..settings(partner()) }).await;
    served.simulator.add_fault("status=503,endpoint=machine_token,count=1".parse().unwrap());
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(request_token(&served, &machine_body()).await.status);
    }
    assert_eq!(statuses, [503, 200, 429]);
    let other = served.request_token("other@example.com:q", &machine_body()).await;
    assert_eq!(other.status, 200, "each login has a window of its own");
}
