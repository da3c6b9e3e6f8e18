//! One authorization: the address to open, and the parameters it returns with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::account::Partner;
use crate::app::error::CommandError;
use crate::text;

/// Random bytes in a secret; in base64 they are 43 characters, the least that PKCE allows.
const SECRET_BYTES: usize = 32;
/// Longest text of upstream that is repeated, in characters.
const DETAIL_MAX: usize = 200;

/// The secrets of one authorization.
pub(super) struct Authorization {
    pub(super) redirect: Url,
    /// Comes back with the answer, so that an answer to another authorization is not taken for this one's.
    state: String,
    /// Proves that the code is redeemed by the client that requested it (PKCE).
    pub(super) verifier: SecretString,
}

/// Why a text is not the address at which the browser ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRedirect {
    /// An empty line.
    #[error("the input is empty")]
    Nothing,
    /// Something else, as the address of another page.
    #[error(
        "that is not the address that is wanted; copy all of the browser's address bar, from {0} on"
    )]
    Elsewhere(Box<str>),
    /// The end of an earlier authorization.
    #[error("that address is not of this login; open the address above in the browser once more")]
    OtherAttempt,
    /// Neither a code nor a reason.
    #[error(
        "there is no code in that address; copy all of it, also what follows the question mark"
    )]
    NoCode,
    /// The user has refused.
    #[error("the login was refused in the browser; the user has to agree")]
    Denied,
    /// Upstream has refused.
    #[error("Wazzup24 has ended the login: {0}")]
    Failed(String),
}

impl InvalidRedirect {
    /// Whether another address would not help.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Denied | Self::Failed(_))
    }
}

impl Authorization {
    /// An authorization that ends at `redirect`.
    pub(super) fn new(redirect: Url) -> Result<Self, CommandError> {
        let random = SystemRandom::new();
        let secret = || {
            let mut bytes = [0; SECRET_BYTES];
            let filled = random.fill(&mut bytes).map(|()| URL_SAFE_NO_PAD.encode(bytes));
            let failed = "the operating system gives no random numbers";
            filled.map_err(|_| CommandError::runtime(failed))
        };
        Ok(Self { redirect, state: secret()?, verifier: secret()?.into() })
    }

