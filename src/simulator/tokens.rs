//! The tokens in circulation: who holds which, and until when.
//!
//! [`Tokens`] is filled by `oauth` and read by `world` for every request with a bearer token that
//! is not an account's fixed one. Owners are places in the lists of accounts and partners.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::lock::lock;
use super::mint::Mint;

/// How many tokens are kept before those that ended long ago are thrown away.
const KEPT: usize = 10_000;
/// How long it is remembered at least whose an ended token was.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How long a code may be turned into tokens: the most that OAuth recommends.
const CODE_TTL: Duration = Duration::from_mins(10);

/// All tokens of a simulation.
pub(super) struct Tokens {
    mint: Mint,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Of accounts.
    access: TokenTable<usize>,
    /// Of accounts.
    refresh: TokenTable<usize>,
    /// Of partners.
    machine: TokenTable<usize>,
    codes: TokenTable<Code>,
}

/// What a code was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) account: usize,
    pub(super) partner: usize,
    pub(super) redirect_uri: String,
    /// The base64url of the SHA-256 of the verifier.
    pub(super) challenge: String,
}

/// A kind of token that an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Refresh,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self { mint: Mint::new(), held: Mutex::default() }
    }

    /// Whose access token this is, and whether it is still good.
    pub(super) fn access(&self, token: &str) -> Option<(usize, bool)> {
        let held = lock(&self.held);
        let (account, live) = held.access.find(token)?;
        Some((*account, live))
    }

    /// The partner whose live machine token this is.
    pub(super) fn machine(&self, token: &str) -> Option<usize> {
        lock(&self.held).machine.live(token).copied()
    }

    /// Whose refresh token this is, or was.
    pub(super) fn refresh_owner(&self, token: &str) -> Option<usize> {
        lock(&self.held).refresh.find(token).map(|(account, _)| *account)
    }

    /// What a live code was given for.
    pub(super) fn code(&self, code: &str) -> Option<Code> {
        lock(&self.held).codes.live(code).cloned()
    }

    /// A new access token of an account, which it names if `child_id` is given.
    pub(super) fn new_access(
        &self,
        account: usize,
        ttl: Duration,
        child_id: Option<&str>,
    ) -> String {
        let mut claims = dated(ttl);
        if let (Some(claims), Some(id)) = (claims.as_object_mut(), child_id) {
            claims.insert("child_id".to_owned(), id.into());
        }
        let token = self.mint.jwt(claims);
        lock(&self.held).access.put(token.clone(), account, ttl);
        token
    }

    /// A new machine token of a partner.
    pub(super) fn new_machine(&self, partner: usize, ttl: Duration) -> String {
        let token = self.mint.jwt(dated(ttl));
        lock(&self.held).machine.put(token.clone(), partner, ttl);
        token
    }

    /// A new refresh token of an account.
    pub(super) fn new_refresh(&self, account: usize, ttl: Duration) -> String {
        let token = self.mint.opaque();
        self.adopt_refresh(&token, account, ttl);
        token
    }

    /// Makes a text a refresh token of an account.
    pub(super) fn adopt_refresh(&self, token: &str, account: usize, ttl: Duration) {
        lock(&self.held).refresh.put(token.to_owned(), account, ttl);
    }

    pub(super) fn new_code(&self, code: Code) -> String {
        let text = self.mint.opaque();
        lock(&self.held).codes.put(text.clone(), code, CODE_TTL);
        text
    }

    /// Whether the refresh token was good until now; if `spend`, it no longer is.
    pub(super) fn use_refresh(&self, token: &str, spend: bool) -> bool {
        let mut held = lock(&self.held);
        if spend { held.refresh.spend(token) } else { held.refresh.live(token).is_some() }
    }

    /// Whether the code was good until now; it no longer is.
    pub(super) fn use_code(&self, code: &str) -> bool {
        lock(&self.held).codes.spend(code)
    }

    /// Ends the tokens of a kind that an account holds.
    pub(super) fn end(&self, account: usize, kind: Kind) {
        let mut held = lock(&self.held);
        let table = match kind {
            Kind::Access => &mut held.access,
            Kind::Refresh => &mut held.refresh,
        };
        table.end(account);
    }

    pub(super) fn end_machine(&self, partner: usize) {
        lock(&self.held).machine.end(partner);
    }

    pub(super) fn live_refresh(&self, account: usize) -> Vec<String> {
        lock(&self.held).refresh.all_live(account)
    }
}

/// A lifetime as responses have it: whole seconds, rounded up.
pub(super) const fn whole_seconds(ttl: Duration) -> u64 {
    ttl.as_secs().saturating_add((ttl.subsec_nanos() > 0) as u64)
}

