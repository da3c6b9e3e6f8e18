//! What to do about failures.

use crate::account::Auth;
use crate::metrics::Outcome;
use crate::snapshot::FailingReason;

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
        Auth::OAuth { .. } => FailingReason::LoginNeeded.remedy(),
    }
}

/// What to do when a request fails.
pub(super) fn answer_remedy(outcome: Outcome) -> &'static str {
    // Of what concerns one user alone, such as 404: as for any answer that is not the API's.
    FailingReason::of(outcome).unwrap_or(FailingReason::Malformed).remedy()
}
