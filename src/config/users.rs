//! The CRM users of an account: the list `users`. Called by [`accounts`](super::accounts).

use std::collections::HashMap;
use std::sync::Arc;

use crate::account::{USER_NAME_MAX, User, UserId};

use super::value::{labels, line, named};
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::report::Report;
use crate::yaml::tree::Tree;

/// Reads the list `users` of an account, which may be missing or empty if users are `found` anyway.
/// Without `names` none is kept.
pub(super) fn read_users(
    section: &MappingSection<'_>,
    found: bool,
    names: bool,
    report: &mut Report,
) -> Option<Vec<Arc<User>>> {
    let remedy = "list the CRM users to poll, - id: \"1\", or switch on discover_users";
    let node = match section.get("users") {
        None if found => return Some(Vec::new()),
        _ => section.require("users", remedy, report)?,
    };
    let mut first: HashMap<UserId, Node<'_>> = HashMap::new();
    let mut users = Vec::new();
    let mut listed = 0;
    for item in node.items(report, "a list: - id: \"1\"") {
        listed += 1;
        let Some(user) = user(item, names, report) else { continue };
        match first.get(&user.id) {
            None => {
                first.insert(user.id.clone(), item);
                users.push(Arc::new(user));
            }
            Some(other) => note_twice(&item, other, report),
        }
    }
    if listed == 0 && !found && matches!(node.tree(), Tree::List(_) | Tree::Null) {
        node.problem(
            report,
            "lists no user; list the CRM users to poll, - id: \"1\", \
                            or switch on discover_users",
        );
    }
    Some(users)
}

fn user(node: Node<'_>, names: bool, report: &mut Report) -> Option<User> {
    let section = MappingSection::open(node, &["id", "name", "labels"], report)?;
    let id = section.require("id", "write the user's id in the CRM, id: \"1\"", report);
    let id = id.and_then(|id| named(&id, UserId::parse, report));
    let name = section.get("name").and_then(|name| line(&name, USER_NAME_MAX, report));
    let labels = section.get("labels").map(|node| labels(&node, report)).unwrap_or_default();
    Some(User { id: id?, name: name.filter(|_| names), labels })
}

/// Notes that a user is in the list twice, with the place of the first one.
fn note_twice(user: &Node<'_>, first: &Node<'_>, report: &mut Report) {
    if let (Some(id), Some(first)) = (user.get("id"), first.get("id")) {
        id.taken(report, "is the id of two users of the account; remove one", first.spot());
    }
}
