//! The channels of an account, and the roles that users have on them.
//!
//! Both decide whether a counter means anything: a channel that is not active receives nothing, and a
//! user without a role on any channel always has 0 (docs/upstream.md, "Channels" and "Roles").
//! [`api`](crate::api) reads them, the poller derives each user's [`Trust`] from them, and
//! the exposition shows them. Words of upstream become one of a closed list here, so that no label
//! value is ever invented elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Longest id or name of a channel that is kept, in characters.
pub const TEXT_MAX: usize = 150;
/// Most channels of an account that are kept.
pub const CHANNELS_MAX: usize = 1000;

/// One channel of an account: a number or a profile in a messenger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Wazzup's id of it, a GUID: the label `channel`.
    pub id: Arc<str>,
    /// Which messenger it is.
    pub transport: Transport,
    /// What state it is in.
    pub state: ChannelState,
    /// Whether messages come through: only if all that upstream says of its state is `active`.
    pub active: bool,
    /// Its name, which is mostly a phone number.
    pub name: Option<Arc<str>>,
}

/// Users' roles by the user's id; of an account with many users most of what is kept of its lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// In the order of the ids of users.
    rows: Box<[RoleRow]>,
    channels: Vec<Arc<str>>,
}

/// The role of a user on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RoleRow {
    user: Box<str>,
    /// The place of the channel.
    channel: u32,
    role: Role,
}

/// A user's role on a channel, and so the type of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Answers customers; the counter is red.
    SalesRep,
    /// Supervises; the counter is red or grey.
    Manager,
    /// Only looks on; the counter is grey.
    QualityControl,
    /// A word never documented.
    Other,
    /// No role on any channel: the counter is always 0.
    None,
}

/// The channels and roles of an account; what has never been read is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelsAndRoles {
    /// The channels.
    pub channels: Option<Arc<[Channel]>>,
    /// The roles.
    pub roles: Option<Arc<Roles>>,
}

/// Whether one user's counter can count, by the user's role and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trust {
    /// The role that weighs most; `None` where roles are not known.
    pub role: Option<Role>,
    /// Whether no message can reach the user, because none of the channels is active.
    pub cut_off: bool,
    /// Whether channels or roles are wanted and not known.
    pub not_known: bool,
}

impl Role {
    /// The role that a word of the settings means.
    pub fn from_upstream(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "seller" => Self::SalesRep,
            "manager" => Self::Manager,
            "auditor" => Self::QualityControl,
            _ => Self::Other,
        }
    }

    /// The value of the label `role`.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl Roles {
    /// The roles of users on channels; a channel without a name is one that is not known.
    pub fn new(rows: impl IntoIterator<Item = (String, Arc<str>, Role)>) -> Self {
        let (mut channels, mut places) = (Vec::new(), HashMap::new());
        let mut place = |channel: Arc<str>| {
            *places.entry(channel).or_insert_with_key(|channel| {
                channels.push(Arc::clone(channel));
                channels.len() as u32 - 1
            })
        };
        let rows = rows.into_iter().map(|(user, channel, role)| RoleRow {
            user: user.into(),
            channel: place(channel),
            role,
        });
        let mut rows: Box<[RoleRow]> = rows.collect();
        rows.sort_by(|one, other| one.user.cmp(&other.user));
        Self { rows, channels }
    }

    fn rows_of(&self, user: &str) -> impl Iterator<Item = &RoleRow> {
        let first = self.rows.partition_point(|row| *row.user < *user);
        self.rows.iter().skip(first).take_while(move |row| *row.user == *user)
    }

    /// The user's role that weighs most.
    pub fn of(&self, user: &str) -> Role {
        self.rows_of(user).map(|row| row.role).min().unwrap_or(Role::None)
    }

    /// The channels on which the user has a role.
    pub fn channels_of(&self, user: &str) -> impl Iterator<Item = &str> {
        let channels = self.rows_of(user).filter_map(|row| self.channels.get(row.channel as usize));
        channels.map(|channel| &**channel)
    }
}

