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
use wazzup_exporter::account::{
    Account, AccountName, Api, Auth, Export, Labels, Poll, Profile, RateLimit, Tls, User, UserId,
};
use wazzup_exporter::api::parse_counter;
use wazzup_exporter::channel::{Role, Trust};
use wazzup_exporter::clock::Stamp;
use wazzup_exporter::counter::{CounterType, Reading, Trend};
use wazzup_exporter::exposition::{Format, document, render_account, render_chunk};
use wazzup_exporter::metrics::{Outcome, ProcessMetrics};
use wazzup_exporter::snapshot::{AccountView, Attempt, CHUNK_USERS, Chunk, Facts, UserView};

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
fn read(account: &Account, seed: u64, at: Stamp) -> Vec<Vec<UserView>> {
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
    let users: Vec<UserView> = account.users.iter().enumerate().map(view).collect();
    users.chunks(CHUNK_USERS).map(<[UserView]>::to_vec).collect()
}

fn render(
    account: &Account,
    users: Vec<Vec<UserView>>,
    earlier: &[Arc<Chunk>],
    now: Stamp,
) -> Vec<Arc<Chunk>> {
    let chunks = users.into_iter().enumerate();
    let chunks = chunks.map(|(index, users)| {
        render_chunk(account, users, earlier.get(index).map(|chunk| &**chunk), now)
    });
    chunks.map(Arc::new).collect()
}

fn view(users: usize) -> (Arc<AccountView>, Stamp) {
    let account = account(users);
    let now = Stamp::now();
    let chunks = render(&account, read(&account, 0, now), &[], now);
    let facts = Facts { newest_reading: Some(now), ..Facts::default() };
    let blocks = render_account(&account, &facts, None, now);
    (Arc::new(AccountView { account, facts, chunks, blocks }), now)
}

/// The answer to one request for a counter.
#[divan::bench]
fn decode() -> u64 {
    let body = include_bytes!("../tests/fixtures/v2-counter.json");
    parse_counter(Api::V2, black_box(body)).unwrap().count
}

/// A sweep in which every counter changed: blocks are rendered and compressed.
#[divan::bench(args = USERS)]
fn publish(bencher: Bencher<'_, '_>, users: usize) {
    sweep(bencher, users, 7);
}

/// A sweep in which no counter changed: blocks are rendered and found to be the same.
#[divan::bench(args = USERS)]
fn render_only(bencher: Bencher<'_, '_>, users: usize) {
    sweep(bencher, users, 0);
}

fn sweep(bencher: Bencher<'_, '_>, users: usize, seed: u64) {
    let (earlier, now) = view(users);
    let later = now.plus(Duration::from_secs(30));
    bencher
        .counter(ItemsCount::new(users))
        .with_inputs(|| read(&earlier.account, seed, later))
        .bench_values(|users| render(&earlier.account, users, &earlier.chunks, later));
}

/// The whole text in one piece, at the level that the exporter uses.
#[divan::bench(args = USERS)]
fn compress(bencher: Bencher<'_, '_>, users: usize) {
    let (view, now) = view(users);
    let text = document(&[view], &ProcessMetrics::new().gather(), Format::OpenMetrics, false, now);
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(2));
        encoder.write_all(&text).unwrap();
        encoder.finish().unwrap()
    });
}

/// A scrape of fresh readings, as text.
#[divan::bench(args = USERS)]
fn assemble_plain(bencher: Bencher<'_, '_>, users: usize) {
    assemble(bencher, users, false, Duration::ZERO);
}

/// A scrape of fresh readings, compressed.
#[divan::bench(args = USERS)]
fn assemble_gzip(bencher: Bencher<'_, '_>, users: usize) {
    assemble(bencher, users, true, Duration::ZERO);
}

/// A scrape after everything has turned stale: each block is rendered anew.
#[divan::bench(args = USERS)]
fn assemble_gzip_all_stale(bencher: Bencher<'_, '_>, users: usize) {
    assemble(bencher, users, true, STALE_AFTER);
}

fn assemble(bencher: Bencher<'_, '_>, users: usize, gzip: bool, later: Duration) {
    let (view, now) = view(users);
    let views = [view];
    let process = ProcessMetrics::new();
    let now = now.plus(later);
    bencher
        .counter(ItemsCount::new(users))
        .bench(|| document(&views, &process.gather(), Format::OpenMetrics, gzip, now));
}
