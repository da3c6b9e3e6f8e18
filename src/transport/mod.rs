//! HTTP to the outside: connection pools, TLS, proxies, and the bounds of every response.
//!
//! [`ConnectionPools`] keeps the connections that accounts share; [`auth`](crate::auth) and
//! [`api`](crate::api) send through them, read bodies with [`read_body`] and say with [`Error`] why a
//! request gave nothing.

mod body;
mod error;
mod json;
mod pools;
mod refusal;

pub use self::body::{BODY_MAX, Body, read_body};
pub use self::error::{BuildError, Error, Malformed, causes};
pub use self::json::{Object as JsonObject, legible};
pub use self::pools::{ConnectionPools, http_client};
pub use self::refusal::refusal;
