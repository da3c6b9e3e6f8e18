//! What publishing and scraping cost, by the number of users of one account.
//!
//! `cargo bench` runs it; five families of a user are about six series.

#![allow(clippy::unwrap_used, missing_docs, reason = "benchmarks")]

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use wazzup_exporter::account::{
    Account, AccountName, Api, Auth, Export, Labels, Poll, Profile, RateLimit, Tls, User, UserId,
};
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

/// A sweep in which every counter changed.
#[divan::bench(args = USERS)]
fn publish_all_changed(bencher: Bencher<'_, '_>, users: usize) {
    let (earlier, now) = view(users);
    let later = now.plus(Duration::from_secs(30));
    bencher
        .counter(ItemsCount::new(users))
        .with_inputs(|| read(&earlier.account, 7, later))
        .bench_values(|users| render(&earlier.account, users, &earlier.chunks, later));
}

/// A sweep in which no counter changed; the times of the readings always do.
#[divan::bench(args = USERS)]
fn publish_none_changed(bencher: Bencher<'_, '_>, users: usize) {
    let (earlier, now) = view(users);
    let later = now.plus(Duration::from_secs(30));
    bencher
        .counter(ItemsCount::new(users))
        .with_inputs(|| read(&earlier.account, 0, later))
        .bench_values(|users| render(&earlier.account, users, &earlier.chunks, later));
}

/// A scrape of fresh readings, as text.
#[divan::bench(args = USERS)]
fn scrape_plain(bencher: Bencher<'_, '_>, users: usize) {
    scrape(bencher, users, false, Duration::ZERO);
}

/// A scrape of fresh readings, compressed.
#[divan::bench(args = USERS)]
fn scrape_gzip(bencher: Bencher<'_, '_>, users: usize) {
    scrape(bencher, users, true, Duration::ZERO);
}

/// A scrape after everything has turned stale: each block is rendered anew.
#[divan::bench(args = USERS)]
fn scrape_gzip_all_stale(bencher: Bencher<'_, '_>, users: usize) {
    scrape(bencher, users, true, STALE_AFTER);
}

fn scrape(bencher: Bencher<'_, '_>, users: usize, gzip: bool, later: Duration) {
    let (view, now) = view(users);
    let views = [view];
    let process = ProcessMetrics::new();
    let now = now.plus(later);
    bencher
        .counter(ItemsCount::new(users))
        .bench(|| document(&views, &process.gather(), Format::OpenMetrics, gzip, now));
}
