//! The text form of a fault, as written in `--fault` and sent to `/_control/faults`.
//!
//! Pieces are separated by commas and exactly one of them names the kind:
//! `status=500,path=/v2/counters/*,probability=0.1`, `hang,account=acme`, `latency=10ms..300ms`,
//! `retry_after=429:7`, `user=7,header=Age: 3600`. The kinds `body=`, `header=`, `redirect=` and
//! `retry_after=` take the rest of the text as it stands, commas included, so they come last.

use std::str::FromStr;

use hyper::header::{HeaderName, HeaderValue};

use super::endpoint::Endpoint;
use super::fault::{Fault, FaultKind};
use super::latency::{Latency, LatencyError};

/// The size of an `oversized` body when none is given.
const OVERSIZED_BYTES: usize = 200 * 1024;

/// Why a [`Fault`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A piece that is neither a kind nor a condition.
    #[error(
        "`{0}` is not part of a fault; kinds are status=, latency=, late=, hang, reset, lost, \
         truncated, oversized, malformed, wrong_type, gzip, body=, header=, redirect= and retry_after=, \
         conditions are path=, endpoint=, account=, user=, probability= and count="
    )]
    Unknown(String),
    /// A piece with a value that cannot be used.
    #[error("`{piece}`: {expected}")]
    Value {
        /// The piece as written.
        piece: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A latency that cannot be read.
    #[error("`{piece}`: {source}")]
    Latency {
        /// The piece as written.
        piece: String,
        /// What is wrong with it.
        source: LatencyError,
    },
    /// A condition or the kind is given twice.
    #[error("`{0}` comes second; a fault has one kind and each condition once")]
    Repeated(String),
    /// There is no kind.
    #[error("`{0}` says when but not what; add a kind, such as status=500 or hang")]
    NoKind(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut draft = Draft::default();
        let mut rest = Some(text);
        while let Some(left) = rest {
            let open_ended = ["body=", "header=", "redirect=", "retry_after="]
                .iter()
                .any(|kind| left.trim_start().starts_with(kind));
            let (piece, after) = match left.split_once(',') {
                Some((piece, after)) if !open_ended => (piece.trim(), Some(after)),
                _ if open_ended => (left.trim_start(), None),
                _ => (left.trim(), None),
            };
            draft.take(piece)?;
            rest = after;
        }
        draft.finish(text)
    }
}

#[derive(Default)]
struct Draft {
    kind: Option<FaultKind>,
    path: Option<String>,
    endpoint: Option<Endpoint>,
    account: Option<String>,
    user: Option<String>,
    probability: Option<f64>,
    count: Option<u64>,
}

impl Draft {
    fn take(&mut self, piece: &str) -> Result<(), FaultError> {
        let (key, value) = match piece.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (piece, None),
        };
        match (key, value) {
            ("path", Some(value)) => once(&mut self.path, value.to_owned(), piece),
            ("endpoint", Some(value)) => {
                let expected = "an endpoint is counter, users, user, channels, settings, webhooks, \
                                reset, machine_token, exchange, code, refresh, other_grant, \
                                authorize or other";
                once(&mut self.endpoint, parsed(value, piece, expected)?, piece)
            }
            ("account", Some(value)) => once(&mut self.account, value.to_owned(), piece),
            ("user", Some(value)) => once(&mut self.user, value.to_owned(), piece),
            ("probability", Some(value)) => {
                once(&mut self.probability, probability(value, piece)?, piece)
            }
            ("count", Some(value)) => {
                let count = parsed(value, piece, "count is a whole number")?;
                once(&mut self.count, count, piece)
            }
            _ => once(&mut self.kind, kind(key, value, piece)?, piece),
        }
    }

    fn finish(self, text: &str) -> Result<Fault, FaultError> {
        let Self { kind, path, endpoint, account, user, probability, count } = self;
        let kind = kind.ok_or_else(|| FaultError::NoKind(text.to_owned()))?;
        let probability = probability.unwrap_or(1.0);
        Ok(Fault { path, endpoint, account, user, probability, count, kind })
    }
}

fn kind(key: &str, value: Option<&str>, piece: &str) -> Result<FaultKind, FaultError> {
    Ok(match (key, value) {
        ("status", Some(value)) => FaultKind::Status(status(value, piece)?),
        ("latency", Some(value)) => FaultKind::Latency(latency(value, piece)?),
        ("late", Some(value)) => FaultKind::Late(latency(value, piece)?),
        ("lost", None) => FaultKind::Lost,
        ("hang", None) => FaultKind::Hang,
        ("reset", None) => FaultKind::Reset,
        ("truncated", None) => FaultKind::Truncated,
        ("oversized", None) => FaultKind::Oversized(OVERSIZED_BYTES),
        ("oversized", Some(value)) => {
            FaultKind::Oversized(parsed(value, piece, "oversized is a number of bytes")?)
        }
        ("malformed", None) => FaultKind::Malformed,
        ("wrong_type", None) => FaultKind::WrongType,
        ("gzip", None) => FaultKind::Gzip,
        ("header", Some(value)) => {
            let header = named_header(value);
            let (name, value) = header
                .ok_or_else(|| bad(piece, "write the name and the value, as in Age: 3600"))?;
            FaultKind::Header(name, value)
        }
        ("body", Some(value)) => FaultKind::Body(value.to_owned()),
        ("redirect", Some(value)) => FaultKind::Redirect(header(value, piece)?),
        ("retry_after", Some(value)) => {
            let (code, after) = value
                .split_once(':')
                .ok_or_else(|| bad(piece, "write the status and the value, as in 429:7"))?;
            FaultKind::RetryAfter(status(code, piece)?, header(after, piece)?)
        }
        _ => return Err(FaultError::Unknown(piece.to_owned())),
    })
}

