//! Reloading the configuration: by signal, by request, by itself; and what does not change meanwhile.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use wazzup_exporter::app::Options;
use wazzup_exporter::config::{self, Permissions};
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::simulator::Simulator;

use super::support::daemon::{World, options};
use super::support::exporter::{Exporter, config_flag};
use super::support::files::write_private;
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::until_true;

const SUCCESSFUL: &str = "wazzup_exporter_config_last_reload_successful";
const HASH: &str = "wazzup_exporter_config_hash";
const FAST: &str = "interval: 200ms, timeout: 5s";

/// An exporter that reads its configuration from a file.
struct Filed {
    world: World,
    file: PathBuf,
    yaml: String,
    _folder: tempfile::TempDir,
}

impl Filed {
    async fn start(
        accounts: &[&str],
        users: usize,
        poll: &str,
        check_interval: Option<Duration>,
    ) -> Self {
        let (api, url) = serve(still(accounts, users)).await;
        let yaml = configuration(&api, &url, poll);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        write_private(&file, &yaml);
        let world = Self::world(api, &file, check_interval).await;
        Self { world, file, yaml, _folder: folder }
    }

    async fn world(api: Simulator, file: &Path, check_interval: Option<Duration>) -> World {
        let config = config::load(file, Permissions::default()).unwrap();
        let source = ConfigSource {
            file: file.to_owned(),
            permissions: Permissions::default(),
            check_interval,
        };
        let options = Options { source: Some(source), lifecycle: true, ..options() };
        World::start_options(api, config, options).await
    }

