//! The types of single values: durations, counts, names, patterns, addresses.
//!
//! Each says how it is read. None repeats what was written where a secret may stand in the wrong place.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::account::{AccountId, AccountName, Api, Pattern, Profile, ProxyUrl, UserId, check_text};
use crate::text;

use super::key::Value;
use crate::problems::read::{Written, text as written_text};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

/// Longest path; the kernel's limit is the same.
pub(super) const PATH_MAX: usize = 4096;

/// A duration from `LEAST` to `MOST` milliseconds, in units of h, m, s and ms.
#[derive(Clone)]
pub(super) struct Time<const LEAST: u64, const MOST: u64>;

impl<const LEAST: u64, const MOST: u64> Time<LEAST, MOST> {
    /// Its bounds in words.
    pub(super) fn bounds() -> [String; 2] {
        [LEAST, MOST].map(|millis| text::duration(Duration::from_millis(millis)))
    }
}

impl<const LEAST: u64, const MOST: u64> Value for Time<LEAST, MOST> {
    type Of = Duration;

    fn read(written: &Written) -> Result<Duration, String> {
        if written.is_number() {
            return Err("is a number without a unit; write 30s, 1m30s, 200ms or 2h".to_owned());
        }
        let duration = text::parse_duration(written_text(written)?)
            .ok_or("is not a duration; write 30s, 1m30s, 200ms or 2h")?;
        if (Duration::from_millis(LEAST)..=Duration::from_millis(MOST)).contains(&duration) {
            return Ok(duration);
        }
        Err(out_of_bounds(&text::duration(duration), &Self::bounds()))
    }
}

pub(super) fn out_of_bounds(given: &str, [least, most]: &[String; 2]) -> String {
    format!("is {given}; it must be from {least} to {most}")
}

/// A whole number within bounds.
#[derive(Clone)]
pub(super) struct Bounded<const LEAST: usize, const MOST: usize>;

impl<const LEAST: usize, const MOST: usize> Value for Bounded<LEAST, MOST> {
    type Of = usize;

    fn read(written: &Written) -> Result<usize, String> {
        let number = written.as_number().and_then(|number| number.as_u64()?.try_into().ok());
        let number = number.filter(|count| (LEAST..=MOST).contains(count));
        number.ok_or_else(|| format!("must be a whole number from {LEAST} to {MOST}, unquoted"))
    }
}

/// A whole percentage, with its sign.
#[derive(Clone)]
pub(super) struct Percentage;

impl Value for Percentage {
    type Of = u8;

    fn read(written: &Written) -> Result<u8, String> {
        const WRONG: &str = "must be a whole percentage from 1% to 100%, as in 60%";
        if written.is_number() {
            return Err(WRONG.to_owned());
        }
        let number =
            written_text(written)?.strip_suffix('%').and_then(|text| text.trim().parse().ok());
        number.filter(|number| (1..=100).contains(number)).ok_or(WRONG.to_owned())
    }
}

impl Value for bool {
    type Of = Self;

    fn read(written: &Written) -> Result<Self, String> {
        let wrong = "must be true or false, unquoted (yes, no, on and off are text in YAML)";
        written.as_bool().ok_or_else(|| wrong.to_owned())
    }
}

/// Text on one line, of `MOST` characters at most.
#[derive(Clone)]
pub(super) struct Line<const MOST: usize>;

/// A path, as it is written.
pub(super) type PathText = Line<PATH_MAX>;

impl<const MOST: usize> Value for Line<MOST> {
    type Of = String;

    fn read(written: &Written) -> Result<String, String> {
        let text = written_text(written)?;
        check_text(text, MOST)?;
        Ok(text.to_owned())
    }
}

/// A secret that stands in the file itself.
#[derive(Clone)]
pub(super) struct Secret;

impl Value for Secret {
    type Of = SecretString;

    fn read(written: &Written) -> Result<SecretString, String> {
        Ok(written_text(written)?.into())
    }
}

/// An address of HTTP; a login in it is a secret.
#[derive(Clone)]
pub(super) struct Address;

impl Value for Address {
    type Of = Url;

    fn read(written: &Written) -> Result<Url, String> {
        let url = Url::parse(written_text(written)?).ok();
        url.ok_or_else(|| "is not a URL; write https://tech.wazzup24.com".to_owned())
    }
}

impl Value for Api {
    type Of = Self;

    fn read(written: &Written) -> Result<Self, String> {
        let wrong = "must be v2 (technical partners) or v3 (API keys)";
        written_text(written)?.parse().map_err(|_| wrong.to_owned())
    }
}

impl Value for Profile {
    type Of = Self;

    fn read(written: &Written) -> Result<Self, String> {
        written_text(written)?.parse().map_err(|_| "must be full or minimal".to_owned())
    }
}

/// Longest pattern, in characters.
const PATTERN_MAX: usize = 1000;

impl Value for Pattern {
    type Of = Self;

    fn read(written: &Written) -> Result<Self, String> {
        let text = Line::<PATTERN_MAX>::read(written)?;
        Self::parse(&text)
    }
}

macro_rules! parsed {
    ($($type:ty),+) => {$(
        impl Value for $type {
            type Of = Self;

            fn read(written: &Written) -> Result<Self, String> {
                Self::parse(written_text(written)?).map_err(|why| why.to_string())
            }
        }
    )+};
}

parsed!(AccountName, AccountId, UserId, ProxyUrl);
