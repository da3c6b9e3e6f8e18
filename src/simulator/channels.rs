//! The channels of an account, as plain data of the settings.

use serde::Serialize;

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

    /// Whether messages arrive here.
    pub(super) fn receives(&self) -> bool {
        !self.deleted && self.state == ACTIVE && self.status == ACTIVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_channel_that_exists_receives() {
        let channel = ChannelSpec::new("0", "tgapi");
        assert!(channel.receives());
        for broken in [
            channel.clone().state("init"),
            ChannelSpec { status: "disabled".into(), ..channel.clone() },
            ChannelSpec { state: "qridle".into(), ..channel.clone() },
            ChannelSpec { deleted: true, ..channel },
        ] {
            assert!(!broken.receives(), "{broken:?}");
        }
    }

    #[test]
    fn a_state_brings_its_status() {
        let status = |state| ChannelSpec::new("0", "tgapi").state(state).status;
        let statuses = ["active", "init", "phoneUnavailable", "never-heard-of"].map(status);
        assert_eq!(statuses, ["active", "init", "disabled", "disabled"]);
    }
}
