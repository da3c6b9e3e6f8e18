//! Shards as processes, resized as a `StatefulSet` does it, under the eyes of a Prometheus and of upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use wazzup_exporter::simulator::{
    AccountSpec, Endpoint, PartnerSpec, RateLimit, Request, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::storage::{AccountFolder, Storage};

use super::prometheus::Prometheus;
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::process::Process;
use super::support::samples::Samples;
use super::support::upstream::{configuration, serve};
use super::support::wait::until;

const ACCOUNTS: usize = 30;
/// Accounts with refresh tokens that work once; the others have a token that stays.
const LABELS: usize = 10;
const USERS: usize = 2;
/// How long an access token lives: everything here takes many renewals.
const LIFE: Duration = Duration::from_secs(2);
const POLL: &str = "interval: 1s, timeout: 5s";
/// Sweeps after which an account with two owners would have been read twice as often as its sweeps say.
const SWEEPS: u64 = 6;

/// The shards that run, by ordinal.
type Shards = BTreeMap<u32, Exporter>;

struct Scene {
    api: Simulator,
    folder: TempDir,
}

fn account(number: usize) -> AccountSpec {
    let (name, id) = (format!("acct-{number:02}"), id(number));
    let account = if number < LABELS {
        AccountSpec::label(&name, &id, "main", &format!("seed-of-{name}"))
    } else {
        AccountSpec::new(&name, &id, &format!("token-of-{name}"))
    };
    (0..USERS).fold(account, |account, user| {
        account.user(UserSpec::new(&format!("u{user}"), "Anna", Role::SalesRep).pinned(7, "red"))
    })
}

fn id(number: usize) -> String {
    format!("{:08}", 10_000_000 + number)
}

fn name(number: usize) -> String {
    format!("acct-{number:02}")
}

impl Scene {
    async fn new() -> Self {
        let mut partner = PartnerSpec::new("main", "partner@example.com", "pa55word");
        partner.access_ttl = LIFE;
        let settings = Settings {
            accounts: (0..ACCOUNTS).map(account).collect(),
            partners: vec![partner],
            speed: 0.0,
            limit: RateLimit::UNLIMITED,
            ..Settings::default()
        };
        let (api, url) = serve(settings).await;
        let folder = tempfile::tempdir().unwrap();
        api.write_secrets(folder.path()).unwrap();
        write_config(folder.path(), &configuration(&api, &url, POLL));
        Self { api, folder }
    }

    fn start(&self, ordinal: u32, total: u32) -> Exporter {
        let storage = self.folder.path().join("data");
        Exporter::spawn(command().args([
            config_flag(&self.folder.path().join("config.yaml")),
            format!("--shard={ordinal}"),
            format!("--total-shards={total}"),
            format!("--storage.path={}", storage.display()),
            "--storage.shared".to_owned(),
        ]))
    }

