//! The web configuration: TLS, logins, headers and a rate limit for what the exporter serves itself,
//! in the file format of Prometheus' exporter-toolkit.
//!
//! [`load`] reads the file and the certificates and keys that it names into a [`WebConfig`], or into
//! every problem at once; the binary calls it at the start and for `check-config`. [`Watch`] looks
//! at the same files again and again and reports changes; [`app`](crate::app) polls it,
//! and [`http`](crate::http) does what the configuration says. `load` goes through the sections:
//! `tls` with `protocol`, `names`, `pem`, `x509` and `clients`, `headers`, `users`, and `rate` with `duration`.
//!
//! Nothing here shows a key, a password or its hash, in no message and in no `Debug` output. Where
//! the format surprises, `docs/web-configuration.md` says what is done, and the tests hold it.

mod clients;
mod files;
mod headers;
mod load;
mod names;
mod pem;
mod protocol;
mod rate;
mod tls;
mod tls_section;
mod users;
mod watch;

pub use self::headers::Headers;
pub use self::load::{WebConfig, load};
pub use self::rate::RequestRate;
pub use self::tls::ServerTls;
pub use self::users::{PasswordCheck, PasswordHash, Users};
pub use self::watch::Watch;

#[cfg(test)]
mod tests;
