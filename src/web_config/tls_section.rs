//! The section `tls_server_config` and its keys, one by one.

use std::collections::BTreeSet;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::files::Files;
use super::names::{self, ClientAuth};
use super::pem::{self, Authority, CertificateFields};

use crate::files;
use crate::problems::place::{At, place};
use crate::problems::read::Written;
use crate::problems::report::Scope;

/// Text, taken as it is written; null is the default.
type TextKey = Option<Spanned<String>>;
/// A list of names.
pub(super) type NamesKey = Option<Spanned<Vec<Spanned<Option<String>>>>>;

/// The section.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerTlsKeys {
    cert: TextKey,
    key: TextKey,
    client_ca: TextKey,
    cert_file: TextKey,
    key_file: TextKey,
    client_auth_type: TextKey,
    client_ca_file: TextKey,
    client_allowed_sans: NamesKey,
    pub(super) min_version: TextKey,
    pub(super) max_version: TextKey,
    pub(super) cipher_suites: NamesKey,
    pub(super) prefer_server_cipher_suites: Option<Spanned<Written>>,
    pub(super) curve_preferences: NamesKey,
}

/// What was read from a key or from the file that another one names.
struct PemText {
    pem: Vec<u8>,
    at: At,
    /// The key that gave it.
    key: &'static str,
    /// How messages about it begin.
    name: String,
}

impl PemText {
    /// What `read` makes of it.
    fn read<T>(
        &self,
        scope: &mut Scope<'_>,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        read(&self.pem).map_err(|why| self.problem(scope, &why)).ok()
    }

    fn problem(&self, scope: &mut Scope<'_>, why: &str) {
        scope.problem(self.at, self.key, format_args!("{}{why}", self.name));
    }

    fn warn(&self, scope: &mut Scope<'_>, what: &str) {
        scope.warn(self.at, self.key, format_args!("{}{what}", self.name));
    }
}

/// The text under a key: an empty one counts as nothing.
fn given(key: &TextKey) -> Option<&Spanned<String>> {
    key.as_ref().filter(|text| !text.value.is_empty())
}

/// The content that a key or, before it, a key for a file gives.
fn content(
    file: (&'static str, &TextKey),
    text: (&'static str, &TextKey),
    files: &mut Files,
    scope: &mut Scope<'_>,
) -> Option<PemText> {
    if let (key, Some(written)) = (file.0, given(file.1)) {
        let (pem, name) = files.named(written, key, scope)?;
        return Some(PemText { pem, at: place(written), key, name: format!("{name} ") });
    }
    let written = given(text.1)?;
    let pem = written.value.clone().into_bytes();
    Some(PemText { pem, at: place(written), key: text.0, name: String::new() })
}

impl ServerTlsKeys {
    /// Whether the listener shall speak TLS; the other keys alone do nothing.
    pub(super) fn enables_tls(&self) -> bool {
        let enabling = [
            &self.cert_file,
            &self.cert,
            &self.key_file,
            &self.key,
            &self.client_ca_file,
            &self.client_ca,
            &self.client_auth_type,
        ];
        enabling.into_iter().any(|key| given(key).is_some())
    }

    /// The certificate of the server, for the section at `at`.
    pub(super) fn certificate(
        &self,
        at: At,
        provider: &CryptoProvider,
        files: &mut Files,
        scope: &mut Scope<'_>,
    ) -> Option<CertifiedKey> {
        let halves = [
            ("cert_file", &self.cert_file, "cert", &self.cert),
            ("key_file", &self.key_file, "key", &self.key),
        ];
        let [chain, key] = halves.map(|(file_key, file, text_key, text)| {
            if given(file).is_none() && given(text).is_none() {
                let what = format!("has neither {file_key} nor {text_key}; TLS needs both halves");
                scope.problem(at, "", what);
            }
            content((file_key, file), (text_key, text), files, scope)
        });
        let certificates = chain.as_ref().and_then(|text| text.read(scope, files::certificates));
        let key = key.and_then(|text| text.read(scope, |pem| pem::key(pem, provider)));
        let (text, certificates, key) = (chain?, certificates?, key?);
        let own = certificates.first().and_then(|own| CertificateFields::of(own));
        if own.is_some_and(|own| own.valid.is_over()) {
            text.warn(scope, "has expired; clients will refuse it");
        }
        text.read(scope, |_| pem::pair(certificates, key))
    }

    pub(super) fn client_auth(&self, scope: &mut Scope<'_>) -> Option<ClientAuth> {
        let Some(name) = &self.client_auth_type else { return Some(ClientAuth::None) };
        let what = "is no type of client authentication; there are";
        let what = format_args!("{what} {}", names::CLIENT_AUTHS);
        names::client_auth(&name.value)
            .or_else(|| scope.refuse(place(name), "client_auth_type", what))
    }

    pub(super) fn authorities(
        &self,
        files: &mut Files,
        scope: &mut Scope<'_>,
    ) -> Option<Vec<Authority>> {
        let file = ("client_ca_file", &self.client_ca_file);
        let content = content(file, ("client_ca", &self.client_ca), files, scope)?;
        let read = content.read(scope, pem::authorities)?;
        for (index, _) in read.iter().enumerate().filter(|(_, one)| one.valid.is_over()) {
            let what = format!("holds a certificate, number {}, that has expired", index + 1);
            content.warn(scope, &what);
        }
        Some(read)
    }

    pub(super) fn allowed_names(&self, scope: &mut Scope<'_>) -> Option<BTreeSet<String>> {
        let list = self.client_allowed_sans.as_ref()?;
        let names: BTreeSet<String> =
            list.value.iter().filter_map(|name| name.value.clone()).collect();
        if names.is_empty() {
            scope.warn(place(list), "client_allowed_sans", "is empty, so no client may come");
        }
        Some(names)
    }
}

/// Settings that have no effect without client authentication, in the section at `at`.
pub(super) fn check_unasked(at: At, authorities: bool, names: bool, scope: &mut Scope<'_>) {
    if authorities {
        let what = "has a client CA, and asks no client for a certificate; \
                    write client_auth_type: RequireAndVerifyClientCert";
        scope.problem(at, "", what);
    }
    if names {
        let what = "has client_allowed_sans, and asks no client for a certificate, so every \
                    client may come; write client_auth_type: RequireAndVerifyClientCert";
        scope.warn(at, "", what);
    }
}

/// A switch; nothing where it is not given or not good.
pub(super) fn check_switch(
    written: Option<&Spanned<Written>>,
    key: &str,
    scope: &mut Scope<'_>,
) -> Option<bool> {
    let written = written?;
    let wrong = "must be true or false, unquoted";
    written.value.as_bool().or_else(|| scope.refuse(place(written), key, wrong))
}
