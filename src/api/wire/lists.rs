//! The lists of an account: users, channels, roles and webhooks, in every shape that has been seen.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rows::{Listed, Place, ROWS_MAX, id};
use crate::channel::{CHANNELS_MAX, Channel, ChannelState, Role, Roles, TEXT_MAX, Transport};
use crate::text;
use crate::transport::{JsonObject, Malformed};

/// Most users of an account that are read, on all pages.
pub(in crate::api) const USERS_MAX: usize = 100_000;
/// Most bytes of a name that are looked at, longer than any token.
const NAME_READ_MAX: usize = 8 * 1024;
/// `{"data":[…]}`, `{"data":{"users":[…]}}`, `{"users":[…]}` or `[…]`.
const USERS: Place =
    Place { what: "users", names: &["users"], bare: true, null_is_empty: false, max: USERS_MAX };
/// `{"data":[…]}`, `{"data":{"channels":[…]}}`, `{"channels":[…]}` or `[…]`.
const CHANNELS: Place = Place {
    what: "channels",
    names: &["channels"],
    bare: true,
    null_is_empty: false,
    max: CHANNELS_MAX,
};
/// `{"user_roles":[…]}`, with or without the envelope `data`, in snake or camel case.
const ROLES: Place = Place {
    what: "roles",
    names: &["user_roles", "userRoles"],
    bare: false,
    null_is_empty: true,
    max: ROWS_MAX,
};

/// A user of the account's list; neither checked nor cut yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The id in the CRM.
    pub id: String,
    /// The display name, where there is one.
    pub name: Option<String>,
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

/// Reads one page of users.
///
/// # Errors
/// When there is no list in it, or none that can be read; see [`Listed`] for rows that cannot.
pub fn parse_users(body: &[u8]) -> Result<Listed<Vec<ListedUser>>, Malformed> {
    USERS.read(body, |row| {
        Ok(Some(ListedUser { id: id(row, &["id"])?, name: name(row, &["name"]) }))
    })
}

/// Reads the list of channels, each id once and without deleted ones.
///
/// # Errors
/// As for [`parse_users`], and more channels than [`CHANNELS_MAX`].
pub fn parse_channels(body: &[u8]) -> Result<Listed<Vec<Channel>>, Malformed> {
    let mut rows = CHANNELS
        .read(body, |row| if row.flag(&["deleted"]) { Ok(None) } else { channel(row).map(Some) })?;
    let mut known = HashSet::new();
    rows.list.retain(|channel| known.insert(Arc::clone(&channel.id)));
    Ok(rows)
}

/// Reads the users' roles from the settings.
///
/// # Errors
/// As for [`parse_users`].
pub fn parse_roles(body: &[u8]) -> Result<Listed<Roles>, Malformed> {
    let rows = ROLES.read(body, |row| {
        // A row that names its user shows that the user has a role, if not which.
        let role = row.text(&["role"]).map_or(Role::Other, |word| Role::from_upstream(&word));
        let channel = row.id(&["channel_id", "channelId"]).unwrap_or_default();
        Ok(Some((id(row, &["user_id", "userId"])?, shortened(&channel), role)))
    })?;
    Ok(rows.map(Roles::new))
}

/// Reads how many webhooks there are.
///
/// # Errors
/// Everything that is not JSON of one of the known shapes.
pub fn parse_webhooks(body: &[u8]) -> Result<Listed<usize>, Malformed> {
    let count = match serde_json::from_slice(body)? {
        Webhooks::Data { data } | Webhooks::Bare(data) => data.len(),
        Webhooks::Single { uri } => usize::from(uri.is_some_and(|uri| !uri.is_empty())),
    };
    let (unreadable, server_time) = Default::default();
    Ok(Listed { list: count, rows: count, unreadable, server_time })
}

fn channel(row: &JsonObject<'_>) -> Result<Channel, String> {
    let words = [row.text(&["state"]), row.text(&["status"])].into_iter().flatten();
    let states: Vec<ChannelState> = words.map(|word| ChannelState::from_upstream(&word)).collect();
    let all_active = states.iter().all(|state| *state == ChannelState::Active);
    let transport = row.text(&["transport"]).unwrap_or_default();
    Ok(Channel {
        id: shortened(&id(row, &["channel_id", "channelId", "guid", "id"])?),
        transport: Transport::from_upstream(&transport),
        state: states.first().copied().unwrap_or(ChannelState::Other),
        active: all_active && !states.is_empty(),
        name: name(row, &["name", "plainId", "phone"]).map(Into::into),
    })
}

/// The beginning of a name, in which secrets are masked before it is cut to what is shown.
fn name(row: &JsonObject<'_>, names: &[&'static str]) -> Option<String> {
    let name = row.text(names)?;
    name.get(..name.floor_char_boundary(NAME_READ_MAX)).map(str::to_owned)
}

