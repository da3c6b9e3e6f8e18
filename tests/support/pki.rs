//! Certificates for a server and its clients, made for one test.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;

use super::files::write_private;

/// An authority, and a folder with what a server needs.
pub(crate) struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pki {
    /// A folder with `ca.crt`, `server.crt` and `server.key`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = authority(folder.path().to_str().unwrap());
        let pki = Self { issuer, folder };
        pki.write("ca.crt", &pki.ca());
        pki.renew();
        pki
    }

    /// The authority's own certificate.
    pub(crate) fn ca(&self) -> String {
        self.issuer.pem()
    }

    /// Puts a new certificate with a new key in the place of the server's; returns the former.
    pub(crate) fn renew(&self) -> String {
        let pair = self.server();
        self.install(&pair);
        pair.certificate
    }

    /// What a server on loopback needs.
    pub(crate) fn server(&self) -> Pair {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        params.subject_alt_names.push(SanType::IpAddress(loopback));
        self.issue(&params)
    }

    /// Makes it the server's.
    pub(crate) fn install(&self, pair: &Pair) {
        self.write("server.crt", &pair.certificate);
        self.write("server.key", &pair.key);
    }

    /// A certificate for a client with these alternative names.
    pub(crate) fn client(&self, names: &[SanType]) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        self.issue(&params)
    }

    /// A certificate as it is wanted.
    pub(crate) fn issue(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the folder, whole at once.
    pub(crate) fn write(&self, name: &str, content: &str) {
        write_private(&self.path(name), content);
    }
}

/// An authority of this name.
pub(crate) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A self-signed certificate.
pub(crate) fn self_signed(params: &CertificateParams) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// The alternative name of a host.
pub(crate) fn host(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}
