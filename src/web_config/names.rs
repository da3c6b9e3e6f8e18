//! Names of TLS parts as Go spells them, and what rustls has of them.
//!
//! A name that Go knows and rustls lacks is distinguished from an unknown one: the first needs a
//! decision, the second a correction.

use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

/// A name of something that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsName<T> {
    /// We have it.
    Supported(T),
    /// It exists, but not here; the reason.
    Unsupported(&'static str),
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// When a client has to show a certificate, and whether it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// For messages about `min_version` and `max_version`.
pub(super) const VERSIONS: &str = "TLS12 and TLS13";
/// For messages about `curve_preferences`.
pub(super) const CURVES: &str = "X25519, CurveP256 and CurveP384";
/// For messages about `client_auth_type`.
pub(super) const CLIENT_AUTHS: &str = "NoClientCert, RequestClientCert, RequireAnyClientCert, \
                                       VerifyClientCertIfGiven and RequireAndVerifyClientCert";

pub(super) fn version(name: &str) -> Option<TlsName<Version>> {
    Some(match name {
        "TLS12" => TlsName::Supported(Version::Tls12),
        "TLS13" => TlsName::Supported(Version::Tls13),
        "TLS10" | "TLS11" => {
            TlsName::Unsupported("TLS 1.0 and 1.1 are broken, and rustls lacks them")
        }
        _ => return None,
    })
}

pub(super) fn curve(name: &str) -> Option<TlsName<NamedGroup>> {
    Some(match name {
        "X25519" => TlsName::Supported(NamedGroup::X25519),
        "CurveP256" => TlsName::Supported(NamedGroup::secp256r1),
        "CurveP384" => TlsName::Supported(NamedGroup::secp384r1),
        "CurveP521" => TlsName::Unsupported("rustls has no P-521"),
        _ => return None,
    })
}

pub(super) fn cipher(name: &str) -> Option<TlsName<CipherSuite>> {
    // rustls has the same names, but says of those of TLS 1.3 which they are.
    let is_named = |suite: &CipherSuite| format!("{suite:?}").replacen("TLS13_", "TLS_", 1) == name;
    let found = ALL_CIPHER_SUITES.iter().map(SupportedCipherSuite::suite).find(is_named);
    found.map(TlsName::Supported).or_else(|| lacking_cipher(name))
}

/// The others of Go's `CipherSuites` and `InsecureCipherSuites`.
fn lacking_cipher<T>(name: &str) -> Option<TlsName<T>> {
    let suite = name.strip_prefix("TLS_")?;
    let (exchange, bulk) = suite.split_once("_WITH_")?;
    let bulk_exists = |names: &[&str]| names.contains(&bulk);
    let known = match exchange {
        "RSA" => bulk_exists(&[
            "RC4_128_SHA",
            "3DES_EDE_CBC_SHA",
            "AES_128_CBC_SHA",
            "AES_256_CBC_SHA",
            "AES_128_CBC_SHA256",
            "AES_128_GCM_SHA256",
            "AES_256_GCM_SHA384",
        ]),
        "ECDHE_ECDSA" | "ECDHE_RSA" => {
            bulk_exists(&[
                "RC4_128_SHA",
                "AES_128_CBC_SHA",
                "AES_256_CBC_SHA",
                "AES_128_CBC_SHA256",
            ]) || name == "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"
        }
        _ => false,
    };
    let why = if exchange == "RSA" {
        "rustls lacks RSA key exchange, which has no forward secrecy"
    } else {
        "rustls lacks CBC, RC4 and 3DES"
    };
    known.then_some(TlsName::Unsupported(why))
}

pub(super) fn client_auth(name: &str) -> Option<ClientAuth> {
    Some(match name {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        // The second is what it was called in old files.
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_distinguished_from_unsupported_ones() {
        for name in [
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        ] {
            assert!(matches!(cipher(name), Some(TlsName::Unsupported(_))), "{name}");
        }
        for name in [
            "",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048",
            "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA",
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
            "tls_aes_128_gcm_sha256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ] {
            assert_eq!(cipher(name), None, "{name}");
        }
        assert_eq!(curve("CurveP257"), None);
        assert_eq!(version("TLS111"), None);
        assert_eq!(client_auth("requireAnyClientCert"), None);
    }
}
