//! Where things are in the API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::account::{Account, Api, UserId};
use crate::metrics::Endpoint;

/// What RFC 3986 leaves unreserved stays as it is, everything else in a segment is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a user's counter: the id is one segment, whatever it contains.
pub fn counter_url(base: &Url, api: Api, user: &UserId) -> Url {
    let id = utf8_percent_encode(user.as_str(), SEGMENT);
    match api {
        Api::V2 => below(base, &format!("v2/counters/unanswered/{id}")),
        Api::V3 => below(base, &format!("v3/unanswered/{id}")),
    }
}

/// The address of one of the account's lists, whose label is its name in the API.
pub(super) fn list_url(account: &Account, list: Endpoint, offset: usize) -> Url {
    let version = match account.api {
        Api::V2 => "v2",
        Api::V3 => "v3",
    };
    let mut url = below(&account.base_url, &format!("{version}/{}", list.label()));
    // v3 documents offsets; v2 does not, so that it is spared them as long as one response is enough.
    if list == Endpoint::Users && (offset > 0 || account.api == Api::V3) {
        url.query_pairs_mut().append_pair("offset", &offset.to_string());
    }
    url
}

/// The place `path` below `base`, whose own path is a prefix.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let prefix = base.path().trim_end_matches('/');
    let mut url = base.clone();
    url.set_path(&format!("{prefix}/{path}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::fixture;

    fn url(base: &str, user: &str) -> String {
        counter_url(&base.parse().unwrap(), Api::V2, &UserId::parse(user).unwrap()).to_string()
    }

    #[test]
    fn a_user_id_is_one_encoded_segment() {
        let base = "https://tech.wazzup24.com";
        for (user, segment) in [
            ("1", "1"),
            ("a/b", "a%2Fb"),
            ("ünï", "%C3%BCn%C3%AF"),
            ("q\"uo\\te", "q%22uo%5Cte"),
            ("%2E", "%252E"),
            ("%2e%2e", "%252e%252e"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("...", "..."),
        ] {
            assert_eq!(
                url(base, user),
                format!("https://tech.wazzup24.com/v2/counters/unanswered/{segment}")
            );
        }
        let base = "https://api.wazzup24.com".parse().unwrap();
        let url = counter_url(&base, Api::V3, &UserId::parse("a/b").unwrap());
        assert_eq!(url.as_str(), "https://api.wazzup24.com/v3/unanswered/a%2Fb");
    }

    #[test]
    fn a_path_in_the_base_url_is_a_prefix() {
        for base in ["http://127.0.0.1:1/wazzup", "http://127.0.0.1:1/wazzup/"] {
            assert_eq!(url(base, "7"), "http://127.0.0.1:1/wazzup/v2/counters/unanswered/7");
        }
    }

    #[test]
    fn only_pages_that_are_needed_name_an_offset() {
        let mut account = fixture("acme", &[]);
        let list = |account: &_, endpoint, offset| {
            list_url(account, endpoint, offset)[url::Position::BeforePath..].to_owned()
        };
        assert_eq!(list(&account, Endpoint::Users, 0), "/v2/users");
        assert_eq!(list(&account, Endpoint::Users, 100), "/v2/users?offset=100");
        assert_eq!(list(&account, Endpoint::Channels, 0), "/v2/channels");
        assert_eq!(list(&account, Endpoint::Settings, 0), "/v2/settings");
        assert_eq!(list(&account, Endpoint::Webhooks, 0), "/v2/webhooks");
        account.api = Api::V3;
        assert_eq!(list(&account, Endpoint::Users, 0), "/v3/users?offset=0");
    }
}
