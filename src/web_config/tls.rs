//! The section `tls_server_config`: from names and files to what rustls serves with.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{Error, ServerConfig};

use super::clients::ClientVerifier;
use super::names::ClientAuth;
use super::protocol::Protocol;
use super::section_reader::SectionReader;
use super::tls_section::TlsSection;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::tree::Tree;

const KEYS: [&str; 13] = [
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
/// Any of these makes the listener speak TLS, or fail to; the others alone do nothing.
const ENABLING: [&str; 7] =
    ["cert_file", "cert", "key_file", "key", "client_ca_file", "client_ca", "client_auth_type"];

/// How to encrypt, and what to ask of clients.
#[derive(Clone)]
pub struct ServerTls {
    server: ServerConfig,
    clients: Option<Arc<ClientVerifier>>,
}

impl ServerTls {
    /// What rustls serves with; sessions begun with one are resumed with the same one only.
    pub fn server(&self, http2: bool) -> Arc<ServerConfig> {
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let mut server = self.server.clone();
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(server)
    }

    /// Whether what a client showed when its session began is good now. To be asked where a session
    /// was resumed, because no certificate is shown then.
    ///
    /// # Errors
    /// What is wrong with the certificate, or that there is none.
    pub fn still_good(&self, shown: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        self.clients.as_ref().map_or(Ok(()), |clients| clients.still_good(shown))
    }

    /// Reads the section; nothing if it does not ask for TLS.
    pub(super) fn read(
        node: Node<'_>,
        http2: bool,
        reader: &mut SectionReader<'_>,
    ) -> Option<Self> {
        let section = MappingSection::open(node, &KEYS, &mut reader.report)?;
        let keys = TlsSection { section: &section };
        let protocol = Protocol::read(&keys, http2, reader);
        let _no_effect = keys.get("prefer_server_cipher_suites").map(|node| reader.flag(&node));
        let allowed = keys.allowed_names(reader);
        if !ENABLING.into_iter().any(|key| keys.given(key)) {
            if !matches!(section.node().tree(), Tree::Null) && !section.has_misspelt() {
                let what = "names no certificate, so there is no TLS; give cert_file and key_file";
                section.node().warn(&mut reader.report, what);
            }
            return None;
        }
        let provider = Arc::new(protocol.provider);
        let certified = keys.certificate(&provider, reader);
        let auth = keys.client_auth(reader);
        let authorities = keys.authorities(reader);
        let auth = auth?;
        if auth == ClientAuth::None {
            keys.check_unasked(authorities.is_some(), allowed.is_some(), reader);
        }
        let clients = ClientVerifier::new(auth, authorities, allowed, &provider).map(Arc::new);
        let builder = ServerConfig::builder_with_provider(provider);
        let Ok(builder) = builder.with_protocol_versions(&protocol.versions) else {
            let what = "leaves no way to encrypt: min_version, max_version and cipher_suites \
                        exclude each other";
            section.node().problem(&mut reader.report, what);
            return None;
        };
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
            None => builder.with_no_client_auth(),
        };
        let server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified?)));
        Some(Self { server, clients })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("clients", &self.clients).finish_non_exhaustive()
    }
}
