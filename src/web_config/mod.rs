//! The web configuration: TLS, logins, headers and a rate limit for what the exporter serves itself,
//! in the file format of Prometheus' exporter-toolkit.
//!
//! [`load`] reads the file and the certificates and keys that it names into a [`WebConfig`], or into
//! every problem at once; the binary calls it at the start and for `check-config`. [`Watch`] looks
//! at the same files again and again and tells what became of them; [`app`](crate::app) asks it,
//! and [`http`](crate::http) does what the configuration says. `reading` goes through the sections:
//! `tls` with `protocol`, `names`, `pem`, `x509` and `clients`, `headers`, `users`, and `rate` with `duration`.
//!
//! Nothing here shows a key, a password or its hash, in no message and in no `Debug` output. Where
//! the format surprises, `docs/web-configuration.md` says what is done, and the tests hold it.

mod clients;
mod duration;
mod files;
mod headers;
mod names;
mod pem;
mod protocol;
mod rate;
mod reading;
mod tls;
mod users;
mod watch;
mod x509;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::yaml::{ConfigError, Problem};

pub use self::headers::Headers;
pub use self::rate::RateLimit;
pub use self::tls::Tls;
pub use self::users::{Hash, Trial, Users};
pub use self::watch::{News, Watch};

use self::files::Print;

/// A valid web configuration.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// How to encrypt; in plain HTTP if `None`.
    pub tls: Option<Tls>,
    /// Whether HTTP/2 is offered to clients that come with TLS.
    pub http2: bool,
    /// What is added to every answer.
    pub headers: Headers,
    /// Who may log in; if nobody is named, everybody may come in without.
    pub users: Users,
    /// How many requests are answered, unless all are.
    pub rate_limit: Option<RateLimit>,
    /// What is legal but unwise.
    pub warnings: Vec<Problem>,
    /// Whether the file says nothing at all.
    empty: bool,
    path: PathBuf,
    print: Print,
}

/// Reads a web configuration and the files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path) -> Result<WebConfig, ConfigError> {
    reading::read(path).0
}
