//! Why a request to upstream gave no reading.

use std::error::Error as StdError;
use std::time::Duration;

use crate::counter::COUNT_MAX;
use crate::metrics::Outcome;
use crate::text;

/// Detail of a refusal by something else than the API.
pub(super) const HTML_PAGE: &str =
    "an HTML page, not an answer of the API: a proxy or a firewall in front of it may have sent it";

/// Detail of a refusal in another form than any of the API.
pub(super) const OTHER_BODY: &str = "not an answer of the API";

/// Detail of a refusal that ended early, is too long, or stalled.
pub(super) const UNREAD_BODY: &str = "the rest of the answer could not be read";

/// Why there is no reading. The texts are for logs and the status page and hold no secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream refused: any status but 200.
    #[error("upstream answered {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Status {
        /// The HTTP status.
        status: u16,
        /// The code in the body, in small letters without separators, where there is one.
        code: Option<String>,
        /// What upstream or we have to say about it, cut and cleaned; may be empty.
        detail: String,
        /// How long upstream asks to wait, where it does.
        retry_after: Option<Duration>,
    },
    /// No complete response in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or one that broke before the response began.
    #[error("no connection: {}", causes(.0))]
    Connect(#[source] reqwest::Error),
    /// No connection by way of a proxy.
    #[error("{}", through_proxy(.proxy, .source))]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// It was not sent, for this reason: there is no token that has not expired, or no room in the limit.
    #[error("{0}")]
    NotSent(String, Outcome),
    /// A response that is not what the API documents.
    #[error("the answer is not what the API documents: {0}")]
    Malformed(#[from] Malformed),
}

/// What is wrong with a response that came with status 200.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is longer than the limit.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// It lists more than can be.
    #[error("it lists more than {0}")]
    TooMany(usize),
    /// It lacks a field, or has something else in its place.
    #[error("`{0}` is missing or not of the documented kind")]
    Missing(&'static str),
    /// It says that there was an error, whatever else it says.
    #[error("it carries an error beside its figures")]
    WithError,
    /// It comes from a cache, or is old by its own time: by so much, in whole seconds.
    #[error("it is {} old; something on the way may answer from a cache", text::elapsed(*.0))]
    Old(Duration),
    /// It is compressed, although no encoding was asked for.
    #[error(
        "it is encoded as {0}, which was not asked for; a gateway on the way may have done that"
    )]
    Encoded(String),
    /// It has no list of these where one may be.
    #[error("it holds no list of {0}")]
    NoList(&'static str),
    /// None of its rows can be read.
    #[error("no row of its list of {what} can be read; {problem}")]
    NoRow {
        /// What the list would hold.
        what: &'static str,
        /// What is wrong with the first row.
        problem: String,
    },
    /// It ended in the middle.
    #[error("it was cut off: {}", causes(.0))]
    CutOff(#[source] reqwest::Error),
    /// It is not JSON of the documented shape. The parser's own words are left out: they repeat
    /// the response, and a response may repeat the token.
    #[error("it is not of the documented shape, at line {line} column {column}")]
    Shape {
        /// Where it stops fitting, from 1.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// The counter is not a whole number from 0 to 2^53.
    #[error("the counter is not a whole number from 0 to {COUNT_MAX}")]
    NotACount,
}

/// Why the HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up requests to upstream: {}", causes(.0))]
pub struct BuildError(#[source] pub reqwest::Error);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape { line: error.line(), column: error.column() }
    }
}

impl Error {
    /// What a failure to get a response means.
    pub(crate) fn sending(error: reqwest::Error, timeout: Duration) -> Self {
        if error.is_timeout() { Self::Timeout(timeout) } else { Self::Connect(error.without_url()) }
    }

    /// Whether it is a refusal that the API may have sent: one that it documents, or one without a body.
    pub fn may_be_of_the_api(&self) -> bool {
        matches!(self, Self::Status { detail, .. }
            if ![HTML_PAGE, OTHER_BODY, UNREAD_BODY].contains(&detail.as_str()))
    }

    /// Whether a refusal has a body that the API documents, so that it is not some other server's.
    pub fn is_of_the_api(&self) -> bool {
        self.may_be_of_the_api()
            && matches!(self, Self::Status { detail, .. } if !detail.is_empty())
    }

    /// Whether it says that there is no such user. The API may say so without a body.
    pub fn is_unknown_user(&self) -> bool {
        self.may_be_of_the_api() && matches!(self, Self::Status { status: 404, .. })
    }

    /// Whether it is certain that upstream has not received the request.
    pub(crate) fn was_not_sent(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_connect(),
            Self::Proxy { .. } | Self::NotSent(..) => true,
            Self::Status { .. } | Self::Timeout(_) | Self::Malformed(_) => false,
        }
    }

    /// Whether it is a refusal before anything was carried out. A 4xx says so, but for 408 and 499, with which
    /// a gateway gives up waiting for what is behind it. A 5xx may follow a half-done job, a redirect or
    /// another 2xx a whole one.
    pub(crate) fn was_turned_away(&self) -> bool {
        matches!(self, Self::Status { status: 400..=407 | 409..=498, .. })
    }

    /// The label value under which the failure is counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Status { status, .. } => match status {
                401 => Outcome::Unauthorized,
                403 => Outcome::Forbidden,
                404 => Outcome::NotFound,
                429 => Outcome::RateLimited,
                500..=599 => Outcome::ServerError,
                // A success without a counter in it is no response that the API documents.
                200..=299 => Outcome::Malformed,
                _ => Outcome::ClientError,
            },
            Self::Timeout(_) => Outcome::Timeout,
            Self::Connect(_) | Self::Proxy { .. } => Outcome::Connect,
            Self::Malformed(_) => Outcome::Malformed,
            Self::NotSent(_, outcome) => *outcome,
        }
    }
}

/// What a proxy has to do with it. The HTTP client says which kind of refusal it was, but not its status.
fn through_proxy(proxy: &str, source: &reqwest::Error) -> String {
    let reason = causes(source);
    if reason.contains("tunnel error: proxy authorization required") {
        format!(
            "the proxy {proxy} refuses the connection with 407; check user name and password in its address"
        )
    } else if reason.contains("tunnel error: unsuccessful") {
        format!("the proxy {proxy} refuses the connection; it has to let the exporter through")
    } else {
        format!("no connection through the proxy {proxy}: {reason}")
    }
}

/// The innermost causes of an error of the HTTP client, whose own text only says that it failed.
pub fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_outcome() {
        for (status, outcome) in [
            (204, Outcome::Malformed),
            (302, Outcome::ClientError),
            (400, Outcome::ClientError),
            (401, Outcome::Unauthorized),
            (403, Outcome::Forbidden),
            (404, Outcome::NotFound),
            (429, Outcome::RateLimited),
            (500, Outcome::ServerError),
            (599, Outcome::ServerError),
        ] {
            assert_eq!(refusal(status).outcome(), outcome);
        }
    }

    fn refusal(status: u16) -> Error {
        Error::Status { status, code: None, detail: String::new(), retry_after: None }
    }

    #[test]
    fn only_what_was_turned_away_counts_as_not_carried_out() {
        for status in [400, 401, 403, 404, 405, 409, 422, 425, 429] {
            assert!(refusal(status).was_turned_away(), "{status}");
        }
        for status in [201, 204, 301, 302, 303, 307, 408, 499, 500, 502, 503, 504, 599] {
            assert!(!refusal(status).was_turned_away(), "{status}");
        }
    }

    #[test]
    fn a_refusal_without_detail_reads_well() {
        assert_eq!(refusal(500).to_string(), "upstream answered 500");
    }
}
