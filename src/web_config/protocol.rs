//! Which TLS is spoken: versions, cipher suites and groups, as far as the file limits them.

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, SupportedProtocolVersion, version};

use super::names::{self, TlsName, Version};
use super::section_reader::SectionReader;
use super::tls_section::TlsSection;
use crate::yaml::node::Node;

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
    /// Reads the keys that limit it. `http2` wants a cipher suite of its own.
    pub(super) fn read(keys: &TlsSection<'_>, http2: bool, reader: &mut SectionReader<'_>) -> Self {
        let least = version(keys, "min_version", Version::Tls12, reader);
        let most = version(keys, "max_version", Version::Tls13, reader);
        let mut provider = ring::default_provider();
        let groups =
            listed(keys, "curve_preferences", names::curve, "curve", names::CURVES, reader);
        if !groups.is_empty() {
            provider.kx_groups.retain(|group| groups.contains(&group.name()));
        }
        let suites = "those of TLS 1.3, and ECDHE with AES-GCM or ChaCha20-Poly1305";
        let suites = listed(keys, "cipher_suites", names::cipher, "cipher suite", suites, reader);
        if !suites.is_empty() {
            check_http2(keys, http2, least, &suites, reader);
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
    keys: &TlsSection<'_>,
    key: &'static str,
    default: Version,
    reader: &mut SectionReader<'_>,
) -> Version {
    let Some(node) = keys.get(key) else { return default };
    let Some(name) = reader.text(&node) else { return default };
    known(&node, &name, names::version(&name), "version of TLS", names::VERSIONS, reader)
        .unwrap_or(default)
}

fn check_http2(
    keys: &TlsSection<'_>,
    http2: bool,
    least: Version,
    suites: &[CipherSuite],
    reader: &mut SectionReader<'_>,
) {
    let missing = !HTTP2_CIPHERS.iter().any(|needed| suites.contains(needed));
    if let Some(node) = keys.get("cipher_suites")
        && http2
        && least < Version::Tls13
        && missing
    {
        let what = "lacks what HTTP/2 needs, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or \
                    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; add one, or write http2: false";
        node.problem(&mut reader.report, what);
    }
}

/// A list of names.
fn listed<T>(
    keys: &TlsSection<'_>,
    key: &'static str,
    look_up: impl Fn(&str) -> Option<TlsName<T>>,
    kind: &str,
    all: &str,
    reader: &mut SectionReader<'_>,
) -> Vec<T> {
    let Some(node) = keys.get(key) else { return Vec::new() };
    let items: Vec<_> = node.items(&mut reader.report, "a list of names").collect();
    let mut found = Vec::new();
    for item in &items {
        let name = reader.text(item).unwrap_or_default();
        found.extend(known(item, &name, look_up(&name), kind, all, reader));
    }
    found
}

/// What a name stands for, or a problem that says why it stands for nothing.
fn known<T>(
    node: &Node<'_>,
    name: &str,
    found: Option<TlsName<T>>,
    kind: &str,
    all: &str,
    reader: &mut SectionReader<'_>,
) -> Option<T> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let shown = name.len() <= 50 && !name.is_empty() && name.bytes().all(plain);
    let name = if shown { format!("{name} ") } else { String::new() };
    let what = match found {
        Some(TlsName::Supported(found)) => return Some(found),
        Some(TlsName::Unsupported(why)) => format!("{name}cannot be had: {why}; there are {all}"),
        None => format!("{name}is no {kind}; there are {all}"),
    };
    node.problem(&mut reader.report, &what);
    None
}
