use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::transport::Error;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const START: Stamp =
    Stamp { uptime: Duration::from_secs(1000), unix: Duration::from_secs(1 << 30) };

fn token(text: &str) -> Token {
    Token::new(text, String::new).unwrap()
}

fn refused(status: u16) -> TokenError {
    let source = Error::Status { status, code: None, detail: String::new(), retry_after: None };
    TokenError::Refused { what: "cannot log in", source: Arc::new(source) }
}

/// A state that holds a token with this life since [`START`].
fn holding(text: &str, life: Option<Duration>) -> State {
    let mut state = State::default();
    state.take(ObtainedToken::new(token(text), START, life), "acme", START);
    state
}

/// A step in one word.
fn word(step: &Step) -> String {
    let shown = |token: &Token| token.header.clone().to_str().unwrap().replace("Bearer ", "");
    match step {
        Step::Use(token) => format!("use {}", shown(token)),
        Step::Fail(_) => "fail".to_owned(),
        Step::Wait(_) => "wait".to_owned(),
        Step::Renew(None) => "renew".to_owned(),
        Step::Renew(Some(token)) => format!("renew, using {}", shown(token)),
    }
}

fn any(state: &mut State, after: Duration) -> String {
    word(&state.step(None, START.plus(after)))
}

fn other(state: &mut State, refused: &str, after: Duration) -> String {
    word(&state.step(Some(&token(refused)), START.plus(after)))
}

fn begin_renewal(state: &mut State) {
    state.renewal = Some(watch::channel(None).1);
}

fn fail(state: &mut State, error: &TokenError, after: Duration) {
    state.fail(error, START.plus(after));
}

#[test]
fn a_token_is_used_until_it_is_due_and_while_it_is_renewed() {
    let mut state = holding("a", Some(HOUR));
    assert_eq!(any(&mut state, HOUR.mul_f64(0.69)), "use a");
    assert_eq!(any(&mut state, HOUR.mul_f64(0.86)), "renew, using a");
    begin_renewal(&mut state);
    assert_eq!(any(&mut state, HOUR.mul_f64(0.87)), "use a");
    assert_eq!(any(&mut state, HOUR), "wait");
    state.renewal = None;
    assert_eq!(any(&mut state, HOUR), "renew");
}

#[test]
fn a_token_of_unknown_life_is_used_until_it_is_refused() {
    let mut state = holding("a", None);
    assert_eq!(any(&mut state, 1000 * HOUR), "use a");
    assert_eq!(other(&mut state, "a", 1000 * HOUR), "renew");
    assert_eq!(other(&mut state, "older", 1000 * HOUR), "use a");
}

#[test]
fn a_failed_renewal_leaves_the_token_in_use_as_long_as_it_is_good() {
    let mut state = holding("a", Some(HOUR));
    let due = HOUR.mul_f64(0.9);
    fail(&mut state, &refused(401), due);
    assert_eq!(any(&mut state, due + 29 * SECOND), "use a");
    assert_eq!(any(&mut state, due + 31 * SECOND), "renew, using a");
    fail(&mut state, &refused(401), due + 31 * SECOND);
    assert_eq!(any(&mut state, due + 90 * SECOND), "use a");
    fail(&mut state, &refused(401), HOUR.mul_f64(0.99));
    assert_eq!(any(&mut state, HOUR + SECOND), "fail");
    assert_eq!(any(&mut state, HOUR + 200 * SECOND), "renew");
}

#[test]
fn after_a_failure_one_caller_attempts_and_the_others_get_the_error() {
    let mut state = State::default();
    fail(&mut state, &refused(503), Duration::ZERO);
    assert_eq!(any(&mut state, SECOND / 2), "fail");
    assert_eq!(any(&mut state, SECOND), "renew");
    begin_renewal(&mut state);
    assert_eq!(any(&mut state, SECOND), "fail");
}

#[test]
fn before_a_failure_all_callers_wait_for_the_first_attempt() {
    let mut state = State::default();
    assert_eq!(any(&mut state, Duration::ZERO), "renew");
    begin_renewal(&mut state);
    assert_eq!(any(&mut state, Duration::ZERO), "wait");
    assert_eq!(other(&mut state, "a", Duration::ZERO), "wait");
}

