//! Who has logged in: names and passwords of requests, tried aside and remembered.
//!
//! bcrypt takes a quarter of a second at the usual cost. [`Logins`] therefore bounds how many
//! passwords are tried at once and how many wait, and remembers good ones by a digest under a key
//! that lives as long as the process. Bad ones are tried anew each time; an unknown name costs what
//! a known one costs.

use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::sync::Semaphore;

use crate::blocking;
use crate::blocking::lock;
use crate::web_config::Users;

/// Passwords tried at the same time; each takes a processor.
const TRIALS_MAX: usize = 2;
/// RequestsStatus that wait for their password to be tried.
const WAITING_MAX: usize = 64;
/// Good logins that are remembered; all are forgotten when more come.
const REMEMBERED_MAX: usize = 1024;

/// What passwords were good.
#[derive(Debug)]
pub(super) struct Logins {
    key: hmac::Key,
    good: Mutex<HashSet<[u8; 32]>>,
    trials: Semaphore,
    waiting: Semaphore,
}

/// What is to be thought of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginResult {
    Good,
    Bad,
    /// Too many passwords are being tried.
    Busy,
}

/// What a request says about its sender.
struct BasicCredentials {
    name: String,
    password: SecretSlice<u8>,
}

impl Logins {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the system gives random numbers, or TLS would not work either"),
            good: Mutex::default(),
            trials: Semaphore::new(TRIALS_MAX),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// Whether the sender of these headers may come in.
    pub(super) async fn check(&self, headers: &HeaderMap, users: &Users) -> LoginResult {
        let Some(credentials) = BasicCredentials::of(headers) else { return LoginResult::Bad };
        let Some(check) = users.check_for(&credentials.name) else { return LoginResult::Good };
        let digest = self.digest(&credentials, check.hash.identity().as_ref());
        if self.remembers(&digest) {
            return LoginResult::Good;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return LoginResult::Busy };
        let _turn = self.trials.acquire().await.expect("nobody closes this semaphore");
        // Somebody before us may have brought the same.
        if self.remembers(&digest) {
            return LoginResult::Good;
        }
        let password = credentials.password;
        let hash = check.hash;
        let matches = blocking::run(move || hash.matches(password.expose_secret())).await;
        if !(matches && check.known) {
            return LoginResult::Bad;
        }
        let mut good = lock(&self.good);
        if good.len() >= REMEMBERED_MAX {
            good.clear();
        }
        good.insert(digest);
        LoginResult::Good
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        lock(&self.good).contains(digest)
    }

    /// One digest per name, password and hash: their lengths keep them apart.
    fn digest(&self, credentials: &BasicCredentials, hash: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        let password = credentials.password.expose_secret();
        for part in [credentials.name.as_bytes(), password, hash] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes")
    }
}

impl BasicCredentials {
    /// Reads `Basic` and the base64 of `name:password`.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = SecretSlice::from(STANDARD.decode(encoded).ok()?);
        let mut parts = pair.expose_secret().splitn(2, |byte| *byte == b':');
        let (name, password) = (parts.next()?, parts.next()?);
        // No name in the file has what is replaced here.
        let name = String::from_utf8_lossy(name).into_owned();
        Some(Self { name, password: SecretSlice::from(password.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn credentials(value: &'static str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        let BasicCredentials { name, password } = BasicCredentials::of(&headers)?;
        Some((name, String::from_utf8(password.expose_secret().to_vec()).unwrap()))
    }

    #[test]
    fn credentials_are_read_from_the_header() {
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(credentials("Basic YWxpY2U6YTpi"), pair("alice", "a:b"));
        assert_eq!(credentials("bASIC Og=="), pair("", ""));
        for none in ["", "Basic", "Basic ", "Basic YWxpY2U=", "Bearer YWxpY2U6YTpi", "Basic ?"] {
            assert_eq!(credentials(none), None, "{none}");
        }
    }

    #[test]
    fn names_and_passwords_do_not_run_into_each_other() {
        let logins = Logins::new();
        let digest = |name: &str, password: &str| {
            let credentials = BasicCredentials {
                name: name.to_owned(),
                password: password.as_bytes().to_vec().into(),
            };
            logins.digest(&credentials, b"hash")
        };
        assert_eq!(digest("alice", "secret"), digest("alice", "secret"));
        assert_ne!(digest("alice", "secret"), digest("alices", "ecret"));
        assert_ne!(digest("alice", "secret"), digest("alice", "secret2"));
    }
}
