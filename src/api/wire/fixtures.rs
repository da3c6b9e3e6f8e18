//! The parsers against the responses that were recorded or documented (`tests/fixtures/README.md`), to
//! which the simulator is held as well.

use std::time::Duration;

use super::{parse_channels, parse_counter, parse_roles, parse_users, parse_webhooks};
use crate::account::Api;
use crate::channel::{ChannelState, Role, Transport};
use crate::counter::{CounterType, Reading};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/", $name, ".json")).as_slice()
    };
}

#[test]
fn counters_are_understood() {
    let reading = parse_counter(Api::V2, fixture!("v2-counter")).unwrap();
    assert_eq!((reading.count, reading.kind), (5, CounterType::Red));
    assert_eq!(reading.server_time, Some(1_759_499_127));
    let reading = parse_counter(Api::V3, fixture!("v3-counter")).unwrap();
    let expected = Reading {
        count: 7,
        kind: CounterType::Red,
        server_time: None,
        last_message: Some(Duration::from_secs(1_685_017_846)),
    };
    assert_eq!(reading, expected);
    let zero = parse_counter(Api::V3, fixture!("v3-counter-zero")).unwrap();
    let shown = zero.values();
    assert_eq!((shown.red, shown.grey, zero.last_message), (Some(0), Some(0), None));
}

#[test]
fn a_counter_of_the_other_version_is_none() {
    assert!(parse_counter(Api::V3, fixture!("v2-counter")).is_err());
    assert!(parse_counter(Api::V2, fixture!("v3-counter")).is_err());
}

#[test]
fn users_are_understood_in_each_shape() {
    for body in [
        fixture!("v2-users"),
        fixture!("v2-users-nested"),
        fixture!("v3-users"),
        fixture!("v3-users-bare"),
    ] {
        let page = parse_users(body).unwrap();
        let users: Vec<_> =
            page.list.iter().map(|user| (user.id.as_str(), user.name.as_deref())).collect();
        assert_eq!(users, [("7", Some("Анна Смирнова")), ("8", Some("Boris"))]);
        assert_eq!((page.rows, page.unreadable.count), (2, 0));
    }
}

#[test]
fn channels_are_understood_in_each_shape() {
    for (body, first) in [
        (fixture!("v2-channels"), ChannelState::QrIdle),
        (fixture!("v2-channels-state-only"), ChannelState::QrIdle),
        (fixture!("v2-channels-status-only"), ChannelState::Disabled),
        (fixture!("v2-channels-old"), ChannelState::QrIdle),
    ] {
        let channels = parse_channels(body).unwrap().list;
        let channel = &channels[0];
        assert_eq!(&*channel.id, "808e0654-8e0f-4c1a-9f5a-3f2d6b7c8d9e");
        assert_eq!((channel.transport, channel.state), (Transport::Whatsapp, first));
        assert!(!channel.active);
    }
    let old = parse_channels(fixture!("v2-channels-old")).unwrap().list;
    assert_eq!(old.len(), 1, "deleted channels are left out");
    assert!(!parse_channels(fixture!("v3-channels")).unwrap().list.is_empty());
}

#[test]
fn roles_are_understood_in_each_shape() {
    for body in [
        fixture!("v2-settings"),
        fixture!("v2-settings-enveloped"),
        fixture!("v2-settings-camel-case"),
    ] {
        let roles = parse_roles(body).unwrap().list;
        let states = ["7", "8", "9", "1"].map(|user| roles.of(user));
        assert_eq!(states, [Role::SalesRep, Role::Manager, Role::QualityControl, Role::None]);
    }
}

#[test]
fn webhooks_are_counted() {
    assert!(parse_webhooks(fixture!("v2-webhooks")).unwrap().list > 0);
    assert_eq!(parse_webhooks(fixture!("v3-webhooks")).unwrap().list, 1);
}
