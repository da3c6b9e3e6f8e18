//! Users who come and go, channels that die, roles that are missing.

use wazzup_exporter::simulator::{
    AccountSpec, ChannelSpec, Endpoint, RateLimit, Role, Settings, Shapes, Simulator, UserSpec,
};
use wazzup_exporter::storage::Storage;

use super::support::daemon::World;
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{serve, still};
use super::support::wait::guard;

const PHONE: &str = "77001112233";

/// An account `acme` with one channel, `c`, and these users with the counter 5.
fn acme(users: &[(&str, &str, Role)]) -> AccountSpec {
    let channel = ChannelSpec::new("c", "whatsapp").name(PHONE);
    let account = AccountSpec::new("acme", "10000000", "token-of-acme").channels([channel]);
    users.iter().fold(account, |account, (id, name, role)| {
        account.user(UserSpec::new(id, name, *role).pinned(5, "red"))
    })
}

fn settings(account: AccountSpec) -> Settings {
    let limit = RateLimit::UNLIMITED;
    Settings { accounts: vec![account], speed: 0.0, limit, ..Settings::default() }
}

/// A configuration of `acme` with more keys.
fn yaml(url: &str, keys: &str) -> String {
    format!(
        "poll: {{interval: 200ms, timeout: 20s}}\n\
         accounts:\n- name: acme\n  base_url: {url}\n  auth: {{token: token-of-acme}}\n  \
         rate_limit: {{requests: 100000, per: 1s}}\n  {keys}\n"
    )
}

async fn start(account: AccountSpec, keys: &str) -> World {
    let (api, url) = serve(settings(account)).await;
    World::start_with(api, &yaml(&url, keys)).await
}

fn series(family: &str, labels: &str) -> String {
    format!("{family}{{account=\"acme\",{labels}}}")
}

fn has(samples: &Samples, family: &str, labels: &str) -> bool {
    samples.contains_key(&series(family, labels))
}

/// The value of `wazzup_list_up`.
fn list_up(samples: &Samples, list: &str) -> Option<f64> {
    value(samples, &series("wazzup_list_up", &format!("list=\"{list}\"")))
}

/// How many users of the list are not polled for this reason.
fn skipped(samples: &Samples, reason: &str) -> Option<f64> {
    value(samples, &series("wazzup_account_users_skipped", &format!("reason=\"{reason}\"")))
}

fn polled(samples: &Samples) -> Option<f64> {
    value(samples, "wazzup_account_users{account=\"acme\"}")
}

/// Users with a live red counter.
fn shown(samples: &Samples, users: &[&str]) -> Vec<bool> {
    users.iter().map(|user| value(samples, &counter("acme", user, "red")).is_some()).collect()
}

/// Waits until the list of users was read so many times more.
async fn listed_again(api: &Simulator, times: u64) {
    let before = api.counts().endpoint(Endpoint::Users);
    let read =
        |log: &wazzup_exporter::simulator::Log| log.endpoint(Endpoint::Users) >= before + times;
    guard("another list", api.wait_until(read)).await;
}

const QUICK: &str = "channels: {refresh_interval: 200ms}";

