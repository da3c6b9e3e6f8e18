//! The doctor against accounts that are well, and against each thing that can be wrong.

use std::path::Path;

use wazzup_exporter::app::diagnose;
use wazzup_exporter::config;
use wazzup_exporter::doctor::{Check, Diagnosis, Finding, Verdict};
use wazzup_exporter::shard::Shard;
use wazzup_exporter::simulator::{
    AccountSpec, ChannelSpec, Credential, RateLimit, Role, Settings, Simulator, UserSpec,
};

use super::support::upstream::serve;
use super::support::wait::guard;

/// An account with a channel, a subscription and these users.
fn account(users: &[(&str, Role)]) -> AccountSpec {
    let channel = ChannelSpec::new("c", "whatsapp").name("77001112233");
    let account = AccountSpec::new("acme", "10000000", "a.simulated.token").channels([channel]);
    users.iter().fold(account, |account, (id, role)| {
        account.user(UserSpec::new(id, &format!("User {id}"), *role).pinned(5, "red"))
    })
}

async fn api(account: AccountSpec) -> (Simulator, String) {
    let limit = RateLimit::UNLIMITED;
    serve(Settings { accounts: vec![account], speed: 0.0, limit, ..Settings::default() }).await
}

const USERS: &str = "users: [{id: '1'}, {id: '2'}]";

fn yaml(url: &str, token: &str, keys: &str) -> String {
    format!("accounts: [{{name: acme, base_url: '{url}', auth: {{token: '{token}'}}, {keys}}}]")
}

async fn examined(yaml: &str, user: Option<&str>) -> Diagnosis {
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    guard("the doctor", diagnose(config, &Shard::WHOLE, None, Some("acme"), user))
        .await
        .unwrap()
        .remove(0)
}

async fn diagnosis(account: AccountSpec, keys: &str) -> Diagnosis {
    let (_api, url) = api(account).await;
    examined(&yaml(&url, "a.simulated.token", keys), None).await
}

fn problems(diagnosis: &Diagnosis) -> Vec<Check> {
    let wrong = diagnosis.findings.iter().filter(|finding| finding.verdict == Verdict::Problem);
    wrong.map(|finding| finding.check).collect()
}

fn finding(diagnosis: &Diagnosis, check: Check) -> &Finding {
    let found = diagnosis.findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("{check:?} is not among {diagnosis}"))
}

#[tokio::test]
async fn an_account_that_is_well_has_no_problem_and_nothing_unknown() {
    let account = account(&[("1", Role::SalesRep), ("2", Role::Manager)]);
    let diagnosis = diagnosis(account, USERS).await;
    let verdicts: Vec<_> =
        diagnosis.findings.iter().map(|finding| (finding.check, finding.verdict)).collect();
    let checks = [
        Check::Host,
        Check::Token,
        Check::Access,
        Check::Channels,
        Check::Webhooks,
        Check::Clock,
        Check::Users,
        Check::Roles,
        Check::Reach,
        Check::Limit,
    ];
    assert_eq!(verdicts, checks.map(|check| (check, Verdict::Ok)), "{diagnosis}");
    assert!(diagnosis.is_healthy());
}

#[tokio::test]
async fn every_fault_of_an_account_is_named_and_nothing_else() {
    let users = [("1", Role::SalesRep), ("2", Role::None), ("3", Role::SalesRep)];
    let mut account = account(&users[..2]);
    account.channels.push(ChannelSpec::new("dead", "tgapi").state("phoneUnavailable"));
    account.users[0] = account.users[0].clone().role_on("dead", Role::None);
    let lost = UserSpec::new("3", "Lost", Role::SalesRep).role_on("c", Role::None);
    account = account.user(lost.pinned(5, "red"));
    account.webhook = false;
    let keys = "users: [{id: '1'}, {id: '2'}, {id: '3'}, {id: '9'}]";
    let diagnosis = diagnosis(account, keys).await;
    assert_eq!(
        problems(&diagnosis),
        [Check::Channels, Check::Webhooks, Check::Users, Check::Roles, Check::Reach],
        "{diagnosis}"
    );
    let concerned = |check| finding_of(&diagnosis, check).concerns.clone();
    assert_eq!(concerned(Check::Channels), ["dead"]);
    assert_eq!(concerned(Check::Users), ["9"]);
    assert_eq!(concerned(Check::Roles), ["2"]);
    assert_eq!(concerned(Check::Reach), ["3"]);
    let words = &finding_of(&diagnosis, Check::Channels).words;
    assert!(words.contains("has lost its phone (phoneUnavailable)"), "{words}");
    let wrong = diagnosis.findings.iter().filter(|finding| finding.verdict == Verdict::Problem);
    assert!(wrong.into_iter().all(|finding| finding.remedy.is_some()));
}

fn finding_of(diagnosis: &Diagnosis, check: Check) -> &Finding {
    let mut found = diagnosis.findings.iter().filter(|finding| finding.check == check);
    found.find(|finding| finding.verdict == Verdict::Problem).unwrap()
}

