//! The endpoint that gives out tokens: `POST /v2/oauth/token`.
//!
//! [`TokenRequest`] is such a request taken apart, before anything is decided, so that the log, the
//! limit and the faults know its account and partner. Called by `api`; the tokens themselves are in
//! `tokens`.
//!
//! The shapes of requests and answers are recorded. Of refusals only `OAUTH_TOKEN_UNKNOWN_OR_REVOKED`
//! and the shape of their bodies are: the other codes are made up, as assumptions.

use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::digest;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::account::Account;
use super::answer;
use super::endpoint::{Endpoint, Version};
use super::lock::lock;
use super::partner::{Login, Partner, PartnerSpec, TokenQuirk};
use super::spec::{Access, AccountSpec};
use super::tokens::{Code, Good, whole_seconds};
use super::world::World;

/// A request for a token.
pub(super) struct TokenRequest {
    pub(super) endpoint: Endpoint,
    login: Option<(String, String)>,
    /// The grant, or what is wrong with the body.
    grant: Result<Grant, String>,
}

/// Why nothing was given out.
enum Refusal {
    /// With the API's own body for this status.
    Status(u16),
    /// With what is wrong with the body.
    Invalid(String),
    /// With this code and detail.
    Other(u16, &'static str, &'static str),
}

const LOGIN: Refusal =
    Refusal::Other(401, "OAUTH_CLIENT_UNAUTHORIZED", "User name or password is wrong");
const SCOPE: Refusal =
    Refusal::Other(400, "OAUTH_SCOPE_INVALID", "The scope goes beyond the partner's");
const SUBJECT: Refusal =
    Refusal::Other(403, "OAUTH_SUBJECT_FORBIDDEN", "The partner has no such account of its own");
const CODE: Refusal =
    Refusal::Other(400, "OAUTH_CODE_INVALID", "The code is unknown, used, over or another's");
const TOKEN: Refusal = Refusal::Status(401);

impl TokenRequest {
    pub(super) fn read(head: &Parts, body: &[u8]) -> Self {
        let (endpoint, grant) = read_grant(head, body);
        Self { endpoint, login: basic(head), grant }
    }

    /// The partner whose user name is given, with its place, whether or not the password is right.
    pub(super) fn partner<'a>(&self, world: &'a World) -> Option<(usize, &'a Partner)> {
        let (email, _) = self.login.as_ref()?;
        world.partners.iter().enumerate().find(|(_, partner)| partner.spec.email == *email)
    }

    /// The account of the requested token.
    pub(super) fn account<'a>(&self, world: &'a World) -> Found<'a> {
        let grant = self.grant.as_ref().ok()?;
        let place = match self.endpoint {
            Endpoint::Exchange => {
                let id = grant.text("requested_subject");
                world.accounts.iter().position(|account| account.now().spec.account_id == id)?
            }
            Endpoint::Code => match world.tokens.live(grant.text("code"))? {
                Good::Code(code) => code.account,
                _ => return None,
            },
            Endpoint::Refresh => match world.tokens.find(grant.text("refresh_token"))? {
                (Good::Refresh(account), _) => account,
                _ => return None,
            },
            _ => return None,
        };
        Some((place, world.accounts.get(place)?))
    }

    /// The requested tokens, or a refusal.
    pub(super) fn answer(&self, world: &World) -> Response {
        match self.decide(world) {
            Ok(reply) => reply,
            Err(Refusal::Status(status)) => answer::error(Version::V2, status),
            Err(Refusal::Invalid(detail)) => answer::invalid(Version::V2, &detail),
            Err(Refusal::Other(status, code, detail)) => {
                answer::refusal(Version::V2, status, code, detail)
            }
        }
    }

    fn decide(&self, world: &World) -> Result<Response, Refusal> {
        let (place, partner) = self.partner(world).ok_or(LOGIN)?;
        let password = self.login.as_ref().map(|(_, password)| &**password);
        let login = *lock(&partner.login);
        match login {
            Login::Failing => return Err(Refusal::Status(500)),
            Login::Good if password == Some(partner.spec.password.expose_secret()) => {}
            Login::Good | Login::Refused => return Err(LOGIN),
        }
        let grant = self.grant.as_ref().map_err(|detail| Refusal::Invalid(detail.clone()))?;
        let issuer = TokenIssuer { world, partner: &partner.spec, place, grant };
        let account = self.account(world);
        let reply = match self.endpoint {
            Endpoint::MachineToken => issuer.machine(),
            Endpoint::Exchange => issuer.exchange(account),
            Endpoint::Code => issuer.code(account),
            _ => issuer.refresh(account),
        }?;
        world.recorder.granted(&partner.spec.name, self.endpoint);
        Ok(reply)
    }
}