#[tokio::test]
async fn roles_and_channels_are_shown_and_say_which_counters_do_not_count() {
    let users =
        [("1", "Anna", Role::SalesRep), ("2", "Boris", Role::Manager), ("3", "Vera", Role::None)];
    let keys = format!("{QUICK}\n  users: [{{id: '1'}}, {{id: '2'}}, {{id: '3'}}]");
    let world = start(acme(&users), &keys).await;
    let channel = series("wazzup_channel_active", "channel=\"c\",transport=\"whatsapp\"");
    let samples = world
        .until("roles", |samples| {
            value(samples, &channel) == Some(1.0)
                && has(samples, "wazzup_user_untrusted", "user=\"3\",reason=\"no_role\"")
                && shown(samples, &["1", "2", "3"]) == [true; 3]
        })
        .await;
    for (user, role) in [("1", "sales_rep"), ("2", "manager"), ("3", "none")] {
        let labels = format!("user=\"{user}\",name=\"\",role=\"{role}\"");
        assert!(has(&samples, "wazzup_user_info", &labels), "{samples:#?}");
    }
    let untrusted = |samples: &Samples| {
        samples.keys().filter(|series| series.contains("wazzup_user_untrusted")).count()
    };
    assert_eq!(untrusted(&samples), 1);
    assert!(has(&samples, "wazzup_channel_state", "channel=\"c\",state=\"active\""));
    let info = "channel=\"c\",transport=\"whatsapp\",name=\"\"";
    assert!(
        has(&samples, "wazzup_channel_info", info),
        "a phone number is not shown: {samples:#?}"
    );
    for list in ["channels", "roles"] {
        assert_eq!(list_up(&samples, list), Some(1.0));
        let read = "wazzup_list_last_success_timestamp_seconds";
        assert!(has(&samples, read, &format!("list=\"{list}\"")));
    }
    assert_eq!(list_up(&samples, "users"), None, "is not wanted");

    world.api.set_channel_state("acme", "c", "phoneUnavailable").unwrap();
    let samples = world
        .until("a dead channel", |samples| {
            value(samples, &channel) == Some(0.0) && untrusted(samples) == 4
        })
        .await;
    let state = "channel=\"c\",state=\"phoneUnavailable\"";
    assert!(has(&samples, "wazzup_channel_state", state));
    assert_eq!(samples.keys().filter(|key| key.contains("wazzup_channel_state{")).count(), 1);
    world.api.set_channel_state("acme", "c", "active").unwrap();
    world.until("a channel that is back", |samples| untrusted(samples) == 1).await;
    world.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_be_read_fail_nothing_and_mark_every_counter() {
    let mut settings = settings(acme(&[("1", "Anna", Role::None)]));
    settings.faults = vec!["status=403,endpoint=settings".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let keys = format!("{QUICK}\n  users: [{{id: '1'}}]");
    let world = World::start_with(api, &yaml(&url, &keys)).await;
    world.api_until("settings", |log| log.endpoint(Endpoint::Settings) >= 3).await;
    let samples = world.until("a figure", |samples| shown(samples, &["1"]) == [true]).await;
    assert_eq!(value(&samples, "wazzup_up{account=\"acme\"}"), Some(1.0));
    assert!(has(&samples, "wazzup_user_info", "user=\"1\",name=\"\",role=\"\""), "{samples:#?}");
    let (not_known, no_role) = ("user=\"1\",reason=\"not_known\"", "user=\"1\",reason=\"no_role\"");
    assert!(has(&samples, "wazzup_user_untrusted", not_known), "{samples:#?}");
    assert!(!has(&samples, "wazzup_user_untrusted", no_role), "{samples:#?}");
    assert_eq!((list_up(&samples, "roles"), list_up(&samples, "channels")), (Some(0.0), Some(1.0)));
    world.api.clear_faults();
    let samples =
        world.until("roles", |samples| has(samples, "wazzup_user_untrusted", no_role)).await;
    assert!(!has(&samples, "wazzup_user_untrusted", not_known), "{samples:#?}");
    world.api.add_fault("endpoint=settings,body={}".parse().unwrap());
    let before = world.api.counts().endpoint(Endpoint::Settings);
    world.api_until("settings", |log| log.endpoint(Endpoint::Settings) >= before + 3).await;
    let samples = world.scrape().await;
    assert!(has(&samples, "wazzup_user_untrusted", no_role), "what was known stays");
    world.stop().await;
}

const DISCOVERY: &str = "channels: {enabled: false}\n  discover_users: {enabled: true, \
                         refresh_interval: 200ms";

#[tokio::test]
async fn users_come_and_go_with_the_list_and_configured_ones_stay() {
    let users = [
        ("1", "Anna (Sales)", Role::SalesRep),
        ("2", "Boris", Role::SalesRep),
        ("3", "chat bot", Role::SalesRep),
    ];
    let keys = format!(
        "{DISCOVERY}, exclude: [\"name: .*bot\"], \
         labels: [{{match: \"name: .*Sales.*\", set: {{team: sales}}}}]}}\n  users: [{{id: '9'}}]"
    );
    let world = start(acme(&users), &keys).await;
    let samples = world
        .until("found users", |samples| shown(samples, &["1", "2", "3"]) == [true, true, false])
        .await;
    let anna = "user=\"1\",name=\"Anna (Sales)\",role=\"\",team=\"sales\"";
    assert!(has(&samples, "wazzup_user_info", anna), "{samples:#?}");
    assert!(has(&samples, "wazzup_user_untrusted", "user=\"9\",reason=\"unknown_user\""));
    assert_eq!(value(&samples, "wazzup_account_users{account=\"acme\"}"), Some(3.0));

    let vera = UserSpec::new("4", "Vera", Role::SalesRep).pinned(5, "red");
    world.api.add_user("acme", vera).unwrap();
    world.api.remove_user("acme", "2").unwrap();
    let samples = world
        .until("a change", |samples| shown(samples, &["1", "2", "4"]) == [true, false, true])
        .await;
    assert!(!samples.keys().any(|series| series.contains("user=\"2\"")), "{samples:#?}");
    assert!(samples.keys().any(|series| series.contains("user=\"9\"")));
    world.stop().await;
}

#[tokio::test]
async fn a_list_that_comes_in_the_middle_of_a_sweep_changes_its_users_afterwards() {
    let (api, url) = serve(still(&["acme"], 6)).await;
    let keys = "channels: {enabled: false}\n  \
                discover_users: {enabled: true, refresh_interval: 100ms}";
    let yaml = yaml(&url, keys).replace("interval: 200ms", "interval: 1s");
    let world = World::start_with(api, &yaml).await;
    let red = |samples: &Samples, user: usize| {
        value(samples, &counter("acme", &format!("u{user}"), "red"))
    };
    let own = |user: usize| Some(user as f64 * 10.0 + 1.0);
    world.until("all users", |samples| (0..6).all(|user| red(samples, user) == own(user))).await;
    let middle = |log: &wazzup_exporter::simulator::Log| log.endpoint(Endpoint::Counter) % 6 == 3;
    guard("the middle of a sweep", world.api.wait_until(middle)).await;
    // The others move up by one place.
    world.api.remove_user("acme", "u0").unwrap();
    let check = |samples: &Samples| {
        (1..6).for_each(|user| assert_eq!(red(samples, user), own(user), "{user}"));
        polled(samples) == Some(5.0)
    };
    let samples = world.until("the shorter list", check).await;
    assert_eq!(red(&samples, 0), None);
    let sweeps = "wazzup_sweeps_total{account=\"acme\",result=\"ok\"}";
    let swept = value(&samples, sweeps).unwrap() + 2.0;
    let again = |samples: &Samples| check(samples) && value(samples, sweeps) >= Some(swept);
    world.until("more sweeps", again).await;
    world.stop().await;
}

#[tokio::test]
async fn a_list_that_fails_or_is_suddenly_empty_keeps_the_last_good_one() {
    let world = start(acme(&[("1", "Anna", Role::SalesRep)]), &format!("{DISCOVERY}}}")).await;
    world.until("found users", |samples| shown(samples, &["1"]) == [true]).await;
    let read = &series("wazzup_list_last_success_timestamp_seconds", "list=\"users\"");
    for fault in ["status=500", "malformed", "body={\"data\":{}}", "status=404"] {
        world.api.add_fault(format!("endpoint=users,{fault}").parse().unwrap());
        listed_again(&world.api, 2).await;
        let before = value(&world.scrape().await, read);
        listed_again(&world.api, 2).await;
        let samples = world.scrape().await;
        assert_eq!(shown(&samples, &["1"]), [true], "{fault}");
        assert_eq!(value(&samples, read), before, "the age of the list is shown: {fault}");
        assert_eq!(list_up(&samples, "users"), Some(0.0), "{fault}");
        world.api.clear_faults();
    }
    world.api.add_fault("endpoint=users,count=2,body={\"data\":[]}".parse().unwrap());
    listed_again(&world.api, 4).await;
    assert_eq!(shown(&world.scrape().await, &["1"]), [true], "twice empty is not believed");
    world.api.add_fault("endpoint=users,body={\"data\":[]}".parse().unwrap());
    let gone =
        |samples: &Samples| value(samples, "wazzup_account_users{account=\"acme\"}") == Some(0.0);
    world.until("an empty list", gone).await;
    world.stop().await;
}

#[tokio::test]
async fn a_list_that_is_old_by_the_time_in_it_is_not_read() {
    let users = [("1", "Anna", Role::SalesRep)];
    for (list, keys, rows) in [
        ("users", format!("{DISCOVERY}}}"), r#"{"id":"9"}"#),
        (
            "channels",
            format!("{QUICK}\n  users: [{{id: '1'}}]"),
            r#"{"channel_id":"9","state":"active"}"#,
        ),
    ] {
        let world = start(acme(&users), &keys).await;
        let read = |samples: &Samples| list_up(samples, list) == Some(1.0);
        world
            .until("a list and a counter", |samples| {
                read(samples) && shown(samples, &["1"]) == [true]
            })
            .await;
        let old = format!(r#"{{"data":[{rows}],"meta":{{"timestamp":1500000000}}}}"#);
        world.api.add_fault(format!("endpoint={list},body={old}").parse().unwrap());
        let samples = world.until(list, |samples| list_up(samples, list) == Some(0.0)).await;
        assert!(!samples.keys().any(|series| series.contains("\"9\"")), "{samples:#?}");
        world.api.clear_faults();
        world.until("the list again", read).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn an_account_whose_users_cannot_be_found_fails_and_does_not_look_empty() {
    let mut settings = settings(acme(&[("1", "Anna", Role::SalesRep)]));
    settings.faults = vec!["endpoint=users,status=500".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let world = World::start_with(api, &yaml(&url, &format!("{DISCOVERY}}}"))).await;
    let failing = series("wazzup_account_failing", "reason=\"server_error\"");
    let samples = world.until("the reason", |samples| samples.contains_key(&failing)).await;
    assert_eq!(value(&samples, "wazzup_up{account=\"acme\"}"), Some(0.0));
    world.api.clear_faults();
    world.until("found users", |samples| shown(samples, &["1"]) == [true]).await;
    world.stop().await;
}

#[tokio::test]
async fn more_users_than_are_allowed_are_left_out() {
    let users =
        [("1", "A", Role::SalesRep), ("2", "B", Role::SalesRep), ("3", "C", Role::SalesRep)];
    let world = start(acme(&users), &format!("{DISCOVERY}, max_users: 2}}")).await;
    let samples =
        world.until("found users", |samples| shown(samples, &["1", "2"]) == [true; 2]).await;
    assert_eq!(shown(&samples, &["3"]), [false]);
    assert_eq!(skipped(&samples, "over_max_users"), Some(1.0));

    // Who is polled already stays, whatever the order of the list and the ids of others.
    world.api.add_user("acme", UserSpec::new("0", "D", Role::SalesRep).pinned(5, "red")).unwrap();
    let body = r#"{"data":[{"id":"0"},{"id":"3"},{"id":"2"},{"id":"1"}]}"#;
    world.api.add_fault(format!("endpoint=users,body={body}").parse().unwrap());
    let samples =
        world.until("more", |samples| skipped(samples, "over_max_users") == Some(2.0)).await;
    assert_eq!(shown(&samples, &["0", "1", "2", "3"]), [false, true, true, false]);
    world.stop().await;
}

#[tokio::test]
async fn rows_that_are_not_polled_are_counted_by_their_reason() {
    let long = "9".repeat(201);
    let body = format!(
        r#"{{"count":"1","data":[{{"id":"1","name":"Anna \ud83d"}},{{"name":"nobody"}},7,
            {{"id":"{long}"}},{{"id":"tab\there"}},{{"id":"bot"}},{{"id":2,"name":7,"phone":9}}]}}"#
    );
    let mut settings =
        settings(acme(&[("1", "Anna", Role::SalesRep), ("2", "Boris", Role::Manager)]));
    settings.faults = vec![format!("endpoint=users,body={body}").parse().unwrap()];
    let (api, url) = serve(settings).await;
    let keys = format!("{DISCOVERY}, exclude: [bot]}}");
    let world = World::start_with(api, &yaml(&url, &keys)).await;
    let samples =
        world.until("found users", |samples| shown(samples, &["1", "2"]) == [true; 2]).await;
    let reasons = ["invalid_id", "unreadable", "over_max_users", "excluded"];
    assert_eq!(reasons.map(|reason| skipped(&samples, reason)), [2.0, 2.0, 0.0, 1.0].map(Some));
    assert!(has(&samples, "wazzup_user_info", "user=\"1\",name=\"Anna \u{fffd}\",role=\"\""));
    let page = world.get("/").await.text().await.unwrap();
    for words in ["row 2: `id` is missing", "2 users of the list not read"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    world.stop().await;
}

#[tokio::test]
async fn pages_are_asked_for_until_one_brings_nobody_new() {
    let users: Vec<String> = (0..60).map(|number| format!("u{number:02}")).collect();
    let users: Vec<_> = users.iter().map(|id| (id.as_str(), "Anna", Role::SalesRep)).collect();
    let shapes = Shapes { page: Some(50), ..Shapes::default() };
    let world = start(AccountSpec { shapes, ..acme(&users) }, &format!("{DISCOVERY}}}")).await;
    world.until("all users", |samples| polled(samples) == Some(60.0)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_page_in_doubt_leaves_the_whole_list_unread() {
    let users: Vec<String> = (0..25).map(|number| format!("u{number:02}")).collect();
    let users: Vec<_> = users.iter().map(|id| (id.as_str(), "Anna", Role::SalesRep)).collect();
    let shapes = Shapes { page: Some(10), ..Shapes::default() };
    let world = start(AccountSpec { shapes, ..acme(&users) }, &format!("{DISCOVERY}}}")).await;
    world.until("all users", |samples| polled(samples) == Some(25.0)).await;
    for fault in
        ["status=404", "truncated=404", "status=408", "redirect=http://127.0.0.1:9/", "body=[7]"]
    {
        world.api.add_fault(format!("path=/v2/users?offset=20,{fault}").parse().unwrap());
        let samples = world.until(fault, |samples| list_up(samples, "users") == Some(0.0)).await;
        assert_eq!(polled(&samples), Some(25.0), "{fault}");
        world.api.clear_faults();
        world.until("the list", |samples| list_up(samples, "users") == Some(1.0)).await;
    }
    // The first extra page may be refused: an account without pages.
    world.api.set_shapes("acme", Shapes::default()).unwrap();
    for (fault, up) in [("truncated=400", 0.0), ("status=400", 1.0)] {
        world.api.add_fault(format!("path=/v2/users?offset=25,{fault}").parse().unwrap());
        listed_again(&world.api, 4).await;
        let read = |samples: &Samples| list_up(samples, "users") == Some(up);
        let samples = world.until(fault, read).await;
        assert_eq!(polled(&samples), Some(25.0), "{fault}");
        world.api.clear_faults();
    }
    world.stop().await;
}

#[tokio::test]
async fn without_names_no_name_appears_anywhere() {
    let (api, url) = serve(settings(acme(&[("1", "Zinaida", Role::SalesRep)]))).await;
    let keys = format!(
        "{DISCOVERY}, labels: [{{match: \"name: Zin.*\", set: {{team: x}}}}]}}\n  \
         users: [{{id: '2', name: Yelena}}]"
    );
    let yaml = format!("export: {{user_names: false}}\n{}", yaml(&url, &keys));
    let world = World::start_with(api, &yaml).await;
    world.until("found users", |samples| shown(samples, &["1"]) == [true]).await;
    let labels = "user=\"1\",name=\"\",role=\"\",team=\"x\"";
    assert!(has(&world.scrape().await, "wazzup_user_info", labels), "the rule saw the name");
    for path in ["/metrics", "/", "/api/v1/status"] {
        let text = world.get(path).await.text().await.unwrap();
        assert!(!text.contains("Zinaida") && !text.contains("Yelena"), "{path}: {text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_token_in_a_name_is_masked() {
    let world =
        start(acme(&[("1", "Anna TOKEN-of-acme", Role::SalesRep)]), &format!("{DISCOVERY}}}"))
            .await;
    let labels = "user=\"1\",name=\"Anna <secret>\",role=\"\"";
    let named = |samples: &Samples| has(samples, "wazzup_user_info", labels);
    world.until("a masked name", named).await;
    world.stop().await;
}

#[tokio::test]
async fn since_when_a_found_user_is_red_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::new(folder.path().join("data"));
    let (api, url) = serve(settings(acme(&[("1", "Anna", Role::SalesRep)]))).await;
    let yaml = yaml(&url, &format!("{DISCOVERY}}}"));
    let since = series("wazzup_unanswered_red_since_timestamp_seconds", "user=\"1\"");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let world = World::start_in(api.clone(), &yaml, Some(storage.clone())).await;
        let samples = world.until("since when", |samples| samples.contains_key(&since)).await;
        seen.push(samples[&since].clone());
        world.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn working_hours_are_judged_at_every_scrape() {
    let users = "channels: {enabled: false}\n  users: [{id: '1'}]\n  working_hours: {timezone: UTC";
    for (days, expected) in [("mon-sun", 1.0), ("mon", f64::NAN)] {
        let keys = format!("{users}, days: {days}, from: '00:00', to: '24:00'}}");
        let world = start(acme(&[("1", "Anna", Role::SalesRep)]), &keys).await;
        let hours = value(&world.scrape().await, "wazzup_working_time{account=\"acme\"}");
        if expected.is_nan() {
            assert!(hours == Some(0.0) || hours == Some(1.0));
        } else {
            assert_eq!(hours, Some(expected));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_full_page_of_v3_is_not_the_whole_list() {
    let key = "0123456789abcdef0123456789abcdef";
    let account = (0..150).fold(AccountSpec::v3("acme", "10000000", key), |account, number| {
        let user = UserSpec::new(&format!("u{number:03}"), "Anna", Role::SalesRep);
        account.user(user.pinned(1, "red"))
    });
    let (api, url) = serve(settings(account)).await;
    let yaml = yaml(&url, &format!("api: v3\n  {DISCOVERY}}}")).replace("token-of-acme", key);
    let world = World::start_with(api, &yaml).await;
    world.until("all users", |samples| polled(samples) == Some(150.0)).await;
    world.api.add_fault("path=/v3/users?offset=100,status=404".parse().unwrap());
    let samples = world.until("doubt", |samples| list_up(samples, "users") == Some(0.0)).await;
    assert_eq!(polled(&samples), Some(150.0));
    world.stop().await;
}

#[tokio::test]
async fn an_account_of_v3_is_read_with_all_its_pages() {
    let key = "0123456789abcdef0123456789abcdef";
    let mut account = AccountSpec::v3("acme", "10000000", key);
    for number in 0..250 {
        let user = UserSpec::new(&format!("u{number:03}"), "Anna", Role::SalesRep);
        account = account.user(user.pinned(number, "red"));
    }
    let (api, url) = serve(settings(account)).await;
    let last = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_685_017_846);
    api.change_user("acme", "u007", |user| user.last_message = Some(last)).unwrap();
    api.set("acme", "u000", 0, serde_json::Value::Null).unwrap();
    let keys = "api: v3\n  channels: {refresh_interval: 200ms}\n  \
                discover_users: {enabled: true, refresh_interval: 1h}";
    let yaml = yaml(&url, keys).replace("token-of-acme", key);
    let world = World::start_with(api, &yaml).await;
    let all = |samples: &Samples| {
        (0..250).all(|number| {
            let red = value(samples, &counter("acme", &format!("u{number:03}"), "red"));
            red == Some(f64::from(number))
        })
    };
    let samples = world.until("all users", all).await;
    assert_eq!(value(&samples, &counter("acme", "u000", "grey")), Some(0.0));
    let last = series("wazzup_last_message_timestamp_seconds", "user=\"u007\"");
    assert_eq!(value(&samples, &last), Some(1_685_017_846.0));
    let info = "account_id=\"\",api=\"v3\"";
    assert!(has(&samples, "wazzup_account_info", info), "{samples:#?}");
    let channels = |samples: &Samples| {
        samples.keys().any(|series| series.starts_with("wazzup_channel_active{"))
    };
    let samples = world.until("channels", channels).await;
    assert!(!samples.keys().any(|series| series.contains("wazzup_user_untrusted")));
    assert_eq!(world.api.counts().endpoint(Endpoint::Settings), 0, "v3 has no settings");
    assert_eq!(
        world.api.counts().endpoint(Endpoint::Users),
        4,
        "three pages, and one without users"
    );
    world.stop().await;
}
