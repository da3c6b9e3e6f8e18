//! The types of single values: durations, counts, names, patterns, addresses.
//!
//! Each says how it is read, and how `/config` shows it. None repeats what was written where a secret may
//! stand in the wrong place.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use serde::ser::{Serialize, Serializer};
use url::Url;

use crate::account::{
    AccountId, AccountName, Api, InvalidName, Pattern, Profile, ProxyUrl, UserId, check_text,
};
use crate::text;

use super::key::Value;
use crate::problems::written::{Written, kind, text as written_text};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

/// Longest path; the kernel's limit is the same.
pub(super) const PATH_MAX: usize = 4096;

/// What stands in place of a secret.
pub(super) const SECRET: &str = "<secret>";

/// A duration from `LEAST` to `MOST` milliseconds, in units of h, m, s and ms.
#[derive(Clone, Copy)]
pub(super) struct Time<const LEAST: u64, const MOST: u64>(pub(super) Duration);

impl<const LEAST: u64, const MOST: u64> Time<LEAST, MOST> {
    /// Its bounds in words.
    pub(super) fn bounds() -> [String; 2] {
        [LEAST, MOST].map(|millis| text::duration(Duration::from_millis(millis)))
    }
}

impl<const LEAST: u64, const MOST: u64> Value for Time<LEAST, MOST> {
    fn read(written: &Written) -> Result<Self, String> {
        if written.is_number() {
            return Err("is a number without a unit; write 30s, 1m30s, 200ms or 2h".to_owned());
        }
        let duration = text::parse_duration(written_text(written)?)
            .ok_or("is not a duration; write 30s, 1m30s, 200ms or 2h")?;
        if (Duration::from_millis(LEAST)..=Duration::from_millis(MOST)).contains(&duration) {
            return Ok(Self(duration));
        }
        Err(out_of_bounds(&text::duration(duration), &Self::bounds()))
    }
}

impl<const LEAST: u64, const MOST: u64> Serialize for Time<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::duration(self.0).serialize(serializer)
    }
}

pub(super) fn out_of_bounds(given: &str, [least, most]: &[String; 2]) -> String {
    format!("is {given}; it must be from {least} to {most}")
}

/// A whole number within bounds.
#[derive(Clone, Copy, serde::Serialize)]
pub(super) struct Bounded<const LEAST: usize, const MOST: usize>(pub(super) usize);

impl<const LEAST: usize, const MOST: usize> Value for Bounded<LEAST, MOST> {
    fn read(written: &Written) -> Result<Self, String> {
        let Some(number) = written.as_number().filter(|number| !number.is_f64()) else {
            let kind = kind(written);
            return Err(format!(
                "is {kind} where a whole number is wanted; write one from {LEAST} to {MOST}, unquoted"
            ));
        };
        match number.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(count) if (LEAST..=MOST).contains(&count) => Ok(Self(count)),
            // Longer ones are not repeated: some tokens consist of digits.
            _ if number.as_i64().is_some_and(|number| number.unsigned_abs() < 1_000_000_000) => {
                Err(out_of_bounds(&number.to_string(), &[LEAST, MOST].map(|n| n.to_string())))
            }
            _ => Err(format!("is out of bounds; it must be from {LEAST} to {MOST}")),
        }
    }
}

/// A whole percentage, with its sign.
#[derive(Clone, Copy)]
pub(super) struct Percentage(pub(super) u8);

impl Value for Percentage {
    fn read(written: &Written) -> Result<Self, String> {
        const WRONG: &str = "must be a whole percentage from 1% to 100%, as in 60%";
        if written.is_number() {
            return Err(WRONG.to_owned());
        }
        let number =
            written_text(written)?.strip_suffix('%').and_then(|text| text.trim().parse().ok());
        number.filter(|number| (1..=100).contains(number)).map(Self).ok_or(WRONG.to_owned())
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0))
    }
}

impl Value for bool {
    fn read(written: &Written) -> Result<Self, String> {
        let wrong = "must be true or false, unquoted (yes, no, on and off are text in YAML)";
        written.as_bool().ok_or_else(|| wrong.to_owned())
    }
}

/// Text on one line, of `MOST` characters at most.
#[derive(Clone, serde::Serialize)]
pub(super) struct Line<const MOST: usize>(pub(super) String);

/// A path, as it is written.
pub(super) type PathText = Line<PATH_MAX>;

impl<const MOST: usize> Value for Line<MOST> {
    fn read(written: &Written) -> Result<Self, String> {
        let text = written_text(written)?;
        check_text(text, MOST).map_err(in_words)?;
        Ok(Self(text.to_owned()))
    }
}

impl From<&Path> for PathText {
    /// A path that is not UTF-8 cannot be written in YAML, nor have come from there.
    fn from(path: &Path) -> Self {
        Self(path.to_string_lossy().into_owned())
    }
}

/// A secret that stands in the file itself.
#[derive(Clone)]
pub(super) struct Secret(pub(super) SecretString);

impl Value for Secret {
    fn read(written: &Written) -> Result<Self, String> {
        Ok(Self(written_text(written)?.into()))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SECRET.serialize(serializer)
    }
}

/// An address of HTTP; a login in it is a secret.
#[derive(Clone)]
pub(super) struct Address(pub(super) Url);

impl Value for Address {
    fn read(written: &Written) -> Result<Self, String> {
        let url = Url::parse(written_text(written)?).ok();
        url.map(Self).ok_or_else(|| "is not a URL; write https://tech.wazzup24.com".to_owned())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bare = self.0.clone();
        // Only addresses without a host refuse this, and they cannot carry a login.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let login = if bare == self.0 { "" } else { "<secret>@" };
        bare.as_str().replacen("://", &format!("://{login}"), 1).serialize(serializer)
    }
}

impl Value for Api {
    fn read(written: &Written) -> Result<Self, String> {
        match written_text(written)? {
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            _ => Err("must be v2 (technical partners) or v3 (API keys)".to_owned()),
        }
    }
}

impl Value for Profile {
    fn read(written: &Written) -> Result<Self, String> {
        match written_text(written)? {
            "full" => Ok(Self::Full),
            "minimal" => Ok(Self::Minimal),
            _ => Err("must be full or minimal".to_owned()),
        }
    }
}

/// What is wrong and, where the first does not say it, what to do.
pub(super) fn in_words(why: InvalidName) -> String {
    let remedy = match why {
        InvalidName::TooLong { .. } => "; shorten it",
        InvalidName::Control | InvalidName::Padded => "; remove it",
        InvalidName::DotSegment => "; give the id that the CRM uses",
        _ => "",
    };
    format!("{why}{remedy}")
}

/// Longest pattern, in characters.
const PATTERN_MAX: usize = 1000;

impl Value for Pattern {
    fn read(written: &Written) -> Result<Self, String> {
        let Line::<PATTERN_MAX>(text) = Line::read(written)?;
        Self::parse(&text).map_err(|why| why.to_string())
    }
}

impl Value for ProxyUrl {
    fn read(written: &Written) -> Result<Self, String> {
        Self::parse(written_text(written)?).map_err(|why| why.to_string())
    }
}

macro_rules! names {
    ($($type:ty),+) => {$(
        impl Value for $type {
            fn read(written: &Written) -> Result<Self, String> {
                Self::parse(written_text(written)?).map_err(in_words)
            }
        }
    )+};
}

names!(AccountName, AccountId, UserId);

/// What is shown as it may be written.
macro_rules! shown {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

shown!(AccountName, AccountId, UserId, Pattern, ProxyUrl);