#[test]
fn young_tokens_that_are_refused_are_replaced_rarely() {
    let mut state = holding("a", Some(HOUR));
    let obtain = |state: &mut State, text: &str, at: Duration| {
        let at = START.plus(at);
        state.take(ObtainedToken::new(token(text), at, Some(HOUR)), "acme", at);
    };
    assert_eq!(other(&mut state, "a", SECOND), "renew");
    obtain(&mut state, "b", SECOND);
    assert_eq!(other(&mut state, "b", 2 * SECOND), "use b");
    assert_eq!(other(&mut state, "b", 32 * SECOND), "renew");
    obtain(&mut state, "c", 32 * SECOND);
    assert_eq!(other(&mut state, "c", 64 * SECOND), "use c");
    assert_eq!(other(&mut state, "c", 93 * SECOND), "renew");
}

#[test]
fn a_renewal_that_failed_on_the_way_is_repeated_for_a_refused_token() {
    let mut state = holding("a", Some(HOUR));
    assert_eq!(other(&mut state, "a", SECOND), "renew");
    fail(&mut state, &refused(503), SECOND);
    assert_eq!(other(&mut state, "a", SECOND), "fail");
    assert_eq!(other(&mut state, "a", 3 * SECOND), "renew");
}

#[test]
fn a_refused_token_is_not_used_when_a_new_one_is_refused_as_well() {
    for (status, next) in [(401, "fail"), (503, "use a")] {
        let mut state = holding("a", Some(HOUR));
        assert_eq!(any(&mut state, HOUR / 2), "use a");
        assert_eq!(other(&mut state, "a", HOUR / 2), "renew");
        fail(&mut state, &refused(status), HOUR / 2);
        assert_eq!(any(&mut state, HOUR / 2), next, "{status}");
    }
}

#[test]
fn an_old_token_that_is_refused_is_replaced_at_once_each_time() {
    let mut state = State::default();
    for number in 0..5 {
        let asked = START.plus(SECOND * number);
        state.take(ObtainedToken::new(token("a"), asked, Some(SECOND)), "acme", asked);
        assert_eq!(other(&mut state, "a", SECOND * number + SECOND * 3 / 4), "renew");
    }
}

#[test]
fn a_token_that_was_kept_somewhere_is_as_old_as_it_is() {
    let mut state = State::default();
    let fresh = ObtainedToken::new(token("a"), START, Some(HOUR));
    let stored = ObtainedToken { spent: HOUR.mul_f64(0.9), new: false, ..fresh };
    state.take(stored, "acme", START);
    assert_eq!(any(&mut state, SECOND), "renew, using a");
    assert_eq!(any(&mut state, HOUR.mul_f64(0.11)), "renew");
    assert!(state.last_renewed.is_none());
}

fn main() -> TokenOwner {
    TokenOwner::Partner("main".to_owned())
}

#[tokio::test]
async fn fifty_who_need_a_token_at_once_cause_one_attempt_that_outlives_them() {
    let cached = CachedToken::new(TaskTracker::new());
    let attempts = Arc::new(AtomicUsize::new(0));
    let (go, gone) = watch::channel(false);
    let ask = || {
        let (cached, attempts, mut gone) =
            (Arc::clone(&cached), Arc::clone(&attempts), gone.clone());
        async move {
            let attempt = |_| async move {
                attempts.fetch_add(1, Relaxed);
                gone.wait_for(|go| *go).await.unwrap();
                Ok(ObtainedToken::new(token("a"), Stamp::now(), Some(HOUR)))
            };
            cached.token(main(), None, attempt).await
        }
    };
    // The one that begins the attempt goes away.
    let first = tokio::spawn(ask());
    while attempts.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let others: Vec<_> = (0..50).map(|_| tokio::spawn(ask())).collect();
    tokio::task::yield_now().await;
    go.send(true).unwrap();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap(), token("a"));
    }
    assert_eq!(attempts.load(Relaxed), 1);
}

#[tokio::test]
async fn an_attempt_that_dies_does_not_stop_the_next() {
    let cached = CachedToken::new(TaskTracker::new());
    let dies = |_| async { panic!("a mistake") };
    assert!(matches!(cached.token(main(), None, dies).await, Err(TokenError::Pending(_))));
    let succeeds = |_| async { Ok(ObtainedToken::new(token("a"), Stamp::now(), None)) };
    assert_eq!(cached.token(main(), None, succeeds).await.unwrap(), token("a"));
}
