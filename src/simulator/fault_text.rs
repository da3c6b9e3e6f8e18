//! The text form of a fault, as written in `--fault` and sent to `/_control/faults`.
//!
//! Pieces are separated by commas and exactly one of them names the kind:
//! `status=500,path=/v2/users,probability=0.1`, `hang,account=acme`, `latency=10ms..300ms`,
//! `retry_after=429:7`, `user=7,header=Age: 3600`. The kinds `body=`, `header=`, `redirect=` and
//! `retry_after=` take the rest of the text as it stands, commas included, so they come last.

use std::collections::BTreeSet;
use std::str::FromStr;

use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue};

use super::endpoint::Endpoint;
use super::fault::{Broken, Conditions, Effect, Fault};

/// The kinds that take the rest of the text.
const OPEN_ENDED: [&str; 4] = ["body=", "header=", "redirect=", "retry_after="];
/// The padding of an `oversized` body.
const OVERSIZED_BYTES: usize = 200 * 1024;

/// Why a [`Fault`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{piece}` {problem}")]
pub struct FaultError {
    /// A piece as written, or all of it.
    piece: String,
    problem: &'static str,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (mut conditions, mut kind) = (Conditions::default(), None);
        let mut seen = BTreeSet::new();
        let mut rest = Some(text);
        while let Some(left) = rest.map(str::trim_start) {
            let whole = OPEN_ENDED.iter().any(|kind| left.starts_with(kind));
            let (piece, after) = match left.split_once(',') {
                Some((piece, after)) if !whole => (piece.trim_end(), Some(after)),
                _ if whole => (left, None),
                _ => (left.trim_end(), None),
            };
            rest = after;
            let refused = |problem| FaultError { piece: piece.to_owned(), problem };
            let (key, value) = match piece.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (piece, None),
            };
            let condition = condition(&mut conditions, key, value).map_err(refused)?;
            let second_kind =
                !condition && kind.replace(effect(key, value).map_err(refused)?).is_some();
            if second_kind || !seen.insert(key) {
                return Err(refused("comes second; a fault has one kind and each condition once"));
            }
        }
        let problem = "says when but not what; add a kind, such as status=500 or hang";
        let effect = kind.ok_or_else(|| FaultError { piece: text.to_owned(), problem })?;
        Ok(Self { conditions, effect })
    }
}

