//! The supervisor with pollers that panic, hang, and are replaced, in virtual time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::account::fixture;

const SECOND: Duration = Duration::from_secs(1);

/// What happened to pollers, in request.
type EventLog = Arc<Mutex<Vec<String>>>;

fn account(name: &str) -> Arc<Account> {
    Arc::new(fixture(name, &["1"]))
}

/// A supervisor with its parts at hand.
fn supervise<S, F>(
    start: S,
    accounts: Vec<Arc<Account>>,
) -> (Supervisor<S>, AccountsHandle, Shutdown)
where
    S: Fn(PollerStart) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let shutdown = Shutdown::default();
    let (directory, health) = (Arc::default(), Arc::default());
    let (mut supervisor, handle) = Supervisor::new(start, directory, health, shutdown.clone());
    supervisor.replace_accounts(accounts);
    (supervisor, handle, shutdown)
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_panics_is_marked_down_counted_and_restarted() {
    let lives = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lives);
    let start = move |start: PollerStart| {
        let lives = Arc::clone(&counted);
        async move {
            assert!(lives.fetch_add(1, SeqCst) >= 2, "panics on purpose");
            assert!(start.slot.view().facts.down);
            start.heartbeat.next_action_at(Instant::now() + 3600 * SECOND);
            start.stop.wait().await;
        }
    };
    let (supervisor, _, shutdown) = supervise(start, vec![account("acme"), account("globex")]);
    let slots = supervisor.directory.slots();
    let running = tokio::spawn(async move {
        let begun = Instant::now();
        while lives.load(SeqCst) < 5 && begun.elapsed() < 60 * SECOND {
            sleep(SECOND).await;
        }
        shutdown.begin();
        lives.load(SeqCst)
    });
    supervisor.run().await;
    let lives = running.await.unwrap();
    let restarts: u64 = slots.iter().map(|slot| slot.tally.values().restarts).sum();
    assert_eq!((lives as u64, restarts), (4, 2));
    let shown: u64 = slots.iter().map(|slot| slot.view().facts.tally.restarts).sum();
    assert_eq!(shown, 2);
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_hangs_is_replaced_and_one_that_waits_on_purpose_is_not() {
    let events = EventLog::default();
    let noted = Arc::clone(&events);
    let start = move |start: PollerStart| {
        let noted = Arc::clone(&noted);
        async move {
            let name = start.slot.view().account.name.to_string();
            noted.lock().unwrap().push(name.clone());
            if name == "waiting" {
                start.heartbeat.next_action_at(Instant::now() + 300 * SECOND);
            }
            std::future::pending::<()>().await;
        }
    };
    let (supervisor, _, shutdown) = supervise(start, vec![account("stuck"), account("waiting")]);
    let slots = supervisor.directory.slots();
    let health = Arc::clone(&supervisor.health);
    let ending = tokio::spawn(async move {
        // Phase up to 30 s, grace 2 × 10 s + 5 s.
        sleep(58 * SECOND).await;
        assert!(health.healthy());
        shutdown.begin();
    });
    supervisor.run().await;
    ending.await.unwrap();
    let starts = events.lock().unwrap().clone();
    assert_eq!(starts.iter().filter(|name| *name == "waiting").count(), 1);
    assert!(starts.iter().filter(|name| *name == "stuck").count() >= 2, "{starts:?}");
    assert!(slots[0].view().facts.down);
    assert!(!slots[1].view().facts.down);
}

