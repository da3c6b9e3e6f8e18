//! The tokens in circulation: who holds which, and until when.
//!
//! [`Tokens`] is filled by `world` with what is good from the start and by `oauth`; `world` looks into
//! it for every request. Holders are places in the lists of accounts and partners.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use super::lock::lock;

/// How many tokens are kept before those that ended long ago are thrown away.
const KEPT: usize = 10_000;
/// How long it is remembered at least whose an ended token was.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How long a code may be turned into tokens: the most that OAuth recommends.
pub(super) const CODE_TTL: Duration = Duration::from_mins(10);
/// For what does not end by itself.
pub(super) const FOR_EVER: Duration = Duration::MAX;

/// What a text is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Good {
    /// An account's requests; it never changes.
    Fixed(usize),
    /// An account's requests.
    Access(usize),
    /// An account's next tokens.
    Refresh(usize),
    /// A partner's exchanges.
    Machine(usize),
    /// An account's first tokens.
    Code(Code),
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

/// All tokens of a simulation.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Entry>>);

struct Entry {
    good: Good,
    /// `None` is never.
    until: Option<Instant>,
}

impl Entry {
    fn lives(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    fn forgotten(&self) -> bool {
        self.until.is_some_and(|until| until.elapsed() > REMEMBERED)
    }
}

impl Tokens {
    /// Makes a text good for something.
    pub(super) fn adopt(&self, token: &str, good: Good, ttl: Duration) {
        let mut tokens = lock(&self.0);
        if tokens.len() >= KEPT {
            tokens.retain(|_, entry| !entry.forgotten());
        }
        let until = Instant::now().checked_add(ttl);
        tokens.insert(token.to_owned(), Entry { good, until });
    }

    /// A new text without a meaning that is good for something.
    pub(super) fn issue(&self, good: Good, ttl: Duration) -> String {
        let token = random();
        self.adopt(&token, good, ttl);
        token
    }

    /// A new token in the form of a JWT, which names an account if `child_id` is given.
    pub(super) fn issue_jwt(&self, good: Good, ttl: Duration, child_id: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let end = now.saturating_add(whole_seconds(ttl));
        let mut claims = json!({"iat": now, "exp": end, "jti": random()});
        if let (Some(claims), Some(id)) = (claims.as_object_mut(), child_id) {
            claims.insert("child_id".to_owned(), id.into());
        }
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(&json!({"alg": "HS256", "typ": "JWT"}));
        // No client has the key that would verify a signature, so that random bytes do.
        let token = format!("{header}.{}.{}", part(&claims), random());
        self.adopt(&token, good, ttl);
        token
    }

    /// What a text is good for, or was, and whether it still is.
    pub(super) fn find(&self, token: &str) -> Option<(Good, bool)> {
        lock(&self.0).get(token).map(|entry| (entry.good.clone(), entry.lives()))
    }

    /// What a text is good for.
    pub(super) fn live(&self, token: &str) -> Option<Good> {
        self.find(token).filter(|(_, live)| *live).map(|(good, _)| good)
    }

    /// Ends a token; false if it was not alive.
    pub(super) fn spend(&self, token: &str) -> bool {
        let mut tokens = lock(&self.0);
        let entry = tokens.get_mut(token).filter(|entry| entry.lives());
        entry.map(|entry| entry.until = Some(Instant::now())).is_some()
    }

    /// Ends all tokens that are good for this.
    pub(super) fn end(&self, good: &Good) {
        let mut tokens = lock(&self.0);
        let ended = tokens.values_mut().filter(|entry| entry.good == *good && entry.lives());
        ended.for_each(|entry| entry.until = Some(Instant::now()));
    }

    /// The texts that are good for this, in their order.
    pub(super) fn all(&self, good: &Good) -> Vec<String> {
        let tokens = lock(&self.0);
        let live = tokens.iter().filter(|(_, entry)| entry.good == *good && entry.lives());
        let mut live: Vec<_> = live.map(|(token, _)| token.clone()).collect();
        live.sort_unstable();
        live
    }
}

/// A lifetime as responses have it: whole seconds, rounded up.
pub(super) const fn whole_seconds(ttl: Duration) -> u64 {
    ttl.as_secs().saturating_add((ttl.subsec_nanos() > 0) as u64)
}

/// A text that cannot be guessed.
fn random() -> String {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
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
    fn tokens_have_the_form_of_a_jwt_and_are_never_the_same() {
        let tokens = Tokens::default();
        let issue = || tokens.issue_jwt(Good::Access(0), HOUR, Some("12345678"));
        let (one, other) = (issue(), issue());
        assert_ne!(one, other);
        let parts: Vec<_> =
            one.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!(parts.len(), 3);
        let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
        assert_eq!(claims["child_id"], "12345678");
        assert_eq!(tokens.issue(Good::Refresh(0), HOUR).len(), 43);
    }

    #[test]
    fn an_ended_token_still_has_its_account() {
        let tokens = Tokens::default();
        let good = Good::Access(3);
        let issue = |ttl| tokens.issue(good.clone(), ttl);
        let (live, over) = (issue(HOUR), issue(Duration::ZERO));
        assert_eq!(tokens.find(&live), Some((good.clone(), true)));
        assert_eq!(tokens.find(&over), Some((good.clone(), false)));
        assert_eq!(tokens.find("unheard-of"), None);
        tokens.end(&Good::Access(4));
        tokens.end(&Good::Refresh(3));
        assert_eq!(tokens.live(&live), Some(good.clone()));
        tokens.end(&good);
        assert_eq!((tokens.live(&live), tokens.find(&live)), (None, Some((good, false))));
    }

    #[test]
    fn a_spent_token_is_spent_once() {
        let tokens = Tokens::default();
        tokens.adopt("seed", Good::Refresh(1), HOUR);
        assert!(tokens.spend("seed") && !tokens.spend("seed") && !tokens.spend("unheard-of"));
        assert_eq!(tokens.find("seed"), Some((Good::Refresh(1), false)));
        let next = tokens.issue(Good::Refresh(1), HOUR);
        tokens.issue(Good::Refresh(2), HOUR);
        assert_eq!(tokens.all(&Good::Refresh(1)), [next]);
    }

    #[test]
    fn the_longest_lifetime_is_for_ever() {
        let tokens = Tokens::default();
        let token = tokens.issue(Good::Access(0), FOR_EVER);
        assert!(tokens.live(&token).is_some());
        tokens.end(&Good::Access(0));
        assert_eq!(tokens.live(&token), None);
    }

    #[test]
    fn tokens_that_ended_long_ago_are_forgotten() {
        let tokens = Tokens::default();
        for number in 0..KEPT {
            tokens.adopt(&number.to_string(), Good::Access(0), HOUR);
        }
        let long_ago = Instant::now().checked_sub(REMEMBERED * 2);
        for entry in lock(&tokens.0).values_mut().take(KEPT / 2) {
            entry.until = long_ago;
        }
        tokens.adopt("one more", Good::Access(0), HOUR);
        assert!(long_ago.is_none() || lock(&tokens.0).len() == KEPT / 2 + 1);
    }
}