fn once<T>(slot: &mut Option<T>, value: T, piece: &str) -> Result<(), FaultError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(FaultError::Repeated(piece.to_owned())),
    }
}

fn parsed<T: FromStr>(value: &str, piece: &str, expected: &'static str) -> Result<T, FaultError> {
    value.parse().map_err(|_| bad(piece, expected))
}

fn probability(value: &str, piece: &str) -> Result<f64, FaultError> {
    let expected = "probability is a number from 0 to 1";
    let probability = parsed(value, piece, expected)?;
    if (0.0..=1.0).contains(&probability) { Ok(probability) } else { Err(bad(piece, expected)) }
}

fn latency(value: &str, piece: &str) -> Result<Latency, FaultError> {
    value.parse().map_err(|source| FaultError::Latency { piece: piece.to_owned(), source })
}

fn status(value: &str, piece: &str) -> Result<u16, FaultError> {
    let expected = "a status is a number from 200 to 599";
    let status = parsed(value, piece, expected)?;
    if (200..600).contains(&status) { Ok(status) } else { Err(bad(piece, expected)) }
}

fn named_header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn header(value: &str, piece: &str) -> Result<String, FaultError> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(value.to_owned())
    } else {
        Err(bad(piece, "a header holds printable ASCII only"))
    }
}

fn bad(piece: &str, expected: &'static str) -> FaultError {
    FaultError::Value { piece: piece.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::DATE;

    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    fn error(text: &str) -> String {
        text.parse::<Fault>().unwrap_err().to_string()
    }

    #[test]
    fn reads_conditions() {
        let expected = Fault {
            path: Some("/v2/counters/*".into()),
            endpoint: Some(Endpoint::Counter),
            account: Some("acme".into()),
            user: Some("7".into()),
            probability: 0.1,
            count: Some(3),
            kind: FaultKind::Status(500),
        };
        let text = "status=500, path=/v2/counters/*,endpoint=counter,account=acme,user=7,\
                    probability=0.1,count=3";
        assert_eq!(fault(text), expected);
    }

    #[test]
    fn reads_every_kind() {
        let latency = fault("latency=10ms..300ms").kind;
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(300));
        assert_eq!(latency, FaultKind::Latency(Latency { min, max }));
        let late = fault("late=300ms").kind;
        assert_eq!(late, FaultKind::Late(Latency { min: max, max }));
        for (text, kind) in [
            ("status=404", FaultKind::Status(404)),
            ("hang", FaultKind::Hang),
            ("reset", FaultKind::Reset),
            ("lost", FaultKind::Lost),
            ("truncated", FaultKind::Truncated),
            ("oversized", FaultKind::Oversized(OVERSIZED_BYTES)),
            ("oversized=99", FaultKind::Oversized(99)),
            ("malformed", FaultKind::Malformed),
            ("wrong_type", FaultKind::WrongType),
            ("gzip", FaultKind::Gzip),
            ("retry_after=429:7", FaultKind::RetryAfter(429, "7".into())),
        ] {
            assert_eq!(fault(text), Fault::new(kind), "{text}");
        }
    }

    #[test]
    fn the_rest_belongs_to_an_open_ended_kind() {
        let body = fault(r#"account=acme, body={"data":{"counter":1,"type":null}} ,count=3"#);
        let rest = r#"{"data":{"counter":1,"type":null}} ,count=3"#.to_owned();
        assert_eq!(body.kind, FaultKind::Body(rest));
        assert_eq!((body.account.as_deref(), body.count), (Some("acme"), None));
        let date = "Wed, 21 Oct 2026 07:28:00 GMT".to_owned();
        let dated = fault(&format!("count=1,retry_after=503:{date}"));
        assert_eq!(dated.kind, FaultKind::RetryAfter(503, date.clone()));
        let stamped = fault(&format!("user=7,header=Date: {date}"));
        assert_eq!(stamped.kind, FaultKind::Header(DATE, date.parse().unwrap()));
        let redirect = fault("redirect=http://127.0.0.1/a,b?c=d").kind;
        assert_eq!(redirect, FaultKind::Redirect("http://127.0.0.1/a,b?c=d".into()));
    }

    #[test]
    fn errors_name_the_bad_piece() {
        for (text, piece) in [
            ("hang,colour=red", "`colour=red`"),
            ("status", "`status`"),
            ("hang=1", "`hang=1`"),
            ("", "``"),
            ("status=99", "`status=99`: a status"),
            ("hang,probability=2", "`probability=2`: probability"),
            ("hang,probability=NaN", "`probability=NaN`"),
            ("hang,count=-1", "`count=-1`: count"),
            ("latency=5parsec", "`latency=5parsec`: `5parsec`"),
            ("hang,endpoint=counters", "`endpoint=counters`: an endpoint is counter,"),
            ("hang,reset", "`reset` comes second"),
            ("hang,user=1,user=2", "`user=2` comes second"),
            ("account=acme", "`account=acme` says when"),
            ("retry_after=7", "`retry_after=7`: write"),
            ("header=Age 3600", "`header=Age 3600`: write"),
            ("header=A ge: 1", "`header=A ge: 1`: write"),
            ("redirect=http://example.com/\u{7}", "printable ASCII"),
        ] {
            let message = error(text);
            assert!(message.contains(piece), "{text}: {message}");
        }
    }
}
