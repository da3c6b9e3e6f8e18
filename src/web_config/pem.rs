//! Certificates and keys in PEM, and whether they go together.
//!
//! Failures are phrases that follow the name of the file or key; none holds what was read.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use rustls::sign::{CertifiedKey, SigningKey};

use super::x509::{CertificateFields, Validity};
use crate::files;

/// A certificate authority.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    /// What webpki takes for him; it does not know for how long.
    pub(super) anchor: TrustAnchor<'static>,
    pub(super) valid: Validity,
}

/// The certificates in a text, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    files::certificates(pem).map_err(|error| error.to_string())
}

/// The first private key in a text.
pub(super) fn key(pem: &[u8], provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let encrypted = pem.windows(9).any(|word| word == b"ENCRYPTED");
        if encrypted {
            "is encrypted, and there is no way to enter the password; decrypt it".to_owned()
        } else {
            "holds no private key in PEM, -----BEGIN PRIVATE KEY-----".to_owned()
        }
    })?;
    provider.key_provider.load_private_key(key).map_err(|_| {
        "is a key that cannot be used; RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, \
         and Ed25519 can"
            .to_owned()
    })
}

/// A certificate with its chain and the key that it is for.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
) -> Result<CertifiedKey, String> {
    let fields = chain.first().and_then(|certificate| CertificateFields::of(certificate));
    let fields = fields.ok_or("is not an X.509 certificate")?;
    let of_the_key = key.public_key().ok_or("cannot be compared with its key")?;
    if of_the_key.as_ref() != fields.public_key {
        let what = "is not for the key: they do not belong together; \
                    the server's own certificate comes first";
        return Err(what.to_owned());
    }
    Ok(CertifiedKey::new(chain, key))
}

/// The authorities in a text, all of them usable and at least one.
pub(super) fn authorities(pem: &[u8]) -> Result<Vec<Authority>, String> {
    let listed = certificates(pem)?.into_iter().enumerate();
    let authorities = listed.map(|(index, certificate)| {
        Authority::new(certificate).ok_or_else(|| {
            format!("holds a certificate, number {}, that cannot be used", index + 1)
        })
    });
    authorities.collect()
}

impl Authority {
    /// Nothing if the certificate is broken.
    pub(super) fn new(certificate: CertificateDer<'static>) -> Option<Self> {
        let valid = CertificateFields::of(&certificate)?.valid;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).ok()?;
        Some(Self { anchor: roots.roots.pop()?, valid, certificate })
    }
}
