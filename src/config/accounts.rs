//! Accounts and their users: the list `accounts` of the main file and of account files.
//!
//! [`AccountReader`] reads one file. What must be unique over all files is collected as
//! [`Claim`]s, see [`claims`](super::claims).

use std::sync::Arc;

use crate::account::{Account, AccountId, AccountName, Api, Auth, Export, Poll};

use super::auth::read_auth;
use super::budget::{self, Placed};
use super::claims::{Claim, ClaimKey, check_duplicates};
use super::lists::{read_channels, read_discovery, read_working_hours};
use super::network::{self, Network};
use super::origin::{FileTrust, Origin};
use super::partners::Partners;
use super::reset::{check_reset, check_reset_origin, read_reset};
use super::settings::{PollBounds, PollKeys};
use super::users::read_users;
use super::value::{labels, named};
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::report::{Noted, Report};
use crate::yaml::tree::Tree;

/// What the main file says of every account.
pub(super) struct Defaults {
    /// `poll` of the main file.
    pub(super) poll: PollKeys,
    /// `export` of the main file.
    pub(super) export: Export,
    /// `partners` of the main file.
    pub(super) partners: Partners,
}

/// Turns the nodes of one file into accounts.
pub(super) struct AccountReader<'a> {
    defaults: &'a Defaults,
    found: FoundAccounts,
}

/// What a file has.
#[derive(Default)]
pub(super) struct FoundAccounts {
    /// The accounts without any problem of their own.
    pub(super) accounts: Vec<Placed>,
    /// What they use alone.
    pub(super) claims: Vec<Claim>,
}

impl<'a> AccountReader<'a> {
    pub(super) fn new(defaults: &'a Defaults) -> Self {
        Self { defaults, found: FoundAccounts::default() }
    }

    /// The accounts, after a look at what they ask together.
    pub(super) fn finish(self, report: &mut Report) -> FoundAccounts {
        check_duplicates(&self.found.claims, report);
        budget::check(&self.found.accounts, report);
        self.found
    }

    fn claim(&mut self, key: ClaimKey, node: &Node<'_>) {
        self.found.claims.push(Claim { key, spot: node.spot(), words: node.words() });
    }

    /// Reads a list of accounts.
    pub(super) fn read_list(
        &mut self,
        node: &Node<'_>,
        origin: &mut Origin<'_>,
        report: &mut Report,
    ) {
        for item in node.items(report, "a list: - name: acme") {
            let name = item.get("name").and_then(|name| match name.tree() {
                Tree::Text(text) => AccountName::parse(text).ok(),
                _ => None,
            });
            let item = item.titled(name.as_ref().map(AccountName::as_str));
            if let Some(account) = self.read(item, origin, report) {
                let rate_limit = item.get("rate_limit").map(|node| node.spot());
                let (words, spot) = (item.words(), item.spot());
                let account = Arc::new(account);
                self.found.accounts.push(Placed { account, words, spot, rate_limit });
            }
        }
    }

    fn read(
        &mut self,
        node: Node<'_>,
        origin: &mut Origin<'_>,
        report: &mut Report,
    ) -> Option<Account> {
        let section = MappingSection::open(node, &[&KEYS[..], &network::KEYS].concat(), report)?;
        let name = self.name(&section, report);
        let api = section.get("api").map_or(Some(Api::V2), |node| api(&node, report));
        let account_id = section.get("account_id");
        let account_id = optional(account_id, |id| named(&id, AccountId::parse, report));
        let network = Network::read(&section, api.unwrap_or(Api::V2), origin, report);
        let auth = self.auth(&section, origin, report);
        let poll = self.poll(section.get("poll"), origin, report);
        let labels = section.get("labels").map(|node| labels(&node, report)).unwrap_or_default();
        let hours = optional(section.get("working_hours"), |node| read_working_hours(node, report));
        let discovery = section.get("discover_users");
        let discovery = discovery.map_or(Ok(None), |node| read_discovery(node, report));
        let channels = read_channels(section.get("channels"), report);
        let reset = section.get("reset");
        let reset = reset.map_or(Ok(None), |node| read_reset(node, origin, report));
        let found = !matches!(discovery, Ok(None));
        let users = read_users(&section, found, self.defaults.export.user_names, report);
        if let (Some(node), Ok(Some(id)), Some(network)) =
            (section.get("account_id"), &account_id, &network)
        {
            self.claim(ClaimKey::account(&network.base_url, id), &node);
        }
        let (api, auth, account_id) = (api?, auth?, account_id.ok()?);
        let fits = check_auth(&section, api, &auth, account_id.as_ref(), report)
            & check_origin(&section, &auth, origin, report);
        let resets = matches!(reset, Ok(Some(_)));
        let fits = fits
            & (!resets || check_reset(&section, api, account_id.as_ref(), report))
            & (!resets || check_reset_origin(&section, &auth, origin, report));
        if let (true, Some(id), Some(node)) = (resets, &account_id, section.get("reset")) {
            self.claim(ClaimKey::Reset(id.clone()), &node);
        }
        if !fits {
            return None;
        }
        let Network { base_url, rate_limit, tls, proxy } = network?;
        Some(Account {
            name: name?,
            api,
            account_id,
            base_url,
            auth,
            rate_limit,
            tls,
            proxy,
            poll: poll?,
            export: self.defaults.export,
            labels,
            working_hours: hours.ok()?,
            users: users?,
            discovery: discovery.ok()?,
            channels: channels.ok()?,
            reset: reset.ok()?,
        })
    }

