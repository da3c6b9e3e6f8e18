//! Faults on demand: what goes wrong, for which requests, and how often.
//!
//! A [`Fault`] is data, given as a `--fault` flag, through `/_control/faults` or by a test; its
//! text form is read in `fault_text`. [`Faults`] is the running list that the API checks for every
//! request, and it owns the generator that decides probabilities and delays.

use std::sync::Mutex;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::endpoint::Endpoint;
use super::latency::Latency;
use super::lock::lock;
use super::rng::Rng;

/// One thing that goes wrong, and the requests it goes wrong for.
///
/// Every matching [`FaultKind::Latency`] and [`FaultKind::Late`] delays, and every matching
/// [`FaultKind::Header`] and [`FaultKind::Gzip`] changes the answer; of the other kinds the first one
/// that matches decides it. Faults come after the rate limit and before everything else, the check of
/// the token included.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Compared with the raw path and query: contained in it, or, with a `*` for any run of
    /// characters, equal to all of it. `None` is every path.
    pub path: Option<String>,
    /// Only this endpoint, in either version.
    pub endpoint: Option<Endpoint>,
    /// Only requests about this account: with its credential, or to get it a token.
    pub account: Option<String>,
    /// Only requests whose path names this user, by decoded id.
    pub user: Option<String>,
    /// How many of the matching requests are hit, from 0 to 1.
    pub probability: f64,
    /// How many times the fault applies before it is spent; `None` never is.
    pub count: Option<u64>,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault that hits every request, for ever.
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            path: None,
            endpoint: None,
            account: None,
            user: None,
            probability: 1.0,
            count: None,
            kind,
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// This status, with the body the API has for it.
    Status(u16),
    /// A delay, after which the request is carried out and answered as usual.
    Latency(Latency),
    /// The request is carried out at once, and answered after a delay.
    Late(Latency),
    /// The answer carries this header, in place of its own of that name.
    Header(HeaderName, HeaderValue),
    /// The answer's body is compressed, and `Content-Encoding` says so.
    Gzip,
    /// No answer, until the client goes away or the server stops.
    Hang,
    /// The connection is reset before anything is answered.
    Reset,
    /// The request is carried out, and then the connection is reset in place of an answer.
    Lost,
    /// The head promises more body than is sent before the connection is closed.
    Truncated,
    /// Valid JSON of about this many bytes.
    Oversized(usize),
    /// 200 with a body that is not JSON.
    Malformed,
    /// 200 with a counter that is a string.
    WrongType,
    /// 200 with this body.
    Body(String),
    /// 302 to this location.
    Redirect(String),
    /// This status with this `Retry-After`.
    RetryAfter(u16, String),
}

/// What a fault is matched against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) path: &'a str,
    pub(super) endpoint: Endpoint,
    pub(super) account: Option<&'a str>,
    pub(super) user: Option<&'a str>,
}

/// What the faults made of one request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Before the request is carried out.
    pub(super) delay: Duration,
    /// After it was.
    pub(super) late: Duration,
    pub(super) kind: Option<FaultKind>,
    pub(super) gzip: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The faults in force.
#[derive(Debug)]
pub(super) struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    list: Vec<Fault>,
    rng: Rng,
}

impl Faults {
    pub(super) fn new(list: Vec<Fault>, seed: u64) -> Self {
        Self { inner: Mutex::new(Inner { list, rng: Rng::named(seed, &["faults"]) }) }
    }

    pub(super) fn add(&self, fault: Fault) {
        lock(&self.inner).list.push(fault);
    }

    pub(super) fn clear(&self) {
        lock(&self.inner).list.clear();
    }

    /// Decides one request, drawing its base delay and using up counted faults.
    pub(super) fn judge(&self, subject: Subject<'_>, base: Latency) -> Verdict {
        let mut inner = lock(&self.inner);
        let Inner { list, rng } = &mut *inner;
        let mut verdict = Verdict { delay: delay(rng, base), ..Verdict::default() };
        for fault in list.iter_mut() {
            if (fault.kind.decides() && verdict.kind.is_some()) || !fault.hits(subject, rng) {
                continue;
            }
            fault.count = fault.count.map(|left| left.saturating_sub(1));
            match &fault.kind {
                FaultKind::Latency(latency) => verdict.delay += delay(rng, *latency),
                FaultKind::Late(latency) => verdict.late += delay(rng, *latency),
                FaultKind::Header(name, value) => {
                    verdict.headers.push((name.clone(), value.clone()));
                }
                FaultKind::Gzip => verdict.gzip = true,
                kind => verdict.kind = Some(kind.clone()),
            }
        }
        list.retain(|fault| fault.count != Some(0));
        verdict
    }
}

