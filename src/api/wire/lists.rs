//! The lists of an account: users, channels, roles and webhooks, in every shape that has been seen.
//!
//! A response that is not understood as a whole is an error: half a list of channels would mark users
//! as cut off that are not, and half a list of users would remove users.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::channel::{CHANNELS_MAX, Channel, ChannelState, Role, Roles, TEXT_MAX, Transport};
use crate::text;
use crate::transport::Malformed;

/// A user of the account's list; neither checked nor cut yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The id in the CRM.
    pub id: String,
    /// The display name, where there is one.
    pub name: Option<String>,
}

/// One page of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The users in it.
    pub users: Vec<ListedUser>,
    /// How many there are on all pages, where the response says it.
    pub count: Option<usize>,
}

/// `{"data":[…]}`, `{"data":{"users":[…]}}`, `{"users":[…]}` or `[…]`; v3 adds `count`.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserList {
    Data {
        data: UserData,
        #[serde(default)]
        count: Option<usize>,
    },
    Users {
        users: Vec<WireUser>,
    },
    Bare(Vec<WireUser>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum UserData {
    Bare(Vec<WireUser>),
    Users { users: Vec<WireUser> },
}

#[derive(Deserialize)]
struct WireUser {
    #[serde(deserialize_with = "text_or_number")]
    id: String,
    #[serde(default)]
    name: Option<String>,
    /// See `CounterResponse`.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// `{"data":[…]}`, `{"data":{"channels":[…]}}`, `{"channels":[…]}` or `[…]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum ChannelList {
    Data { data: ChannelData },
    Channels { channels: Vec<WireChannel> },
    Bare(Vec<WireChannel>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ChannelData {
    Bare(Vec<WireChannel>),
    Channels { channels: Vec<WireChannel> },
}

#[derive(Deserialize)]
struct WireChannel {
    #[serde(alias = "channelId", alias = "guid", alias = "id")]
    channel_id: String,
    #[serde(default)]
    transport: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "plainId")]
    plain_id: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    deleted: bool,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// `{"user_roles":[…]}`, with or without the envelope `data`, in snake or camel case.
#[derive(Deserialize)]
#[serde(untagged)]
enum SettingsResponse {
    Data { data: SettingsData },
    Bare(SettingsData),
}

#[derive(Deserialize)]
struct SettingsData {
    #[serde(alias = "userRoles")]
    user_roles: Vec<WireRole>,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

#[derive(Deserialize)]
struct WireRole {
    #[serde(alias = "channelId")]
    channel_id: String,
    #[serde(alias = "userId", deserialize_with = "text_or_number")]
    user_id: String,
    role: String,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// `{"data":[…]}` or `[…]`; v3 has a single address, `{"webhooksUri":"…"}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Webhooks {
    Data {
        data: Vec<IgnoredAny>,
    },
    Bare(Vec<IgnoredAny>),
    Single {
        #[serde(rename = "webhooksUri", alias = "webhooks_uri", alias = "uri")]
        uri: Option<String>,
    },
}

/// Reads one page of the list of users.
///
/// # Errors
/// Everything that is not JSON of one of the known shapes.
pub fn parse_users(body: &[u8]) -> Result<UserPage, Malformed> {
    let (users, count) = match serde_json::from_slice(body)? {
        UserList::Data { data: UserData::Bare(users) | UserData::Users { users }, count } => {
            (users, count)
        }
        UserList::Users { users } | UserList::Bare(users) => (users, None),
    };
    let users = users.into_iter().map(|user| ListedUser { id: user.id, name: user.name });
    Ok(UserPage { users: users.collect(), count })
}

/// Reads the list of channels, without deleted ones.
///
/// # Errors
/// Everything that is not JSON of one of the known shapes, and more channels than
/// [`CHANNELS_MAX`].
pub fn parse_channels(body: &[u8]) -> Result<Vec<Channel>, Malformed> {
    let channels = match serde_json::from_slice(body)? {
        ChannelList::Data {
            data: ChannelData::Bare(channels) | ChannelData::Channels { channels },
        }
        | ChannelList::Channels { channels }
        | ChannelList::Bare(channels) => channels,
    };
    let mut kept: Vec<Channel> = Vec::new();
    for channel in channels.into_iter().filter(|channel| !channel.deleted) {
        let channel = Channel::from(channel);
        if !kept.iter().any(|other| other.id == channel.id) {
            kept.push(channel);
        }
        if kept.len() > CHANNELS_MAX {
            return Err(Malformed::TooMany { limit: CHANNELS_MAX });
        }
    }
    Ok(kept)
}

/// Reads the users' roles from the settings.
///
/// # Errors
/// Everything that is not JSON of one of the known shapes with a list of roles in it.
pub fn parse_roles(body: &[u8]) -> Result<Roles, Malformed> {
    let (SettingsResponse::Data { data } | SettingsResponse::Bare(data)) =
        serde_json::from_slice(body)?;
    let mut roles = Roles::default();
    for role in data.user_roles {
        roles.add(role.user_id, shortened(&role.channel_id), Role::from_upstream(&role.role));
    }
    Ok(roles)
}

/// Reads how many webhooks there are.
///
/// # Errors
/// Everything that is not JSON of one of the known shapes.
pub fn parse_webhooks(body: &[u8]) -> Result<usize, Malformed> {
    Ok(match serde_json::from_slice(body)? {
        Webhooks::Data { data } | Webhooks::Bare(data) => data.len(),
        Webhooks::Single { uri } => usize::from(uri.is_some_and(|uri| !uri.is_empty())),
    })
}

impl From<WireChannel> for Channel {
    fn from(wire: WireChannel) -> Self {
        let words = [&wire.state, &wire.status].into_iter().flatten();
        let states: Vec<ChannelState> =
            words.map(|word| ChannelState::from_upstream(word)).collect();
        let all_active = states.iter().all(|state| *state == ChannelState::Active);
        let name = wire.name.or(wire.plain_id).or(wire.phone);
        Self {
            id: shortened(&wire.channel_id),
            transport: Transport::from_upstream(wire.transport.as_deref().unwrap_or_default()),
            state: states.first().copied().unwrap_or(ChannelState::Other),
            active: all_active && !states.is_empty(),
            name: name.map(|name| shortened(&name)),
        }
    }
}

/// Foreign text fit for a label.
fn shortened(text: &str) -> Arc<str> {
    text::one_line(text, TEXT_MAX).into()
}

/// An id, which some systems write as a number.
fn text_or_number<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(u64),
    }
    Ok(match TextOrNumber::deserialize(source)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Named = (String, Option<String>);

    fn users(body: &str) -> Result<(Vec<Named>, Option<usize>), Malformed> {
        let page = parse_users(body.as_bytes())?;
        Ok((page.users.into_iter().map(|user| (user.id, user.name)).collect(), page.count))
    }

    #[test]
    fn users_are_read_in_every_known_shape() {
        let anna = r#"{"id":"7","name":"Anna","phone":"7700"}"#;
        let expected = vec![("7".to_owned(), Some("Anna".to_owned()))];
        for (body, count) in [
            (format!(r#"{{"data":[{anna}],"meta":{{"timestamp":1}}}}"#), None),
            (format!(r#"{{"data":{{"users":[{anna}]}},"meta":{{}}}}"#), None),
            (format!(r#"{{"users":[{anna}]}}"#), None),
            (format!("[{anna}]"), None),
            (format!(r#"{{"count":120,"data":[{anna}]}}"#), Some(120)),
        ] {
            assert_eq!(users(&body).unwrap(), (expected.clone(), count), "{body}");
        }
        let odd = users(r#"[{"id":7},{"id":"a","name":null}]"#).unwrap().0;
        assert_eq!(odd, [("7".to_owned(), None), ("a".to_owned(), None)]);
    }

    #[test]
    fn half_a_list_is_none() {
        for body in [
            "",
            "{}",
            "null",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"[{"name":"Anna"}]"#,
            r#"[{"id":"1"},7]"#,
            r#"[["1"]]"#,
            r#"{"error":"X","description":"y","data":{}}"#,
        ] {
            assert!(users(body).is_err(), "{body}");
            assert!(parse_channels(body.as_bytes()).is_err(), "{body}");
            assert!(parse_roles(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse_channels(br#"[{"channel_id":"a"},{"state":"active"}]"#).is_err());
        assert!(parse_roles(br#"{"user_roles":[{"user_id":"7","role":"seller"}]}"#).is_err());
        assert!(parse_roles(br#"{"data":[]}"#).is_err());
    }

    fn channel(body: &str) -> Channel {
        parse_channels(body.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn channels_are_read_in_every_known_shape() {
        let recorded = r#"{"channel_id":"808e0654","transport":"whatsapp","state":"qridle",
            "status":"disabled","phone":"77000000000","messenger_id":"77000000000","name":"7700"}"#;
        let expected = Channel {
            id: "808e0654".into(),
            transport: Transport::Whatsapp,
            state: ChannelState::QrIdle,
            active: false,
            name: Some("7700".into()),
        };
        assert_eq!(channel(&format!(r#"{{"data":[{recorded}],"meta":{{}}}}"#)), expected);
        assert_eq!(channel(&format!(r#"{{"data":{{"channels":[{recorded}]}}}}"#)), expected);
        let old = r#"{"channels":[{"guid":"g","phone":"7","state":"active","transport":"tgapi",
            "deleted":false,"visible":true,"hasAccess":true},{"guid":"x","deleted":true}],"count":2}"#;
        let expected = Channel {
            id: "g".into(),
            transport: Transport::Tgapi,
            state: ChannelState::Active,
            active: true,
            name: Some("7".into()),
        };
        assert_eq!(parse_channels(old.as_bytes()).unwrap(), [expected]);
        let v3 = r#"[{"channelId":"c","transport":"telegram","plainId":"bot","state":"active"}]"#;
        assert!(channel(v3).active && channel(v3).name.as_deref() == Some("bot"));
    }

    #[test]
    fn a_channel_is_active_only_if_state_and_status_say_so() {
        for (state, status, active, shown) in [
            (Some("active"), Some("active"), true, ChannelState::Active),
            (None, Some("ACTIVE"), true, ChannelState::Active),
            (Some("active"), None, true, ChannelState::Active),
            (Some("active"), Some("disabled"), false, ChannelState::Active),
            (Some("qr"), Some("active"), false, ChannelState::Qr),
            (None, Some("blocked"), false, ChannelState::Blocked),
            (None, None, false, ChannelState::Other),
        ] {
            let channel = serde_json::json!([{"id": "c", "state": state, "status": status}]);
            let channel = self::channel(&channel.to_string());
            assert_eq!((channel.active, channel.state), (active, shown), "{state:?} {status:?}");
        }
    }

    #[test]
    fn roles_are_read_in_every_known_shape() {
        let snake = r#"{"user_roles":[{"channel_id":"c","user_id":"7","role":"seller",
            "allow_get_new_clients":true}],"hide_phone_numbers_for_user_ids":[]}"#;
        let camel = r#"{"userRoles":[{"channelId":"c","userId":7,"role":"seller"}]}"#;
        for body in [snake.to_owned(), format!(r#"{{"data":{snake}}}"#), camel.to_owned()] {
            let roles = parse_roles(body.as_bytes()).unwrap();
            assert_eq!(roles.of("7"), Role::SalesRep, "{body}");
            assert_eq!(roles.channels_of("7").collect::<Vec<_>>(), ["c"]);
            assert_eq!(roles.of("8"), Role::None);
        }
    }

    #[test]
    fn webhooks_are_counted() {
        let one = r#"{"data":[{"id":"1","url":"https://x","event":"message.add"}],"meta":{}}"#;
        assert_eq!(parse_webhooks(one.as_bytes()).unwrap(), 1);
        assert_eq!(parse_webhooks(br#"{"data":[]}"#).unwrap(), 0);
        assert_eq!(parse_webhooks(br#"{"webhooksUri":"https://x"}"#).unwrap(), 1);
        assert_eq!(parse_webhooks(br#"{"webhooksUri":null}"#).unwrap(), 0);
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parsers(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_users(&body);
            let _ = parse_channels(&body);
            let _ = parse_roles(&body);
            let _ = parse_webhooks(&body);
        }
    }
}
