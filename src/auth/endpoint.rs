//! The token endpoint of upstream: its requests and responses.
//!
//! `POST /v2/oauth/token`, with the partner's login as basic authentication. All kinds of tokens come
//! from there; docs/upstream.md, "Tokens", says how sure we are of each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::cached_token::ObtainedToken;
use super::token::{Claims, Token};
use crate::account::AccountId;
use crate::clock::Stamp;
use crate::limit::{Limiter, Permit};
use crate::metrics::{Endpoint, Outcome, ProcessMetrics, Tally};
use crate::text;
use crate::transport::{BODY_MAX, Error, HttpClient, Malformed, read_body, refusal};

/// The path of the endpoint, below the base of the API.
const PATH: &str = "v2/oauth/token";
/// Longest life that makes sense; more is taken as this.
const LIFE_MAX: Duration = Duration::from_hours(24 * 366);
/// Shortest time limit of a request for a token. One that is given up may have been answered, and
/// where refresh tokens are good only once its response is missed.
const TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// Sends requests for tokens on behalf of one account.
#[derive(Clone)]
pub(super) struct TokenClient {
    http: HttpClient,
    base_url: Url,
    pub(super) timeout: Duration,
    process: Arc<ProcessMetrics>,
    pub(super) tally: Arc<Tally>,
}

/// What a token is requested with.
pub(super) enum Grant<'a> {
    /// A partner's own token.
    Machine { scope: &'a str },
    /// The token of an account of a white-label partner.
    Exchange { machine: &'a Token, account: &'a AccountId, scope: &'a str },
    /// The first tokens of a customer who has let the partner's application in.
    Code { code: &'a SecretString, redirect: &'a Url, client: &'a str, verifier: &'a SecretString },
    /// The next tokens.
    Refresh { token: &'a SecretString, client: &'a str },
}

/// The tokens of a successful response.
pub(super) struct GrantedTokens {
    pub(super) access: ObtainedToken,
    pub(super) refresh: Option<SecretString>,
    pub(super) refresh_life: Option<Duration>,
}

/// The login of a partner, as the header of a request.
#[derive(Debug, Clone)]
pub(super) struct BasicAuth {
    header: HeaderValue,
    password: SecretString,
}

impl TokenClient {
    pub(super) fn new(
        http: HttpClient,
        base_url: Url,
        timeout: Duration,
        process: Arc<ProcessMetrics>,
        tally: Arc<Tally>,
    ) -> Self {
        Self { http, base_url, timeout: timeout.max(TIMEOUT_MIN), process, tally }
    }

    /// Sends one request, for which `permit` was given, and counts it.
    pub(super) async fn request(
        &self,
        permit: Permit,
        limiter: &Limiter,
        login: &BasicAuth,
        grant: &Grant<'_>,
    ) -> Result<GrantedTokens, Error> {
        let sent = Instant::now();
        let result = self.send(login, grant).await;
        self.process.observe_request(Endpoint::Token, sent.elapsed());
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| Outcome::Ok);
        self.tally.request(Endpoint::Token, outcome);
        limiter.request_ended(outcome == Outcome::Timeout);
        if let Err(Error::Status { status: 429, retry_after, .. }) = &result {
            limiter.pause(*retry_after);
        }
        drop(permit);
        result
    }

    async fn send(&self, login: &BasicAuth, grant: &Grant<'_>) -> Result<GrantedTokens, Error> {
        let asked = Stamp::now();
        let timeout = self.timeout;
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/{PATH}", self.base_url.path().trim_end_matches('/')));
        let request = self.http.request(Method::POST, url).body(grant.body());
        let request = request
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, login.header.clone());
        let response = self.http.send(request, timeout).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, BODY_MAX, timeout).await;
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return Ok(parse(&body?, asked)?);
        }
        let mask = |text: &str| grant.mask(&login.mask(text));
        Err(refusal(status, &headers, body.as_deref().ok(), mask))
    }
}

impl Grant<'_> {
    fn body(&self) -> Vec<u8> {
        let body = match self {
            Self::Machine { scope } => json!({
                "grant_type": "client_credentials",
                "client_credentials_data": {"scope": scope},
            }),
            Self::Exchange { machine, account, scope } => json!({
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "token_exchange_data": {
                    "subject_token": machine.expose(),
                    "subject_token_type": "urn:wazzup:oauth:token-type:machine_token",
                    "requested_subject": account.as_str(),
                    "scope": scope,
                },
            }),
            Self::Code { code, redirect, client, verifier } => json!({
                "grant_type": "authorization_code",
                "authorize_code_data": {
                    "code": code.expose_secret(),
                    "redirect_uri": redirect.as_str(),
                    "client_id": client,
                    "code_verifier": verifier.expose_secret(),
                },
            }),
            Self::Refresh { token, client } => json!({
                "grant_type": "refresh_token",
                "refresh_token_data": {"refresh_token": token.expose_secret(), "client_id": client},
            }),
        };
        body.to_string().into_bytes()
    }

    /// Takes out of `text` what upstream may repeat of the request.
    fn mask(&self, text: &str) -> String {
        let hide = |text: &str, secret: &SecretString| text::mask(text, secret.expose_secret());
        match self {
            Self::Machine { .. } => text.to_owned(),
            Self::Exchange { machine, .. } => machine.mask(text),
            Self::Code { code, verifier, .. } => hide(&hide(text, code), verifier),
            Self::Refresh { token, .. } => hide(text, token),
        }
    }
}