/// Foreign text fit for a label.
pub(in crate::api) fn shortened(text: &str) -> Arc<str> {
    text::one_line(text, TEXT_MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn users(body: &str) -> Result<Vec<(String, Option<String>)>, Malformed> {
        let page = parse_users(body.as_bytes())?;
        Ok(page.list.into_iter().map(|user| (user.id, user.name)).collect())
    }

    #[test]
    fn users_are_read_in_every_known_shape() {
        let anna = r#"{"id":"7","name":"Anna","phone":"7700"}"#;
        let expected = vec![("7".to_owned(), Some("Anna".to_owned()))];
        for body in [
            format!(r#"{{"data":[{anna}],"meta":{{"timestamp":1}}}}"#),
            format!(r#"{{"data":{{"users":[{anna}]}},"meta":{{}}}}"#),
            format!(r#"{{"users":[{anna}]}}"#),
            format!("[{anna}]"),
            format!(r#"{{"count":"1","data":[{anna}]}}"#),
        ] {
            assert_eq!(users(&body).unwrap(), expected, "{body}");
        }
        let odd = users(r#"[{"id":7},{"id":"a","name":null},{"id":"b","name":9}]"#).unwrap();
        let named = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
        assert_eq!(odd, [named("7", None), named("a", None), named("b", Some("9"))]);
    }

    #[test]
    fn a_cut_emoji_or_a_broken_byte_costs_no_more_than_itself() {
        let cut = r#"{"data":[{"id":"1","name":"Anna"},{"id":"2","name":"Boris \ud83d"}]}"#;
        assert_eq!(users(cut).unwrap()[1].1.as_deref(), Some("Boris \u{fffd}"));
        let page = parse_users(b"[{\"id\":\"1\",\"name\":\"An\xffna\"}]").unwrap();
        assert_eq!(page.list[0].id, "1");
    }

    #[test]
    fn what_holds_no_list_is_none() {
        for body in [
            "",
            "{}",
            "null",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"[{"name":"Anna"}]"#,
            r#"[["1"]]"#,
            r#"{"error":"X","description":"y","data":{}}"#,
        ] {
            assert!(users(body).is_err(), "{body}");
            assert!(parse_channels(body.as_bytes()).is_err(), "{body}");
            assert!(parse_roles(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse_roles(br#"{"data":[]}"#).is_err());
    }

    #[test]
    fn a_row_that_cannot_be_read_costs_itself() {
        let channels = parse_channels(
            br#"{"channels":[{"guid":null,"deleted":true},{"guid":"c1","state":"active"},{}]}"#,
        );
        let channels = channels.unwrap();
        assert_eq!((&*channels.list[0].id, channels.list.len()), ("c1", 1));
        assert_eq!(channels.unreadable.count, 1);
        assert_eq!(channels.unreadable.first.unwrap().0, 3);
        let roles = br#"{"user_roles":[{"channel_id":1,"user_id":"7","role":"seller"},
            {"channel_id":"c","user_id":"8","role":null},{"channel_id":"c","role":"seller"}]}"#;
        let Listed { list: roles, unreadable, .. } = parse_roles(roles).unwrap();
        assert_eq!((roles.of("7"), roles.of("8")), (Role::SalesRep, Role::Other));
        let (row, fault) = unreadable.first.unwrap();
        assert_eq!((row, &*fault), (3, "`user_id` is missing or not of the documented kind"));
        assert_eq!(parse_roles(br#"{"user_roles":null}"#).unwrap().list, Roles::default());
    }

    #[test]
    fn of_several_ids_the_documented_one_counts() {
        let rows = parse_channels(br#"[{"id":"i","guid":"g"},{"guid":"g2","channel_id":5}]"#);
        let ids: Vec<_> = rows.unwrap().list.into_iter().map(|channel| channel.id).collect();
        assert_eq!(ids, ["g".into(), "5".into()]);
    }

    fn channel(body: &str) -> Channel {
        parse_channels(body.as_bytes()).unwrap().list.remove(0)
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
        assert_eq!(parse_channels(old.as_bytes()).unwrap().list, [expected]);
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
            let roles = parse_roles(body.as_bytes()).unwrap().list;
            assert_eq!(roles.of("7"), Role::SalesRep, "{body}");
            assert_eq!(roles.channels_of("7").collect::<Vec<_>>(), ["c"]);
            assert_eq!(roles.of("8"), Role::None);
        }
    }

    #[test]
    fn webhooks_are_counted() {
        let one = r#"{"data":[{"id":"1","url":"https://x","event":"message.add"}],"meta":{}}"#;
        for (body, count) in [
            (one, 1),
            (r#"{"data":[]}"#, 0),
            (r#"{"webhooksUri":"https://x"}"#, 1),
            (r#"{"webhooksUri":null}"#, 0),
        ] {
            assert_eq!(parse_webhooks(body.as_bytes()).unwrap().list, count, "{body}");
        }
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
