//! Reads YAML files into serde types, and collects what is wrong with them: where, what, and what to do.
//!
//! [`config`](crate::config) and [`web_config`](crate::web_config) read their files this way.
//! `read` makes a type of a text, or the first problem of one that is no configuration: its
//! syntax, an unknown key, a list where a mapping belongs. What is wrong beyond that, both modules find out
//! themselves and note in a `Report` through a `Scope`, with the places that
//! `Entries` and the library's `Spanned` give. What comes out is a [`ConfigError`].
//!
//! Nothing here prints a value that may be a secret, wherever a person put it by mistake.

pub(crate) mod place;
pub(crate) mod read;
pub(crate) mod report;

pub use self::place::Spot;
pub use self::report::{ConfigError, ConfigProblem};
