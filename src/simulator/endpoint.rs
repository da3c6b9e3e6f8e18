//! The endpoints of the API and their paths.
//!
//! [`Endpoint`] is in every remembered request, in the counts and in the conditions of faults.
//! [`Route`] is a path taken apart, made by `api` for every request.

use percent_encoding::percent_decode_str;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};

/// A question to the API, of whichever version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A user's counter.
    Counter,
    /// The list of users.
    Users,
    /// The list of channels.
    Channels,
    /// The settings, which hold the roles.
    Settings,
    /// The subscriptions.
    Webhooks,
    /// Clearing the counters of all chats.
    Reset,
    /// A partner's machine token, by login.
    MachineToken,
    /// An account's token, for the machine token.
    Exchange,
    /// An account's first tokens, for the code of a person's login.
    Code,
    /// An account's next tokens, for its refresh token.
    Refresh,
    /// A request for a token with an unknown grant.
    OtherGrant,
    /// The page on which a person authorises a partner.
    Authorize,
    /// Anything else.
    Other,
}

impl Endpoint {
    /// The endpoint of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::deserialize(StrDeserializer::<Error>::new(name)).ok()
    }
}

/// The versions of the API, which spell errors differently and know different credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
}

/// A path taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) version: Version,
    pub(super) endpoint: Endpoint,
    /// The user in the path; `None` where there is none or its segment decodes to no text.
    pub(super) user: Option<String>,
}

impl Route {
    /// The route of a path without its query.
    pub(super) fn of(path: &str) -> Self {
        let (version, rest) = match path.strip_prefix("/v3/") {
            Some(rest) => (Version::V3, rest),
            None => (Version::V2, path.strip_prefix("/v2/").unwrap_or_default()),
        };
        let segments: Vec<&str> = rest.split('/').collect();
        let (endpoint, user) = match (version, segments.as_slice()) {
            (Version::V2, ["counters", "unanswered", user])
            | (Version::V3, ["unanswered", user])
                if !user.is_empty() =>
            {
                (Endpoint::Counter, Some(*user))
            }
            (_, ["users"]) => (Endpoint::Users, None),
            (_, ["channels"]) => (Endpoint::Channels, None),
            (Version::V2, ["settings"]) => (Endpoint::Settings, None),
            (_, ["webhooks"]) => (Endpoint::Webhooks, None),
            (Version::V2, ["chats", "unanswered"]) => (Endpoint::Reset, None),
            // The kind of token is in the body.
            (Version::V2, ["oauth", "token"]) => (Endpoint::OtherGrant, None),
            (Version::V2, ["oauth", "authorize"]) => (Endpoint::Authorize, None),
            _ => (Endpoint::Other, None),
        };
        let user = user.and_then(|segment| percent_decode_str(segment).decode_utf8().ok());
        Self { version, endpoint, user: user.map(std::borrow::Cow::into_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_endpoints() {
        use Version::{V2, V3};
        for (path, version, endpoint, user) in [
            ("/v2/counters/unanswered/7", V2, Endpoint::Counter, Some("7")),
            ("/v2/counters/unanswered/a%2Fb%20c", V2, Endpoint::Counter, Some("a/b c")),
            ("/v2/counters/unanswered/%FF", V2, Endpoint::Counter, None),
            ("/v2/counters/unanswered/", V2, Endpoint::Other, None),
            ("/v2/counters/unanswered/1/", V2, Endpoint::Other, None),
            ("/v2/users", V2, Endpoint::Users, None),
            ("/v2/users/", V2, Endpoint::Other, None),
            ("/v2/users/%C3%BC", V2, Endpoint::Other, None),
            ("/v2/channels", V2, Endpoint::Channels, None),
            ("/v2/settings", V2, Endpoint::Settings, None),
            ("/v2/webhooks", V2, Endpoint::Webhooks, None),
            ("/v2/oauth/token", V2, Endpoint::OtherGrant, None),
            ("/v2/oauth/authorize", V2, Endpoint::Authorize, None),
            ("/v3/oauth/token", V3, Endpoint::Other, None),
            ("/v2/chats/unanswered", V2, Endpoint::Reset, None),
            ("/v2/chats/unanswered/7", V2, Endpoint::Other, None),
            ("/v3/chats/unanswered", V3, Endpoint::Other, None),
            ("/v2/nothing", V2, Endpoint::Other, None),
            ("/v3/unanswered/a%2Fb", V3, Endpoint::Counter, Some("a/b")),
            ("/v3/unanswered/", V3, Endpoint::Other, None),
            ("/v3/counters/unanswered/7", V3, Endpoint::Other, None),
            ("/v3/users", V3, Endpoint::Users, None),
            ("/v3/channels", V3, Endpoint::Channels, None),
            ("/v3/webhooks", V3, Endpoint::Webhooks, None),
            ("/v2/unanswered/7", V2, Endpoint::Other, None),
            ("/v3/settings", V3, Endpoint::Other, None),
            ("/", V2, Endpoint::Other, None),
            ("/users", V2, Endpoint::Other, None),
        ] {
            let user = user.map(str::to_owned);
            assert_eq!(Route::of(path), Route { version, endpoint, user }, "{path}");
        }
    }

    #[test]
    fn every_endpoint_is_found_by_its_name() {
        let all = "counter, users, channels, settings, webhooks, reset, machine_token, exchange, \
                   code, refresh, other_grant, authorize, other";
        for name in all.split(", ") {
            let endpoint = Endpoint::named(name).unwrap();
            assert_eq!(serde_json::to_value(endpoint).unwrap(), name);
        }
        assert_eq!(Endpoint::named("counters"), None);
    }
}
