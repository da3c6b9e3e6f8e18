//! How single settings are written, as a configuration may have them, without their secrets.
#![expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes every field by reference"
)]

use std::path::Path;
use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use crate::net::without_login;
use crate::text;

/// What stands in place of a secret.
pub const SECRET: &str = "<secret>";

pub(super) fn duration<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text::duration(*duration))
}

pub(super) fn percentage<S: Serializer>(percent: &u8, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{percent}%"))
}

/// A path that is not UTF-8 cannot be written in YAML.
pub(super) fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

pub(super) fn address<S: Serializer>(address: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&masked(address))
}

/// An address without the login in it, which is a secret.
pub(super) fn masked(address: &Url) -> String {
    let bare = without_login(address);
    let login = if bare == *address { "" } else { "<secret>@" };
    bare.as_str().replacen("://", &format!("://{login}"), 1)
}

/// An address that need not be there; left out where it is not.
pub(super) fn optional_address<S: Serializer>(
    found: &Option<Url>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match found {
        Some(url) => address(url, to),
        None => to.serialize_none(),
    }
}

/// A section that can be switched off; then nothing else of it counts.
pub(super) fn switched<T: Serialize, S: Serializer>(
    section: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Switched<'a, T> {
        enabled: bool,
        #[serde(flatten)]
        section: &'a Option<T>,
    }
    Switched { enabled: section.is_some(), section }.serialize(to)
}
