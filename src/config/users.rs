//! The CRM users of an account: the list `users`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::account::{USER_NAME_MAX, User, UserId};
use crate::problems::place::At;
use crate::problems::report::{Checked, Noted};
use crate::problems::scope::Scope;

use super::key::{Key, Nested};
use super::labels::LabelsKeys;
use super::value::Line;

/// A CRM user whose counter is read.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["id"])))]
#[serde(default, deny_unknown_fields)]
pub(super) struct UserKeys {
    /// The user's id in the CRM, quoted; no id twice.
    id: Key<UserId>,
    /// Display name.
    name: Key<Line<USER_NAME_MAX>>,
    /// Labels on the user's info metric, over those of the account.
    labels: LabelsKeys,
}

/// The users of an account.
pub(super) type UsersKeys = Nested<Vec<Nested<UserKeys>>>;

impl UsersKeys {
    /// The users, which may be none if users are `found` anyway; the account stands at `account`.
    /// Without `names` none is kept.
    pub(super) fn check(
        &self,
        account: At,
        found: bool,
        names: bool,
        scope: &mut Scope<'_>,
    ) -> Checked<Vec<Arc<User>>> {
        let remedy = "list the CRM users to poll, - id: \"1\", or switch on discover_users";
        if self.keys.is_empty() && !found {
            if self.is_given() {
                scope.problem(self.at, "users", format_args!("lists no user; {remedy}"));
            } else {
                scope.problem(account, "", format_args!("has no users; {remedy}"));
            }
            return Err(Noted);
        }
        let mut first: HashMap<UserId, usize> = HashMap::new();
        let mut users = Vec::with_capacity(self.keys.len());
        let mut good = Ok(());
        for (index, item) in self.keys.iter().enumerate() {
            match item.check(index, names, scope) {
                Ok(user) => {
                    let other = first.get(&user.id).and_then(|other| self.keys.get(*other));
                    if let Some(other) = other {
                        let what = "is the id of two users of the account; remove one";
                        let other = scope.spot(other.keys.id.at());
                        let key = format!("users[{index}].id");
                        scope.conflict(item.keys.id.at(), &key, what, &other);
                        good = Err(Noted);
                    } else {
                        first.insert(user.id.clone(), index);
                        users.push(Arc::new(user));
                    }
                }
                Err(noted) => good = Err(noted),
            }
        }
        good.map(|()| users)
    }
}

impl Nested<UserKeys> {
    fn check(&self, index: usize, names: bool, scope: &mut Scope<'_>) -> Checked<User> {
        let UserKeys { id, name, labels } = &self.keys;
        // Words are made only where something is wrong: there may be 100,000 users.
        if let (Some(id), true, true) =
            (id.good(), !name.is_given() || name.good().is_some(), labels.is_empty())
        {
            let name = name.good().filter(|_| names).cloned();
            return Ok(User { id: id.clone(), name, labels: crate::account::Labels::new() });
        }
        let mut scope = scope.within(&format!("users[{index}]"));
        let remedy = "write the user's id in the CRM, id: \"1\"";
        let id = id.require("id", self.at, remedy, &mut scope);
        let name = name.check("name", &mut scope);
        let labels = labels.check("labels", &mut scope);
        Ok(User { id: id?, name: name?.filter(|_| names), labels: labels? })
    }
}
