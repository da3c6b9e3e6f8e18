//! What of an account's lists is read, and when people work: `discover_users`, `channels` and
//! `working_hours`.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use crate::account::{Channels, Discovery, LabelRule, Pattern};
use crate::problems::report::Scope;
use crate::schedule::WorkingHours;

use super::key::{Key, Nested, items, missing};
use super::users::LabelsKeys;
use super::value::{Bounded, HOUR, Line, Time};

/// Made once: it is the default of every account.
static ANY_USER: LazyLock<Pattern> =
    LazyLock::new(|| Pattern::parse(".*").expect("it is a pattern"));

/// Time between two readings of a list.
type Refresh = Time<100, { 24 * HOUR }>;

/// More users, from the account's own list.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct DiscoveryKeys {
    /// Whether users are found, in addition to those under `users`.
    enabled: Key<bool>,
    /// Time between two readings of the list.
    refresh_interval: Key<Refresh>,
    /// A user is taken if one of these patterns matches …
    include: Nested<Vec<Key<Pattern>>>,
    /// … and none of these.
    exclude: Nested<Vec<Key<Pattern>>>,
    /// Most users that are found; the rate limit must have room for as many.
    max_users: Key<Bounded<1, 100_000>>,
    /// Labels for those who match; the last rule that sets a label wins.
    labels: Nested<Vec<Nested<LabelRuleKeys>>>,
}

/// Labels for users who match.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct LabelRuleKeys {
    /// The users it applies to.
    r#match: Key<Pattern>,
    /// What it sets.
    set: LabelsKeys,
}

impl DiscoveryKeys {
    /// Whether users may be found: it is switched on, or its switch is wrong, which is noted.
    pub(super) fn may_find(&self) -> bool {
        self.enabled.is_given() && self.enabled.good() != Some(&false)
    }

    /// Nothing if it is switched off.
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Option<Discovery> {
        let include = self.include.is_given().then_some(&self.include.keys);
        let rules = self.labels.keys.iter().enumerate();
        let usual = Duration::from_mins(10);
        let discovery = Discovery {
            refresh_interval: self.refresh_interval.or(usual, "refresh_interval", scope),
            include: match include {
                Some(include) => items(include, "include", scope).unwrap_or_default(),
                None => vec![ANY_USER.clone()],
            },
            exclude: items(&self.exclude.keys, "exclude", scope).unwrap_or_default(),
            max_users: self.max_users.or(1000_usize, "max_users", scope),
            labels: rules.filter_map(|(index, rule)| rule.check(index, scope)).collect(),
        };
        self.enabled.or(false, "enabled", scope).then_some(discovery)
    }
}

impl Nested<LabelRuleKeys> {
    fn check(&self, index: usize, scope: &mut Scope<'_>) -> Option<LabelRule> {
        let LabelRuleKeys { r#match, set } = &self.keys;
        let scope = &mut scope.within(&format!("labels[{index}]"));
        let remedy = "write a pattern, \"name: .*Sales.*\"";
        let pattern = r#match.require("match", self.at, remedy, scope);
        if !set.is_given() {
            missing("set", self.at, "write the labels, {team: sales}", scope);
        }
        let set = set.check("set", scope);
        Some(LabelRule { pattern: pattern?, set })
    }
}

/// Channels, and with v2 the users' roles on them.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChannelsKeys {
    /// Whether channels are read and, with v2, the users' roles on them.
    enabled: Key<bool>,
    /// Time between two readings.
    refresh_interval: Key<Refresh>,
}

impl ChannelsKeys {
    /// Nothing if it is switched off.
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Option<Channels> {
        let usual = Duration::from_mins(1);
        let refresh_interval = self.refresh_interval.or(usual, "refresh_interval", scope);
        self.enabled.or(true, "enabled", scope).then_some(Channels { refresh_interval })
    }
}

/// When people work, for dashboards and alerts; polling does not depend on it.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct WorkingHoursKeys {
    /// A name of the IANA database, as Asia/Almaty.
    timezone: Key<Line<64>>,
    /// Ranges and days, as `mon-fri` or `mon,wed,fri`.
    days: Key<Line<64>>,
    /// A time of day, quoted: "09:00".
    from: Key<Line<64>>,
    /// A time of day, quoted: "18:00"; at or before `from` it is on the next day.
    to: Key<Line<64>>,
}

impl Nested<WorkingHoursKeys> {
    /// Nothing if they are not given.
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Option<WorkingHours> {
        if !self.is_given() {
            return None;
        }
        let WorkingHoursKeys { timezone, days, from, to } = &self.keys;
        let keys = [
            ("timezone", timezone, "write a name of the IANA database, Asia/Almaty"),
            ("days", days, "write mon-fri, or mon,wed,fri"),
            ("from", from, "write a time of day, \"09:00\""),
            ("to", to, "write a time of day, \"18:00\""),
        ];
        let [zone, days, from, to] =
            keys.map(|(name, key, remedy)| key.require(name, self.at, remedy, scope));
        let hours = WorkingHours::parse(zone?, days?, from?, to?);
        hours.map_or_else(
            |(wrong, why)| {
                let key = keys.iter().find(|(name, ..)| *name == wrong);
                scope.refuse(key.and_then(|(_, key, _)| key.at), wrong, why)
            },
            Some,
        )
    }
}
