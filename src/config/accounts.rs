//! Accounts and their users: the list `accounts` of the main file and of account files.
//!
//! [`AccountReader`] lives as long as the loading, because a name must be unique over all files.

use std::collections::HashMap;
use std::sync::Arc;

use crate::account::{
    Account, AccountId, AccountName, Api, Auth, Export, USER_NAME_MAX, User, UserId,
};

use super::auth::{Origin, read_auth};
use super::budget::{self, Placed};
use super::network::{self, Network};
use super::node::{Node, Section};
use super::report::{Report, Spot};
use super::settings::PollKeys;
use super::tree::Tree;
use super::value::{labels, line, named};

/// Turns nodes into accounts.
pub(super) struct AccountReader {
    /// `poll` of the main file.
    pub(super) poll: PollKeys,
    /// `export` of the main file.
    pub(super) export: Export,
    /// Where each name was first used.
    pub(super) names: HashMap<AccountName, Spot>,
    /// The accounts without any problem of their own.
    pub(super) accounts: Vec<Placed>,
}

impl AccountReader {
    /// The accounts, after a look at what they ask together.
    pub(super) fn finish(self, report: &mut Report) -> Vec<Account> {
        budget::check(&self.accounts, report);
        self.accounts.into_iter().map(|placed| placed.account).collect()
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
                self.accounts.push(Placed { account, words, spot, rate_limit });
            }
        }
    }

    fn read(
        &mut self,
        node: Node<'_>,
        origin: &mut Origin<'_>,
        report: &mut Report,
    ) -> Option<Account> {
        let known = ["name", "account_id", "auth", "poll", "labels", "users"];
        let known = [&known[..], &network::KEYS].concat();
        let section = Section::open(node, &known, report)?;
        let name = self.name(&section, report);
        let account_id = section.get("account_id").map(|id| named(&id, AccountId::parse, report));
        let network = Network::read(&section, origin, report);
        let auth = auth(&section, origin, report);
        let own = section.get("poll").map(|poll| (PollKeys::read(poll, report), poll));
        let poll = match &own {
            Some((keys, poll)) => keys.over(self.poll).resolve(Some(poll), report),
            None => self.poll.resolve(None, report),
        };
        let labels = section.get("labels").map(|node| labels(&node, report)).unwrap_or_default();
        let users = users(&section, report);
        let account_id = match account_id {
            Some(given) => Some(given?),
            None => None,
        };
        let Network { base_url, rate_limit, tls, proxy } = network?;
        Some(Account {
            name: name?,
            api: Api::V2,
            account_id,
            base_url,
            auth: auth?,
            rate_limit,
            tls,
            proxy,
            poll: poll?,
            export: self.export,
            labels,
            working_hours: None,
            users: users?,
            discovery: None,
            channels: None,
        })
    }

    fn name(&mut self, section: &Section<'_>, report: &mut Report) -> Option<AccountName> {
        let remedy = "give each account one, it becomes the label account";
        let node = section.require("name", remedy, report)?;
        let name = named(&node, AccountName::parse, report)?;
        if let Some(other) = self.names.get(&name) {
            let what = "is the name of two accounts; rename one of them";
            node.taken(report, what, other.clone());
            return None;
        }
        self.names.insert(name.clone(), node.spot());
        Some(name)
    }
}

fn auth(section: &Section<'_>, origin: &mut Origin<'_>, report: &mut Report) -> Option<Auth> {
    let remedy = "say where its token comes from: token_file, token_env or token";
    read_auth(section.require("auth", remedy, report)?, origin, report)
}

fn users(section: &Section<'_>, report: &mut Report) -> Option<Vec<Arc<User>>> {
    let remedy = "list the CRM users to poll, - id: \"1\"";
    let node = section.require("users", remedy, report)?;
    let mut first: HashMap<UserId, Node<'_>> = HashMap::new();
    let mut users = Vec::new();
    let mut listed = 0;
    for item in node.items(report, "a list: - id: \"1\"") {
        listed += 1;
        let Some(user) = user(item, report) else { continue };
        match first.get(&user.id) {
            None => {
                first.insert(user.id.clone(), item);
                users.push(Arc::new(user));
            }
            Some(other) => note_twice(&item, other, report),
        }
    }
    if listed == 0 && matches!(node.tree(), Tree::List(_) | Tree::Null) {
        node.problem(report, "lists nobody; list the CRM users to poll, - id: \"1\"");
    }
    Some(users)
}

fn user(node: Node<'_>, report: &mut Report) -> Option<User> {
    let section = Section::open(node, &["id", "name", "labels"], report)?;
    let id = section.require("id", "write the user's id in the CRM, id: \"1\"", report);
    let id = id.and_then(|id| named(&id, UserId::parse, report));
    let name = section.get("name").and_then(|name| line(&name, USER_NAME_MAX, report));
    let labels = section.get("labels").map(|node| labels(&node, report)).unwrap_or_default();
    Some(User { id: id?, name, labels })
}

/// Notes that a user is in the list twice, with the place of the first one.
fn note_twice(user: &Node<'_>, first: &Node<'_>, report: &mut Report) {
    if let (Some(id), Some(first)) = (user.get("id"), first.get("id")) {
        id.taken(report, "is the id of two users of the account; remove one", first.spot());
    }
}
