//! Why a request of the client gave nothing, a missing token included.

use crate::auth::TokenError;
use crate::metrics::Outcome;
use crate::transport::Error;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is no token to ask with.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Upstream did not answer with a list.
    #[error(transparent)]
    Upstream(#[from] Error),
}

impl ListError {
    /// The label value under which the failure is counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Token(error) => error.outcome(),
            Self::Upstream(error) => error.outcome(),
        }
    }
}