    /// Tells Prometheus where the shards are; their names stay, as those of pods do.
    fn announce(&self, shards: &Shards) {
        let group = |(ordinal, shard): (&u32, &Exporter)| {
            let labels = json!({"instance": format!("exporter-{ordinal}")});
            json!({"targets": [shard.address.to_string()], "labels": labels})
        };
        let groups: Vec<Value> = shards.iter().map(group).collect();
        let file = self.folder.path().join("targets.json");
        std::fs::write(file.with_extension("new"), Value::from(groups).to_string()).unwrap();
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    async fn prometheus(&self) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let targets = self.folder.path().join("targets.json");
        let yaml = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n- job_name: wazzup\n  \
             file_sd_configs: [{{files: ['{}'], refresh_interval: 1s}}]\n",
            targets.display()
        );
        std::fs::write(folder.path().join("prometheus.yaml"), yaml).unwrap();
        Prometheus::configured(folder).await
    }

    /// Replaces the shards one by one, the last first, as a `StatefulSet` does: new ones come before old ones go.
    async fn resize(&self, shards: &mut Shards, total: u32, signal: Signal) {
        let last = shards.keys().copied().max().unwrap_or_default().max(total - 1);
        for ordinal in (0..=last).rev() {
            if let Some(old) = shards.remove(&ordinal) {
                old.signal(signal);
                tokio::task::spawn_blocking(|| old.end()).await.unwrap();
            }
            if ordinal < total {
                shards.insert(ordinal, self.start(ordinal, total));
            }
            self.announce(shards);
        }
    }

    /// What is kept of a refresh token.
    fn kept(&self, number: usize) -> Value {
        let storage = Storage::new(self.folder.path().join("data"));
        let folder = AccountFolder::new(&name(number), Some(&id(number)));
        let content = storage.read_unlocked(folder, "oauth.json").unwrap().unwrap();
        serde_json::from_slice(&content).unwrap()
    }

    /// Waits until each account but `lost` is up at one shard, and all know how many there are.
    async fn settle(&self, prometheus: &Prometheus, shards: &Shards, lost: &BTreeSet<String>) {
        let processes: Vec<&Process> = shards.values().map(|shard| &shard.process).collect();
        let expected: BTreeSet<String> =
            (0..ACCOUNTS).map(name).filter(|name| !lost.contains(name)).collect();
        until("every account at one shard", &processes, async || {
            let owners = prometheus.query("count by (account) (wazzup_account_info)").await?;
            let several: Vec<_> = owners.iter().filter(|(_, count)| count != "1").collect();
            let up = prometheus.query("wazzup_up == 1").await?;
            let up: BTreeSet<String> =
                up.iter().filter_map(|(labels, _)| labels.get("account").cloned()).collect();
            let down: Vec<_> = expected.difference(&up).collect();
            let total = prometheus.query("sum(wazzup_exporter_accounts)").await?;
            let whole = owners.len() == ACCOUNTS
                && total.iter().all(|(_, sum)| *sum == ACCOUNTS.to_string());
            if whole && several.is_empty() && down.is_empty() {
                return Ok(());
            }
            Err(format!("{} accounts, polled twice {several:?}, down {down:?}", owners.len()))
        })
        .await;
    }

    /// How often each user was read since the start; an access token that has just ended costs a refusal, too.
    fn readings(&self) -> BTreeMap<(String, String), u64> {
        let mut readings = BTreeMap::new();
        let answered =
            |one: &&Request| one.endpoint == Endpoint::Counter && one.status == Some(200);
        for request in self.api.log().iter().filter(answered) {
            if let (Some(account), Some(user)) = (&request.account, &request.user) {
                *readings.entry((account.clone(), user.clone())).or_default() += 1;
            }
        }
        readings
    }

    /// Sees upstream asked for each user once in a sweep of the one shard that has the account, so once in an interval.
    async fn check_single_readings(&self, shards: &Shards, lost: &BTreeSet<String>) {
        let (before, first) = (sweeps(shards).await, self.readings());
        let processes: Vec<&Process> = shards.values().map(|shard| &shard.process).collect();
        until("more sweeps", &processes, async || {
            let now = sweeps(shards).await;
            let slow = before.iter().find(|&(account, &swept)| {
                let now = now.get(account).copied().unwrap_or(swept);
                !lost.contains(account) && now < swept + SWEEPS
            });
            slow.map_or(Ok(()), |slow| Err(format!("{slow:?}")))
        })
        .await;
        let (latest, after) = (self.readings(), sweeps(shards).await);
        assert_eq!(before.len(), ACCOUNTS);
        for (account, swept) in before.iter().filter(|(account, _)| !lost.contains(*account)) {
            let swept = after[account] - swept;
            for user in 0..USERS {
                let key = (account.clone(), format!("u{user}"));
                let read = latest[&key] - first[&key];
                assert!((1..=swept + 1).contains(&read), "{key:?}: {read} times in {swept} sweeps");
            }
        }
    }
}