/// An account and its place in the list.
type Found<'a> = Option<(usize, &'a Account)>;

/// Issues tokens to a partner whose login was right.
struct TokenIssuer<'a> {
    world: &'a World,
    partner: &'a PartnerSpec,
    place: usize,
    grant: &'a Grant,
}

impl TokenIssuer<'_> {
    fn machine(&self) -> Result<Response, Refusal> {
        self.covered()?;
        let (good, ttl) = (Good::Machine(self.place), self.partner.machine_ttl);
        let token = self.world.tokens.issue_jwt(good, ttl, None);
        Ok(self.reply(&json!({"access_token": token, "expires_in": whole_seconds(ttl)})))
    }

    fn exchange(&self, account: Found<'_>) -> Result<Response, Refusal> {
        let shown = self.world.tokens.live(self.grant.text("subject_token"));
        if shown != Some(Good::Machine(self.place)) {
            return Err(TOKEN);
        }
        self.covered()?;
        let (place, account) = account.ok_or(SUBJECT)?;
        let AccountSpec { credential, access, account_id, .. } = &account.now().spec;
        if !credential.is_white_label_of(&self.partner.name) || *access == Access::Revoked {
            return Err(SUBJECT);
        }
        Ok(self.reply(&self.access_token(place, Some(account_id))))
    }

    fn code(&self, account: Found<'_>) -> Result<Response, Refusal> {
        let (place, account) = account.ok_or(CODE)?;
        let shown = Good::Code(Code {
            account: place,
            partner: self.place,
            redirect_uri: self.grant.text("redirect_uri").to_owned(),
            challenge: challenge(self.grant.text("code_verifier")),
        });
        let (code, tokens) = (self.grant.text("code"), &self.world.tokens);
        let fits = tokens.live(code) == Some(shown) && self.names_application();
        let accepted = fits && tokens.spend(code);
        if accepted { Ok(self.label_tokens(place, account, true)) } else { Err(CODE) }
    }

    fn refresh(&self, account: Found<'_>) -> Result<Response, Refusal> {
        let ours =
            |account: &Account| account.now().spec.credential.is_label_of(&self.partner.name);
        let (place, account) = account.filter(|(_, account)| ours(account)).ok_or(TOKEN)?;
        let (token, tokens) = (self.grant.text("refresh_token"), &self.world.tokens);
        let good = account.now().spec.access != Access::Revoked && self.names_application();
        let lasting = self.partner.has(TokenQuirk::LastingRefreshTokens);
        let accepted = good && ((lasting && tokens.live(token).is_some()) || tokens.spend(token));
        if accepted { Ok(self.label_tokens(place, account, !lasting)) } else { Err(TOKEN) }
    }

    fn names_application(&self) -> bool {
        self.grant.text("client_id") == self.partner.client_id
    }

    fn covered(&self) -> Result<(), Refusal> {
        if self.partner.covers(self.grant.text("scope")) { Ok(()) } else { Err(SCOPE) }
    }

    /// New tokens of an account whose owner has let the partner in.
    fn label_tokens(&self, place: usize, account: &Account, with_refresh: bool) -> Response {
        let (partner, account_id) = (self.partner, account.now().spec.account_id.clone());
        let silent = partner.has(TokenQuirk::NoChildId);
        let mut data = self.access_token(place, (!silent).then_some(&*account_id));
        if with_refresh && let Some(data) = data.as_object_mut() {
            let token = self.world.tokens.issue(Good::Refresh(place), partner.refresh_ttl);
            data.insert("refresh_token".to_owned(), token.into());
            if partner.has(TokenQuirk::RefreshExpiresIn) {
                let end = whole_seconds(partner.refresh_ttl);
                data.insert("refresh_expires_in".to_owned(), end.into());
            }
        }
        self.reply(&data)
    }

    fn access_token(&self, place: usize, child_id: Option<&str>) -> Value {
        let ttl = self.partner.access_ttl;
        let token = self.world.tokens.issue_jwt(Good::Access(place), ttl, child_id);
        json!({"access_token": token, "expires_in": whole_seconds(ttl)})
    }

    fn reply(&self, data: &Value) -> Response {
        let bare = self.partner.has(TokenQuirk::Bare);
        if bare { answer::json(200, data) } else { answer::enveloped(data) }
    }
}

