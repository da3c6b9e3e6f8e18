//! The logins of technical partners: the mapping `partners` of the main file.
//!
//! Accounts name them; [`Partners::find`] is called by [`auth`](super::auth).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::account::Partner;
use crate::problems::entries::Entries;
use crate::problems::hint::{similar, tellable};
use crate::problems::place::At;
use crate::problems::report::Noted;
use crate::problems::scope::Scope;

use super::key::{Key, Nested, missing};
use super::origin::Origin;
use super::token::check_password_file;
use super::value::{Address, Line, PathText};

/// Longest user name, scope and client id, in characters.
const TEXT_MAX: usize = 256;

/// A technical partner's login.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("required" = ["email", "password_file"])))]
#[serde(default, deny_unknown_fields)]
pub(super) struct PartnerKeys {
    /// User name of the login; no colon.
    #[cfg_attr(test, schemars(extend("pattern" = "^[^:]*$")))]
    email: Key<Line<TEXT_MAX>>,
    /// A file with nothing but the password, closed to other users; read at every login.
    password_file: Key<PathText>,
    /// What the tokens shall be good for.
    scope: Key<Line<TEXT_MAX>>,
    /// The partner's application; only `oauth` needs it.
    #[serde(skip_serializing_if = "Key::is_missing")]
    client_id: Key<Line<TEXT_MAX>>,
    /// Where a customer's login ends, as registered: an address of http or https; only `oauth` needs it.
    #[serde(skip_serializing_if = "Key::is_missing")]
    #[cfg_attr(test, schemars(extend("maxLength" = 256, "pattern" = "^https?://[^#]+$")))]
    redirect_uri: Key<Address>,
    /// Whether accounts in account files may use it. They may then read every customer of the partner.
    allow_account_files: Key<bool>,
}

/// The partners by their names.
pub(super) type PartnersKeys = Nested<Entries<Nested<PartnerKeys>>>;

impl Default for PartnerKeys {
    fn default() -> Self {
        Self {
            email: Key::MISSING,
            password_file: Key::MISSING,
            scope: Key::of(Line("transport,crm".to_owned())),
            client_id: Key::MISSING,
            redirect_uri: Key::MISSING,
            allow_account_files: Key::of(false),
        }
    }
}

impl From<&Partner> for PartnerKeys {
    fn from(partner: &Partner) -> Self {
        let Partner {
            name: _,
            email,
            password_file,
            scope,
            client_id,
            redirect_uri,
            allow_account_files,
        } = partner;
        Self {
            email: Key::of(Line(email.clone())),
            password_file: Key::of(password_file.as_path().into()),
            scope: Key::of(Line(scope.clone())),
            client_id: Key::optional(client_id.clone().map(Line)),
            redirect_uri: Key::optional(redirect_uri.clone().map(Address)),
            allow_account_files: Key::of(*allow_account_files),
        }
    }
}

/// The partners by name; without a value those that are named but not usable.
#[derive(Default)]
pub(super) struct Partners(BTreeMap<String, Option<Arc<Partner>>>);

impl Partners {
    /// Checks the mapping of the main file.
    pub(super) fn check(keys: &PartnersKeys, origin: &Origin<'_>, scope: &mut Scope<'_>) -> Self {
        let partners = keys.keys.0.iter().map(|entry| {
            let scope = &mut scope.within(tellable(&entry.key).unwrap_or("…"));
            (entry.key.clone(), partner(&entry.key, &entry.value, origin, scope).ok().map(Arc::new))
        });
        Self(partners.collect())
    }

    /// Those that accounts can use.
    pub(super) fn usable(&self) -> Vec<Arc<Partner>> {
        self.0.values().flatten().cloned().collect()
    }

    /// The partner of this name as it is now, if account files may use it.
    pub(super) fn open_to_account_files(&self, name: &str) -> Option<&Arc<Partner>> {
        self.0.get(name)?.as_ref().filter(|partner| partner.allow_account_files)
    }

    /// The partner of a name that stands in a file; nothing if what is wrong with it is noted where it stands.
    /// The error follows the key.
    pub(super) fn find(
        &self,
        name: &str,
        account_file: bool,
    ) -> Result<Option<Arc<Partner>>, String> {
        if account_file {
            let what = "names no partner that account files may use; \
                        allow_account_files: true in its entry in the main file lets them";
            return self.open_to_account_files(name).cloned().map(Some).ok_or(what.to_owned());
        }
        if let Some(partner) = self.0.get(name) {
            return Ok(partner.clone());
        }
        let known: Vec<&str> = self.0.keys().filter_map(|name| tellable(name)).collect();
        let remedy = match similar(name, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "give the login under partners".to_owned(),
            None => format!("known are {}", known.join(", ")),
        };
        Err(format!("is no name under partners; {remedy}"))
    }
}

fn partner(
    name: &str,
    section: &Nested<PartnerKeys>,
    origin: &Origin<'_>,
    scope: &mut Scope<'_>,
) -> Result<Partner, Noted> {
    let keys = &section.keys;
    let email = check_email(keys, section.at, scope);
    let file = origin.secret_file(&keys.password_file, "password_file", scope, check_password_file);
    let password_file = file.and_then(|file| {
        let remedy = "name a file that holds the password of the partner's login";
        file.ok_or_else(|| missing("password_file", section.at, remedy, scope))
    });
    let tokens = keys.scope.value("scope", scope);
    let client_id = keys.client_id.check("client_id", scope);
    let redirect_uri = check_redirect_uri(&keys.redirect_uri, scope);
    let allow_account_files = keys.allow_account_files.value("allow_account_files", scope);
    Ok(Partner {
        name: name.to_owned(),
        email: email?,
        password_file: password_file?,
        scope: tokens?.0,
        client_id: client_id?.map(|id| id.0),
        redirect_uri: redirect_uri?,
        allow_account_files: allow_account_files?,
    })
}

/// The scheme of HTTP logins ends the user name at the first colon.
fn check_email(keys: &PartnerKeys, at: At, scope: &mut Scope<'_>) -> Result<String, Noted> {
    let remedy = "write the user name of the partner's login";
    let Line(email) = keys.email.require("email", at, remedy, scope)?;
    if email.contains(':') {
        let what = "contains a colon, which no user name of a login can";
        scope.problem(keys.email.at(), "email", what);
        return Err(Noted);
    }
    Ok(email)
}

fn check_redirect_uri(key: &Key<Address>, scope: &mut Scope<'_>) -> Result<Option<Url>, Noted> {
    let Some(Address(url)) = key.check("redirect_uri", scope)? else { return Ok(None) };
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || url.host().is_none() || url.fragment().is_some() {
        let what =
            "is not an address that a browser can be sent to; write https://…, as registered";
        scope.problem(key.at(), "redirect_uri", what);
        return Err(Noted);
    }
    Ok(Some(url))
}