/// The claims that say how long a token is good.
fn dated(ttl: Duration) -> serde_json::Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({"iat": now, "exp": now.saturating_add(whole_seconds(ttl))})
}

/// Tokens of one kind with their owners.
struct TokenTable<T> {
    tokens: HashMap<String, Entry<T>>,
}

struct Entry<T> {
    owner: T,
    /// `None` is never.
    until: Option<Instant>,
}

impl<T> Entry<T> {
    fn lives(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl<T> Default for TokenTable<T> {
    fn default() -> Self {
        Self { tokens: HashMap::new() }
    }
}

impl<T> TokenTable<T> {
    fn put(&mut self, token: String, owner: T, ttl: Duration) {
        let now = Instant::now();
        if self.tokens.len() >= KEPT {
            self.tokens.retain(|_, entry| {
                entry.lives(now) || entry.until.is_some_and(|until| now < until + REMEMBERED)
            });
        }
        self.tokens.insert(token, Entry { owner, until: now.checked_add(ttl) });
    }

    fn find(&self, token: &str) -> Option<(&T, bool)> {
        self.tokens.get(token).map(|entry| (&entry.owner, entry.lives(Instant::now())))
    }

    fn live(&self, token: &str) -> Option<&T> {
        self.find(token).filter(|(_, live)| *live).map(|(owner, _)| owner)
    }

    /// Ends a token; false if it was not alive.
    fn spend(&mut self, token: &str) -> bool {
        let now = Instant::now();
        match self.tokens.get_mut(token).filter(|entry| entry.lives(now)) {
            Some(entry) => {
                entry.until = Some(now);
                true
            }
            None => false,
        }
    }
}

impl TokenTable<usize> {
    fn end(&mut self, owner: usize) {
        let now = Instant::now();
        let live =
            self.tokens.values_mut().filter(|entry| entry.owner == owner && entry.lives(now));
        live.for_each(|entry| entry.until = Some(now));
    }

    /// The owner's live tokens, in the order of their texts.
    fn all_live(&self, owner: usize) -> Vec<String> {
        let now = Instant::now();
        let live = self.tokens.iter().filter(|(_, entry)| entry.owner == owner && entry.lives(now));
        let mut live: Vec<_> = live.map(|(token, _)| token.clone()).collect();
        live.sort_unstable();
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn lifetimes_are_whole_seconds_rounded_up() {
        let ms = Duration::from_millis;
        let all = [ms(0), ms(1), ms(1_000), ms(1_001), HOUR].map(whole_seconds);
        assert_eq!(all, [0, 1, 1, 2, 3_600]);
    }

    #[test]
    fn an_ended_token_still_has_its_account() {
        let tokens = Tokens::new();
        let (live, over) =
            (tokens.new_access(3, HOUR, None), tokens.new_access(3, Duration::ZERO, None));
        assert_eq!(tokens.access(&live), Some((3, true)));
        assert_eq!(tokens.access(&over), Some((3, false)));
        assert_eq!(tokens.access("unheard-of"), None);
        tokens.end(4, Kind::Access);
        tokens.end(3, Kind::Refresh);
        assert_eq!(tokens.access(&live), Some((3, true)));
        tokens.end(3, Kind::Access);
        assert_eq!(tokens.access(&live), Some((3, false)));
    }

    #[test]
    fn a_spent_refresh_token_is_spent_once() {
        let tokens = Tokens::new();
        tokens.adopt_refresh("seed", 1, HOUR);
        assert!(tokens.use_refresh("seed", false) && tokens.use_refresh("seed", true));
        assert!(!tokens.use_refresh("seed", true) && !tokens.use_refresh("seed", false));
        assert_eq!(tokens.refresh_owner("seed"), Some(1));
        let next = tokens.new_refresh(1, HOUR);
        tokens.new_refresh(2, HOUR);
        assert_eq!(tokens.live_refresh(1), [next]);
    }

    #[test]
    fn the_longest_lifetime_is_for_ever() {
        let tokens = Tokens::new();
        let token = tokens.new_access(0, Duration::MAX, None);
        assert_eq!(tokens.access(&token), Some((0, true)));
        tokens.end(0, Kind::Access);
        assert_eq!(tokens.access(&token), Some((0, false)));
    }

    #[test]
    fn tokens_that_ended_long_ago_are_forgotten() {
        let mut table = TokenTable::default();
        for number in 0..KEPT {
            table.put(number.to_string(), 0, HOUR);
        }
        let long_ago = Instant::now().checked_sub(REMEMBERED * 2);
        for entry in table.tokens.values_mut().take(KEPT / 2) {
            entry.until = long_ago;
        }
        table.put("one more".to_owned(), 0, HOUR);
        assert!(long_ago.is_none() || table.tokens.len() == KEPT / 2 + 1);
    }
}
