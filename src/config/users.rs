//! The CRM users of an account: the list `users`; and extra labels: the mappings `labels` of accounts and
//! users, and `set` of rules.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::key::{Key, Nested, missing};
use super::value::Line;
use crate::account::{LABEL_VALUE_MAX, LabelName, Labels, USER_NAME_MAX, User, UserId};
use crate::problems::place::{At, Entries};
use crate::problems::read::tellable;
use crate::problems::report::Scope;

/// Label values by label names.
pub(super) type LabelsKeys = Nested<Entries<Key<Line<LABEL_VALUE_MAX>>>>;

impl LabelsKeys {
    /// The labels under `key` that are good.
    pub(super) fn check(&self, key: &str, scope: &mut Scope<'_>) -> Labels {
        let mut labels = Labels::new();
        if self.is_empty() {
            return labels;
        }
        let scope = &mut scope.within(key);
        for entry in &self.keys.0 {
            let shown = tellable(&entry.key).unwrap_or("…");
            let value = entry.value.get(shown, scope);
            match (LabelName::parse(&entry.key), value) {
                (Ok(name), Some(value)) => drop(labels.insert(name, value)),
                (Ok(_), None) => {}
                (Err(why), _) => scope.problem(entry.at, shown, why),
            }
        }
        labels
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A user as it is written.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
pub(super) type UsersKeys = Nested<Vec<UserItem>>;

/// A CRM user whose counter is read.
// Small where nothing is wrong: there may be 100,000.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "Nested<UserKeys>")]
pub(super) enum UserItem {
    /// Without labels: the id, on a second line the name if there is one, and the place of the id.
    Plain(Box<str>, At),
    /// Any other.
    Full(Box<Nested<UserKeys>>),
}

impl From<Nested<UserKeys>> for UserItem {
    fn from(user: Nested<UserKeys>) -> Self {
        let UserKeys { id, name, labels } = &user.keys;
        let plain = match (id.good(), name.good()) {
            _ if !labels.is_empty() => None,
            (Some(id), Some(name)) => Some(format!("{id}\n{name}")),
            (Some(id), None) if !name.is_given() => Some(id.to_string()),
            _ => None,
        };
        match plain {
            Some(text) => Self::Plain(text.into(), id.at),
            None => Self::Full(user.into()),
        }
    }
}

impl UsersKeys {
    /// The users, which may be none if users are `found` anyway; the account stands at `account`.
    /// Without `names` none is kept. Those who are the same among the `running` are these.
    pub(super) fn check(
        &self,
        account: At,
        found: bool,
        names: bool,
        running: &[Arc<User>],
        scope: &mut Scope<'_>,
    ) -> Vec<Arc<User>> {
        let remedy = "list the CRM users to poll, - id: \"1\", or switch on discover_users";
        if self.is_given() && self.keys.is_empty() && !found {
            scope.problem(self.at, "users", format_args!("lists no user; {remedy}"));
        } else if self.keys.is_empty() && !found {
            missing("users", account, remedy, scope);
        }
        let running: HashMap<&UserId, &Arc<User>> =
            running.iter().map(|user| (&user.id, user)).collect();
        let mut first: HashMap<UserId, At> = HashMap::new();
        let mut users = Vec::with_capacity(self.keys.len());
        for (index, item) in self.keys.iter().enumerate() {
            let (user, at) = match item {
                UserItem::Plain(text, at) => (Some(plain(text, names)), *at),
                UserItem::Full(keys) => (keys.check(index, names, scope), keys.keys.id.at),
            };
            let Some(user) = user else { continue };
            if let Some(other) = first.get(&user.id) {
                let what = "is the id of two users of the account; remove one; the other one is at";
                let other = scope.spot(*other);
                scope.problem(at, &format!("users[{index}].id"), format_args!("{what} {other}"));
            } else {
                first.insert(user.id.clone(), at);
                let same = running.get(&user.id).filter(|running| ****running == user);
                users.push(same.map_or_else(|| Arc::new(user), |same| Arc::clone(same)));
            }
        }
        users
    }
}

/// The user of [`UserItem::Plain`].
fn plain(text: &str, names: bool) -> User {
    let (id, name) = text.split_once('\n').map_or((text, None), |(id, name)| (id, Some(name)));
    User {
        id: UserId::parse(id).expect("it was read as one"),
        name: name.filter(|_| names).map(str::to_owned),
        labels: Labels::new(),
    }
}

impl Nested<UserKeys> {
    fn check(&self, index: usize, names: bool, scope: &mut Scope<'_>) -> Option<User> {
        let UserKeys { id, name, labels } = &self.keys;
        let mut scope = scope.within(&format!("users[{index}]"));
        let remedy = "write the user's id in the CRM, id: \"1\"";
        let id = id.require("id", self.at, remedy, &mut scope);
        let name = name.get("name", &mut scope).filter(|_| names);
        let labels = labels.check("labels", &mut scope);
        Some(User { id: id?, name, labels })
    }
}
