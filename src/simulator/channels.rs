//! The channels of an account, the roles users have on them, and the subscriptions to events.
//!
//! [`ChannelSpec`] and [`WebhookSpec`] are plain data, given in the settings or to a running
//! simulator. [`Channels`] is what an account holds of them at run time; it derives a user's
//! [`CounterMode`] from roles and channel states.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::role::Role;

/// The one state in which a channel receives anything.
const ACTIVE: &str = "active";

/// One channel of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelSpec {
    /// The id, normally a UUID.
    pub id: String,
    /// `whatsapp`, `tgapi`, `instagram` and so on.
    pub transport: String,
    /// The exact condition, as `active`, `phoneUnavailable` or `qridle`.
    pub state: String,
    /// The summary that goes with it, as `active`, `init` or `disabled`.
    pub status: String,
    /// The name it is shown by: a phone number, unless another was set.
    pub name: String,
    /// The phone number.
    pub phone: String,
    /// Whether it was deleted, which only the old form of the list shows.
    pub deleted: bool,
}

impl ChannelSpec {
    /// An active channel.
    pub fn new(id: &str, transport: &str) -> Self {
        const PHONE: &str = "77000000000";
        Self {
            id: id.to_owned(),
            transport: transport.to_owned(),
            state: ACTIVE.to_owned(),
            status: ACTIVE.to_owned(),
            name: PHONE.to_owned(),
            phone: PHONE.to_owned(),
            deleted: false,
        }
    }

    /// The `whatsapp` channel an account has unless it is given others. Its id is a UUID that ends
    /// with the account's.
    pub fn of_account(account_id: &str) -> Self {
        Self::new(&format!("808e0654-0000-4000-8000-{account_id:0>12}"), "whatsapp")
    }

    /// The same channel in another state, with the status that goes with it.
    #[must_use]
    pub fn state(mut self, state: &str) -> Self {
        state.clone_into(&mut self.state);
        let status = match state {
            ACTIVE | "init" => state,
            _ => "disabled",
        };
        status.clone_into(&mut self.status);
        self
    }

    /// The same channel with another phone number, by which it is shown as well.
    #[must_use]
    pub fn phone(mut self, phone: &str) -> Self {
        phone.clone_into(&mut self.phone);
        phone.clone_into(&mut self.name);
        self
    }

    /// The same channel under another name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same channel, deleted.
    #[must_use]
    pub const fn deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    fn receives(&self) -> bool {
        !self.deleted && self.state == ACTIVE && self.status == ACTIVE
    }
}

/// A subscription to events of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookSpec {
    /// Its id.
    pub id: String,
    /// Where events are sent. Nothing is sent in the simulation.
    pub url: String,
    /// The event, as `message.add`.
    pub event: String,
}

impl WebhookSpec {
    /// The subscription an account has unless it is given others, as its CRM would make it.
    pub fn of_account(account_id: &str) -> Self {
        Self {
            id: format!("5c2d1f10-0000-4000-8000-{account_id:0>12}"),
            url: format!("https://crm.example/wazzup/{account_id}"),
            event: "message.add".to_owned(),
        }
    }
}

/// How the counter of a user moves, from the user's roles and the states of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterMode {
    /// No role on any channel: nothing is counted.
    Zero,
    /// A role, but only on channels that receive nothing: the counter does not change.
    Frozen(Role),
    /// A role on an active channel.
    Counting(Role),
}

/// The channels of an account at run time.
#[derive(Debug)]
pub(super) struct Channels {
    /// In the order they are listed.
    list: Vec<ChannelSpec>,
    /// By user and channel, where the role is not the user's own.
    roles: HashMap<String, BTreeMap<String, Role>>,
}

impl Channels {
    pub(super) fn new(list: Vec<ChannelSpec>) -> Self {
        Self { list, roles: HashMap::new() }
    }

    pub(super) fn all(&self) -> &[ChannelSpec] {
        &self.list
    }

    /// Those that were not deleted.
    pub(super) fn present(&self) -> impl Iterator<Item = &ChannelSpec> {
        self.list.iter().filter(|channel| !channel.deleted)
    }