/// How often the one owner of each account has swept it.
async fn sweeps(shards: &Shards) -> BTreeMap<String, u64> {
    let mut sweeps = BTreeMap::new();
    for shard in shards.values() {
        for (account, count) in sweeps_of(&shard.scrape().await) {
            assert_eq!(sweeps.insert(account.clone(), count), None, "{account} has two owners");
        }
    }
    sweeps
}

fn sweeps_of(samples: &Samples) -> BTreeMap<String, u64> {
    let mut sweeps = BTreeMap::new();
    for (series, value) in samples {
        let Some(rest) = series.strip_prefix("wazzup_sweeps_total{account=\"") else { continue };
        let (account, _) = rest.split_once('"').unwrap();
        *sweeps.entry(account.to_owned()).or_default() += value.parse::<u64>().unwrap();
    }
    sweeps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_polls_no_account_twice_loses_none_and_no_refresh_token() {
    let scene = Scene::new().await;
    let mut shards: Shards = (0..3).map(|ordinal| (ordinal, scene.start(ordinal, 3))).collect();
    scene.announce(&shards);
    let prometheus = scene.prometheus().await;
    let none = BTreeSet::new();
    scene.settle(&prometheus, &shards, &none).await;
    scene.check_single_readings(&shards, &none).await;

    scene.resize(&mut shards, 5, Signal::TERM).await;
    scene.settle(&prometheus, &shards, &none).await;
    scene.check_single_readings(&shards, &none).await;
    // One that was sent twice would have been refused.
    until("no refusal of a refresh token", &[], async || {
        let counts = scene.api.counts().partners.remove("main").unwrap();
        let [asked, granted] = [counts.asked(Endpoint::Refresh), counts.granted(Endpoint::Refresh)];
        if asked == granted { Ok(()) } else { Err(format!("{asked} asked, {granted} granted")) }
    })
    .await;
    let failing = "max_over_time(wazzup_account_failing{reason=\"login_needed\"}[10m])";
    assert_eq!(prometheus.query(failing).await, Ok(Vec::new()));

    // Back, and this time killed, so that answers may be lost.
    scene.resize(&mut shards, 3, Signal::KILL).await;
    let lost = lost_logins(&scene, &shards).await;
    scene.settle(&prometheus, &shards, &lost).await;
    scene.check_single_readings(&shards, &lost).await;
    for shard in std::mem::take(&mut shards).into_values() {
        shard.signal(Signal::TERM);
        assert_eq!(shard.end().0, Some(0));
    }
    for number in (0..LABELS).filter(|number| !lost.contains(&name(*number))) {
        let live = scene.api.live_refresh_tokens(&name(number)).unwrap();
        assert_eq!(Value::from(live), json!([scene.kept(number)["refresh_token"]]), "{number}");
    }
}

/// Waits until each account with a refresh token has renewed, or needs a login because an answer was lost.
async fn lost_logins(scene: &Scene, shards: &Shards) -> BTreeSet<String> {
    let processes: Vec<&Process> = shards.values().map(|shard| &shard.process).collect();
    until("every account to renew or to need a login", &processes, async || {
        let (mut fine, mut lost) = (0, BTreeSet::new());
        for shard in shards.values() {
            let samples = shard.scrape().await;
            for number in 0..LABELS {
                let account = name(number);
                let needed = format!(
                    "wazzup_account_failing{{account=\"{account}\",reason=\"login_needed\"}}"
                );
                let renewed =
                    format!("wazzup_token_refreshes_total{{account=\"{account}\",result=\"ok\"}}");
                if samples.contains_key(&needed) {
                    assert_eq!(scene.kept(number)["login_needed"], "answer_lost", "{account}");
                    lost.insert(account);
                } else if samples.get(&renewed).is_some_and(|count| count != "0") {
                    fine += 1;
                }
            }
        }
        if fine + lost.len() == LABELS { Ok(lost) } else { Err(format!("{fine}, {lost:?}")) }
    })
    .await
}
