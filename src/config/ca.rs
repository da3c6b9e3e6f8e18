//! Files with the certificates of authorities: the key `ca_file`.
//!
//! Read once, when the configuration is: [`network`](super::network) calls [`read_ca`]. Failures are
//! told in words that follow the file's name.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::account::Authorities;

use super::source::{check_regular, read_at_most};
use crate::text;

/// Largest file; the bundle of a whole operating system has a quarter of it.
const FILE_MAX: u64 = 1 << 20;
/// The permission bit that lets everybody write.
const EVERYBODY_WRITES: u32 = 0o002;

/// Reads every certificate of a file in PEM.
pub(super) fn read_ca(path: &Path) -> Result<Authorities, String> {
    let mode = check_regular(path)?.permissions().mode() & 0o777;
    if mode & EVERYBODY_WRITES != 0 {
        let path = text::path(path);
        return Err(format!(
            "can be changed by every user of the host (mode {mode:03o}); chmod o-w {path}"
        ));
    }
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = File::open(path).map_err(cannot)?;
    let bytes = read_at_most(&mut file, FILE_MAX).map_err(cannot)?;
    let bytes = bytes.ok_or("is too large to hold certificates of authorities and nothing else")?;
    Ok(authorities(&bytes)?.read_from(path))
}

/// The certificates in a text in PEM, all of them usable and at least one.
fn authorities(pem: &[u8]) -> Result<Authorities, String> {
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let number = certificates.len() + 1;
        // The parser's own words are left out: they may repeat what it read.
        let certificate = certificate
            .map_err(|_| format!("is not PEM at certificate {number}; copy the file again"))?;
        store
            .add(certificate.clone())
            .map_err(|_| format!("holds a certificate, number {number}, that cannot be used"))?;
        certificates.push(certificate.to_vec());
    }
    if certificates.is_empty() {
        return Err("holds no certificate in PEM, -----BEGIN CERTIFICATE-----".to_owned());
    }
    Ok(Authorities::new(certificates))
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
        assert_eq!(authorities(pem.as_bytes()).unwrap().certificates().count(), 2);
    }

    #[test]
    fn what_is_no_bundle_is_told() {
        let good = certificate("a");
        let cut = &good[..good.len() / 2];
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let none = "holds no certificate in PEM, -----BEGIN CERTIFICATE-----";
        for (pem, told) in [
            (String::new(), none),
            (rcgen::KeyPair::generate().unwrap().serialize_pem(), none),
            (cut.to_owned(), "is not PEM at certificate 1; copy the file again"),
            (format!("{good}{cut}"), "is not PEM at certificate 2; copy the file again"),
            (format!("{good}{empty}"), "holds a certificate, number 2, that cannot be used"),
        ] {
            assert_eq!(authorities(pem.as_bytes()).unwrap_err(), told, "{pem}");
        }
        assert_eq!(authorities(b"\xff\0").unwrap_err(), none);
    }
}