impl FaultKind {
    /// Whether the answer is another one, not only a later or a changed one.
    const fn decides(&self) -> bool {
        !matches!(self, Self::Latency(_) | Self::Late(_) | Self::Header(..) | Self::Gzip)
    }
}

impl Fault {
    fn hits(&self, subject: Subject<'_>, rng: &mut Rng) -> bool {
        let same = |wanted: &Option<String>, found| wanted.is_none() || wanted.as_deref() == found;
        self.count != Some(0)
            && self.endpoint.is_none_or(|endpoint| endpoint == subject.endpoint)
            && same(&self.account, subject.account)
            && same(&self.user, subject.user)
            && self.path.as_ref().is_none_or(|pattern| matches_path(pattern, subject.path))
            && rng.chance(self.probability)
    }
}

fn delay(rng: &mut Rng, latency: Latency) -> Duration {
    if latency.max.is_zero() { latency.min } else { rng.duration(latency.min, latency.max) }
}

fn matches_path(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return path.contains(pattern);
    };
    let Some(mut path) = path.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place for each middle part leaves the most room for those after it.
    for part in middle.split('*') {
        match path.split_once(part) {
            Some((_, after)) => path = after,
            None => return false,
        }
    }
    path.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/v2/counters/unanswered/7?x=1";

    fn judge(faults: &Faults) -> Verdict {
        let endpoint = Endpoint::Counter;
        let subject = Subject { path: PATH, endpoint, account: Some("acme"), user: Some("7") };
        faults.judge(subject, Latency::default())
    }

    fn only(fault: Fault) -> Option<FaultKind> {
        judge(&Faults::new(vec![fault], 1)).kind
    }

    #[test]
    fn patterns_match_a_part_or_the_whole() {
        for pattern in ["unanswered", "", "*", "/v2/*", "*7?x=1", "/v2/*/unanswered/*", "*2*s/*=1"]
        {
            assert!(matches_path(pattern, PATH), "{pattern}");
        }
        for pattern in ["/v3", "/v3/*", "*/7", "v2/*", "/v2/*users*", "/v2/*x=1*=1"] {
            assert!(!matches_path(pattern, PATH), "{pattern}");
        }
    }

    #[test]
    fn every_condition_has_to_hold() {
        let fault = Fault::new(FaultKind::Hang);
        let (acme, seven) = (Some("acme".to_owned()), Some("7".to_owned()));
        let endpoint = Some(Endpoint::Counter);
        let fitting = Fault { endpoint, account: acme, user: seven, ..fault.clone() };
        assert_eq!(only(fitting.clone()), Some(FaultKind::Hang));
        assert_eq!(only(Fault { account: Some("other".into()), ..fitting.clone() }), None);
        assert_eq!(only(Fault { user: Some("8".into()), ..fitting.clone() }), None);
        let endpoint = Some(Endpoint::User);
        assert_eq!(only(Fault { endpoint, ..fitting.clone() }), None);
        assert_eq!(only(Fault { path: Some("/v3".into()), ..fitting }), None);
        assert_eq!(only(Fault { probability: 0.0, ..fault }), None);
    }

    #[test]
    fn a_counted_fault_is_spent() {
        let fault = Fault { count: Some(2), ..Fault::new(FaultKind::Reset) };
        let faults = Faults::new(vec![fault, Fault::new(FaultKind::Hang)], 1);
        let kinds: Vec<_> = (0..3).filter_map(|_| judge(&faults).kind).collect();
        assert_eq!(kinds, [FaultKind::Reset, FaultKind::Reset, FaultKind::Hang]);
        faults.clear();
        assert_eq!(judge(&faults), Verdict::default());
    }

    #[test]
    fn a_probability_hits_some_and_repeats_with_the_seed() {
        let hits = |seed| -> Vec<bool> {
            let fault = Fault { probability: 0.5, ..Fault::new(FaultKind::Reset) };
            let faults = Faults::new(vec![fault], seed);
            (0..100).map(|_| judge(&faults).kind.is_some()).collect()
        };
        assert!(hits(1).contains(&true) && hits(1).contains(&false));
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
    }

    #[test]
    fn delays_add_up_and_go_with_an_answer() {
        let slow: Latency = "2s".parse().unwrap();
        let faults = Faults::new(vec![], 1);
        faults.add(Fault::new(FaultKind::Latency(slow)));
        faults.add(Fault::new(FaultKind::Status(500)));
        faults.add(Fault::new(FaultKind::Latency(slow)));
        faults.add(Fault::new(FaultKind::Late(slow)));
        let (delay, late) = (Duration::from_secs(4), Duration::from_secs(2));
        let kind = Some(FaultKind::Status(500));
        let expected = Verdict { delay, late, kind, ..Verdict::default() };
        assert_eq!(judge(&faults), expected);
    }
}
