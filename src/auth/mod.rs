//! The bearer token of an account, from where the configuration says.
//!
//! A [`TokenSource`] belongs to one account's client and gives the token at the start of every sweep;
//! what accounts share and what outlives a source is in [`Tokens`]. Each kind of source has a file:
//! `secret_file`, `command`, `partner` (white label) and `oauth` (label) with its `journal`.
//! `cached_token` decides when a token is renewed and allows one attempt at a time, `endpoint` sends
//! the requests for tokens. A token is a secret: it is in no log, no error and no `Debug` output.

mod cached_token;
mod command;
mod endpoint;
mod error;
mod journal;
mod oauth;
mod partner;
mod registry;
mod secret_file;
mod source;
mod token;

pub use self::error::{LoginReason, TokenError};
#[cfg(fuzzing)]
pub use self::journal::uses_stored_tokens;
pub use self::registry::Tokens;
pub use self::source::TokenSource;
pub use self::token::{Token, TokenTimes};

/// The account that a token names, if it is a JWT that does.
pub(crate) fn account_named_in(token: &str) -> Option<String> {
    token::Claims::of(token).account
}
