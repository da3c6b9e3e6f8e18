//! The section `tls_server_config`: from names and files to what rustls serves with.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};

use super::clients::Clients;
use super::names::{self, ClientAuth};
use super::pem::{self, Authority};
use super::protocol::Protocol;
use super::reading::Reading;
use super::x509::Fields;
use crate::yaml::node::{Node, Section};
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
pub struct Tls {
    server: ServerConfig,
    clients: Option<Arc<Clients>>,
}

impl Tls {
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
    pub(super) fn read(node: Node<'_>, http2: bool, reading: &mut Reading<'_>) -> Option<Self> {
        let section = Section::open(node, &KEYS, &mut reading.report)?;
        let keys = Keys { section: &section };
        let protocol = Protocol::read(&keys, http2, reading);
        let _no_effect = keys.get("prefer_server_cipher_suites").map(|node| reading.flag(&node));
        let allowed = keys.allowed_names(reading);
        if !ENABLING.into_iter().any(|key| keys.given(key)) {
            if !matches!(section.node().tree(), Tree::Null) && !section.has_misspelt() {
                let what = "names no certificate, so there is no TLS; give cert_file and key_file";
                section.node().warn(&mut reading.report, what);
            }
            return None;
        }
        let provider = Arc::new(protocol.provider);
        let certified = keys.certificate(&provider, reading);
        let auth = keys.client_auth(reading);
        let authorities = keys.authorities(reading);
        let auth = auth?;
        if auth == ClientAuth::None {
            keys.check_unasked(authorities.is_some(), allowed.is_some(), reading);
        }
        let clients = Clients::new(auth, authorities, allowed, &provider).map(Arc::new);
        let builder = ServerConfig::builder_with_provider(provider);
        let Ok(builder) = builder.with_protocol_versions(&protocol.versions) else {
            let what = "leaves no way to encrypt: min_version, max_version and cipher_suites \
                        exclude each other";
            section.node().problem(&mut reading.report, what);
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

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// The keys of the section, one by one.
pub(super) struct Keys<'a> {
    section: &'a Section<'a>,
}

impl<'a> Keys<'a> {
    pub(super) fn get(&self, key: &'a str) -> Option<Node<'a>> {
        self.section.get(key)
    }

    /// Whether something stands under a key: an empty text counts as nothing.
    fn given(&self, key: &'a str) -> bool {
        let nothing = |tree: &Tree| match tree {
            Tree::Null => true,
            Tree::Text(text) => text.is_empty(),
            _ => false,
        };
        self.get(key).is_some_and(|node| !nothing(node.tree()))
    }

    /// The content that a key or, before it, a key for a file gives, with its node and a name for
    /// messages.
    fn content(
        &self,
        file_key: &'a str,
        key: &'a str,
        reading: &mut Reading<'_>,
    ) -> Option<(Node<'a>, Vec<u8>, String)> {
        if self.given(file_key) {
            let node = self.get(file_key)?;
            let written = reading.text(&node)?;
            let (content, name) = reading.file(&node, &written)?;
            return Some((node, content, format!("{name} ")));
        }
        let node = self.get(key).filter(|_| self.given(key))?;
        let content = reading.text(&node)?;
        Some((node, content.into_bytes(), String::new()))
    }

    fn certificate(
        &self,
        provider: &CryptoProvider,
        reading: &mut Reading<'_>,
    ) -> Option<CertifiedKey> {
        for (file_key, key) in [("cert_file", "cert"), ("key_file", "key")] {
            if !self.given(file_key) && !self.given(key) {
                let what = format!("has neither {file_key} nor {key}; TLS needs both halves");
                self.section.node().problem(&mut reading.report, &what);
            }
        }
        let chain = self.content("cert_file", "cert", reading).and_then(|(node, pem, name)| {
            let fault = |why: String| node.problem(&mut reading.report, &format!("{name}{why}"));
            Some((node, pem::certificates(&pem).map_err(fault).ok()?, name))
        });
        let key = self.content("key_file", "key", reading).and_then(|(node, pem, name)| {
            let fault = |why: String| node.problem(&mut reading.report, &format!("{name}{why}"));
            pem::key(&pem, provider).map_err(fault).ok()
        });
        let ((node, chain, name), key) = (chain?, key?);
        let own = chain.first().and_then(|own| Fields::of(own));
        if own.is_some_and(|own| own.valid.is_over()) {
            node.warn(&mut reading.report, &format!("{name}has expired; clients will refuse it"));
        }
        let fault = |why: String| node.problem(&mut reading.report, &format!("{name}{why}"));
        pem::pair(chain, key).map_err(fault).ok()
    }

    fn client_auth(&self, reading: &mut Reading<'_>) -> Option<ClientAuth> {
        let Some(node) = self.get("client_auth_type") else { return Some(ClientAuth::None) };
        let name = match node.tree() {
            Tree::Null => return Some(ClientAuth::None),
            _ => reading.text(&node)?,
        };
        let auth = names::client_auth(&name);
        if auth.is_none() {
            let what =
                format!("is no type of client authentication; there are {}", names::CLIENT_AUTHS);
            node.problem(&mut reading.report, &what);
        }
        auth
    }

    fn authorities(&self, reading: &mut Reading<'_>) -> Option<Vec<Authority>> {
        let (node, pem, name) = self.content("client_ca_file", "client_ca", reading)?;
        let fault = |why: String| node.problem(&mut reading.report, &format!("{name}{why}"));
        let read = pem::authorities(&pem).map_err(fault).ok()?;
        for (index, _) in read.iter().enumerate().filter(|(_, one)| one.valid.is_over()) {
            let number = index + 1;
            let what = format!("{name}holds a certificate, number {number}, that has expired");
            node.warn(&mut reading.report, &what);
        }
        Some(read)
    }

    /// What concerns clients of whom nothing is asked.
    fn check_unasked(&self, authorities: bool, names: bool, reading: &mut Reading<'_>) {
        let node = self.section.node();
        if authorities {
            let what = "has a client CA, and asks no client for a certificate; \
                        write client_auth_type: RequireAndVerifyClientCert";
            node.problem(&mut reading.report, what);
        }
        if names {
            let what = "has client_allowed_sans, and asks no client for a certificate, so every \
                        client may come; write client_auth_type: RequireAndVerifyClientCert";
            node.warn(&mut reading.report, what);
        }
    }

    fn allowed_names(&self, reading: &mut Reading<'_>) -> Option<BTreeSet<String>> {
        let node = self.get("client_allowed_sans")?;
        if matches!(node.tree(), Tree::Null) {
            return None;
        }
        let items: Vec<_> = node.items(&mut reading.report, "[prometheus.example.com]").collect();
        let names: BTreeSet<String> = items.iter().filter_map(|item| reading.text(item)).collect();
        if names.is_empty() {
            node.warn(&mut reading.report, "is empty, so no client may come");
        }
        Some(names)
    }
}
