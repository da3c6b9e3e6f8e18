//! The endpoint that gives out tokens: `POST /v2/oauth/token`.
//!
//! [`TokenRequest`] is such a request taken apart, before anything is decided, so that the log, the
//! limit and the faults know its account and partner. Called by `api`; the tokens themselves are in
//! `tokens`.
//!
//! The shapes of requests and answers are recorded. Of refusals only `OAUTH_TOKEN_UNKNOWN_OR_REVOKED`
//! and the shape of their bodies are: the other codes are made up, as assumptions.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::http::request::Parts;
use ring::digest;
use serde_json::json;

use super::account::Account;
use super::answer::{self, Reply};
use super::endpoint::{Endpoint, Version};
use super::grant::{Grant, basic, read_grant};
use super::partner::{Login, Partner, TokenQuirk};
use super::spec::Access;
use super::tokens::{Code, whole_seconds};
use super::world::World;

/// A request for a token.
pub(super) struct TokenRequest {
    login: Option<(String, String)>,
    /// The grant, or what is wrong with the body.
    grant: Result<Grant, String>,
    endpoint: Endpoint,
}

impl TokenRequest {
    pub(super) fn read(head: &Parts, body: &[u8]) -> Self {
        let (endpoint, grant) = read_grant(head, body);
        Self { login: basic(head), grant, endpoint }
    }

    pub(super) const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The partner whose user name is given, with its place, whether or not the password is right.
    pub(super) fn partner<'a>(&self, world: &'a World) -> Option<(usize, &'a Partner)> {
        let (email, _) = self.login.as_ref()?;
        world.partners.iter().enumerate().find(|(_, partner)| partner.spec.email == *email)
    }

    /// The account of the requested token.
    pub(super) fn account<'a>(&self, world: &'a World) -> Option<(usize, &'a Account)> {
        let place = match self.grant.as_ref().ok()? {
            Grant::Machine { .. } => None,
            Grant::Exchange { account_id, .. } => {
                world.accounts.iter().position(|account| account.id == *account_id)
            }
            Grant::Code { code, .. } => world.tokens.code(code).map(|code| code.account),
            Grant::Refresh { token, .. } => world.tokens.refresh_owner(token),
        }?;
        Some((place, world.accounts.get(place)?))
    }

    /// The requested tokens, or a refusal.
    pub(super) fn answer(&self, world: &World) -> Reply {
        match self.decide(world) {
            Ok((partner, issued)) => {
                partner.granted.add(self.endpoint);
                issued.reply(partner)
            }
            Err(refusal) => refusal.reply(),
        }
    }

    fn decide<'a>(&self, world: &'a World) -> Result<(&'a Partner, Issued), Refusal> {
        let (place, partner) = self.partner(world).ok_or(Refusal::Login)?;
        match partner.login() {
            Login::Good => {}
            Login::Refused => return Err(Refusal::Login),
            Login::Failing => return Err(Refusal::Broken),
        }
        let password = self.login.as_ref().map(|(_, password)| password);
        if password != Some(&partner.spec.password) {
            return Err(Refusal::Login);
        }
        let grant = self.grant.as_ref().map_err(|detail| Refusal::Invalid(detail.clone()))?;
        let issuer = TokenIssuer { world, partner, place, account: self.account(world) };
        Ok((partner, issuer.issue(grant)?))
    }
}

/// Issues tokens to a partner whose login was right.
struct TokenIssuer<'a> {
    world: &'a World,
    partner: &'a Partner,
    place: usize,
    account: Option<(usize, &'a Account)>,
}

