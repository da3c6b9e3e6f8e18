//! Makes tokens that cannot be guessed.
//!
//! [`Mint`] draws from the system's random numbers and signs with a key of its own process, unlike
//! `rng`, whose numbers repeat with the seed. Called by `tokens`.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

/// Makes tokens.
pub(super) struct Mint {
    random: SystemRandom,
    key: hmac::Key,
}

impl Mint {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random);
        Self { random, key: key.expect("the system has random numbers") }
    }

    /// A token without a meaning.
    pub(super) fn opaque(&self) -> String {
        let mut bytes = [0_u8; 32];
        self.random.fill(&mut bytes).expect("the system has random numbers");
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A signed JWT with these claims and an id of its own.
    pub(super) fn jwt(&self, mut claims: Value) -> String {
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("jti".to_owned(), self.opaque().into());
        }
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_and_never_the_same() {
        let mint = Mint::new();
        let (one, other) = (mint.jwt(json!({"child_id": "12345678"})), mint.jwt(json!({})));
        let parts: Vec<_> =
            one.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!(parts.len(), 3);
        let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
        assert_eq!(claims["child_id"], "12345678");
        let (signed, _) = one.rsplit_once('.').unwrap();
        hmac::verify(&mint.key, signed.as_bytes(), &parts[2]).unwrap();
        assert_ne!(one, mint.jwt(json!({"child_id": "12345678"})));
        assert_ne!(other, Mint::new().jwt(json!({})));
        assert_eq!(mint.opaque().len(), 43);
    }
}