impl ChannelsAndRoles {
    /// What is known of a user. Nothing is said of channels without reading them: a user is cut off if
    /// no channel of the account is active, or none on which the user has a role.
    pub fn of(&self, user: &str) -> Trust {
        let role = self.roles.as_ref().map(|roles| roles.of(user));
        let cut_off = self.channels.as_ref().is_some_and(|channels| {
            let active =
                |id: &str| id.is_empty() || channels.iter().any(|one| one.active && *one.id == *id);
            let mut own = self.roles.iter().flat_map(|roles| roles.channels_of(user)).peekable();
            if own.peek().is_some() {
                !own.any(active)
            } else {
                !channels.iter().any(|channel| channel.active)
            }
        });
        Trust { role, cut_off, not_known: false }
    }
}

/// A messenger: the label `transport`, spelt as upstream spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum Transport {
    /// `WhatsApp`.
    Whatsapp,
    /// `WhatsApp` Business API.
    Wapi,
    /// Instagram.
    Instagram,
    /// Telegram, a personal account.
    Tgapi,
    /// Telegram, a bot.
    Telegram,
    /// MAX.
    Max,
    /// MAX, a bot.
    Maxbot,
    /// VK.
    Vk,
    /// Avito.
    Avito,
    /// Viber.
    Viber,
    /// Cian.
    Cian,
    /// A word never documented, or none.
    Other,
}

/// A channel's state: the label `state`, spelt as upstream spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum ChannelState {
    /// Messages come through.
    Active,
    /// Starting.
    Init,
    /// Switched off, or not paid for.
    Disabled,
    /// The phone cannot be reached.
    #[strum(serialize = "phoneUnavailable")]
    PhoneUnavailable,
    /// A QR code waits to be scanned.
    Qr,
    /// A QR code was not scanned in time.
    QrIdle,
    /// The account is in use elsewhere.
    OpenElsewhere,
    /// Not paid for.
    #[strum(serialize = "notEnoughMoney")]
    NotEnoughMoney,
    /// Another phone scanned the QR code.
    ForeignPhone,
    /// Not logged in.
    Unauthorized,
    /// Waits for the password of the second factor.
    #[strum(serialize = "waitForPassword")]
    WaitForPassword,
    /// Waits for a code.
    #[strum(serialize = "waitForCode")]
    WaitForCode,
    /// Blocked by the messenger.
    Blocked,
    /// Being checked by the messenger.
    #[strum(serialize = "onModeration")]
    OnModeration,
    /// Turned down by the messenger.
    Rejected,
    /// A word never documented, or none.
    Other,
}

/// What upstream's word means and what its label is: the same word, compared without case.
macro_rules! words_of_upstream {
    ($name:ident) => {
        impl $name {
            /// Every value.
            pub const ALL: &[Self] = Self::VARIANTS;

            /// What a word of upstream means.
            pub fn from_upstream(word: &str) -> Self {
                word.parse().unwrap_or(Self::Other)
            }

            /// The value of the label.
            pub fn label(self) -> &'static str {
                self.into()
            }
        }
    };
}

words_of_upstream!(Transport);
words_of_upstream!(ChannelState);

impl Channel {
    /// What the channel does, to be read behind its name, and what to do about it, which is empty while
    /// there is nothing to do.
    pub fn messages(&self) -> (&'static str, &'static str) {
        match self.state {
            // Two words of upstream may contradict each other.
            ChannelState::Active if !self.active => {
                ("is active by one word and not by another", "look at it in Wazzup24")
            }
            state => state_messages(state),
        }
    }
}

