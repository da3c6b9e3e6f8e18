//! The limiter in virtual time: what it may never pass, and what it may not waste.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use proptest::prelude::*;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{advance, sleep};

use super::*;
use crate::blocking::lock;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(concurrency: usize, requests: u32, per: Duration) -> Limiter {
    let pace = Arc::new(Pace::new(RateLimit { requests, per, share: 100 }));
    Limiter::new(concurrency, pace, GlobalLimit::new(1000), Arc::default())
}

/// The most requests within any window of `per`.
fn fullest_window(sent: &[Instant], per: Duration) -> usize {
    let counts = sent.iter().enumerate().map(|(first, start)| {
        sent[first..].iter().take_while(|at| at.duration_since(*start) < per).count()
    });
    counts.max().unwrap_or(0)
}

/// Sends requests that arrive after the given pauses and take the given times; when each was sent.
async fn send_all(limiter: &Limiter, requests: Vec<(u64, u64)>) -> Vec<Instant> {
    let mut tasks = JoinSet::new();
    for (pause, latency) in requests {
        sleep(Duration::from_millis(pause)).await;
        let limiter = limiter.clone();
        tasks.spawn(async move {
            let _permit = limiter.acquire(Lane::Counter).await;
            let sent = Instant::now();
            sleep(Duration::from_millis(latency)).await;
            sent
        });
    }
    let mut sent = tasks.join_all().await;
    sent.sort();
    sent
}

