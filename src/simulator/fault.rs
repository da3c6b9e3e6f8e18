//! Faults on demand: what goes wrong, for which requests, and how often.
//!
//! A [`Fault`] is given in text form, as a `--fault` flag, through `/_control/faults` or by a test;
//! `fault_text` reads it. [`Faults`] is the running list that the API checks for every request, and it
//! owns the generator that decides probabilities and delays.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use fastrand::Rng;

use super::endpoint::Endpoint;
use super::latency::Latency;
use super::lock::lock;
use super::record::Request;
use super::rng;

/// One thing that goes wrong, and the requests it goes wrong for.
///
/// Every matching `latency` and `late` delays, and every matching `header` and `gzip` changes the
/// answer; of the other kinds the first one that matches decides it. Faults come after the rate limit
/// and before everything else, the check of the token included.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) conditions: Conditions,
    pub(super) effect: Effect,
}

/// The requests that a fault hits; what is `None` is no condition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conditions {
    /// Only requests with this in the raw path and query.
    pub(super) path: Option<String>,
    /// Only this endpoint, in either version.
    pub(super) endpoint: Option<Endpoint>,
    /// Only requests about this account: with its credential, or to get it a token.
    pub(super) account: Option<String>,
    /// Only requests whose path names this user, by decoded id.
    pub(super) user: Option<String>,
    /// How many of the matching requests are hit, from 0 to 1.
    pub(super) probability: Option<f64>,
    /// How many times the fault applies before it is spent.
    pub(super) count: Option<u64>,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// A delay, after which the request is carried out and answered as usual.
    Latency(Latency),
    /// The request is carried out at once, and answered after a delay.
    Late(Latency),
    /// The answer carries this header, in place of its own of that name.
    Header(HeaderName, HeaderValue),
    /// The answer's body is compressed, and `Content-Encoding` says so.
    Gzip,
    /// It gets another answer, or none.
    Answer(Broken),
}

/// What is answered in place of the usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// Nothing, until the client goes away or the server stops.
    Hang,
    /// The connection is reset before anything is answered.
    Reset,
    /// The request is carried out, and then the connection is reset in place of an answer.
    Lost,
    /// The head, with this status, promises more body than is sent before the connection is closed.
    Truncated(u16),
    /// This status without a body.
    Empty(u16),
    /// This status, with the body the API has for it, and perhaps a header.
    Status(u16, Option<(HeaderName, HeaderValue)>),
    /// 200 with this body.
    Body(String),
}

/// What the faults made of one request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Before the request is carried out.
    pub(super) delay: Duration,
    /// After it was.
    pub(super) late: Duration,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) gzip: bool,
    pub(super) broken: Option<Broken>,
}

/// The faults in force.
#[derive(Debug)]
pub(super) struct Faults(Mutex<(Vec<Fault>, Rng)>);

impl Faults {
    pub(super) fn new(list: Vec<Fault>, seed: u64) -> Self {
        Self(Mutex::new((list, rng::named(seed, "faults"))))
    }

    pub(super) fn add(&self, fault: Fault) {
        lock(&self.0).0.push(fault);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).0.clear();
    }

    /// Decides one request, drawing its base delay and using up counted faults.
    pub(super) fn judge(&self, request: &Request, base: Latency) -> Verdict {
        let (list, rng) = &mut *lock(&self.0);
        let mut verdict = Verdict { delay: rng::delay(rng, base), ..Verdict::default() };
        for Fault { conditions, effect } in list.iter_mut() {
            let decided = verdict.broken.is_some() && matches!(effect, Effect::Answer(_));
            if decided || !conditions.hold(request, rng) {
                continue;
            }
            conditions.count = conditions.count.map(|left| left.saturating_sub(1));
            match effect.clone() {
                Effect::Latency(latency) => verdict.delay += rng::delay(rng, latency),
                Effect::Late(latency) => verdict.late += rng::delay(rng, latency),
                Effect::Header(name, value) => verdict.headers.push((name, value)),
                Effect::Gzip => verdict.gzip = true,
                Effect::Answer(broken) => verdict.broken = Some(broken),
            }
        }
        list.retain(|fault| fault.conditions.count != Some(0));
        verdict
    }
}

impl Conditions {
    fn hold(&self, request: &Request, rng: &mut Rng) -> bool {
        let same = |wanted: &Option<String>, found| wanted.is_none() || wanted == found;
        self.count != Some(0)
            && self.endpoint.is_none_or(|endpoint| endpoint == request.endpoint)
            && same(&self.account, &request.account)
            && same(&self.user, &request.user)
            && self.path.as_ref().is_none_or(|part| request.path.contains(part))
            && self.probability.is_none_or(|probability| rng.f64() < probability)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn judge(faults: &Faults) -> Verdict {
        let request = Request {
            arrived: Instant::now(),
            path: "/v2/counters/unanswered/7?x=1".into(),
            endpoint: Endpoint::Counter,
            account: Some("acme".into()),
            partner: None,
            user: Some("7".into()),
            status: None,
        };
        faults.judge(&request, Latency::default())
    }

    fn faults(list: &[&str]) -> Faults {
        Faults::new(list.iter().map(|fault| fault.parse().unwrap()).collect(), 1)
    }

    fn only(fault: &str) -> Option<Broken> {
        judge(&faults(&[fault])).broken
    }

    #[test]
    fn every_condition_has_to_hold() {
        let all = "hang,endpoint=counter,account=acme,user=7,path=unanswered/7?x";
        assert_eq!(only(all), Some(Broken::Hang));
        for other in [
            "hang,endpoint=counter,account=other,user=7",
            "hang,endpoint=counter,account=acme,user=8",
            "hang,endpoint=users,account=acme,user=7",
            "hang,endpoint=counter,account=acme,user=7,path=/v3",
            "hang,probability=0",
        ] {
            assert_eq!(only(other), None, "{other}");
        }
    }

    #[test]
    fn a_counted_fault_is_spent() {
        let faults = faults(&["reset,count=2", "hang"]);
        let broken: Vec<_> = (0..3).filter_map(|_| judge(&faults).broken).collect();
        assert_eq!(broken, [Broken::Reset, Broken::Reset, Broken::Hang]);
        faults.clear();
        assert_eq!(judge(&faults), Verdict::default());
    }

    #[test]
    fn a_probability_hits_some_and_repeats_with_the_seed() {
        let hits = |seed| -> Vec<bool> {
            let faults = Faults::new(vec!["reset,probability=0.5".parse().unwrap()], seed);
            (0..100).map(|_| judge(&faults).broken.is_some()).collect()
        };
        assert!(hits(1).contains(&true) && hits(1).contains(&false));
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
    }

    #[test]
    fn what_delays_or_changes_an_answer_goes_with_one() {
        let all =
            ["latency=2s", "status=500", "hang", "latency=2s", "late=2s", "gzip", "header=A: b"];
        let expected = Verdict {
            delay: Duration::from_secs(4),
            late: Duration::from_secs(2),
            headers: vec![("a".parse().unwrap(), "b".parse().unwrap())],
            gzip: true,
            broken: Some(Broken::Status(500, None)),
        };
        assert_eq!(judge(&faults(&all)), expected);
    }
}