impl TokenIssuer<'_> {
    fn issue(&self, grant: &Grant) -> Result<Issued, Refusal> {
        match grant {
            Grant::Machine { scope } => self.machine(scope),
            Grant::Exchange { machine_token, scope, .. } => self.exchange(machine_token, scope),
            Grant::Code { code, redirect_uri, client_id, verifier } => {
                self.code(code, redirect_uri, client_id, verifier)
            }
            Grant::Refresh { token, client_id } => self.refresh(token, client_id),
        }
    }

    fn machine(&self, scope: &str) -> Result<Issued, Refusal> {
        self.covered(scope)?;
        let ttl = self.partner.spec.machine_ttl;
        let access_token = self.world.tokens.new_machine(self.place, ttl);
        Ok(Issued { access_token, expires_in: whole_seconds(ttl), refresh_token: None })
    }

    fn exchange(&self, machine_token: &str, scope: &str) -> Result<Issued, Refusal> {
        if self.world.tokens.machine(machine_token) != Some(self.place) {
            return Err(Refusal::Token);
        }
        self.covered(scope)?;
        let ours = |account: &Account| {
            account.credential.is_white_label_of(&self.partner.name)
                && account.access() != Access::Revoked
        };
        let found = self.account.filter(|(_, account)| ours(account));
        let (place, account) = found.ok_or(Refusal::Subject)?;
        let with_refresh = self.partner.spec.has(TokenQuirk::RefreshTokenOnExchange);
        Ok(self.tokens(place, Some(&account.id), with_refresh))
    }

    fn code(
        &self,
        code: &str,
        redirect_uri: &str,
        client_id: &str,
        verifier: &str,
    ) -> Result<Issued, Refusal> {
        let stored = self.world.tokens.code(code).ok_or(Refusal::Code)?;
        let shown = Code {
            account: stored.account,
            partner: self.place,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge(verifier),
        };
        let fits = stored == shown && client_id == self.partner.spec.client_id;
        if !fits || !self.world.tokens.use_code(code) {
            return Err(Refusal::Code);
        }
        let account = self.world.accounts.get(stored.account).ok_or(Refusal::Code)?;
        Ok(self.tokens(stored.account, self.label_claim(account), true))
    }

    fn refresh(&self, token: &str, client_id: &str) -> Result<Issued, Refusal> {
        let (place, account) = self.account.ok_or(Refusal::Token)?;
        let label = account.credential.is_label_of(&self.partner.name);
        let ours = label || account.credential.is_white_label_of(&self.partner.name);
        let revoked = account.access() == Access::Revoked;
        if !ours || revoked || client_id != self.partner.spec.client_id {
            return Err(Refusal::Token);
        }
        let renewed = !self.partner.spec.has(TokenQuirk::LastingRefreshTokens);
        if !self.world.tokens.use_refresh(token, renewed) {
            return Err(Refusal::Token);
        }
        let claim = if label { self.label_claim(account) } else { Some(&*account.id) };
        Ok(self.tokens(place, claim, renewed))
    }

    fn tokens(&self, account: usize, child_id: Option<&str>, with_refresh: bool) -> Issued {
        let (spec, tokens) = (&self.partner.spec, &self.world.tokens);
        Issued {
            access_token: tokens.new_access(account, spec.access_ttl, child_id),
            expires_in: whole_seconds(spec.access_ttl),
            refresh_token: with_refresh.then(|| tokens.new_refresh(account, spec.refresh_ttl)),
        }
    }

    fn label_claim<'a>(&self, account: &'a Account) -> Option<&'a str> {
        let silent = self.partner.spec.has(TokenQuirk::NoChildId);
        (!silent).then_some(&*account.id)
    }

    fn covered(&self, scope: &str) -> Result<(), Refusal> {
        if self.partner.spec.covers(scope) { Ok(()) } else { Err(Refusal::Scope) }
    }
}

/// What was given out.
struct Issued {
    access_token: String,
    expires_in: u64,
    refresh_token: Option<String>,
}

impl Issued {
    fn reply(self, partner: &Partner) -> Reply {
        let mut data = json!({"access_token": self.access_token, "expires_in": self.expires_in});
        if let (Some(data), Some(token)) = (data.as_object_mut(), self.refresh_token) {
            data.insert("refresh_token".to_owned(), token.into());
            if partner.spec.has(TokenQuirk::RefreshExpiresIn) {
                let end = whole_seconds(partner.spec.refresh_ttl);
                data.insert("refresh_expires_in".to_owned(), end.into());
            }
        }
        if partner.spec.has(TokenQuirk::Bare) {
            answer::json(200, &data)
        } else {
            answer::enveloped(&data)
        }
    }
}

/// Why nothing was given out.
enum Refusal {
    Login,
    Broken,
    Invalid(String),
    Scope,
    Token,
    Subject,
    Code,
}

impl Refusal {
    fn reply(&self) -> Reply {
        let (status, code, title, detail) = match self {
            Self::Broken => return answer::error(Version::V2, 500),
            Self::Token => return answer::error(Version::V2, 401),
            Self::Invalid(detail) => return answer::invalid(Version::V2, detail),
            Self::Login => (
                401,
                "OAUTH_CLIENT_UNAUTHORIZED",
                "Unauthorized",
                "The user name or the password of the partner is wrong",
            ),
            Self::Scope => (
                400,
                "OAUTH_SCOPE_INVALID",
                "Bad Request",
                "The scope goes beyond what the partner may ask for",
            ),
            Self::Subject => (
                403,
                "OAUTH_SUBJECT_FORBIDDEN",
                "Forbidden",
                "The partner has no such account of its own",
            ),
            Self::Code => (
                400,
                "OAUTH_CODE_INVALID",
                "Bad Request",
                "The code is unknown, used or over, or was given for something else",
            ),
        };
        answer::refusal(Version::V2, status, code, title, detail)
    }
}

/// The base64url of the SHA-256 of a verifier.
pub(super) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests;