fn virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_holds_more_than_the_limit(
        limit in 1_u32..40,
        millis in 100_u64..10_000,
        concurrency in 1_usize..20,
        requests in proptest::collection::vec((0_u64..400, 0_u64..2000), 1..150),
    ) {
        let per = Duration::from_millis(millis);
        let count = requests.len();
        let sent = virtual_time(async {
            send_all(&limiter(concurrency, limit, per), requests).await
        });
        prop_assert_eq!(sent.len(), count, "nothing is dropped");
        prop_assert!(fullest_window(&sent, per) <= limit as usize);
    }

    #[test]
    fn a_busy_credential_uses_nearly_all_of_its_limit(limit in 10_u32..500) {
        let per = 5 * SECOND;
        let sent = virtual_time(async {
            send_all(&limiter(64, limit, per), vec![(0, 50); limit as usize * 4]).await
        });
        let took = sent[sent.len() - 1].duration_since(sent[0]);
        let possible = 4.0 * per.as_secs_f64();
        prop_assert!(took.as_secs_f64() < possible * 1.05, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_window_holds_more_than_our_share_of_the_limit() {
    for (requests, share, most) in [(500, 60, 300), (10, 25, 2), (1, 60, 1)] {
        let per = 5 * SECOND;
        let pace = Arc::new(Pace::new(RateLimit { requests, per, share }));
        let limiter = Limiter::new(64, pace, GlobalLimit::new(1000), Arc::default());
        let count = (most * 3).max(4);
        let sent = send_all(&limiter, vec![(0, 50); count]).await;
        let fullest = fullest_window(&sent, per);
        assert!(fullest <= most && fullest * 100 >= most * 96, "{fullest} of {most}");
        let took = sent[count - 1].duration_since(sent[0]).as_secs_f64();
        let ours = f64::from(requests) * f64::from(share) / 100.0 / per.as_secs_f64();
        assert!((count - 1) as f64 / took <= ours, "{took} s for {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_all_accounts_that_become_due_one_by_one_are_sent_together() {
    let (global, started) = (GlobalLimit::new(1000), Instant::now());
    let send = async |requests: u32| {
        let pace = Pace::new(RateLimit { requests, per: 5 * SECOND, share: 100 });
        let limiter = Limiter::new(64, Arc::new(pace), global.clone(), Arc::default());
        send_all(&limiter, vec![(0, 0); 300]).await
    };
    let (fast, slow) = tokio::join!(send(1500), send(1000));
    for (sent, seconds) in [(fast, 1.0), (slow, 1.5)] {
        let took = sent[299].duration_since(started).as_secs_f64();
        assert!((took / seconds - 1.0).abs() < 0.05, "{took} s");
        let at_ticks =
            |at: &Instant| at.duration_since(started).as_nanos().is_multiple_of(TICK.as_nanos());
        assert!(sent.iter().all(at_ticks), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_delays_what_is_due_and_drops_nothing() {
    let limiter = limiter(8, 500, 5 * SECOND);
    let started = Instant::now();
    limiter.pause(Some(300 * SECOND));
    limiter.pause(Some(SECOND));
    let sent = send_all(&limiter, vec![(0, 10); 20]).await;
    assert_eq!(sent.len(), 20);
    assert!(sent[0].duration_since(started) >= 300 * SECOND);
    assert!(sent[19].duration_since(started) < 301 * SECOND);
    let waited = limiter.0.inner.tally.values().rate_limit_wait;
    assert!(waited >= 300 * SECOND && waited < 301 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_pause_lasts_a_whole_window() {
    let limiter = limiter(8, 500, 5 * SECOND);
    let started = Instant::now();
    limiter.pause(None);
    let sent = send_all(&limiter, vec![(0, 0)]).await;
    assert!(sent[0].duration_since(started) >= 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_nothing_is_a_whole_window() {
    let limiter = limiter(8, 500, 5 * SECOND);
    let started = Instant::now();
    limiter.pause(Some(Duration::ZERO));
    let sent = send_all(&limiter, vec![(0, 0)]).await;
    assert!(sent[0].duration_since(started) >= 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_account_keeps_a_pause() {
    let paces = Paces::default();
    let account = crate::account::fixture("acme", &["1"]);
    let started = Instant::now();
    paces.of(&account).pause(300 * SECOND);
    let again = Limiter::new(8, paces.of(&account), GlobalLimit::new(10), Arc::default());
    assert!(again.paused());
    let sent = send_all(&again, vec![(0, 0)]).await;
    assert!(sent[0].duration_since(started) >= 300 * SECOND);
    assert!(!again.paused());
}

#[tokio::test(start_paused = true)]
async fn lanes_are_served_in_order_and_each_in_turn() {
    let limiter = limiter(1, 500, 5 * SECOND);
    let first = limiter.acquire(Lane::List).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (number, lane) in
        [Lane::List, Lane::Counter, Lane::Urgent, Lane::Counter, Lane::Fresh, Lane::Urgent]
            .into_iter()
            .enumerate()
    {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            let _permit = limiter.acquire(lane).await;
            lock(&order).push(number);
        });
        yield_now().await;
    }
    drop(first);
    tasks.join_all().await;
    assert_eq!(*lock(&order), [2, 5, 4, 1, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_one_credential_share_its_limit() {
    let pace = Arc::new(Pace::new(RateLimit { requests: 10, per: SECOND, share: 100 }));
    let account = || Limiter::new(4, Arc::clone(&pace), GlobalLimit::new(1000), Arc::default());
    let (one, two) = (account(), account());
    let (first, second) =
        tokio::join!(send_all(&one, vec![(0, 5); 30]), send_all(&two, vec![(0, 5); 30]));
    let all = {
        let mut all = [first.clone(), second.clone()].concat();
        all.sort();
        all
    };
    assert!(fullest_window(&all, SECOND) <= 10);
    let [first, second] = [first, second].map(|sent| sent[14].duration_since(all[0]));
    assert!(first.abs_diff(second) < SECOND, "one waits for the other: {first:?}, {second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_away_takes_no_place() {
    let limiter = limiter(1, 500, 5 * SECOND);
    let open = limiter.acquire(Lane::Counter).await;
    let gone = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Lane::Counter).await }
    });
    yield_now().await;
    gone.abort();
    assert!(gone.await.is_err());
    drop(open);
    drop(limiter.acquire(Lane::Counter).await);
    assert_eq!(lock(&limiter.0.inner.state).in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_only_times_out_goes_on_with_one_request() {
    let limiter = limiter(3, 500, 5 * SECOND);
    for _ in 0..3 {
        limiter.request_ended(true);
    }
    let open = limiter.acquire(Lane::Counter).await;
    let served = Arc::new(AtomicBool::new(false));
    let second = tokio::spawn({
        let (limiter, served) = (limiter.clone(), Arc::clone(&served));
        async move {
            let permit = limiter.acquire(Lane::Counter).await;
            served.store(true, SeqCst);
            permit
        }
    });
    advance(60 * SECOND).await;
    assert!(!served.load(SeqCst), "two requests are open");
    limiter.request_ended(false);
    drop(second.await.unwrap());
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_account_leaves_the_global_permits_to_others() {
    let global = GlobalLimit::new(2);
    let account = || {
        let pace = Arc::new(Pace::new(RateLimit::default()));
        Limiter::new(1, pace, global.clone(), Arc::default())
    };
    let (busy, other) = (account(), account());
    let open = busy.acquire(Lane::Counter).await;
    let waiting = tokio::spawn({
        let busy = busy.clone();
        async move { busy.acquire(Lane::Counter).await }
    });
    yield_now().await;
    let second = other.acquire(Lane::Counter).await;
    drop(open);
    drop(waiting.await.unwrap());
    drop(second);
    assert_eq!(global.permits.load().all.available_permits(), 2);
}

#[tokio::test(start_paused = true)]
async fn hanging_accounts_leave_three_quarters_of_the_global_permits_to_others() {
    let global = GlobalLimit::new(16);
    let account = |concurrency| {
        let pace = Arc::new(Pace::new(RateLimit::default()));
        Limiter::new(concurrency, pace, global.clone(), Arc::default())
    };
    let hanging: Vec<Limiter> = (0..20).map(|_| account(8)).collect();
    let mut tasks = JoinSet::new();
    for limiter in hanging {
        tasks.spawn(async move {
            let one = |limiter: Limiter| async move {
                let permit = limiter.acquire(Lane::Counter).await;
                sleep(10 * SECOND).await;
                limiter.request_ended(true);
                drop(permit);
            };
            loop {
                futures_util::future::join_all((0..8).map(|_| one(limiter.clone()))).await;
            }
        });
    }
    // By then each of them had its turn, and is down to one request.
    sleep(120 * SECOND).await;
    let permits = global.permits.load_full();
    assert_eq!((permits.all.available_permits(), permits.reduced.available_permits()), (12, 0));
    let healthy = account(8);
    let started = Instant::now();
    let sent = send_all(&healthy, vec![(0, 100); 100]).await;
    assert_eq!(sent.len(), 100);
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
    tasks.shutdown().await;
}

#[test]
fn accounts_with_the_same_token_share_a_pace_while_one_of_them_is_there() {
    let paces = Paces::default();
    let account = crate::account::fixture("acme", &["1"]);
    let other = Account { name: crate::account::fixture("globex", &[]).name, ..account.clone() };
    let pace = paces.of(&account);
    assert!(Arc::ptr_eq(&pace, &paces.of(&other)));
    let changed = Account {
        rate_limit: RateLimit { requests: 100, ..account.rate_limit },
        ..account.clone()
    };
    assert!(!Arc::ptr_eq(&pace, &paces.of(&changed)));
    let other = Account { auth: crate::account::Auth::Token("other".into()), ..account };
    assert!(!Arc::ptr_eq(&pace, &paces.of(&other)));
}

#[tokio::test(start_paused = true)]
async fn the_global_cap_changes_beside_the_requests_in_flight() {
    let global = GlobalLimit::new(2);
    let free = || global.permits.load().all.available_permits();
    let open = acquire(&global.permits.load_full().all).await;
    global.set_limit(2);
    assert_eq!(free(), 1, "nothing has changed");
    global.set_limit(1);
    assert_eq!(free(), 1);
    drop(open);
    assert_eq!(free(), 1, "it came back to those before");
    global.set_limit(3);
    assert_eq!(free(), 3);
}
