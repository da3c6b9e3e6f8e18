//! Files with the certificates of authorities: the key `ca_file`.
//!
//! Read once, when the configuration is: [`network`](super::network) calls [`read_ca`]. Failures are
//! reported in words that follow the file's name.

use std::path::Path;

use rustls::RootCertStore;

use crate::account::Authorities;
use crate::files::{self, OpenFile};
use crate::text;

/// Largest file; the bundle of a whole operating system has a quarter of it.
const FILE_MAX: u64 = 1 << 20;

/// Reads every certificate of a file in PEM.
pub(super) fn read_ca(path: &Path) -> Result<Authorities, String> {
    let file = OpenFile::regular(path)?;
    if file.mode().is_writable_by_others() {
        let (mode, path) = (file.mode(), text::path(path));
        return Err(format!(
            "can be changed by every user of the host (mode {mode}); chmod o-w {path}"
        ));
    }
    let bytes = file.read(FILE_MAX)?;
    let bytes = bytes.ok_or("is too large to hold certificates of authorities and nothing else")?;
    Ok(Authorities::new(certificates(&bytes)?, path))
}

/// The certificates in a text in PEM, all of them usable and at least one.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates = files::certificates(pem).map_err(|error| error.to_string())?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|_| {
            format!("holds a certificate, number {}, that cannot be used", index + 1)
        })?;
    }
    Ok(certificates.iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        names.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn every_certificate_of_a_bundle_is_taken_and_nothing_else() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let pem = format!("# one\n{}\n{key}\n# two\n{}", certificate("a"), certificate("b"));
        assert_eq!(certificates(pem.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_bundle_is_told() {
        let good = certificate("a");
        let cut = &good[..good.len() / 2];
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let none = "holds no certificate in PEM, -----BEGIN CERTIFICATE-----";
        for (pem, expected) in [
            (String::new(), none),
            (rcgen::KeyPair::generate().unwrap().serialize_pem(), none),
            (cut.to_owned(), "is not PEM at certificate 1; copy it again"),
            (format!("{good}{cut}"), "is not PEM at certificate 2; copy it again"),
            (format!("{good}{empty}"), "holds a certificate, number 2, that cannot be used"),
        ] {
            assert_eq!(certificates(pem.as_bytes()).unwrap_err(), expected, "{pem}");
        }
        assert_eq!(certificates(b"\xff\0").unwrap_err(), none);
    }
}
