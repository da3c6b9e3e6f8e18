//! Readers and writers of foreign text that only the crate uses, for the targets in `fuzz/`. Compiled with
//! `--cfg fuzzing`, which cargo-fuzz passes, and at no other time.

pub use crate::auth::uses_stored_tokens;
pub use crate::exposition::label;
pub use crate::poller::uses_saved_trends;
pub use crate::reset::{body_refusal as reset_refusal, uses_last_reset};

/// The account that a token names, if it is a JWT that does.
pub fn account_named_in(token: &str) -> Option<String> {
    crate::auth::account_named_in(token)
}
