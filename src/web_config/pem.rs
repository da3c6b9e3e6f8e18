//! Certificates and keys in PEM, and whether they go together.
//!
//! Failures are phrases that follow the name of the file or key; none holds what was read. Of a certificate
//! also the few fields that neither rustls nor webpki hand out: whatever is not as expected gives `None`,
//! because certificates of clients come from strangers.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::files;

/// A certificate authority.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    /// What webpki takes for him; it does not know for how long.
    pub(super) anchor: TrustAnchor<'static>,
    pub(super) valid: Validity,
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
    let listed = files::certificates(pem)?.into_iter().enumerate();
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

/// The fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CertificateFields<'a> {
    /// The public key with its algorithm, as a whole DER value.
    pub(super) public_key: &'a [u8],
    pub(super) valid: Validity,
    /// Whether a client may show it.
    pub(super) for_clients: bool,
    /// The alternative names: host names, mail addresses, URIs and addresses, as text.
    pub(super) names: Vec<String>,
}

/// First and last second in which a certificate is good, in seconds of Unix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity(i64, i64);

impl<'a> CertificateFields<'a> {
    /// Finds the fields of a certificate in DER.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let usage = certificate.extended_key_usage().ok()?;
        let listed = certificate.subject_alternative_name().ok()?;
        Some(Self {
            public_key: certificate.subject_pki.raw,
            valid: Validity(validity.not_before.timestamp(), validity.not_after.timestamp()),
            for_clients: usage.is_none_or(|usage| usage.value.any || usage.value.client_auth),
            names: listed.map_or(Some(Vec::new()), |listed| names(&listed.value.general_names))?,
        })
    }
}

impl Validity {
    /// Whether it holds then.
    pub(super) fn holds_at(self, moment: UnixTime) -> bool {
        i64::try_from(moment.as_secs()).is_ok_and(|now| (self.0..=self.1).contains(&now))
    }

    /// Whether it is over.
    pub(super) fn is_over(self) -> bool {
        i64::try_from(UnixTime::now().as_secs()).is_ok_and(|now| now > self.1)
    }
}

/// The names that a configuration may list, unless one is broken.
fn names(listed: &[GeneralName<'_>]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for name in listed {
        match name {
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
                names.push((*text).to_owned());
            }
            GeneralName::IPAddress(bytes) => names.push(address(bytes)?.to_string()),
            GeneralName::Invalid(..) => return None,
            _ => {}
        }
    }
    Some(names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Result<[u8; 4], _> = bytes.try_into();
    let sixteen: Result<[u8; 16], _> = bytes.try_into();
    four.map(IpAddr::from).or_else(|_| sixteen.map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SanType};

    use super::*;

    fn certificate() -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["host.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2021, 2, 3);
        params.not_after = rcgen::date_time_ymd(2055, 6, 7);
        params.subject_alt_names.push(SanType::IpAddress("10.1.2.3".parse().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.test".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://c/d".try_into().unwrap()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn the_fields_are_found() {
        let (der, key) = certificate();
        let fields = CertificateFields::of(&der).unwrap();
        let unix = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let names = ["host.test", "10.1.2.3", "2001:db8::1", "a@b.test", "spiffe://c/d"];
        let expected = CertificateFields {
            public_key: &key.subject_public_key_info(),
            valid: Validity(unix("2021-02-03T00:00:00Z"), unix("2055-06-07T00:00:00Z")),
            for_clients: false,
            names: names.map(str::to_owned).to_vec(),
        };
        assert_eq!(fields, expected);
        let holds_at = |text: &str| {
            let unix = Duration::from_secs(unix(text) as u64);
            fields.valid.holds_at(UnixTime::since_unix_epoch(unix))
        };
        assert!(!holds_at("2021-02-02T23:59:59Z"));
        assert!(holds_at("2021-02-03T00:00:00Z"));
        assert!(holds_at("2055-06-07T00:00:00Z"));
        assert!(!holds_at("2055-06-07T00:00:01Z"));
    }

    #[test]
    fn a_certificate_without_limits_is_for_clients() {
        let key = KeyPair::generate().unwrap();
        let der = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let fields = CertificateFields::of(&der).unwrap();
        assert!(fields.for_clients && fields.names.is_empty());
    }

    #[test]
    fn broken_certificates_are_answered() {
        let (der, _) = certificate();
        for length in 0..der.len() {
            assert_eq!(CertificateFields::of(&der[..length]), None, "{length}");
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[at] = value;
                // Whatever comes out: it must come out.
                let _ = CertificateFields::of(&broken);
            }
        }
    }
}
