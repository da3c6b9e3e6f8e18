//! HTTP to the outside: connection pools, TLS, proxies, and the bounds of every response.
//!
//! [`ConnectionPools`] keeps the connections that accounts share; [`auth`](crate::auth) and
//! [`api`](crate::api) send through them, read bodies with [`read_body`] and say with [`Error`] why a
//! request gave nothing.

mod body;
mod error;
mod http_client;
mod json;
mod pool_key;
mod pools;
mod refusal;

pub use self::body::{BODY_MAX, Body, read_body};
pub use self::error::{BuildError, Error, Malformed, causes};
pub use self::http_client::HttpClient;
pub use self::json::{Object as JsonObject, legible};
pub use self::pool_key::http_client;
pub use self::pools::ConnectionPools;
pub use self::refusal::refusal;