    pub(super) fn find(&mut self, id: &str) -> Option<&mut ChannelSpec> {
        self.list.iter_mut().find(|channel| channel.id == id)
    }

    /// Adds a channel, or replaces the one with the same id.
    pub(super) fn put(&mut self, channel: ChannelSpec) {
        match self.find(&channel.id) {
            Some(present) => *present = channel,
            None => self.list.push(channel),
        }
    }

    /// Replaces a user's roles on single channels.
    pub(super) fn set_roles(&mut self, user: &str, roles: BTreeMap<String, Role>) {
        self.roles.insert(user.to_owned(), roles);
    }

    pub(super) fn set_role(&mut self, user: &str, channel: &str, role: Role) {
        self.roles.entry(user.to_owned()).or_default().insert(channel.to_owned(), role);
    }

    /// The role on one channel of a user whose own role is `own`.
    pub(super) fn role(&self, user: &str, own: Role, channel: &str) -> Role {
        let exception = self.roles.get(user).and_then(|roles| roles.get(channel));
        exception.copied().unwrap_or(own)
    }

    pub(super) fn counter_mode(&self, user: &str, own: Role) -> CounterMode {
        let mut counter_mode = CounterMode::Zero;
        for channel in self.present() {
            match self.role(user, own, &channel.id) {
                Role::None => {}
                role if channel.receives() => return CounterMode::Counting(role),
                role if counter_mode == CounterMode::Zero => {
                    counter_mode = CounterMode::Frozen(role);
                }
                _ => {}
            }
        }
        counter_mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(states: &[&str]) -> Channels {
        let channel = |(number, state): (usize, &&str)| {
            ChannelSpec::new(&number.to_string(), "whatsapp").state(state)
        };
        Channels::new(states.iter().enumerate().map(channel).collect())
    }

    #[test]
    fn a_role_counts_where_a_channel_works() {
        let mut channels = channels(&["phoneUnavailable", "active"]);
        assert_eq!(channels.counter_mode("7", Role::Manager), CounterMode::Counting(Role::Manager));
        assert_eq!(channels.counter_mode("7", Role::None), CounterMode::Zero);
        channels.set_role("7", "1", Role::None);
        assert_eq!(channels.counter_mode("7", Role::Manager), CounterMode::Frozen(Role::Manager));
        assert_eq!(channels.counter_mode("8", Role::Manager), CounterMode::Counting(Role::Manager));
        channels.set_role("7", "1", Role::SalesRep);
        assert_eq!(channels.counter_mode("7", Role::None), CounterMode::Counting(Role::SalesRep));
    }

    #[test]
    fn only_an_active_channel_that_exists_receives() {
        let channel = ChannelSpec::new("0", "tgapi");
        for broken in [
            channel.clone().state("init"),
            ChannelSpec { status: "disabled".into(), ..channel.clone() },
            ChannelSpec { state: "qridle".into(), ..channel.clone() },
        ] {
            let channels = Channels::new(vec![broken]);
            assert_eq!(
                channels.counter_mode("7", Role::Manager),
                CounterMode::Frozen(Role::Manager)
            );
        }
        let none = Channels::new(vec![channel.deleted()]);
        assert_eq!(none.counter_mode("7", Role::Manager), CounterMode::Zero);
    }

    #[test]
    fn a_state_brings_its_status() {
        let status = |state| ChannelSpec::new("0", "tgapi").state(state).status;
        let statuses = ["active", "init", "phoneUnavailable", "never-heard-of"].map(status);
        assert_eq!(statuses, ["active", "init", "disabled", "disabled"]);
    }

    #[test]
    fn a_channel_with_a_known_id_is_replaced_in_its_place() {
        let mut channels = channels(&["active", "active"]);
        channels.put(ChannelSpec::new("0", "max"));
        channels.put(ChannelSpec::new("9", "vk"));
        let ids: Vec<_> = channels.all().iter().map(|channel| &*channel.transport).collect();
        assert_eq!(ids, ["max", "whatsapp", "vk"]);
    }
}