    /// The address to open in a browser.
    pub(super) fn address(&self, base: &Url, partner: &Partner) -> Url {
        let challenge = digest(&SHA256, self.verifier.expose_secret().as_bytes());
        let mut url = base.clone();
        url.set_path(&format!("{}/v2/oauth/authorize", base.path().trim_end_matches('/')));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", partner.client_id.as_deref().unwrap_or_default())
            .append_pair("redirect_uri", self.redirect.as_str())
            .append_pair("scope", &partner.scope)
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The code in the address at which the browser ended.
    pub(super) fn code_in(&self, text: &str) -> Result<SecretString, InvalidRedirect> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']);
        if text.is_empty() {
            return Err(InvalidRedirect::Nothing);
        }
        let ends_here = |url: &Url| {
            url.origin() == self.redirect.origin() && url.path() == self.redirect.path()
        };
        let url = text.parse().ok().filter(ends_here);
        let url = url.ok_or_else(|| InvalidRedirect::Elsewhere(self.redirect.as_str().into()))?;
        let one = |name: &str| {
            let mut values = url.query_pairs().filter(|(key, _)| key == name);
            let value = values.next()?.1;
            // A repeated parameter is ambiguous and counts as absent.
            values.next().is_none().then(|| value.into_owned())
        };
        let (state, error) = (one("state"), one("error"));
        match (&state, &error) {
            (Some(state), _) if *state != self.state => return Err(InvalidRedirect::OtherAttempt),
            // Some servers leave it out of their errors.
            (None, None) if one("code").is_some() => return Err(InvalidRedirect::OtherAttempt),
            _ => {}
        }
        match error.as_deref() {
            Some("access_denied") => return Err(InvalidRedirect::Denied),
            Some(error) => {
                let detail = one("error_description").unwrap_or_default();
                return Err(InvalidRedirect::Failed(text::one_line(
                    &format!("{error} {detail}"),
                    DETAIL_MAX,
                )));
            }
            None => {}
        }
        one("code")
            .filter(|code| !code.is_empty())
            .map(SecretString::from)
            .ok_or(InvalidRedirect::NoCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT: &str = "https://partner.example/wazzup?from=here";

    fn authorization() -> Authorization {
        let redirect = REDIRECT.parse().unwrap();
        // The verifier of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        Authorization { redirect, state: "st4te".to_owned(), verifier }
    }

    fn partner() -> Partner {
        Partner {
            name: "main".to_owned(),
            email: "partner@example.com".to_owned(),
            password_file: "/run/p".into(),
            scope: "transport,crm".to_owned(),
            client_id: Some("a&b".to_owned()),
            redirect_uri: None,
            allow_account_files: false,
        }
    }

    #[test]
    fn the_address_asks_for_a_code_that_only_this_attempt_can_redeem() {
        let base = "https://host/prefix/".parse().unwrap();
        let address = authorization().address(&base, &partner());
        assert_eq!(address.path(), "/prefix/v2/oauth/authorize");
        let pairs: Vec<_> = address.query_pairs().collect();
        let expected = [
            ("response_type", "code"),
            ("client_id", "a&b"),
            ("redirect_uri", REDIRECT),
            ("scope", "transport,crm"),
            ("state", "st4te"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn secrets_are_long_enough_and_never_the_same() {
        let [one, other] = [(); 2].map(|()| Authorization::new(REDIRECT.parse().unwrap()).unwrap());
        let secrets =
            [&one, &other].map(|authorization| authorization.verifier.expose_secret().to_owned());
        assert!(secrets.iter().all(|secret| secret.len() == 43), "{secrets:?}");
        assert!(secrets[0] != secrets[1] && one.state != other.state && secrets[0] != one.state);
    }

    #[test]
    fn the_code_is_found_in_the_address_however_it_was_copied() {
        for text in [
            "https://partner.example/wazzup?from=here&code=c0de&state=st4te",
            "  <https://PARTNER.example:443/wazzup?state=st4te&code=c0de#top>\n",
        ] {
            assert_eq!(authorization().code_in(text).unwrap().expose_secret(), "c0de", "{text}");
        }
    }

    #[test]
    fn other_input_is_refused_with_the_reason() {
        let failed = |detail: &str| InvalidRedirect::Failed(detail.to_owned());
        for (text, unfit) in [
            ("", InvalidRedirect::Nothing),
            (" \t", InvalidRedirect::Nothing),
            ("c0de", InvalidRedirect::Elsewhere(REDIRECT.into())),
            (
                "https://host/v2/oauth/authorize?state=st4te",
                InvalidRedirect::Elsewhere(REDIRECT.into()),
            ),
            ("http://partner.example/wazzup?code=c", InvalidRedirect::Elsewhere(REDIRECT.into())),
            ("https://partner.example/wazzup/?code=c", InvalidRedirect::Elsewhere(REDIRECT.into())),
            ("https://partner.example/wazzup?code=c&state=other", InvalidRedirect::OtherAttempt),
            ("https://partner.example/wazzup?code=c", InvalidRedirect::OtherAttempt),
            (
                "https://partner.example/wazzup?error=access_denied&state=no",
                InvalidRedirect::OtherAttempt,
            ),
            ("https://partner.example/wazzup", InvalidRedirect::NoCode),
            ("https://partner.example/wazzup?code=&state=st4te", InvalidRedirect::NoCode),
            ("https://partner.example/wazzup?code=a&code=b&state=st4te", InvalidRedirect::NoCode),
            ("https://partner.example/wazzup?error=access_denied", InvalidRedirect::Denied),
            (
                "https://partner.example/wazzup?error=server_error&error_description=a%0Ab",
                failed("server_error a b"),
            ),
        ] {
            assert_eq!(authorization().code_in(text).map(drop), Err(unfit), "{text}");
        }
    }
}
