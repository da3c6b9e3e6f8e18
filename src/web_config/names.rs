//! Names of TLS parts as Go spells them, and what rustls has of them.
//!
//! A name that Go knows and rustls lacks is distinguished from an unknown one, because the first needs a
//! decision, the second a correction: the first gives a reason, the second nothing.

use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

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

/// What a name stands for, or why it cannot be had; nothing if there is no such name.
type Lookup<T> = Option<Result<T, &'static str>>;

pub(super) fn version(name: &str) -> Lookup<Version> {
    Some(match name {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        "TLS10" | "TLS11" => Err("TLS 1.0 and 1.1 are broken, and rustls lacks them"),
        _ => return None,
    })
}

pub(super) fn curve(name: &str) -> Lookup<NamedGroup> {
    Some(match name {
        "X25519" => Ok(NamedGroup::X25519),
        "CurveP256" => Ok(NamedGroup::secp256r1),
        "CurveP384" => Ok(NamedGroup::secp384r1),
        "CurveP521" => Err("rustls has no P-521"),
        _ => return None,
    })
}

/// The longest names of cipher suites have 45 letters.
const NAME_MAX: usize = 50;

pub(super) fn cipher(name: &str) -> Lookup<CipherSuite> {
    // rustls has the same names, but says of those of TLS 1.3 which they are.
    let is_named = |suite: &CipherSuite| format!("{suite:?}").replacen("TLS13_", "TLS_", 1) == name;
    let found = ALL_CIPHER_SUITES.iter().map(SupportedCipherSuite::suite).find(is_named);
    if let Some(found) = found {
        return Some(Ok(found));
    }
    // What is said of a name repeats it.
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() > NAME_MAX || !name.bytes().all(is_letter) {
        return None;
    }
    if name.starts_with("TLS_RSA_WITH_") {
        return Some(Err("rustls lacks RSA key exchange, which has no forward secrecy"));
    }
    let is_old = ["_CBC_", "_RC4_", "_3DES_"].iter().any(|kind| name.contains(kind));
    (is_old && name.starts_with("TLS_ECDHE_")).then_some(Err("rustls lacks CBC, RC4 and 3DES"))
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
            "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
        ] {
            assert!(matches!(cipher(name), Some(Err(_))), "{name}");
        }
        for name in [
            "",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048",
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
            "tls_aes_128_gcm_sha256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_RSA_WITH_\nconfig.yaml:1:1: this too",
            "TLS_RSA_WITH_A_SECRET_THAT_SOMEBODY_PUT_HERE_BY_MISTAKE",
        ] {
            assert_eq!(cipher(name), None, "{name}");
        }
        assert_eq!(curve("CurveP257"), None);
        assert_eq!(version("TLS111"), None);
        assert_eq!(client_auth("requireAnyClientCert"), None);
    }
}
