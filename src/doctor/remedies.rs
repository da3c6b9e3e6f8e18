//! What to do about failures.

use crate::account::Auth;
use crate::metrics::Outcome;

/// What to do when the host cannot be reached.
pub(super) fn host_remedy(problem: &str) -> &'static str {
    if problem.contains("certificate") {
        "compare the clock of this host; a proxy that opens TLS needs tls.ca_file with its authority"
    } else if problem.contains("dns") || problem.contains("lookup") || problem.contains("resolve") {
        "correct base_url, or the name server of this host"
    } else {
        "check base_url, the network and the firewall; behind a proxy set proxy_url or HTTPS_PROXY"
    }
}

/// What to do when there is no token.
pub(super) fn token_remedy(auth: &Auth) -> &'static str {
    match auth {
        Auth::Token(_) | Auth::TokenEnv { .. } => "put another token into the configuration",
        Auth::TokenFile(_) => "put a token into the file, alone, readable for the exporter",
        Auth::TokenCommand(_) => "run the command by hand as the user that the exporter runs as",
        Auth::Partner(_) => {
            "check email and password_file of the partner, and the account's number"
        }
        Auth::OAuth { .. } => "run `wazzup-exporter login` for the account",
    }
}

/// What to do when a request fails.
pub(super) fn answer_remedy(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::RateLimited => {
            "something else uses up the limit of this token; set rate_limit lower"
        }
        Outcome::ServerError => "Wazzup24 reports an error of its own; try again later",
        Outcome::Timeout | Outcome::Connect => "try again; if it persists, check network and proxy",
        Outcome::Forbidden => "ask Wazzup24 for a token that may read this",
        Outcome::Unauthorized => "replace the token",
        _ => "check base_url: something else than the API of Wazzup24 may answer there",
    }
}