impl BasicAuth {
    /// The login with an email address and a password.
    pub(super) fn new(email: &str, password: SecretString) -> Self {
        let pair = STANDARD.encode(format!("{email}:{}", password.expose_secret()));
        let mut header = HeaderValue::from_str(&format!("Basic {pair}"))
            .expect("base64 has only letters that a header may have");
        header.set_sensitive(true);
        Self { header, password }
    }

    fn mask(&self, text: &str) -> String {
        let pair = self.header.to_str().unwrap_or_default().trim_start_matches("Basic ");
        text::mask(&text::mask(text, pair), self.password.expose_secret())
    }
}

/// Whether upstream says that the token, code or login in a grant is itself not valid.
pub(super) fn refuses_grant(error: &Error) -> bool {
    let known = ["oauthtokenunknownorrevoked", "invalidgrant"];
    match error {
        Error::Status { status: 400 | 401 | 403, code: Some(code), .. } => {
            known.contains(&code.as_str())
        }
        _ => false,
    }
}

/// `{"data":{"access_token":"…","refresh_token":"…","expires_in":3600},"meta":…}`, also seen without
/// the envelope.
#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<Value>,
    refresh_expires_in: Option<Value>,
}

fn parse(body: &[u8], asked: Stamp) -> Result<GrantedTokens, Malformed> {
    let envelope: Value = serde_json::from_slice(body)?;
    let answer = envelope.get("data").filter(|data| data.is_object()).unwrap_or(&envelope);
    // The body was parsed above, so there is no position to report.
    let shape = |_| Malformed::Shape { line: 1, column: 1 };
    let answer = TokenResponse::deserialize(answer).map_err(shape)?;
    let access = Token::new(&answer.access_token, String::new);
    let access = access.map_err(|_| Malformed::Shape { line: 1, column: 1 })?;
    let seconds = |value: Option<Value>| {
        let value = value?;
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Duration::try_from_secs_f64(number).ok()?.min(LIFE_MAX))
    };
    let claimed = || Claims::of(&answer.access_token).end.map(|end| end.saturating_sub(asked.unix));
    // A token that never was good says nothing: a new one for each request would not be better.
    let life = seconds(answer.expires_in).or_else(claimed).filter(|life| !life.is_zero());
    let refresh = answer.refresh_token.filter(|token| !token.is_empty()).map(SecretString::from);
    let access = ObtainedToken::new(access, asked, life);
    Ok(GrantedTokens { access, refresh, refresh_life: seconds(answer.refresh_expires_in) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    const NOW: Stamp = Stamp { uptime: Duration::ZERO, unix: Duration::from_secs(1000) };

    /// A response, as `access token, its life, refresh token, its life`.
    fn granted(body: &str) -> Option<String> {
        let granted = parse(body.as_bytes(), NOW).ok()?;
        let refresh = granted.refresh.map(|token| token.expose_secret().to_owned());
        let seconds =
            |life: Option<Duration>| life.map_or("-".to_owned(), |life| life.as_secs().to_string());
        let lives = [granted.access.life, granted.refresh_life].map(seconds);
        let refresh = refresh.as_deref().unwrap_or("-");
        Some(format!("{}, {}, {refresh}, {}", granted.access.token.expose(), lives[0], lives[1]))
    }

    #[test]
    fn answers_are_read_with_and_without_their_envelope() {
        for (body, expected) in [
            (
                r#"{"data":{"access_token":"a","refresh_token":"r","expires_in":3600},"meta":{}}"#,
                "a, 3600, r, -",
            ),
            (r#"{"access_token":"a"}"#, "a, -, -, -"),
            (r#"{"access_token":"a","expires_in":0}"#, "a, -, -, -"),
            // {"exp":999}, by a clock that may be wrong
            (r#"{"access_token":"e30.eyJleHAiOjk5OX0.c2ln"}"#, "e30.eyJleHAiOjk5OX0.c2ln, -, -, -"),
            (
                r#"{"data":null,"access_token":"a","refresh_token":null,"expires_in":"60",
                    "refresh_expires_in":604800,"token_type":"bearer"}"#,
                "a, 60, -, 604800",
            ),
            // {"exp":1060}
            (
                r#"{"access_token":"e30.eyJleHAiOjEwNjB9.c2ln","refresh_token":""}"#,
                "e30.eyJleHAiOjEwNjB9.c2ln, 60, -, -",
            ),
        ] {
            assert_eq!(granted(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn recorded_answers_are_understood() {
        // As `access token or JWT, its life, refresh token, its life`; see tests/fixtures/README.md.
        for (body, expected) in [
            (include_str!("../../tests/fixtures/v2-token-machine.json"), "3600, -, -"),
            (include_str!("../../tests/fixtures/v2-token-exchange.json"), "3600, -, -"),
            (include_str!("../../tests/fixtures/v2-token-label.json"), "3600, r3fr3sh, -"),
            (include_str!("../../tests/fixtures/v2-token-bare.json"), "3600, r3fr3sh, -"),
            (
                include_str!("../../tests/fixtures/v2-token-refresh-end.json"),
                "3600, r3fr3sh, 604800",
            ),
        ] {
            let shown = granted(body).unwrap().replace("-t0k3n-of-nobody-0123456789abcdefghij", "");
            let (access, rest) = shown.split_once(", ").unwrap();
            assert_eq!(rest, expected, "{body}");
            let account = Claims::of(access).account;
            let of_an_account = !body.contains("eyJpYXQiOjE3OTAyNjQ5OTUs");
            assert_eq!(account.as_deref(), of_an_account.then_some("78231464"), "{body}");
        }
        let body = include_bytes!("../../tests/fixtures/v2-error-401.json");
        let error = refusal(StatusCode::UNAUTHORIZED, &HeaderMap::new(), Some(body), str::to_owned);
        assert!(refuses_grant(&error));
    }

    #[test]
    fn what_holds_no_token_is_no_answer() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"data":{}}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"two words"}"#,
            r#"{"access_token":7}"#,
            r#"{"data":{"refresh_token":"r"}}"#,
        ] {
            assert_eq!(granted(body), None, "{body}");
        }
    }

    #[test]
    fn requests_are_those_that_are_known_to_work() {
        let (machine, secret) = (Token::new("m", String::new).unwrap(), SecretString::from);
        let account = AccountId::parse("7823-1464").unwrap();
        let redirect = "https://example.com/cb?x=1".parse().unwrap();
        let scope = "transport,crm";
        for (grant, body) in [
            (
                Grant::Machine { scope },
                r#"{"client_credentials_data":{"scope":"transport,crm"},"grant_type":"client_credentials"}"#,
            ),
            (
                Grant::Exchange { machine: &machine, account: &account, scope },
                r#"{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","token_exchange_data":{"requested_subject":"78231464","scope":"transport,crm","subject_token":"m","subject_token_type":"urn:wazzup:oauth:token-type:machine_token"}}"#,
            ),
            (
                Grant::Code {
                    code: &secret("c"),
                    redirect: &redirect,
                    client: "id",
                    verifier: &secret("v"),
                },
                r#"{"authorize_code_data":{"client_id":"id","code":"c","code_verifier":"v","redirect_uri":"https://example.com/cb?x=1"},"grant_type":"authorization_code"}"#,
            ),
            (
                Grant::Refresh { token: &secret("r"), client: "id" },
                r#"{"grant_type":"refresh_token","refresh_token_data":{"client_id":"id","refresh_token":"r"}}"#,
            ),
        ] {
            let expected: Value = serde_json::from_str(body).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&grant.body()).unwrap(), expected);
        }
    }

    #[test]
    fn nothing_of_a_request_is_repeated() {
        let login = BasicAuth::new("partner@example.com", "pa55word".into());
        let token = "r3fresh".into();
        let grant = Grant::Refresh { token: &token, client: "id" };
        let basic = STANDARD.encode("partner@example.com:pa55word");
        let text = format!("not r3fresh, not pa55word, not {basic}");
        let masked = grant.mask(&login.mask(&text));
        assert_eq!(masked, "not <secret>, not <secret>, not <secret>");
        assert_eq!(BasicAuth::new("a", "".into()).mask("text"), "text");
    }

    #[test]
    fn a_refusal_of_the_grant_differs_from_other_refusals() {
        let refused = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refusal(status, &HeaderMap::new(), Some(body.as_bytes()), str::to_owned)
        };
        for (status, body, of_the_grant) in [
            (401, r#"{"code":"OAUTH_TOKEN_UNKNOWN_OR_REVOKED"}"#, true),
            (400, r#"{"code":"oauthTokenUnknownOrRevoked","title":"t"}"#, true),
            (400, r#"{"error":"invalid_grant","error_description":"d"}"#, true),
            (400, r#"{"error":{"code":"INVALID_GRANT","description":"d"}}"#, true),
            (401, r#"{"code":"UNAUTHORIZED"}"#, false),
            (401, "", false),
            (500, r#"{"error":"invalid_grant"}"#, false),
            (429, "", false),
        ] {
            let refused = refused(status, body);
            assert_eq!(refuses_grant(&refused), of_the_grant, "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parsers(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body, NOW);
        }
    }
}