/// Whether a piece is a condition.
fn condition(
    conditions: &mut Conditions,
    key: &str,
    value: Option<&str>,
) -> Result<bool, &'static str> {
    let Some(value) = value else { return Ok(false) };
    match key {
        "path" => conditions.path = Some(value.to_owned()),
        "account" => conditions.account = Some(value.to_owned()),
        "user" => conditions.user = Some(value.to_owned()),
        "endpoint" => {
            let known = "is no endpoint; they are counter, users, channels, settings, webhooks, \
                         reset, machine_token, exchange, code, refresh, other_grant, authorize and \
                         other";
            conditions.endpoint = Some(Endpoint::named(value).ok_or(known)?);
        }
        "probability" => {
            let number = value.parse().ok().filter(|number| (0.0..=1.0).contains(number));
            conditions.probability = Some(number.ok_or("is no number from 0 to 1")?);
        }
        "count" => conditions.count = Some(value.parse().map_err(|_| "is no whole number")?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn effect(key: &str, value: Option<&str>) -> Result<Effect, &'static str> {
    let latency =
        |value: &str| value.parse().map_err(|_| "is no delay, such as 10ms or 10ms..300ms");
    Ok(match (key, value) {
        ("latency", Some(value)) => Effect::Latency(latency(value)?),
        ("late", Some(value)) => Effect::Late(latency(value)?),
        ("gzip", None) => Effect::Gzip,
        ("header", Some(value)) => {
            let (name, value) = header(value).ok_or("is no header, such as Age: 3600")?;
            Effect::Header(name, value)
        }
        _ => Effect::Answer(broken(key, value)?),
    })
}

fn broken(key: &str, value: Option<&str>) -> Result<Broken, &'static str> {
    let text = "is no text for a header";
    Ok(match (key, value) {
        ("hang", None) => Broken::Hang,
        ("reset", None) => Broken::Reset,
        ("lost", None) => Broken::Lost,
        ("truncated", None) => Broken::Truncated(200),
        ("truncated", Some(value)) => Broken::Truncated(status(value)?),
        ("empty", Some(value)) => Broken::Empty(status(value)?),
        ("oversized", None) => oversized(),
        ("malformed", None) => Broken::Body(r#"{"data":{"counter":5,"type":"#.to_owned()),
        ("body", Some(value)) => Broken::Body(value.to_owned()),
        ("status", Some(value)) => Broken::Status(status(value)?, None),
        ("redirect", Some(value)) => {
            Broken::Status(302, Some((LOCATION, value.parse().map_err(|_| text)?)))
        }
        ("retry_after", Some(value)) => {
            let (code, after) = value.split_once(':').ok_or("has no value, as in 429:7")?;
            let after = after.parse().map_err(|_| text)?;
            Broken::Status(status(code)?, Some((RETRY_AFTER, after)))
        }
        _ => {
            return Err(
                "is not part of a fault; kinds are status=, latency=, late=, hang, reset, \
                        lost, truncated, truncated=, empty=, oversized, malformed, gzip, body=, \
                        header=, redirect= and retry_after=, conditions are path=, endpoint=, account=, user=, \
                        probability= and count=",
            );
        }
    })
}

/// Valid JSON with a counter in it, padded to more than [`OVERSIZED_BYTES`].
fn oversized() -> Broken {
    let padding = "x".repeat(OVERSIZED_BYTES);
    Broken::Body(format!(r#"{{"data":{{"counter":5,"type":"red","padding":"{padding}"}}}}"#))
}

fn status(value: &str) -> Result<u16, &'static str> {
    let status = value.parse().ok().filter(|status| (200..600).contains(status));
    status.ok_or("is no status from 200 to 599")
}

fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::header::DATE;

    use super::super::latency::Latency;
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    fn every(effect: Effect) -> Fault {
        Fault { conditions: Conditions::default(), effect }
    }

    #[test]
    fn reads_conditions() {
        let expected = Conditions {
            path: Some("/v2/users?offset=1".into()),
            endpoint: Some(Endpoint::Counter),
            account: Some("acme".into()),
            user: Some("7".into()),
            probability: Some(0.1),
            count: Some(3),
        };
        let text = "status=500, path=/v2/users?offset=1,endpoint=counter,account=acme,user=7,\
                    probability=0.1,count=3";
        assert_eq!(fault(text).conditions, expected);
    }

    #[test]
    fn reads_every_kind() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(300));
        let latency = Effect::Latency(Latency { min, max });
        assert_eq!(fault("latency=10ms..300ms"), every(latency));
        assert_eq!(fault("late=300ms"), every(Effect::Late(Latency { min: max, max })));
        assert_eq!(fault("gzip"), every(Effect::Gzip));
        for (text, broken) in [
            ("status=404", Broken::Status(404, None)),
            ("hang", Broken::Hang),
            ("reset", Broken::Reset),
            ("lost", Broken::Lost),
            ("truncated", Broken::Truncated(200)),
            ("truncated=404", Broken::Truncated(404)),
            ("empty=404", Broken::Empty(404)),
            ("oversized", oversized()),
            ("retry_after=429:7", Broken::Status(429, Some((RETRY_AFTER, 7.into())))),
        ] {
            assert_eq!(fault(text), every(Effect::Answer(broken)), "{text}");
        }
        let Effect::Answer(Broken::Body(large)) = fault("oversized").effect else { panic!() };
        let large: serde_json::Value = serde_json::from_str(&large).unwrap();
        assert_eq!(large["data"]["padding"].as_str().unwrap().len(), OVERSIZED_BYTES);
    }

    #[test]
    fn the_rest_belongs_to_an_open_ended_kind() {
        let body = fault(r#"account=acme, body={"data":{"counter":1,"type":null}} ,count=3"#);
        let rest = r#"{"data":{"counter":1,"type":null}} ,count=3"#.to_owned();
        assert_eq!(body.effect, Effect::Answer(Broken::Body(rest)));
        let Conditions { account, count, .. } = body.conditions;
        assert_eq!((account.as_deref(), count), (Some("acme"), None));
        let date: HeaderValue = "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap();
        let shown = date.to_str().unwrap();
        let broken = |header| Effect::Answer(Broken::Status(503, Some((RETRY_AFTER, header))));
        let dated = fault(&format!("count=1,retry_after=503:{shown}"));
        assert_eq!(dated.effect, broken(date.clone()));
        let stamped = fault(&format!("user=7,header=Date: {shown}"));
        assert_eq!(stamped.effect, Effect::Header(DATE, date));
        let location = HeaderValue::from_static("http://127.0.0.1/a,b?c=d");
        let redirect = Effect::Answer(Broken::Status(302, Some((LOCATION, location))));
        assert_eq!(fault("redirect=http://127.0.0.1/a,b?c=d"), every(redirect));
    }

    #[test]
    fn errors_name_the_bad_piece() {
        for (text, piece) in [
            ("hang,colour=red", "`colour=red` is not part of a fault; kinds are status=,"),
            ("status", "`status` is not"),
            ("hang=1", "`hang=1` is not"),
            ("", "`` is not"),
            ("status=99", "`status=99` is no status"),
            ("hang,probability=2", "`probability=2` is no number from"),
            ("hang,probability=NaN", "`probability=NaN`"),
            ("hang,count=-1", "`count=-1` is no whole"),
            ("latency=5parsec", "`latency=5parsec` is no delay"),
            ("hang,endpoint=counters", "`endpoint=counters` is no endpoint; they are counter,"),
            ("hang,reset", "`reset` comes second"),
            ("hang,user=1,user=2", "`user=2` comes second"),
            ("account=acme", "`account=acme` says when"),
            ("retry_after=7", "`retry_after=7` has no value"),
            ("redirect=http://example.com/\u{7}", "is no text for a header"),
            ("header=Age 3600", "`header=Age 3600` is no header"),
            ("header=A ge: 1", "`header=A ge: 1` is no header"),
        ] {
            let message = text.parse::<Fault>().unwrap_err().to_string();
            assert!(message.contains(piece), "{text}: {message}");
        }
    }
}