fn state_messages(state: ChannelState) -> (&'static str, &'static str) {
    const CONNECT: &str = "connect it again in Wazzup24";
    match state {
        ChannelState::Active => ("is active", ""),
        ChannelState::Init => ("is starting", "wait some minutes; if it stays, connect it again"),
        ChannelState::Disabled => {
            ("is switched off or not paid for", "switch it on in Wazzup24, or pay for it")
        }
        ChannelState::PhoneUnavailable => {
            ("has lost its phone", "switch the phone on, connect it to the internet, open WhatsApp")
        }
        ChannelState::Qr | ChannelState::QrIdle => ("waits for its QR code", CONNECT),
        ChannelState::OpenElsewhere => ("is in use elsewhere", CONNECT),
        ChannelState::NotEnoughMoney => ("is not paid for", "top up the balance in Wazzup24"),
        ChannelState::ForeignPhone => ("was connected with another phone", CONNECT),
        ChannelState::Unauthorized => ("is not logged in", CONNECT),
        ChannelState::WaitForPassword => ("waits for the password of the second factor", CONNECT),
        ChannelState::WaitForCode => ("waits for a code", CONNECT),
        ChannelState::Blocked => {
            ("was blocked by the messenger", "ask the messenger's support; use another number")
        }
        ChannelState::OnModeration => ("is being checked by the messenger", "wait for the result"),
        ChannelState::Rejected => {
            ("was turned down by the messenger", "correct what the messenger objects to")
        }
        ChannelState::Other => ("is in a state that is not known here", "look at it in Wazzup24"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str, active: bool) -> Channel {
        let state = if active { ChannelState::Active } else { ChannelState::Disabled };
        Channel { id: id.into(), transport: Transport::Whatsapp, state, active, name: None }
    }

    fn channels_and_roles(
        channels: &[(&str, bool)],
        roles: &[(&str, &str, Role)],
    ) -> ChannelsAndRoles {
        let rows = roles.iter().map(|(user, on, role)| ((*user).to_owned(), (*on).into(), *role));
        let known = Roles::new(rows);
        ChannelsAndRoles {
            channels: Some(channels.iter().map(|(id, active)| channel(id, *active)).collect()),
            roles: Some(Arc::new(known)),
        }
    }

    #[test]
    fn words_are_compared_without_case_and_unknown_ones_are_other() {
        assert_eq!(ChannelState::from_upstream("PHONEUNAVAILABLE"), ChannelState::PhoneUnavailable);
        assert_eq!(ChannelState::from_upstream("qrIdle").label(), "qridle");
        assert_eq!(ChannelState::from_upstream("levitating").label(), "other");
        assert_eq!(Transport::from_upstream("WhatsApp").label(), "whatsapp");
        assert_eq!(Role::from_upstream("Seller").label(), "sales_rep");
        assert_eq!(Role::from_upstream("emperor").label(), "other");
        for state in ChannelState::ALL {
            assert_eq!(ChannelState::from_upstream(state.label()), *state);
        }
    }

    #[test]
    fn the_role_that_weighs_most_counts() {
        let around = channels_and_roles(
            &[("a", true), ("b", true)],
            &[("1", "a", Role::QualityControl), ("1", "b", Role::SalesRep)],
        );
        assert_eq!(
            around.of("1"),
            Trust { role: Some(Role::SalesRep), cut_off: false, not_known: false }
        );
        assert_eq!(
            around.of("2"),
            Trust { role: Some(Role::None), cut_off: false, not_known: false }
        );
    }

    #[test]
    fn a_user_is_cut_off_when_none_of_the_own_channels_is_active() {
        let roles = [("1", "a", Role::SalesRep), ("2", "b", Role::Manager)];
        let around = channels_and_roles(&[("a", false), ("b", true)], &roles);
        assert!(around.of("1").cut_off);
        assert!(!around.of("2").cut_off);
        assert!(!around.of("3").cut_off, "without a role, an active channel is enough");
        let unclear = channels_and_roles(&[("b", true)], &[("1", "", Role::SalesRep)]);
        assert!(!unclear.of("1").cut_off, "the channel is not known");
        let gone = channels_and_roles(&[("b", true)], &roles);
        assert!(gone.of("1").cut_off, "the channel was removed");
        let none = channels_and_roles(&[], &[]);
        assert!(none.of("1").cut_off, "the account has no channel at all");
    }

    #[test]
    fn nothing_is_claimed_of_what_was_not_read() {
        assert_eq!(ChannelsAndRoles::default().of("1"), Trust::default());
        let around = channels_and_roles(&[("a", true)], &[]);
        let unread = ChannelsAndRoles { roles: None, ..around.clone() };
        assert_eq!(unread.of("1"), Trust { role: None, cut_off: false, not_known: false });
        let unread = ChannelsAndRoles { channels: None, ..around };
        assert_eq!(
            unread.of("1"),
            Trust { role: Some(Role::None), cut_off: false, not_known: false }
        );
    }
}
