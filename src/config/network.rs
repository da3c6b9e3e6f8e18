//! How an account reaches its API: `base_url`, `rate_limit`, `tls` and `proxy_url`.
//!
//! An account file may set all of them, because they only concern the tokens that its own accounts send; the
//! one that reads a file of the host, `ca_file`, is confined to `secrets_dir` as token files are.

use std::path::Path;

use rustls::RootCertStore;
use serde::Deserialize;
use url::Url;

use super::file_scope::FileScope;
use super::key::Key;
use super::value::{Address, Bounded, HOUR, PathText, Percentage, Time};
use crate::account::{Api, Authorities, ProxyUrl, RateLimit, Tls};
use crate::files::{self, OpenFile};
use crate::net::is_loopback;
use crate::problems::report::Scope;
use crate::text;

/// How many requests the API takes of a token.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RateLimitKeys {
    /// How many requests the API takes of the token …
    requests: Key<Bounded<1, 100_000>>,
    /// … in each window of this length.
    per: Key<Time<100, HOUR>>,
    /// Which part of them the exporter uses at most; the customer's CRM needs the rest.
    share: Key<Percentage>,
}

impl RateLimitKeys {
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> RateLimit {
        let usual = RateLimit::default();
        RateLimit {
            requests: self.requests.or(usual.requests as usize, "requests", scope) as u32,
            per: self.per.or(usual.per, "per", scope),
            share: self.share.or(usual.share, "share", scope),
        }
    }
}

/// How the API's certificate is checked; that of an https proxy, too.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsKeys {
    /// Authorities to trust, in PEM and up to 1 MiB, in place of those of the system; read at start.
    ca_file: Key<PathText>,
    /// Accepts every certificate; the token can be read on the network path.
    insecure_skip_verify: Key<bool>,
}

impl TlsKeys {
    pub(super) fn check(&self, scope: &mut FileScope<'_>) -> Tls {
        let ca = scope.optional_file(&self.ca_file, "ca_file", read_ca);
        let insecure_skip_verify =
            self.insecure_skip_verify.or(false, "insecure_skip_verify", scope);
        if insecure_skip_verify {
            let what = "takes every certificate, so everyone on the network path can read the token; \
                        ca_file trusts an authority of your own";
            scope.warn(self.insecure_skip_verify.at, "insecure_skip_verify", what);
        }
        Tls { ca, insecure_skip_verify }
    }
}

/// The address of the API, which stands under `base_url`: https unless it is on loopback or plain HTTP is
/// `allowed` explicitly.
pub(super) fn check_base_url(
    base_url: &Key<Address>,
    allowed: bool,
    api: Api,
    proxy: Option<&ProxyUrl>,
    scope: &mut Scope<'_>,
) -> Option<Url> {
    let url =
        if base_url.is_given() { base_url.get("base_url", scope)? } else { default_base_url(api) };
    let leak = leak(&url, proxy);
    if let Some(fault) = url_fault(&url).or(leak.filter(|_| !allowed)) {
        return scope.refuse(base_url.at, "base_url", fault);
    }
    if leak.is_some() {
        let what = "sends the token unencrypted, as allow_insecure_http says; \
                    everyone on the network path can read it";
        scope.warn(base_url.at, "base_url", what);
    }
    Some(url)
}

/// Where an API lives, unless configured.
fn default_base_url(api: Api) -> Url {
    let address = match api {
        Api::V2 => "https://tech.wazzup24.com",
        Api::V3 => "https://api.wazzup24.com",
    };
    Url::parse(address).expect("both are addresses")
}

fn url_fault(url: &Url) -> Option<&'static str> {
    let login = !url.username().is_empty() || url.password().is_some();
    let faults = [
        (url.host().is_none(), "is not an address of an API; write https://tech.wazzup24.com"),
        (!matches!(url.scheme(), "http" | "https"), "must start with https://"),
        (login, "holds a user name or a password; remove it, auth is the place for the token"),
        (url.query().is_some(), "has a query (?…); remove it"),
        (url.fragment().is_some(), "has a fragment (#…); remove it"),
    ];
    faults.into_iter().find_map(|(wrong, fault)| wrong.then_some(fault))
}

/// Where a token would leave this host without encryption.
fn leak(url: &Url, proxy: Option<&ProxyUrl>) -> Option<&'static str> {
    if url.scheme() != "http" {
        None
    } else if !is_loopback(url) {
        Some(
            "would send the token unencrypted; write https://, or set allow_insecure_http: true \
             (http is for localhost, 127.0.0.0/8 and [::1])",
        )
    } else if proxy.is_some_and(|proxy| !is_loopback(&proxy.address())) {
        Some(
            "would send the token unencrypted to the proxy, whose own loopback it names; \
             remove proxy_url, or set allow_insecure_http: true",
        )
    } else {
        None
    }
}

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
    let certificates = files::certificates(pem)?;
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
