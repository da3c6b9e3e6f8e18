//! Basic authentication: names and passwords of requests, checked off the async threads and cached.
//!
//! bcrypt takes a quarter of a second at the usual cost. [`Logins`] therefore limits how many
//! passwords are checked at once, takes clients in turn, and caches valid ones as a digest under a key
//! that exists only in this process. Invalid ones are checked each time; an unknown name takes as long
//! as a known one. Failures are counted, and logged at most once in [`LOG_PERIOD`].

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;
use tracing::warn;

use super::turns::Turns;
use crate::blocking;
use crate::blocking::lock;
use crate::metrics::ProcessMetrics;
use crate::net::client_network;
use crate::web_config::Users;

/// Passwords checked at the same time; each takes a processor.
const CHECKS_MAX: usize = 2;
/// Size limit of the cache of valid logins; it is cleared when full.
const CACHED_MAX: usize = 1024;
/// Shortest time between two lines of the log about failures.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// Checks logins and caches the valid ones.
pub(super) struct Logins {
    key: hmac::Key,
    valid: Mutex<HashSet<[u8; 32]>>,
    checks: Turns,
    failures: Mutex<Failures>,
    process: Arc<ProcessMetrics>,
}

/// Failures that are not logged yet.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    /// When the last line was logged.
    logged: Option<Instant>,
}

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAccess {
    RateLimited,
    LoginRequired,
    /// Too many passwords are being checked.
    Busy,
}

impl Logins {
    pub(super) fn new(process: Arc<ProcessMetrics>) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the operating system provides random numbers"),
            valid: Mutex::default(),
            checks: Turns::new(CHECKS_MAX),
            failures: Mutex::default(),
            process,
        }
    }

    /// Checks the login in these headers of a request from `peer`.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        users: &Users,
        peer: SocketAddr,
    ) -> Result<(), NoAccess> {
        let (name, password) = credentials(headers).ok_or(NoAccess::LoginRequired)?;
        let Some(check) = users.check_for(&name) else { return Ok(()) };
        let digest = self.digest(&name, &password, check.hash.identity().as_ref());
        // A name that is unknown by now may be checked against the hash that it had.
        let is_cached = || check.known && self.is_cached(&digest);
        if is_cached() {
            return Ok(());
        }
        let turn = self.checks.take(client_network(peer.ip())).await.ok_or(NoAccess::Busy)?;
        // The same login may have been checked while this one waited.
        if is_cached() {
            return Ok(());
        }
        let hash = check.hash;
        let matches = blocking::run(move || {
            // Held to the end, whatever becomes of the request.
            let _turn = turn;
            hash.matches(password.expose_secret())
        });
        if !(matches.await && check.known) {
            self.failed(peer);
            return Err(NoAccess::LoginRequired);
        }
        let mut valid = lock(&self.valid);
        if valid.len() >= CACHED_MAX {
            valid.clear();
        }
        valid.insert(digest);
        Ok(())
    }

    fn failed(&self, peer: SocketAddr) {
        self.process.login_failures.inc();
        let mut failures = lock(&self.failures);
        failures.count += 1;
        if failures.logged.is_none_or(|logged| logged.elapsed() >= LOG_PERIOD) {
            let count = std::mem::take(&mut failures.count);
            failures.logged = Some(Instant::now());
            warn!(failures = count, last_caller = %peer, "a name or a password was wrong");
        }
    }

    fn is_cached(&self, digest: &[u8; 32]) -> bool {
        lock(&self.valid).contains(digest)
    }

    /// A digest of name, password and hash; their lengths are included, so that they cannot be shifted.
    fn digest(&self, name: &str, password: &SecretSlice<u8>, hash: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name.as_bytes(), password.expose_secret(), hash] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes")
    }
}

/// The name and the password in `Basic` and the base64 of `name:password`.
fn credentials(headers: &HeaderMap) -> Option<(String, SecretSlice<u8>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = SecretSlice::from(STANDARD.decode(encoded).ok()?);
    let mut parts = pair.expose_secret().splitn(2, |byte| *byte == b':');
    let (name, password) = (parts.next()?, parts.next()?);
    // Names in the file are UTF-8, so a replaced character matches none.
    let name = String::from_utf8_lossy(name).into_owned();
    Some((name, SecretSlice::from(password.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn read(value: &'static str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        let (name, password) = credentials(&headers)?;
        Some((name, String::from_utf8(password.expose_secret().to_vec()).unwrap()))
    }

    #[test]
    fn credentials_are_read_from_the_header() {
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YWxpY2U6YTpi"), pair("alice", "a:b"));
        assert_eq!(read("bASIC Og=="), pair("", ""));
        for none in ["", "Basic", "Basic ", "Basic YWxpY2U=", "Bearer YWxpY2U6YTpi", "Basic ?"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn a_renamed_user_cannot_log_in_with_the_old_name() {
        // The password is "open sesame".
        const HASH: &str = "$2b$10$RQ0pK3O3KNnTnYMOg9KcUuuOmW1U/Jy7eSXLOhf2F4NxXkY2h9V5u";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        let users = |name: &str| {
            std::fs::write(&file, format!("basic_auth_users: {{{name}: {HASH}}}\n")).unwrap();
            crate::web_config::load(&file).unwrap().users
        };
        let (logins, peer) = (Logins::new(Arc::default()), "192.0.2.1:1".parse().unwrap());
        let mut headers = HeaderMap::new();
        let login = format!("Basic {}", STANDARD.encode("alice:open sesame"));
        headers.insert(AUTHORIZATION, login.parse().unwrap());
        assert!(logins.check(&headers, &users("alice"), peer).await.is_ok());
        let renamed = logins.check(&headers, &users("bob"), peer).await;
        assert!(matches!(renamed, Err(NoAccess::LoginRequired)), "{renamed:?}");
    }

    #[tokio::test]
    async fn a_request_that_is_aborted_leaves_its_check_in_its_turn() {
        // Takes a second or more.
        const SLOW: &str = "basic_auth_users: {alice: $2b$14$RQ0pK3O3KNnTnYMOg9KcUuuOmW1U/Jy7eSXLOhf2F4NxXkY2h9V5u}\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        std::fs::write(&file, SLOW).unwrap();
        let users = crate::web_config::load(&file).unwrap().users;
        let (logins, peer) = (Logins::new(Arc::default()), "192.0.2.1:1".parse().unwrap());
        for guess in 0..60 {
            let mut headers = HeaderMap::new();
            let login = format!("Basic {}", STANDARD.encode(format!("alice:{guess}")));
            headers.insert(AUTHORIZATION, login.parse().unwrap());
            let mut check = Box::pin(logins.check(&headers, &users, peer));
            assert!(futures_util::poll!(check.as_mut()).is_pending(), "{guess}");
        }
        assert_eq!(logins.checks.free(), 0);
    }

    #[test]
    fn the_digest_separates_name_and_password() {
        let logins = Logins::new(Arc::default());
        let digest = |name: &str, password: &str| {
            logins.digest(name, &password.as_bytes().to_vec().into(), b"hash")
        };
        assert_eq!(digest("alice", "secret"), digest("alice", "secret"));
        assert_ne!(digest("alice", "secret"), digest("alices", "ecret"));
        assert_ne!(digest("alice", "secret"), digest("alice", "secret2"));
    }
}
