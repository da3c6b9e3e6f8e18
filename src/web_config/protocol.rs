//! Which TLS is spoken: versions, cipher suites and groups, as far as the file limits them.

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, SupportedProtocolVersion, version};
use serde_saphyr::Spanned;

use super::names::{self, Version};
use super::tls_section::{NamesKey, ServerTlsKeys};
use crate::problems::place::{At, place};
use crate::problems::report::Scope;

/// One of these every HTTP/2 client may insist on.
const HTTP2_CIPHERS: [CipherSuite; 2] = [
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
];

/// What is left to choose among.
pub(super) struct Protocol {
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) provider: CryptoProvider,
}

impl Protocol {
    /// Judges the keys that limit it. `http2` wants a cipher suite of its own.
    pub(super) fn check(keys: &ServerTlsKeys, http2: bool, scope: &mut Scope<'_>) -> Self {
        let least = version(keys.min_version.as_ref(), "min_version", Version::Tls12, scope);
        let most = version(keys.max_version.as_ref(), "max_version", Version::Tls13, scope);
        let mut provider = ring::default_provider();
        let groups = Kind { name: "curve", all: names::CURVES, look_up: names::curve };
        let groups = groups.listed(&keys.curve_preferences, "curve_preferences", scope);
        if !groups.is_empty() {
            provider.kx_groups.retain(|group| groups.contains(&group.name()));
        }
        let all = "those of TLS 1.3, and ECDHE with AES-GCM or ChaCha20-Poly1305";
        let suites = Kind { name: "cipher suite", all, look_up: names::cipher };
        let suites = suites.listed(&keys.cipher_suites, "cipher_suites", scope);
        if !suites.is_empty() {
            let lacking = !HTTP2_CIPHERS.iter().any(|needed| suites.contains(needed));
            if http2 && least < Version::Tls13 && lacking {
                let what = "lacks what HTTP/2 needs, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or \
                            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; add one, or write http2: false";
                scope.problem(keys.cipher_suites.as_ref().and_then(place), "cipher_suites", what);
            }
            // The list is about TLS 1.2; the suites of 1.3 are not to be chosen among.
            provider.cipher_suites.retain(|suite| {
                suite.version() == &version::TLS13 || suites.contains(&suite.suite())
            });
        }
        let of_12 = provider.cipher_suites.iter().any(|suite| suite.version() == &version::TLS12);
        let mut versions = Vec::new();
        if (least..=most).contains(&Version::Tls13) {
            versions.push(&version::TLS13);
        }
        if (least..=most).contains(&Version::Tls12) && of_12 {
            versions.push(&version::TLS12);
        }
        Self { versions, provider }
    }
}

fn version(
    name: Option<&Spanned<String>>,
    key: &str,
    default: Version,
    scope: &mut Scope<'_>,
) -> Version {
    let versions = Kind { name: "version of TLS", all: names::VERSIONS, look_up: names::version };
    name.and_then(|name| versions.known(&name.value, place(name), key, scope)).unwrap_or(default)
}

/// A kind of names.
struct Kind<T> {
    name: &'static str,
    /// What there is of it, in words.
    all: &'static str,
    look_up: fn(&str) -> Option<Result<T, &'static str>>,
}

impl<T> Kind<T> {
    fn listed(&self, list: &NamesKey, key: &str, scope: &mut Scope<'_>) -> Vec<T> {
        let mut found = Vec::new();
        for (index, item) in list.iter().flat_map(|list| &list.value).enumerate() {
            let name = item.value.as_deref().unwrap_or_default();
            found.extend(self.known(name, place(item), &format!("{key}[{index}]"), scope));
        }
        found
    }

    /// What a name stands for, or a problem that says why it stands for nothing. An unknown one may be a
    /// secret in the wrong place and is not repeated.
    fn known(&self, name: &str, at: At, key: &str, scope: &mut Scope<'_>) -> Option<T> {
        let Self { name: kind, all, look_up } = self;
        match look_up(name) {
            Some(Ok(found)) => Some(found),
            Some(Err(why)) => {
                let what = format_args!("{name} cannot be had: {why}; there are {all}");
                scope.refuse(at, key, what)
            }
            None => scope.refuse(at, key, format_args!("is no {kind}; there are {all}")),
        }
    }
}
