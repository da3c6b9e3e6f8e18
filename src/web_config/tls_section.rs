//! The keys of the section `tls_server_config`, one by one.

use std::collections::BTreeSet;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use super::names::{self, ClientAuth};
use super::pem::{self, Authority};
use super::section_reader::SectionReader;
use super::x509::CertificateFields;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::tree::Tree;

/// The keys of the section, one by one.
pub(super) struct TlsSection<'a> {
    pub(super) section: &'a MappingSection<'a>,
}

impl<'a> TlsSection<'a> {
    pub(super) fn get(&self, key: &'a str) -> Option<Node<'a>> {
        self.section.get(key)
    }

    /// Whether something stands under a key: an empty text counts as nothing.
    pub(super) fn given(&self, key: &'a str) -> bool {
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
        reader: &mut SectionReader<'_>,
    ) -> Option<(Node<'a>, Vec<u8>, String)> {
        if self.given(file_key) {
            let node = self.get(file_key)?;
            let written = reader.text(&node)?;
            let (content, name) = reader.file(&node, &written)?;
            return Some((node, content, format!("{name} ")));
        }
        let node = self.get(key).filter(|_| self.given(key))?;
        let content = reader.text(&node)?;
        Some((node, content.into_bytes(), String::new()))
    }

    pub(super) fn certificate(
        &self,
        provider: &CryptoProvider,
        reader: &mut SectionReader<'_>,
    ) -> Option<CertifiedKey> {
        for (file_key, key) in [("cert_file", "cert"), ("key_file", "key")] {
            if !self.given(file_key) && !self.given(key) {
                let what = format!("has neither {file_key} nor {key}; TLS needs both halves");
                self.section.node().problem(&mut reader.report, &what);
            }
        }
        let chain = self.content("cert_file", "cert", reader).and_then(|(node, pem, name)| {
            let fault = |why: String| node.problem(&mut reader.report, &format!("{name}{why}"));
            Some((node, pem::certificates(&pem).map_err(fault).ok()?, name))
        });
        let key = self.content("key_file", "key", reader).and_then(|(node, pem, name)| {
            let fault = |why: String| node.problem(&mut reader.report, &format!("{name}{why}"));
            pem::key(&pem, provider).map_err(fault).ok()
        });
        let ((node, chain, name), key) = (chain?, key?);
        let own = chain.first().and_then(|own| CertificateFields::of(own));
        if own.is_some_and(|own| own.valid.is_over()) {
            node.warn(&mut reader.report, &format!("{name}has expired; clients will refuse it"));
        }
        let fault = |why: String| node.problem(&mut reader.report, &format!("{name}{why}"));
        pem::pair(chain, key).map_err(fault).ok()
    }

    pub(super) fn client_auth(&self, reader: &mut SectionReader<'_>) -> Option<ClientAuth> {
        let Some(node) = self.get("client_auth_type") else { return Some(ClientAuth::None) };
        let name = match node.tree() {
            Tree::Null => return Some(ClientAuth::None),
            _ => reader.text(&node)?,
        };
        let auth = names::client_auth(&name);
        if auth.is_none() {
            let what =
                format!("is no type of client authentication; there are {}", names::CLIENT_AUTHS);
            node.problem(&mut reader.report, &what);
        }
        auth
    }

    pub(super) fn authorities(&self, reader: &mut SectionReader<'_>) -> Option<Vec<Authority>> {
        let (node, pem, name) = self.content("client_ca_file", "client_ca", reader)?;
        let fault = |why: String| node.problem(&mut reader.report, &format!("{name}{why}"));
        let read = pem::authorities(&pem).map_err(fault).ok()?;
        for (index, _) in read.iter().enumerate().filter(|(_, one)| one.valid.is_over()) {
            let number = index + 1;
            let what = format!("{name}holds a certificate, number {number}, that has expired");
            node.warn(&mut reader.report, &what);
        }
        Some(read)
    }

    /// Settings that have no effect without client authentication.
    pub(super) fn check_unasked(
        &self,
        authorities: bool,
        names: bool,
        reader: &mut SectionReader<'_>,
    ) {
        let node = self.section.node();
        if authorities {
            let what = "has a client CA, and asks no client for a certificate; \
                        write client_auth_type: RequireAndVerifyClientCert";
            node.problem(&mut reader.report, what);
        }
        if names {
            let what = "has client_allowed_sans, and asks no client for a certificate, so every \
                        client may come; write client_auth_type: RequireAndVerifyClientCert";
            node.warn(&mut reader.report, what);
        }
    }

    pub(super) fn allowed_names(&self, reader: &mut SectionReader<'_>) -> Option<BTreeSet<String>> {
        let node = self.get("client_allowed_sans")?;
        if matches!(node.tree(), Tree::Null) {
            return None;
        }
        let items: Vec<_> = node.items(&mut reader.report, "[prometheus.example.com]").collect();
        let names: BTreeSet<String> = items.iter().filter_map(|item| reader.text(item)).collect();
        if names.is_empty() {
            node.warn(&mut reader.report, "is empty, so no client may come");
        }
        Some(names)
    }
}
