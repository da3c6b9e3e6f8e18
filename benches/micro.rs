//! What the steps from an answer of the API to an exposition cost, by the number of users of one account.
//!
//! `cargo bench` runs it, and `make bench` puts its table into docs/performance.md. The five families of
//! a user are about six series.

#![allow(clippy::unwrap_used, missing_docs, reason = "benchmarks")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use flate2::{Compression, write::GzEncoder};
use tokio::runtime::{Builder, Runtime};
use wazzup_exporter::account::{
    Account, AccountName, Api, Auth, Export, Labels, Poll, Profile, RateLimit, Tls, User, UserId,
};
use wazzup_exporter::api::parse_counter;
use wazzup_exporter::channel::{Role, Trust};
use wazzup_exporter::clock::Stamp;
use wazzup_exporter::counter::{CounterType, Reading, Trend};
use wazzup_exporter::exposition::{self, Documents, Format, Selection};
use wazzup_exporter::metrics::{Outcome, ProcessMetrics};
use wazzup_exporter::snapshot::{AccountView, Attempt, Directory, Facts, Slot, UserView, Writer};

const USERS: [usize; 3] = [10, 1_000, 100_000];
const STALE_AFTER: Duration = Duration::from_mins(2);

fn main() {
    divan::main();
}

fn account(users: usize) -> Arc<Account> {
    let user = |number: usize| {
        let id = UserId::parse(&format!("{number:06}")).unwrap();
        Arc::new(User { id, name: Some(format!("Manager {number}")), labels: Labels::new() })
    };
    Arc::new(Account {
        name: AccountName::parse("acme").unwrap(),
        api: Api::V2,
        account_id: None,
        base_url: "https://tech.wazzup24.com".parse().unwrap(),
        allow_insecure_http: false,
        auth: Auth::Token("token".into()),
        rate_limit: RateLimit::default(),
        tls: Tls::default(),
        proxy: None,
        poll: Poll {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            concurrency: 8,
            stale_after: STALE_AFTER,
        },
        export: Export { user_names: true, channel_names: false, profile: Profile::Full },
        labels: Labels::new(),
        working_hours: None,
        users: (0..users).map(user).collect(),
        discovery: None,
        channels: None,
        reset: None,
    })
}

/// Every user with a reading made at `at`; another `seed` gives other counters.
fn read(account: &Account, seed: u64, at: Stamp) -> Vec<UserView> {
    let view = |(number, user): (usize, &Arc<User>)| UserView {
        user: Arc::clone(user),
        last_good: Some((
            Reading {
                count: (number as u64).wrapping_mul(2_654_435_761).wrapping_add(seed) % 50,
                kind: CounterType::Red,
                server_time: None,
                last_message: None,
            },
            at,
        )),
        last_attempt: Some(Attempt { outcome: Outcome::Ok, problem: None }),
        trend: Trend::default(),
        trust: Trust { role: Some(Role::SalesRep), cut_off: false, not_known: false },
        found: false,
    };
    account.users.iter().enumerate().map(view).collect()
}

/// Scrapes of one account, and the right to publish it.
struct Scraped {
    documents: Arc<Documents>,
    writer: Writer,
    account: Arc<Account>,
    runtime: Runtime,
}

impl Scraped {
    fn new(users: usize) -> Self {
        let account = account(users);
        let slot = Arc::new(Slot::new(Arc::default(), Arc::default(), view(&account, 0)));
        let writer = slot.writer();
        let directory = Arc::new(Directory::default());
        directory.replace(vec![slot]);
        let documents = Arc::new(Documents::new(directory, Arc::new(ProcessMetrics::default())));
        let runtime = Builder::new_current_thread().build().unwrap();
        let this = Self { documents, writer, account, runtime };
        this.scrape(true);
        this
    }

    fn scrape(&self, gzip: bool) -> usize {
        let selection = Selection { format: Format::OpenMetrics, accounts: Vec::new() };
        let answer = self.documents.answer(selection, gzip);
        self.runtime.block_on(answer).unwrap().map(|piece| piece.len()).sum()
    }
}

/// All users have just been read.
fn view(account: &Arc<Account>, seed: u64) -> AccountView {
    let now = Stamp::now();
    let facts = Facts { newest_reading: Some(now), ..Facts::default() };
    AccountView::new(Arc::clone(account), facts, &read(account, seed, now))
}

/// The answer to one request for a counter.
#[divan::bench]
fn decode() -> u64 {
    let body = include_bytes!("../tests/fixtures/v2-counter.json");
    parse_counter(Api::V2, black_box(body)).unwrap().count
}

/// The first scrape after a sweep in which every counter changed.
#[divan::bench(args = USERS)]
fn scrape_all_changed(bencher: Bencher<'_, '_>, users: usize) {
    scrape_after(bencher, users, 7);
}

/// The first scrape after a sweep in which no counter changed, only the times of the readings.
#[divan::bench(args = USERS)]
fn scrape_times_changed(bencher: Bencher<'_, '_>, users: usize) {
    scrape_after(bencher, users, 0);
}

fn scrape_after(bencher: Bencher<'_, '_>, users: usize, change: u64) {
    let scraped = Scraped::new(users);
    let mut seed = 0;
    bencher
        .counter(ItemsCount::new(users))
        .with_inputs(|| {
            seed += change;
            scraped.writer.publish(view(&scraped.account, seed));
        })
        .bench_local_values(|()| scraped.scrape(true));
}

/// The whole text in one piece, at the level that the exporter uses.
#[divan::bench(args = USERS)]
fn compress(bencher: Bencher<'_, '_>, users: usize) {
    let view = Arc::new(view(&account(users), 0));
    let process = ProcessMetrics::default().gather();
    let text = exposition::text(&[view], &process, Format::OpenMetrics, Stamp::now());
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(2));
        encoder.write_all(&text).unwrap();
        encoder.finish().unwrap()
    });
}

/// A scrape between two publications.
#[divan::bench(args = USERS)]
fn scrape_gzip(bencher: Bencher<'_, '_>, users: usize) {
    let scraped = Scraped::new(users);
    bencher.counter(ItemsCount::new(users)).bench_local(|| scraped.scrape(true));
}

/// The same as plain text, which is made from the compressed one.
#[divan::bench(args = USERS)]
fn scrape_identity(bencher: Bencher<'_, '_>, users: usize) {
    let scraped = Scraped::new(users);
    bencher.counter(ItemsCount::new(users)).bench_local(|| scraped.scrape(false));
}
