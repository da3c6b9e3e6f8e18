//! The section `tls_server_config`: from names and files to what rustls serves with.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{Error, ServerConfig};
use serde_saphyr::Spanned;

use super::clients::ClientVerifier;
use super::files::Files;
use super::names::ClientAuth;
use super::protocol::Protocol;
use super::tls_section::{ServerTlsKeys, check_switch, check_unasked};
use crate::problems::place::place;
use crate::problems::report::Scope;
use crate::text::opaque;

/// How to encrypt, and what to ask of clients.
#[derive(Clone)]
pub struct ServerTls {
    server: Arc<ServerConfig>,
    clients: Option<Arc<ClientVerifier>>,
}

impl ServerTls {
    /// What rustls serves with; sessions begun with one are resumed with the same one only.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The same with or without HTTP/2.
    #[must_use]
    pub fn with_http2(&self, http2: bool) -> Self {
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let mut server = (*self.server).clone();
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self { server: Arc::new(server), clients: self.clients.clone() }
    }

    /// Whether what a client showed when its session began is good now. To be asked where a session
    /// was resumed, because no certificate is shown then.
    ///
    /// # Errors
    /// What is wrong with the certificate, or that there is none.
    pub fn still_good(&self, shown: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        self.clients.as_ref().map_or(Ok(()), |clients| clients.still_good(shown))
    }

    /// What the section asks for; nothing if that is no TLS.
    pub(super) fn check(
        section: &Spanned<ServerTlsKeys>,
        http2: bool,
        files: &mut Files,
        scope: &mut Scope<'_>,
    ) -> Option<Self> {
        let (keys, at) = (&section.value, place(section));
        let protocol = Protocol::check(keys, http2, scope);
        let _no_effect = check_switch(
            keys.prefer_server_cipher_suites.as_ref(),
            "prefer_server_cipher_suites",
            scope,
        );
        let allowed = keys.allowed_names(scope);
        if !keys.enables_tls() {
            let what = "names no certificate, so there is no TLS; give cert_file and key_file";
            scope.warn(at, "", what);
            return None;
        }
        let provider = Arc::new(protocol.provider);
        let certified = keys.certificate(at, &provider, files, scope);
        let auth = keys.client_auth(scope);
        let authorities = keys.authorities(files, scope);
        let auth = auth?;
        if auth == ClientAuth::None {
            check_unasked(at, authorities.is_some(), allowed.is_some(), scope);
        }
        let clients = ClientVerifier::new(auth, authorities, allowed, &provider).map(Arc::new);
        let builder = ServerConfig::builder_with_provider(provider);
        let Ok(builder) = builder.with_protocol_versions(&protocol.versions) else {
            let what = "leaves no way to encrypt: min_version, max_version and cipher_suites \
                        exclude each other";
            return scope.refuse(at, "", what);
        };
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
            None => builder.with_no_client_auth(),
        };
        let server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified?)));
        Some(Self { server: Arc::new(server), clients }.with_http2(http2))
    }
}

opaque!(ServerTls);
