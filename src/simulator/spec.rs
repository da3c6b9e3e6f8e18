//! The accounts and users of a simulation, as plain data.
//!
//! [`AccountSpec`] and [`UserSpec`] are part of the settings; a test also hands a [`UserSpec`] to a
//! running simulator. `account` and `user` are what becomes of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::channels::ChannelSpec;
use super::endpoint::{Endpoint, Version};
use super::shapes::Shapes;

/// One customer's account.
#[derive(Debug, Clone)]
pub struct AccountSpec {
    /// The name it has in the exporter's configuration.
    pub name: String,
    /// Eight digits.
    pub account_id: String,
    /// What selects the account.
    pub credential: Credential,
    /// How its credential is treated.
    pub access: Access,
    /// Labels for the exporter's configuration.
    pub labels: BTreeMap<String, String>,
    /// The users, in the order they are shown.
    pub users: Vec<UserSpec>,
    /// The channels, in the order they are listed.
    pub channels: Vec<ChannelSpec>,
    /// Whether its CRM has subscribed to events.
    pub webhook: bool,
    /// In which of the known forms its lists are answered.
    pub shapes: Shapes,
    /// How the exporter's configuration discovers users, where it names none itself.
    pub discovery: Option<Discovery>,
    /// How often the exporter's configuration reads channels, where it is not the default.
    pub channels_every: Option<Duration>,
}

impl AccountSpec {
    /// A v2 account with a token that stays the same, normal access, one active `whatsapp` channel,
    /// one subscription and no users.
    pub fn new(name: &str, account_id: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            account_id: account_id.to_owned(),
            credential: Credential::Token(token.into()),
            access: Access::Normal,
            labels: BTreeMap::new(),
            users: Vec::new(),
            channels: vec![ChannelSpec::of_account(account_id)],
            webhook: true,
            shapes: Shapes::default(),
            discovery: None,
            channels_every: None,
        }
    }

    /// The same for an account that is read with an API key of v3.
    pub fn v3(name: &str, account_id: &str, key: &str) -> Self {
        let credential = Credential::ApiKey(key.into());
        Self { credential, ..Self::new(name, account_id, "") }
    }

    /// The same for an account whose tokens a partner gets by exchange (white label).
    pub fn white_label(name: &str, account_id: &str, partner: &str) -> Self {
        let credential = Credential::WhiteLabel { partner: partner.to_owned() };
        Self { credential, ..Self::new(name, account_id, "") }
    }

    /// The same for an account whose owner has authorised a partner (Wazzup label), who got this
    /// refresh token then.
    pub fn label(name: &str, account_id: &str, partner: &str, refresh_token: &str) -> Self {
        let (partner, refresh_token) = (partner.to_owned(), Some(refresh_token.into()));
        let credential = Credential::Label { partner, refresh_token };
        Self { credential, ..Self::new(name, account_id, "") }
    }

    /// The same account with one more user.
    #[must_use]
    pub fn user(mut self, user: UserSpec) -> Self {
        self.users.push(user);
        self
    }

    /// The same account with these channels instead of its own.
    #[must_use]
    pub fn channels(mut self, channels: impl IntoIterator<Item = ChannelSpec>) -> Self {
        self.channels = channels.into_iter().collect();
        self
    }
}

/// The configuration of an exporter that discovers an account's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    /// Time between two readings of the list.
    pub every: Duration,
    /// Most users it may find; the limit needs room for as many within an interval.
    pub max_users: usize,
}

/// What a client has to show to be let in to an account.
#[derive(Debug, Clone)]
pub enum Credential {
    /// v2: a token that stays the same.
    Token(SecretString),
    /// v3: an API key.
    ApiKey(SecretString),
    /// v3: a key made for a CRM integration, which may read channels and webhooks only.
    SidecarKey(SecretString),
    /// v2: a token that the partner exchanged a machine token for.
    WhiteLabel {
        /// The partner's name.
        partner: String,
    },
    /// v2: a token that the account's owner let the partner have.
    Label {
        /// The partner's name.
        partner: String,
        /// The refresh token that is good from the start; `None` before a first login.
        refresh_token: Option<SecretString>,
    },
}

impl Credential {
    /// The version of the API that it is good for.
    pub(super) const fn version(&self) -> Version {
        match self {
            Self::Token(_) | Self::WhiteLabel { .. } | Self::Label { .. } => Version::V2,
            Self::ApiKey(_) | Self::SidecarKey(_) => Version::V3,
        }
    }

    /// Whether the partner of this name may have tokens by exchange.
    pub(super) fn is_white_label_of(&self, name: &str) -> bool {
        matches!(self, Self::WhiteLabel { partner } if partner == name)
    }

    /// Whether a person's login may let the partner of this name have tokens.
    pub(super) fn is_label_of(&self, name: &str) -> bool {
        matches!(self, Self::Label { partner, .. } if partner == name)
    }

    /// Whether it may use this endpoint.
    pub(super) const fn may_ask(&self, endpoint: Endpoint) -> bool {
        !matches!(self, Self::SidecarKey(_))
            || matches!(endpoint, Endpoint::Channels | Endpoint::Webhooks)
    }
}

/// How the API treats an account's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Answers.
    #[default]
    Normal,
    /// 401, as for an unknown token. No new one is issued.
    Revoked,
    /// 403.
    Forbidden,
}

/// A user's role on a channel, which decides the type of the user's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The counter is always red.
    SalesRep,
    /// The counter is red or grey and turns every few simulated minutes.
    Manager,
    /// The counter is always grey.
    QualityControl,
    /// No role. A user who has none on any channel has a counter of 0.
    #[default]
    None,
}

/// One user of an account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserSpec {
    /// Any string; the path carries it percent-encoded.
    pub id: String,
    /// The name shown in the exporter's configuration.
    pub name: String,
    /// The phone number, which not every user has.
    pub phone: Option<String>,
    /// The role on every channel, which decides the counter's type.
    pub role: Role,
    /// The channels, by id, on which the role is another one; [`Role::None`] is none there.
    pub roles: BTreeMap<String, Role>,
    /// The label `team` in the exporter's configuration.
    pub team: Option<String>,
    /// How long after the start, or after being added, the API begins to know the user.
    pub arrives_after: Duration,
    /// Whether the API no longer knows the user.
    pub removed: bool,
    /// A fixed value in place of the simulated one.
    pub pinned: Option<Pinned>,
    /// When the last message came, in place of when it was simulated to come. A pinned counter has
    /// no other.
    pub last_message: Option<SystemTime>,
}

impl UserSpec {
    /// A user without a phone number, with one role on all channels, whose counter is simulated.
    pub fn new(id: &str, name: &str, role: Role) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), role, ..Self::default() }
    }

    /// The same user with another role on one channel.
    #[must_use]
    pub fn role_on(mut self, channel: &str, role: Role) -> Self {
        self.roles.insert(channel.to_owned(), role);
        self
    }

    /// The same user on a team.
    #[must_use]
    pub fn team(mut self, team: &str) -> Self {
        self.team = Some(team.to_owned());
        self
    }

    /// The same user with a fixed counter.
    #[must_use]
    pub fn pinned(mut self, counter: u64, kind: &str) -> Self {
        self.pinned = Some(Pinned { counter: counter.into(), kind: kind.into() });
        self
    }
}

/// A counter answered as it stands, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pinned {
    /// `data.counter`, normally a number.
    pub counter: Value,
    /// `data.type`: normally a word, but null and unknown words have been seen.
    #[serde(rename = "type")]
    pub kind: Value,
}