#[tokio::test]
async fn a_refused_connection_is_reported_first_and_alone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let diagnosis = examined(&yaml(&url, "t", USERS), None).await;
    assert_eq!(problems(&diagnosis), [Check::Host]);
    assert_eq!(diagnosis.findings.len(), 1, "{diagnosis}");
}

#[tokio::test]
async fn keys_of_the_wrong_kind_are_recognised() {
    let mut v3 = account(&[("1", Role::SalesRep), ("2", Role::SalesRep)]);
    v3.credential = Credential::ApiKey("0123456789abcdef0123456789abcdef".into());
    let (_api, url) = api(v3.clone()).await;
    let key_on_v2 = examined(&yaml(&url, "0123456789abcdef0123456789abcdef", USERS), None).await;
    assert_eq!(problems(&key_on_v2), [Check::Access], "{key_on_v2}");
    let remedy = finding(&key_on_v2, Check::Access).remedy.unwrap();
    assert!(remedy.starts_with("this looks like an API key, which only v3 accepts"), "{remedy}");

    let (_api, url) = api(account(&[("1", Role::SalesRep)])).await;
    let keys = format!("api: v3, {USERS}");
    let token_on_v3 = examined(&yaml(&url, "a.simulated.token", &keys), None).await;
    assert_eq!(problems(&token_on_v3), [Check::Access], "{token_on_v3}");
    let access = finding(&token_on_v3, Check::Access);
    assert!(access.words.contains("INVALID_APIKEY"), "{access}");
    assert!(access.remedy.unwrap().starts_with("this is a technical partner's token"), "{access}");

    v3.credential = Credential::SidecarKey("fedcba9876543210fedcba9876543210".into());
    let (_api, url) = api(v3).await;
    let sidecar = examined(&yaml(&url, "fedcba9876543210fedcba9876543210", &keys), None).await;
    assert_eq!(problems(&sidecar), [Check::Access], "{sidecar}");
    assert!(finding_of(&sidecar, Check::Access).words.contains("(Sidecar)"), "{sidecar}");
}

#[tokio::test]
async fn what_v3_does_not_have_is_no_problem() {
    let mut v3 = account(&[("1", Role::SalesRep), ("2", Role::SalesRep)]);
    v3.credential = Credential::ApiKey("0123456789abcdef0123456789abcdef".into());
    let (_api, url) = api(v3).await;
    let keys = format!("api: v3, {USERS}");
    let diagnosis = examined(&yaml(&url, "0123456789abcdef0123456789abcdef", &keys), None).await;
    assert!(diagnosis.is_healthy(), "{diagnosis}");
    assert_eq!(finding(&diagnosis, Check::Roles).verdict, Verdict::Unknown);
}

#[tokio::test]
async fn an_account_without_a_channel_and_one_without_users_are_reported() {
    let account = account(&[("1", Role::SalesRep), ("2", Role::SalesRep)]).channels([]);
    let diagnosis = diagnosis(account, USERS).await;
    assert!(problems(&diagnosis).contains(&Check::Channels), "{diagnosis}");
    assert!(finding(&diagnosis, Check::Channels).words.contains("has no channel"));
}