#[tokio::test(start_paused = true)]
async fn no_poller_is_stuck_after_a_pause_of_the_process_before_it_had_a_turn() {
    let start = |start: PollerStart| async move {
        loop {
            start.heartbeat.next_action_at(Instant::now() + SECOND);
            // Later in the queue than the supervisor, as requests that have to time out first.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            sleep(SECOND).await;
        }
    };
    let (supervisor, _, shutdown) = supervise(start, vec![account("acme"), account("globex")]);
    let slots = supervisor.directory.slots();
    let running = tokio::spawn(supervisor.run());
    sleep(10 * SECOND).await;
    for _ in 0..3 {
        tokio::time::advance(300 * SECOND).await;
        sleep(5 * SECOND).await;
    }
    shutdown.begin();
    running.await.unwrap();
    let restarts: u64 = slots.iter().map(|slot| slot.tally.values().restarts).sum();
    assert_eq!(restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn accounts_are_replaced_without_touching_those_that_stay() {
    let events = EventLog::default();
    let noted = Arc::clone(&events);
    let start = move |start: PollerStart| {
        let noted = Arc::clone(&noted);
        async move {
            let name = start.slot.view().account.name.to_string();
            noted.lock().unwrap().push(format!("{name} starts"));
            start.heartbeat.next_action_at(Instant::now() + 3600 * SECOND);
            start.stop.wait().await;
            noted.lock().unwrap().push(format!("{name} ends"));
        }
    };
    let (supervisor, accounts, shutdown) =
        supervise(start, vec![account("stays"), account("changes"), account("goes")]);
    let directory = Arc::clone(&supervisor.directory);
    let before = directory.slots();
    let running = tokio::spawn(supervisor.run());
    sleep(SECOND).await;
    events.lock().unwrap().clear();
    let changed = Arc::new(fixture("changes", &["1", "2"]));
    assert!(accounts.replace(vec![account("comes"), changed, account("stays")]).await);
    sleep(SECOND).await;
    let after = directory.slots();
    let names: Vec<String> =
        after.iter().map(|slot| slot.view().account.name.to_string()).collect();
    assert_eq!(names, ["comes", "changes", "stays"]);
    assert!(Arc::ptr_eq(&before[0], &after[2]), "the slot of an unchanged account stays");
    assert_eq!(after[1].view().users().count(), 2);
    let mut happened = events.lock().unwrap().clone();
    happened.sort();
    assert_eq!(happened, ["changes ends", "changes starts", "comes starts", "goes ends"]);
    shutdown.begin();
    running.await.unwrap();
}

/// Pollers that take a while to stop, or for ever.
async fn relay(stopping: Duration, replaced: &[&[&str]]) -> (Vec<String>, u64) {
    let events = EventLog::default();
    let noted = Arc::clone(&events);
    let start = move |start: PollerStart| {
        let noted = Arc::clone(&noted);
        async move {
            let users = start.slot.view().users().count();
            let note = |what: &str| noted.lock().unwrap().push(format!("{users} {what}"));
            if let StartMode::TakeOver(predecessor) = start.mode {
                start.heartbeat.next_action_at(Instant::now() + 3600 * SECOND);
                predecessor.ended.cancelled().await;
            }
            if start.stop.has_begun() {
                return note("never starts");
            }
            note("starts");
            start.heartbeat.next_action_at(Instant::now() + 3600 * SECOND);
            start.stop.wait().await;
            start.heartbeat.next_action_at(Instant::now());
            sleep(stopping).await;
            note("ends");
        }
    };
    let (supervisor, accounts, shutdown) = supervise(start, vec![account("acme")]);
    let directory = Arc::clone(&supervisor.directory);
    let running = tokio::spawn(supervisor.run());
    sleep(SECOND).await;
    for users in replaced {
        let wanted = (!users.is_empty()).then(|| Arc::new(fixture("acme", users)));
        accounts.replace(wanted.into_iter().collect()).await;
    }
    sleep(60 * SECOND).await;
    let slots = directory.slots();
    let restarts = slots.iter().map(|slot| slot.tally.values().restarts).sum();
    let happened = events.lock().unwrap().clone();
    shutdown.begin();
    running.await.unwrap();
    (happened, restarts)
}

#[tokio::test(start_paused = true)]
async fn an_account_never_has_two_pollers() {
    let (happened, restarts) = relay(10 * SECOND, &[&["1", "2"]]).await;
    assert_eq!(happened, ["1 starts", "1 ends", "2 starts"]);
    assert_eq!(restarts, 0);
    let (happened, _) = relay(10 * SECOND, &[&["1", "2"], &["1", "2", "3"]]).await;
    assert_eq!(happened, ["1 starts", "1 ends", "2 never starts", "3 starts"]);
    let (happened, _) = relay(10 * SECOND, &[&[], &["1", "2"]]).await;
    assert_eq!(happened, ["1 starts", "1 ends", "2 starts"], "one that comes back waits, too");
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_does_not_leave_is_given_up() {
    let (happened, restarts) = relay(3600 * SECOND, &[&["1", "2"]]).await;
    assert_eq!((happened, restarts), (vec!["1 starts".to_owned(), "2 starts".to_owned()], 0));
}