    /// Asks for the new configuration; returns the answer's status and text.
    async fn reload(&self) -> (u16, String) {
        let answer = self.world.request(Method::POST, "/-/reload", &[]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn take(&self, yaml: &str) {
        write_private(&self.file, yaml);
        let (status, text) = self.reload().await;
        assert_eq!(status, 200, "{text}");
    }

    /// The configuration without some of its accounts.
    fn without(&self, names: &[&str]) -> String {
        let (head, accounts) = self.yaml.split_once("accounts:").unwrap();
        let accounts = accounts.split("\n  - name: ").skip(1);
        let kept = accounts.filter(|account| {
            !names.iter().any(|name| account.starts_with(&format!("\"{name}\"")))
        });
        kept.fold(format!("{head}accounts:"), |yaml, account| yaml + "\n  - name: " + account)
    }
}

#[tokio::test]
async fn what_a_request_asks_for_is_in_use_when_it_is_answered() {
    let filed = Filed::start(&["stays", "goes"], 3, FAST, None).await;
    let red = |account, user| counter(account, user, "red");
    let all =
        |samples: &_| value(samples, &red("goes", "u2")).and(value(samples, &red("stays", "u2")));
    filed.world.until("all figures", |samples| all(samples).is_some()).await;
    let yaml = filed.without(&["goes"]).replace(r#"id: "u1""#, r#"id: "other""#);
    assert_ne!(yaml, filed.without(&["goes"]));
    filed.take(&yaml).await;
    let samples = filed.world.scrape().await;
    assert!(!samples.keys().any(|series| series.contains(r#"account="goes""#)));
    assert!(!samples.keys().any(|series| series.contains(r#"user="u1""#)), "a removed user");
    assert_eq!(value(&samples, &red("stays", "u2")), Some(21.0), "a user who stays");
    let listed = r#"wazzup_user_info{account="stays",user="other",name="User 1",role=""}"#;
    assert!(samples.contains_key(listed), "{samples:#?}");
    for name in ["wazzup_exporter_accounts", "wazzup_exporter_accounts_configured"] {
        assert_eq!(value(&samples, name), Some(1.0), "{name}");
    }
    let before = value(&samples, HASH);
    filed.take(&filed.yaml).await;
    let samples = filed.world.until("what was removed", |samples| all(samples).is_some()).await;
    assert_ne!(value(&samples, HASH), before);
    filed.world.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_is_reported() {
    let filed = Filed::start(&["acme"], 2, FAST, None).await;
    let red = counter("acme", "u1", "red");
    let samples = filed.world.until("figures", |samples| samples.contains_key(&red)).await;
    let good = value(&samples, HASH);
    assert_eq!(value(&samples, SUCCESSFUL), Some(1.0));
    for (broken, why) in [
        (format!("unknown: hunter2\n{}", filed.yaml), "config.yaml:1:1: unknown"),
        (filed.yaml.replace("interval: 200ms", "interval: soon"), "poll.interval"),
        ("accounts: [".to_owned(), "is not YAML"),
        (String::new(), "is empty"),
        (filed.yaml.replacen("auth:", "allow_insecure_http: true\n    auth2:", 1), "auth"),
    ] {
        write_private(&filed.file, &broken);
        let (status, text) = filed.reload().await;
        assert_eq!(status, 500, "{broken}: {text}");
        assert!(text.contains(why) && !text.contains("hunter2"), "{text}");
        let samples = filed.world.scrape().await;
        assert_eq!(value(&samples, SUCCESSFUL), Some(0.0));
        assert_eq!((value(&samples, HASH), value(&samples, &red)), (good, Some(11.0)));
    }
    std::fs::remove_file(&filed.file).unwrap();
    assert_eq!(filed.reload().await.0, 500);
    filed.take(&filed.yaml).await;
    assert_eq!(value(&filed.world.scrape().await, SUCCESSFUL), Some(1.0));
    filed.world.stop().await;
}

#[tokio::test]
async fn refresh_tokens_are_not_taken_on_without_a_place_to_keep_them() {
    let filed = Filed::start(&["acme"], 1, FAST, None).await;
    let folder = filed.file.parent().unwrap();
    write_private(&folder.join("password"), "password");
    let partner = "partners: {main: {email: a@example.com, password_file: password, client_id: x, \
                   redirect_uri: 'https://example.com/'}}";
    let auth = "oauth: {partner: main, refresh_token_file: refresh}";
    let yaml = filed.yaml.replace(r#"token: "token-of-acme""#, auth);
    write_private(&filed.file, &format!("{partner}\n{yaml}"));
    let (status, text) = filed.reload().await;
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("acme") && text.contains("--storage.path"), "{text}");
    assert_eq!(value(&filed.world.scrape().await, SUCCESSFUL), Some(0.0));
    filed.world.stop().await;
}

#[tokio::test]
async fn reloading_over_http_has_to_be_switched_on() {
    let world = World::start(still(&["acme"], 1), "interval: 1h").await;
    let answer = world.request(Method::POST, "/-/reload", &[]).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("--web.enable-lifecycle"));
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let answer = world.request(method, "/-/reload", &[]).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "POST,PUT");
    }
    world.stop().await;
    let settings = still(&["acme"], 1);
    let (api, url) = serve(settings).await;
    let yaml = configuration(&api, &url, "interval: 1h");
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let world = World::start_options(api, config, Options { lifecycle: true, ..options() }).await;
    let answer = world.request(Method::PUT, "/-/reload", &[]).await;
    assert_eq!(answer.status(), 403, "there is no file");
    world.stop().await;
}

#[tokio::test]
async fn browsers_reload_nothing() {
    let filed = Filed::start(&["acme"], 1, "interval: 1h", None).await;
    let hash = value(&filed.world.scrape().await, HASH);
    write_private(&filed.file, &filed.yaml.replace("interval: 1h", "interval: 2h"));
    for header in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-origin"),
    ] {
        for method in [Method::POST, Method::PUT] {
            let answer = filed.world.request(method, "/-/reload", &[header]).await;
            assert_eq!(answer.status(), 403, "{header:?}");
            assert!(answer.text().await.unwrap().contains("Browsers may not"));
        }
    }
    assert_eq!(value(&filed.world.scrape().await, HASH), hash);
    assert_eq!(filed.reload().await.0, 200);
    assert_ne!(value(&filed.world.scrape().await, HASH), hash);
    filed.world.stop().await;
}

#[tokio::test]
async fn a_new_token_is_used_at_once() {
    let filed = Filed::start(&["acme"], 2, "interval: 1h", None).await;
    // The first sweep of an account that has changed does not wait for its phase.
    filed.take(&filed.yaml.replace("interval: 1h", "interval: 2h")).await;
    filed.world.api_until("the first sweep", |log| log.total >= 2).await;
    filed.take(&filed.yaml.replace("token-of-acme", "another-token")).await;
    filed.world.api_until("the new token", |log| log.status(401) >= 1).await;
    let failing = r#"wazzup_account_failing{account="acme",reason="unauthorized"}"#;
    filed.world.until("the failure", |samples| samples.contains_key(failing)).await;
    let yaml = filed.yaml.replace("token-of-acme", "another-token");
    filed.take(&yaml.replace("\n    users:", "\n    labels: {region: north}\n    users:")).await;
    let samples = filed.world.scrape().await;
    assert!(samples.contains_key(failing), "a reload mends nothing by itself");
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(0.0));
    filed.take(&filed.yaml).await;
    let up = |samples: &_| value(samples, r#"wazzup_up{account="acme"}"#) == Some(1.0);
    let samples = filed.world.until("the account to be up", up).await;
    assert!(!samples.contains_key(failing));
    filed.world.stop().await;
}

#[tokio::test]
async fn a_new_user_is_asked_for_at_once_and_the_others_are_not_again() {
    let filed = Filed::start(&["acme"], 3, "interval: 1h", None).await;
    let yaml = filed.yaml.clone();
    let user = yaml.lines().find(|line| line.contains(r#"id: "u2""#)).unwrap();
    filed.take(&yaml.replace(user, "")).await;
    let red = |user| counter("acme", user, "red");
    filed.world.until("two users", |samples| samples.contains_key(&red("u1"))).await;
    let sweeps = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    filed.world.until("a sweep", |samples| value(samples, sweeps) >= Some(1.0)).await;
    filed.take(&yaml).await;
    filed.world.until("the new user", |samples| value(samples, &red("u2")) == Some(21.0)).await;
    let log = filed.world.api.log();
    let mut asked: BTreeMap<_, usize> = BTreeMap::new();
    for request in &log {
        *asked.entry(request.user.clone()).or_default() += 1;
    }
    assert_eq!(asked.values().copied().collect::<Vec<_>>(), [1, 1, 1], "{asked:?}");
    filed.world.stop().await;
}

#[tokio::test]
async fn names_of_the_list_stay_over_a_reload_until_no_list_is_wanted() {
    let (api, url) = serve(still(&["acme"], 3)).await;
    let yaml = |poll: &str, discovery: bool| {
        format!(
            "poll: {{{poll}}}\n\
             accounts:\n- name: acme\n  base_url: {url}\n  auth: {{token: token-of-acme}}\n  \
             rate_limit: {{requests: 100000, per: 1s}}\n  channels: {{enabled: false}}\n  \
             users: [{{id: u0}}]\n  discover_users: {{enabled: {discovery}, max_users: 1}}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    write_private(&file, &yaml(FAST, true));
    let world = Filed::world(api, &file, None).await;
    let filed = Filed { world, file, yaml: String::new(), _folder: folder };
    let names = |samples: &Samples| {
        ["User 0", "User 1"].map(|name| {
            let info = format!(
                "wazzup_user_info{{account=\"acme\",user=\"u{}\",name=\"{name}\",role=\"\"}}",
                &name[5..]
            );
            samples.contains_key(&info)
        })
    };
    filed.world.until("the names", |samples| names(samples) == [true; 2]).await;
    filed.world.api.add_fault("hang,endpoint=users".parse().unwrap());
    filed.take(&yaml("interval: 300ms, timeout: 5s", true)).await;
    assert_eq!(names(&filed.world.scrape().await), [true; 2]);
    let left_out = async || {
        let status = filed.world.request(Method::GET, "/api/v1/status", &[]).await;
        status.text().await.unwrap().contains("users_left_out")
    };
    assert!(left_out().await);
    filed.take(&yaml("interval: 300ms, timeout: 5s", false)).await;
    let samples = filed.world.scrape().await;
    let infos = samples.keys().filter(|series| series.starts_with("wazzup_user_info{"));
    let nameless = r#"wazzup_user_info{account="acme",user="u0",name="",role=""}"#;
    assert_eq!(infos.collect::<Vec<_>>(), [nameless]);
    assert!(!left_out().await);
    filed.world.stop().await;
}

#[tokio::test]
async fn a_hanging_account_holds_up_no_reload_and_comes_back_with_other_settings() {
    let poll = "interval: 200ms, timeout: 1s, stale_after: 30s, concurrency: 2";
    let filed = Filed::start(&["acme"], 20, poll, None).await;
    let red = counter("acme", "u19", "red");
    filed.world.until("figures", |samples| samples.contains_key(&red)).await;
    filed.world.api.add_fault("hang".parse().unwrap());
    filed.world.api_until("hanging requests", |log| log.open >= 2).await;
    for region in ["north", "south", "west"] {
        let labels = format!("\n    labels: {{region: {region}}}\n    users:");
        filed.take(&filed.yaml.replace("\n    users:", &labels)).await;
        let samples = filed.world.scrape().await;
        assert_eq!(value(&samples, &red), Some(191.0), "the readings stay");
        assert!(filed.world.api.counts().open <= 4, "the earlier ones drain");
    }
    filed.world.api.clear_faults();
    let total = filed.world.api.counts().total;
    filed.world.api_until("more sweeps", |log| log.total >= total + 40).await;
    let restarts = r#"wazzup_exporter_poller_restarts_total{account="acme"}"#;
    let samples = filed.world.scrape().await;
    assert_eq!(value(&samples, restarts), Some(0.0));
    assert!(samples.keys().any(|series| series.contains(r#"region="west""#)));
    filed.world.stop().await;
}

#[tokio::test]
async fn files_are_looked_at_where_that_is_wanted_and_links_are_followed() {
    let (api, url) = serve(still(&["acme", "globex"], 1)).await;
    let yaml = configuration(&api, &url, FAST);
    let (head, accounts) = yaml.split_once("accounts:").unwrap();
    let list: Vec<&str> = accounts.split("\n  - name: ").skip(1).collect();
    // As Kubernetes mounts a ConfigMap: a link to a folder that is replaced whole.
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, accounts: &[&str]| {
        let version = folder.path().join(name);
        std::fs::create_dir_all(version.join("accounts.d")).unwrap();
        write_private(
            &version.join("config.yaml"),
            &format!("{head}account_files: ['accounts.d/*.yaml']\n"),
        );
        for (number, account) in accounts.iter().enumerate() {
            let yaml = format!("accounts:\n  - name: {account}");
            write_private(&version.join(format!("accounts.d/{number}.yaml")), &yaml);
        }
        let link = folder.path().join("link");
        symlink(&version, &link).unwrap();
        std::fs::rename(link, folder.path().join("data")).unwrap();
    };
    version("1", &list[..1]);
    symlink("data/config.yaml", folder.path().join("config.yaml")).unwrap();
    symlink("data/accounts.d", folder.path().join("accounts.d")).unwrap();
    let file = folder.path().join("config.yaml");
    let world = Filed::world(api, &file, Some(Duration::from_millis(100))).await;
    let red = &counter("globex", "u0", "red");
    let accounts = "wazzup_exporter_accounts";
    let samples = world.scrape().await;
    assert_eq!(value(&samples, accounts), Some(1.0));
    version("2", &list);
    // What an answer says of accounts and of the process is not of one moment.
    let shown = |count: f64, both: bool| {
        move |samples: &Samples| {
            value(samples, accounts) == Some(count) && samples.contains_key(red) == both
        }
    };
    world.until("another account", shown(2.0, true)).await;
    version("3", &["acme\n    unknown: 1\n", list[1]]);
    let broken = folder.path().join("accounts.d/0.yaml");
    let up = format!("wazzup_exporter_account_file_up{{file=\"{}\"}}", broken.display());
    let samples = world.until("a broken file", |samples| value(samples, &up) == Some(0.0)).await;
    assert_eq!(value(&samples, accounts), Some(2.0), "its account stays");
    assert!(samples.contains_key(red));
    version("4", &list[..1]);
    let samples = world.until("one account", shown(1.0, false)).await;
    assert_eq!(value(&samples, SUCCESSFUL), Some(1.0));
    world.stop().await;
}

#[tokio::test]
async fn reloads_leave_no_task_behind() {
    let filed = Filed::start(&["acme", "globex"], 20, "interval: 1s", None).await;
    let red = counter("globex", "u19", "red");
    filed.world.until("figures", |samples| samples.contains_key(&red)).await;
    // Connections come and go with tasks of their own.
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut most = usize::MAX;
    for number in 0..100 {
        if number == 20 {
            // By now every connection is there that is kept.
            most = tasks() + 20;
        }
        let labels = format!("\n    labels: {{number: '{number}'}}\n    users:");
        filed.take(&filed.yaml.replace("\n    users:", &labels)).await;
        write_private(&filed.file, "accounts: broken");
        assert_eq!(filed.reload().await.0, 500);
    }
    filed.take(&filed.without(&["globex"])).await;
    filed.take(&filed.yaml).await;
    until_true(format!("at most {most} tasks again"), async || tasks() <= most).await;
    filed.world.stop().await;
}

/// Scrapes without a pause; counts the scrapes in which a series was missing.
async fn watch(daemon: &Exporter, wanted: &[String], stop: &AtomicBool) -> (usize, usize) {
    let (mut scrapes, mut gaps) = (0, 0);
    while !stop.load(SeqCst) {
        let samples =
            super::support::samples::samples(&daemon.get("/metrics").await.text().await.unwrap());
        scrapes += 1;
        gaps += usize::from(!wanted.iter().all(|series| samples.contains_key(series)));
    }
    (scrapes, gaps)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_signals_under_a_running_sweep_leave_no_trace() {
    let users = 40;
    let mut settings = still(&["changes", "stays"], users);
    settings.latency = "20ms..60ms".parse().unwrap();
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let interval = Duration::from_secs(2);
    let yaml = configuration(&api, &url, "interval: 2s, timeout: 5s, concurrency: 2");
    write_private(&file, &yaml);
    let daemon = Exporter::start(&[&config_flag(&file)]);
    let last = |account| counter(account, &format!("u{}", users - 1), "red");
    let all = [last("changes"), last("stays")];
    daemon.until("figures", |samples| all.iter().all(|series| samples.contains_key(series))).await;
    let (begun, mut before) = (std::time::Instant::now(), BTreeMap::new());
    for request in api.log() {
        *before.entry((request.account, request.user)).or_insert(0_u32) += 1;
    }
    let figure = async |name: &str| value(&daemon.until(name, |_| true).await, name).unwrap();
    let open = ("process_open_fds", "process_resident_memory_bytes");
    let earlier = (figure(open.0).await, figure(open.1).await);
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let signals = async {
        for number in 0..100 {
            for good in [false, true] {
                let team = format!("labels: {{team: t{number}}}\n    users:");
                let new = yaml.replacen("users:", &team, 1);
                write_private(&file, if good { &new } else { "accounts: [" });
                daemon.signal(Signal::HUP);
                let wanted = f64::from(u8::from(good));
                daemon.until("the verdict", |all| value(all, SUCCESSFUL) == Some(wanted)).await;
                sent.fetch_add(1, SeqCst);
            }
        }
        stop.store(true, SeqCst);
    };
    let ((scrapes, gaps), ()) = tokio::join!(watch(&daemon, &all, &stop), signals);
    assert_eq!((sent.load(SeqCst), gaps), (200, 0), "{scrapes} scrapes");
    let label = r#"team="t99""#;
    daemon.until("the last label", |all| all.keys().any(|series| series.contains(label))).await;
    let periods = begun.elapsed().as_secs_f64() / interval.as_secs_f64();
    let mut asked = BTreeMap::new();
    for request in api.log() {
        *asked.entry((request.account, request.user)).or_insert(0_u32) += 1;
    }
    for (user, times) in &asked {
        let times = times - before[user];
        assert!(f64::from(times) <= periods + 2.0, "{user:?}: {times} in {periods} intervals");
        assert!(f64::from(times) >= periods / 2.0, "{user:?}: {times} in {periods} intervals");
    }
    let later = (figure(open.0).await, figure(open.1).await);
    assert!(later.0 <= earlier.0 + 8.0, "{} descriptors were open, now {}", earlier.0, later.0);
    assert!(later.1 < earlier.1 * 2.0 + 2e7, "{} bytes before, now {}", earlier.1, later.1);
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    let broken = log.lines().filter(|line| line.contains("the earlier one stays in use")).count();
    assert_eq!(broken, 100);
    assert!(!log.contains("stuck") && !log.contains("cannot be read"), "{log}");
}
