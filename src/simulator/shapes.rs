//! The forms in which the API has been seen to answer its lists.
//!
//! [`Shapes`] belong to an account, so that one simulation can hold several forms; `lists` and `v3`
//! follow them.

use serde::Deserialize;

/// The forms of one account's lists. The default is what was recorded from production or, where
/// nothing was, what is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shapes {
    /// The list of users.
    pub users: UsersShape,
    /// Users a page, by the parameter `offset`. `None` is all at once on v2, which then takes no
    /// notice of `offset`, and the documented 100 on v3.
    pub page: Option<usize>,
    /// The list of channels, on v2.
    pub channels: ChannelsShape,
    /// The settings, which hold the roles.
    pub settings: SettingsShape,
}

/// Where the list of users holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsersShape {
    /// v2 `{"data":[…],"meta":…}`, v3 `{"count":1,"data":[…]}`.
    #[default]
    Documented,
    /// `{"data":{"users":[…]},"meta":…}`.
    Nested,
    /// The array alone, an older form of v3.
    Bare,
}

/// How the list of channels shows their condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelsShape {
    /// `state` and `status`, as recorded.
    #[default]
    Recorded,
    /// `status` alone, with a `reason` where the channel is not active.
    StatusOnly,
    /// `state` alone.
    StateOnly,
    /// `{"channels":[{"guid":…}],"count":1}`, which lists deleted channels too.
    Old,
}

/// How the settings are wrapped and spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsShape {
    /// `{"user_roles":[{"channel_id":…}]}`, as recorded.
    #[default]
    Recorded,
    /// The same within `{"data":…,"meta":…}`.
    Enveloped,
    /// `{"userRoles":[{"channelId":…}]}`.
    CamelCase,
}