    fn name(&mut self, section: &MappingSection<'_>, report: &mut Report) -> Option<AccountName> {
        let remedy = "give each account one, it becomes the label account";
        let node = section.require("name", remedy, report)?;
        let name = named(&node, AccountName::parse, report)?;
        self.claim(ClaimKey::Name(name.clone()), &node);
        Some(name)
    }

    /// The account's own `poll` over that of the main file.
    fn poll(
        &self,
        own: Option<Node<'_>>,
        origin: &Origin<'_>,
        report: &mut Report,
    ) -> Option<Poll> {
        let defaults = self.defaults.poll;
        let bounds = match origin.trust {
            FileTrust::Main => PollBounds::MAIN,
            FileTrust::AccountFile { .. } => PollBounds::account_file(defaults),
        };
        match own {
            Some(node) => {
                PollKeys::read(node, &bounds, report).over(defaults).resolve(Some(&node), report)
            }
            None => defaults.resolve(None, report),
        }
    }

    fn auth(
        &mut self,
        section: &MappingSection<'_>,
        origin: &mut Origin<'_>,
        report: &mut Report,
    ) -> Option<Auth> {
        let remedy = "say where its token comes from: token_file, token_env, partner …";
        let node = section.require("auth", remedy, report)?;
        let auth = read_auth(node, origin, &self.defaults.partners, report)?;
        if let Auth::OAuth { refresh_token_file, .. } = &auth {
            self.claim(ClaimKey::RefreshFile(refresh_token_file.clone()), &node);
        }
        Some(auth)
    }
}

/// The keys of an account, beside those of the network.
const KEYS: [&str; 11] = [
    "name",
    "api",
    "account_id",
    "auth",
    "poll",
    "labels",
    "working_hours",
    "users",
    "discover_users",
    "channels",
    "reset",
];

/// What is read from a node that need not be there.
fn optional<'a, T>(
    node: Option<Node<'a>>,
    read: impl FnOnce(Node<'a>) -> Option<T>,
) -> Result<Option<T>, Noted> {
    node.map_or(Ok(None), |node| read(node).map(Some).ok_or(Noted))
}

fn api(node: &Node<'_>, report: &mut Report) -> Option<Api> {
    match node.text(report)? {
        "v2" => Some(Api::V2),
        "v3" => Some(Api::V3),
        _ => {
            node.problem(report, "must be v2 (technical partners) or v3 (API keys)");
            None
        }
    }
}

/// Whether the token fits the API and can be had.
fn check_auth(
    section: &MappingSection<'_>,
    api: Api,
    auth: &Auth,
    account_id: Option<&AccountId>,
    report: &mut Report,
) -> bool {
    let what = match auth {
        Auth::Partner(_) | Auth::OAuth { .. } if api == Api::V3 => {
            "gives a token for v2, which v3 refuses; give the API key with token_file, \
             or remove api: v3"
        }
        Auth::Partner(_) if account_id.is_none() => {
            "needs the account's number to ask for its token; write account_id: \"78231464\""
        }
        _ => return true,
    };
    if let Some(node) = section.get("auth") {
        node.problem(report, what);
    }
    false
}

/// Whether a partner's login would be sent where only an account file wants it.
fn check_origin(
    section: &MappingSection<'_>,
    auth: &Auth,
    origin: &Origin<'_>,
    report: &mut Report,
) -> bool {
    let login = matches!(auth, Auth::Partner(_) | Auth::OAuth { .. });
    let mut fits = true;
    if let (FileTrust::AccountFile { .. }, true) = (origin.trust, login) {
        for key in ["base_url", "proxy_url", "tls"] {
            if let Some(node) = section.get(key) {
                let what = "works only in the main file for an account of a partner, \
                            because the partner's login is sent there";
                node.key_problem(report, what);
                fits = false;
            }
        }
    }
    fits
}
