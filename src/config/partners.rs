//! The logins of technical partners: the mapping `partners` of the main file.
//!
//! Accounts name them; [`Partners::find`] is called by [`auth`](super::auth).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use crate::account::Partner;
use crate::problems::place::{At, Entries};
use crate::problems::read::{similar, tellable};
use crate::problems::report::Scope;

use super::file_scope::FileScope;
use super::key::{Key, Nested};
use super::token::check_password_file;
use super::value::{Address, Line, PathText};

/// Longest user name, scope and client id, in characters.
const TEXT_MAX: usize = 256;

/// A technical partner's login.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct PartnerKeys {
    /// User name of the login; no colon.
    email: Key<Line<TEXT_MAX>>,
    /// A file with nothing but the password, closed to other users; read at every login.
    password_file: Key<PathText>,
    /// What the tokens shall be good for.
    scope: Key<Line<TEXT_MAX>>,
    /// The partner's application; only `oauth` needs it.
    client_id: Key<Line<TEXT_MAX>>,
    /// Where a customer's login ends, as registered: an address of http or https; only `oauth` needs it.
    redirect_uri: Key<Address>,
    /// Whether accounts in account files may use it. They may then read every customer of the partner.
    allow_account_files: Key<bool>,
}

/// The partners by their names.
pub(super) type PartnersKeys = Nested<Entries<Nested<PartnerKeys>>>;

/// The partners by name; without a value those that are named but not usable.
#[derive(Default)]
pub(super) struct Partners(BTreeMap<String, Option<Arc<Partner>>>);

impl Partners {
    /// Checks the mapping of the main file.
    pub(super) fn check(keys: &PartnersKeys, scope: &mut FileScope<'_>) -> Self {
        let partners = keys.keys.0.iter().map(|entry| {
            let scope = &mut scope.within(tellable(&entry.key).unwrap_or("…"));
            (entry.key.clone(), partner(&entry.key, &entry.value, scope).map(Arc::new))
        });
        Self(partners.collect())
    }

    /// Those that accounts can use.
    pub(super) fn usable(&self) -> BTreeMap<String, Arc<Partner>> {
        let usable =
            |(name, partner): (&String, &Option<_>)| Some((name.clone(), partner.clone()?));
        self.0.iter().filter_map(usable).collect()
    }

    /// The partner of this name as it is now, if account files may use it.
    pub(super) fn open_to_account_files(&self, name: &str) -> Option<&Arc<Partner>> {
        self.0.get(name)?.as_ref().filter(|partner| partner.allow_account_files)
    }

    /// The partner that a key of the section at `section` names.
    pub(super) fn find<const MOST: usize>(
        &self,
        key: &Key<Line<MOST>>,
        section: At,
        scope: &mut FileScope<'_>,
    ) -> Option<Arc<Partner>> {
        let remedy = "name the login under partners whose application the customer lets in";
        let name = key.require("partner", section, remedy, scope)?;
        let fault = if scope.is_account_file() {
            if let Some(partner) = self.open_to_account_files(&name) {
                return Some(Arc::clone(partner));
            }
            "names no partner that account files may use; \
             allow_account_files: true in its entry in the main file lets them"
                .to_owned()
        } else if let Some(partner) = self.0.get(&name) {
            // What is wrong with it is noted where it stands.
            return partner.clone();
        } else {
            format!("is no name under partners; {}", self.remedy(&name))
        };
        scope.refuse(key.at, "partner", fault)
    }

    fn remedy(&self, name: &str) -> String {
        let known: Vec<&str> = self.0.keys().filter_map(|name| tellable(name)).collect();
        match similar(name, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "give the login under partners".to_owned(),
            None => format!("known are {}", known.join(", ")),
        }
    }
}

fn partner(
    name: &str,
    section: &Nested<PartnerKeys>,
    scope: &mut FileScope<'_>,
) -> Option<Partner> {
    let keys = &section.keys;
    let email = check_email(keys, section.at, scope);
    let named = (&keys.password_file, "password_file");
    let remedy = "name a file that holds the password of the partner's login";
    let password_file = scope.secret_file(named, section.at, remedy, check_password_file);
    Some(Partner {
        name: name.to_owned(),
        scope: keys.scope.or("transport,crm", "scope", scope),
        client_id: keys.client_id.get("client_id", scope),
        redirect_uri: check_redirect_uri(&keys.redirect_uri, scope),
        allow_account_files: keys.allow_account_files.or(false, "allow_account_files", scope),
        email: email?,
        password_file: password_file?,
    })
}

/// The scheme of HTTP logins ends the user name at the first colon.
fn check_email(keys: &PartnerKeys, at: At, scope: &mut Scope<'_>) -> Option<String> {
    let remedy = "write the user name of the partner's login";
    let email = keys.email.require("email", at, remedy, scope)?;
    if email.contains(':') {
        let what = "contains a colon, which no user name of a login can";
        return scope.refuse(keys.email.at, "email", what);
    }
    Some(email)
}

fn check_redirect_uri(key: &Key<Address>, scope: &mut Scope<'_>) -> Option<Url> {
    let url = key.get("redirect_uri", scope)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || url.host().is_none() || url.fragment().is_some() {
        let what =
            "is not an address that a browser can be sent to; write https://…, as registered";
        return scope.refuse(key.at, "redirect_uri", what);
    }
    Some(url)
}