#[tokio::test]
async fn a_token_that_ends_is_reported_in_time() {
    use base64::Engine as _;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for (end, words) in [(3_000, "the token expires in"), (-60, "the token has expired")] {
        let end = now.as_secs().saturating_add_signed(end);
        let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
        let token = format!("e30.{claims}.c2ln");
        let mut account = account(&[("1", Role::SalesRep), ("2", Role::SalesRep)]);
        account.credential = Credential::Token(token.clone().into());
        let (_api, url) = api(account).await;
        let diagnosis = examined(&yaml(&url, &token, USERS), None).await;
        assert_eq!(problems(&diagnosis), [Check::Token], "{diagnosis}");
        assert!(finding(&diagnosis, Check::Token).words.starts_with(words), "{diagnosis}");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_limit_that_is_tight_are_reported() {
    let (api, url) = api(account(&[("1", Role::SalesRep), ("2", Role::SalesRep)])).await;
    let old = "endpoint=counter,body={\"data\":{\"counter\":5,\"type\":\"red\"},\
               \"meta\":{\"timestamp\":1759499127}}";
    api.add_fault(old.parse().unwrap());
    let keys = format!(
        "rate_limit: {{requests: 21, per: 1s, share: 100%}}, poll: {{interval: 100ms}}, {USERS}"
    );
    let diagnosis = examined(&yaml(&url, "a.simulated.token", &keys), None).await;
    assert_eq!(problems(&diagnosis), [Check::Clock, Check::Limit], "{diagnosis}");
    assert!(finding(&diagnosis, Check::Clock).words.contains("ahead of"), "{diagnosis}");
}

#[tokio::test]
async fn users_beyond_the_cap_are_counted() {
    let account = account(&[("1", Role::SalesRep), ("2", Role::SalesRep)]);
    let diagnosis = diagnosis(account, "discover_users: {enabled: true, max_users: 1}").await;
    assert_eq!(problems(&diagnosis), [Check::Limit], "{diagnosis}");
    let words = "1 users are found beyond discover_users.max_users, and are not polled";
    assert_eq!(finding_of(&diagnosis, Check::Limit).words, words);
}

#[tokio::test]
async fn one_user_is_shown_with_the_answer_the_role_and_the_series() {
    let (_api, url) = api(account(&[("1", Role::SalesRep), ("2", Role::SalesRep)])).await;
    let diagnosis = examined(&yaml(&url, "a.simulated.token", USERS), Some("1")).await;
    let user = diagnosis.user.as_ref().unwrap();
    assert_eq!((user.status, user.role), (Some(200), Some("sales_rep")));
    assert!(user.answer.contains(r#""counter":5"#), "{}", user.answer);
    assert_eq!(user.channels, ["c (whatsapp, active)"]);
    let red = r#"wazzup_unanswered_messages{account="acme",user="1",type="red"} 5"#;
    assert!(user.series.iter().any(|line| line == red), "{diagnosis}");
    assert!(user.series[0].starts_with("# HELP wazzup_unanswered_messages "));
}

#[tokio::test]
async fn a_user_whom_nobody_knows_is_a_problem_told_once() {
    for keys in [USERS, "users: [{id: '1'}, {id: '2'}, {id: '9'}]"] {
        let (_api, url) = api(account(&[("1", Role::SalesRep), ("2", Role::SalesRep)])).await;
        let diagnosis = examined(&yaml(&url, "a.simulated.token", keys), Some("9")).await;
        assert_eq!(problems(&diagnosis), [Check::Users], "{diagnosis}");
        assert_eq!(diagnosis.user.as_ref().unwrap().status, Some(404), "{diagnosis}");
    }
}

#[tokio::test]
async fn a_user_who_is_not_listed_and_cannot_be_read_is_not_said_to_exist() {
    let (api, url) = api(account(&[("1", Role::SalesRep)])).await;
    api.add_fault("status=500,user=9".parse().unwrap());
    let keys = "users: [{id: '1'}, {id: '9'}]";
    let diagnosis = examined(&yaml(&url, "a.simulated.token", keys), None).await.to_string();
    assert!(diagnosis.contains("it is not known whether these exist: 9"), "{diagnosis}");
    assert!(!diagnosis.contains("configured users exist"), "{diagnosis}");
}

#[tokio::test]
async fn users_who_were_not_asked_for_are_not_said_to_exist() {
    let ids: Vec<String> = (0..80).map(|number| format!("u{number}")).collect();
    let users: Vec<_> = ids.iter().map(|id| (id.as_str(), Role::SalesRep)).collect();
    let (api, url) = api(account(&users)).await;
    api.add_fault("status=500,endpoint=users".parse().unwrap());
    let listed: Vec<String> = ids.iter().map(|id| format!("{{id: {id}}}")).collect();
    let keys = format!("users: [{}]", listed.join(", "));
    let diagnosis = examined(&yaml(&url, "a.simulated.token", &keys), None).await.to_string();
    assert!(diagnosis.contains("it is not known whether these exist: u50, u51"), "{diagnosis}");
    assert!(!diagnosis.contains("configured users exist"), "{diagnosis}");
}

#[tokio::test]
async fn a_counter_that_fails_beside_good_ones_is_a_problem_whether_its_user_is_named_or_not() {
    for (fault, words) in [
        ("status=500,user=2", "counters cannot be read: 2; upstream answered 500"),
        ("malformed,user=2", "counters cannot be read: 2; "),
        (r#"user=2,body={"data":{"counter":4,"type":"blue"}}"#, "is not known here: 2"),
        ("status=404,user=2", "not users of the account: 2"),
    ] {
        for user in [None, Some("2")] {
            let users = [("1", Role::SalesRep), ("2", Role::SalesRep), ("3", Role::SalesRep)];
            let (api, url) = api(account(&users)).await;
            api.add_fault(fault.parse().unwrap());
            let keys = "users: [{id: '1'}, {id: '2'}, {id: '3'}]";
            let diagnosis = examined(&yaml(&url, "a.simulated.token", keys), user).await;
            assert!(!diagnosis.is_healthy(), "{diagnosis}");
            assert!(diagnosis.to_string().contains(words), "{fault}: {diagnosis}");
        }
    }
}

#[tokio::test]
async fn a_server_that_answers_404_to_everything_is_not_taken_for_the_api() {
    let (api, url) = api(account(&[("1", Role::SalesRep)])).await;
    api.add_fault("empty=404".parse().unwrap());
    let diagnosis = examined(&yaml(&url, "a.simulated.token", "users: [{id: '1'}]"), None).await;
    let problems = problems(&diagnosis);
    assert!(problems.contains(&Check::Access) && !problems.contains(&Check::Users), "{diagnosis}");
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_is_masked() {
    let (api, url) = api(account(&[("1", Role::SalesRep)])).await;
    api.add_fault("endpoint=counter,body={\"token\":\"a.simulated.token\"}".parse().unwrap());
    let diagnosis =
        examined(&yaml(&url, "a.simulated.token", "users: [{id: '1'}]"), Some("1")).await;
    let shown = format!("{diagnosis} {}", serde_json::to_string(&diagnosis).unwrap());
    assert!(!shown.contains("a.simulated.token") && shown.contains("<secret>"), "{shown}");
}
