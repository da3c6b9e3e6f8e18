//! Does an exporter leak, or lose anything, that runs for long while everything around it fails? `make soak` runs it for
//! half an hour, `make test` for some seconds; docs/reliability.md has a report.
//!
//! The exporter is a process of its own, this program once more ([`exporter`]), so that its memory, descriptors and tasks
//! are its own. The simulated API and whoever breaks it ([`chaos`]) are here. Some accounts are never broken: they must
//! not miss a reading while others fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "the report is what this is run for")]

mod chaos;
mod exporter;
mod report;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use wazzup_exporter::simulator::{
    AccountSpec, PartnerSpec, RateLimit, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::storage::{AccountFolder, Storage};

use self::exporter::Child;
use self::report::{Report, Usage};
use support::files::write_config;
use support::samples::{Samples, value};
use support::upstream::serve;

/// Accounts of each kind: steady ones that nothing happens to, and those with a fixed token, under the white label and
/// under the Wazzup label.
const OF_A_KIND: usize = 10;
/// In what time all is as before once nothing fails any more: longer than any back-off, and than connections of those that
/// failed are kept for another request (90 s, looked at as often).
const SETTLED: Duration = Duration::from_mins(5);
const KINDS: [&str; 4] = ["steady", "token", "white", "label"];

/// How long and how large, from the environment.
struct Plan {
    seconds: u64,
    users: usize,
    interval: Duration,
}

/// What the parts of the run share.
pub(crate) struct Soak {
    api: Simulator,
    url: String,
    folder: TempDir,
    child: Child,
    interval: Duration,
}

impl Plan {
    fn read() -> Self {
        let number = |name: &str, usual| {
            std::env::var(name)
                .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
        };
        let seconds = number("SOAK_SECONDS", 1800);
        // So often that even a short run has many sweeps, so rarely that a debug build keeps up with a long one.
        let interval = Duration::from_secs((seconds / 20).clamp(1, 15));
        Self { seconds, users: number("SOAK_USERS", 2000) as usize, interval }
    }

    fn settings(&self) -> Settings {
        let mut partner = PartnerSpec::new("main", "partner@example.com", "pa55word");
        partner.access_ttl = self.interval * 4;
        let per_account = self.users / (OF_A_KIND * KINDS.len());
        let accounts = KINDS.iter().enumerate().flat_map(|(kind, word)| {
            (0..OF_A_KIND).map(move |number| account(word, kind * OF_A_KIND + number))
        });
        let with_users = |account: AccountSpec| {
            (0..per_account).fold(account, |account, user| {
                account.user(UserSpec::new(&format!("u{user}"), "Anna", Role::SalesRep))
            })
        };
        Settings {
            accounts: accounts.map(with_users).collect(),
            partners: vec![partner],
            limit: RateLimit::UNLIMITED,
            log_capacity: 0,
            ..Settings::default()
        }
    }
}

fn account(kind: &str, number: usize) -> AccountSpec {
    let (name, id) = (format!("{kind}-{number:02}"), format!("{:08}", 10_000_000 + number));
    match kind {
        "white" => AccountSpec::white_label(&name, &id, "main"),
        "label" => AccountSpec::label(&name, &id, "main", &format!("seed-of-{name}")),
        _ => AccountSpec::new(&name, &id, &format!("token-of-{name}")),
    }
}

impl Soak {
    async fn start(plan: &Plan) -> Self {
        let (api, url) = serve(plan.settings()).await;
        let folder = tempfile::tempdir().unwrap();
        api.write_secrets(folder.path()).unwrap();
        let interval = plan.interval;
        write_config(folder.path(), &configuration(&api, &url, interval));
        let child = Child::start(folder.path());
        Self { api, url, folder, child, interval }
    }

    /// Waits until every account was swept without a failure since this call.
    async fn until_well(&self) {
        let before = self.child.scrape().await;
        let good =
            |samples: &Samples, name: &str| value(samples, &sweeps(name, "ok")).unwrap_or_default();
        let deadline = Instant::now() + SETTLED;
        loop {
            let now = self.child.scrape().await;
            let ill: Vec<String> =
                names().filter(|name| good(&now, name) < good(&before, name) + 2.0).collect();
            if ill.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "not well again: {ill:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// What the exporter uses once there are hardly more tasks than `before`, or when there should be.
    async fn usage_settled(&self, before: Usage) -> Usage {
        let deadline = Instant::now() + SETTLED;
        loop {
            let now = self.child.usage();
            if now.tasks <= before.tasks + report::TASKS_MORE || Instant::now() >= deadline {
                return now;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Accounts under the Wazzup label whose next refresh token upstream would not take.
    fn tokens_lost(&self) -> BTreeSet<String> {
        let storage = Storage::new(self.folder.path().join("data"));
        let lost = |name: &String| {
            let number = format!("{:08}", 10_000_000 + name[6..].parse::<usize>().unwrap());
            let folder = AccountFolder::new(name, Some(&number));
            let kept = storage.read_unlocked(folder, "oauth.json").unwrap().unwrap_or_default();
            let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap_or_default();
            let live = self.api.live_refresh_tokens(name).unwrap();
            live.first().map(String::as_str) != kept["refresh_token"].as_str()
        };
        names().filter(|name| name.starts_with("label")).filter(lost).collect()
    }
}

/// Every account.
fn names() -> impl Iterator<Item = String> {
    (0..OF_A_KIND * KINDS.len()).map(|number| format!("{}-{number:02}", KINDS[number / OF_A_KIND]))
}

fn sweeps(account: &str, result: &str) -> String {
    format!(r#"wazzup_sweeps_total{{account="{account}",result="{result}"}}"#)
}

/// The simulator's configuration with our interval.
fn configuration(api: &Simulator, url: &str, interval: Duration) -> String {
    let yaml = api.exporter_config(url, &format!("{}s", interval.as_secs()));
    yaml.replacen("poll:\n", "poll:\n  timeout: 5s\n", 1)
}

async fn soak() {
    let plan = Plan::read();
    let soak = Soak::start(&plan).await;
    soak.until_well().await;
    let (first, usage) = (soak.child.scrape().await, soak.child.usage());
    let began = Instant::now();
    let chaos = chaos::run(&soak, began + Duration::from_secs(plan.seconds)).await;
    let took = began.elapsed();
    soak.api.clear_faults();
    soak.until_well().await;
    let end = soak.usage_settled(usage).await;
    let last = soak.child.scrape().await;
    let renewals = soak.api.counts().partners["main"].clone();
    soak.child.stop().await;
    let report = Report {
        users: plan.users,
        interval: plan.interval,
        took,
        usage: [usage, chaos.most, end],
        first,
        last,
        chaos,
        renewals,
        tokens_lost: soak.tokens_lost(),
    };
    println!("{report}");
    report.check();
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if exporter::is_child() {
        let polling = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(exporter::run(polling.handle().clone()));
    } else {
        runtime.block_on(soak());
    }
}