/// The grants: their type, the tokens that they are for, and the texts that they come with.
const GRANTS: [(&str, Endpoint, &str, &[&str]); 4] = [
    ("client_credentials", Endpoint::MachineToken, "client_credentials_data", &["scope"]),
    (
        "urn:ietf:params:oauth:grant-type:token-exchange",
        Endpoint::Exchange,
        "token_exchange_data",
        &["subject_token", "subject_token_type", "requested_subject", "scope"],
    ),
    (
        "authorization_code",
        Endpoint::Code,
        "authorize_code_data",
        &["code", "redirect_uri", "client_id", "code_verifier"],
    ),
    ("refresh_token", Endpoint::Refresh, "refresh_token_data", &["refresh_token", "client_id"]),
];
const MACHINE_TOKEN: &str = "urn:wazzup:oauth:token-type:machine_token";

/// The texts of a grant by name.
struct Grant(BTreeMap<&'static str, String>);

impl Grant {
    /// A text that grants of this type come with.
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// User name and password.
fn basic(head: &Parts) -> Option<(String, String)> {
    let (scheme, encoded) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok();
    let login =
        String::from_utf8(decoded.filter(|_| scheme.eq_ignore_ascii_case("basic"))?).ok()?;
    let (email, password) = login.split_once(':')?;
    Some((email.to_owned(), password.to_owned()))
}

/// The grant in a body. Nothing of the body is repeated in an error: it may be a secret.
fn read_grant(head: &Parts, body: &[u8]) -> (Endpoint, Result<Grant, String>) {
    let wrong = |detail: &str| (Endpoint::OtherGrant, Err(detail.to_owned()));
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return wrong("the content type must be application/json");
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return wrong("the body must be JSON");
    };
    let kind = body.get("grant_type").and_then(Value::as_str);
    let Some((_, endpoint, data, keys)) = GRANTS.iter().find(|(known, ..)| Some(*known) == kind)
    else {
        return wrong("grant_type is missing or none of those known");
    };
    let read = |key: &&'static str| {
        let text = body.get(data).and_then(|data| data.get(key)).and_then(Value::as_str);
        match text.map_or(Some("is missing or no text"), |text| fault(key, text)) {
            Some(fault) => Err(format!("{data}.{key} {fault}")),
            None => Ok((*key, text.unwrap_or_default().to_owned())),
        }
    };
    (*endpoint, keys.iter().map(read).collect::<Result<_, _>>().map(Grant))
}

/// What is wrong with a text.
fn fault(key: &str, text: &str) -> Option<&'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let verifier = (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
    match key {
        "subject_token_type" if text != MACHINE_TOKEN => Some("is not that of a machine token"),
        "requested_subject" if text.len() != 8 || !digits => Some("must be eight digits"),
        "code_verifier" if !verifier => Some("must be 43 to 128 letters, digits and -._~"),
        _ => None,
    }
}

/// The base64url of the SHA-256 of a verifier.
pub(super) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests;
