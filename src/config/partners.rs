//! The logins of technical partners: the mapping `partners` of the main file.
//!
//! Accounts name them; [`Partners::find`] is called by [`auth`](super::auth).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use crate::account::Partner;

use super::origin::FileTrust;
use super::token::check_password_file;
use super::value::{PATH_MAX, flag, line};
use crate::yaml::hint::{similar, tellable};
use crate::yaml::node::{MappingSection, Node, unique_entries};
use crate::yaml::problem::name_of;
use crate::yaml::report::Report;
use crate::yaml::tree::Tree;

/// What tokens are asked for, unless configured.
const DEFAULT_SCOPE: &str = "transport,crm";
/// Longest user name, scope, client id and redirect address, in characters.
const TEXT_MAX: usize = 256;

/// The partners by name; without a value those that are named but not usable.
#[derive(Default)]
pub(super) struct Partners(BTreeMap<String, Option<Arc<Partner>>>);

impl Partners {
    /// Reads a mapping `partners`; relative paths in it count from `folder`.
    pub(super) fn read(node: &Node<'_>, folder: &Path, report: &mut Report) -> Self {
        if !matches!(node.tree(), Tree::Map(_) | Tree::Null) {
            let what = format!(
                "is {} where a mapping is wanted; write main: {{email: …}}",
                node.tree().kind()
            );
            node.problem(report, &what);
        }
        let partners = unique_entries(node, report);
        let read = |(name, entry): (&str, Node<'_>)| {
            (name.to_owned(), partner(name, entry, folder, report).map(Arc::new))
        };
        Self(partners.into_iter().map(read).collect())
    }

    /// Those that accounts can use.
    pub(super) fn usable(&self) -> Vec<Arc<Partner>> {
        self.0.values().flatten().cloned().collect()
    }

    /// The partner of this name as it is now, if account files may use it.
    pub(super) fn open_to_account_files(&self, name: &str) -> Option<&Arc<Partner>> {
        self.0.get(name)?.as_ref().filter(|partner| partner.allow_account_files)
    }

    /// The partner that a node names in a file of this trust.
    pub(super) fn find(
        &self,
        node: &Node<'_>,
        trust: FileTrust<'_>,
        report: &mut Report,
    ) -> Option<Arc<Partner>> {
        let name = node.text(report)?;
        if let FileTrust::AccountFile { .. } = trust
            && self.open_to_account_files(name).is_none()
        {
            let what = "names no partner that account files may use; \
                        allow_account_files: true in its entry in the main file lets them";
            node.problem(report, what);
            return None;
        }
        if let Some(partner) = self.0.get(name) {
            return partner.clone();
        }
        let known: Vec<&str> = self.0.keys().filter_map(|name| tellable(name)).collect();
        let remedy = match similar(name, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "give the login under partners".to_owned(),
            None => format!("known are {}", known.join(", ")),
        };
        node.problem(report, &format!("is no name under partners; {remedy}"));
        None
    }
}

fn partner(name: &str, node: Node<'_>, folder: &Path, report: &mut Report) -> Option<Partner> {
    let known =
        ["email", "password_file", "scope", "client_id", "redirect_uri", "allow_account_files"];
    let section = MappingSection::open(node, &known, report)?;
    let email = section.require("email", "write the user name of the partner's login", report);
    let email = email.and_then(|node| user_name(&node, report));
    let remedy = "name a file that holds the password of the partner's login";
    let file = section.require("password_file", remedy, report);
    let password_file = file.and_then(|node| {
        let written = line(&node, PATH_MAX, report)?;
        let path = folder.join(&written);
        let checked = check_password_file(&path);
        let name = name_of(&written, &path);
        match checked {
            Ok(None) => {}
            Ok(Some(warning)) => node.warn(report, &format!("{name} {warning}")),
            Err(fault) => {
                node.problem(report, &format!("{name} {fault}"));
                return None;
            }
        }
        Some(path)
    });
    let mut text = |key| match section.get(key) {
        Some(node) => line(&node, TEXT_MAX, report).map(Some),
        None => Some(None),
    };
    let (scope, client_id) = (text("scope"), text("client_id"));
    let redirect_uri = match section.get("redirect_uri") {
        Some(node) => redirect_uri(&node, report).map(Some),
        None => Some(None),
    };
    let allow = section.get("allow_account_files");
    let allow = allow.map_or(Some(false), |node| flag(&node, report));
    Some(Partner {
        name: name.to_owned(),
        email: email?,
        password_file: password_file?,
        scope: scope?.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        client_id: client_id?,
        redirect_uri: redirect_uri?,
        allow_account_files: allow?,
    })
}

/// The scheme of HTTP logins ends the user name at the first colon.
fn user_name(node: &Node<'_>, report: &mut Report) -> Option<String> {
    let email = line(node, TEXT_MAX, report)?;
    if email.contains(':') {
        node.problem(report, "contains a colon, which no user name of a login can");
        return None;
    }
    Some(email)
}

fn redirect_uri(node: &Node<'_>, report: &mut Report) -> Option<Url> {
    let text = line(node, TEXT_MAX, report)?;
    let url = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.fragment().is_none()
    });
    if url.is_none() {
        node.problem(
            report,
            "is not an address that a browser can be sent to; write https://…, as registered",
        );
    }
    url
}
