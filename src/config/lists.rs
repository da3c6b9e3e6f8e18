//! What of an account's lists is read, and when people work: `discover_users`, `channels` and
//! `working_hours`. Called by [`accounts`](super::accounts).

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::account::{Channels, Discovery, LabelRule, Pattern};
use crate::schedule::WorkingHours;

use super::value::{count, duration, flag, labels, line};
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::report::{Noted, Report};

const REFRESH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
const MAX_USERS: RangeInclusive<usize> = 1..=100_000;
/// Longest pattern, in characters.
const PATTERN_MAX: usize = 1000;

/// Time between two readings of the user list, unless configured.
const DEFAULT_DISCOVERY: Duration = Duration::from_mins(10);
/// Most users found, unless configured.
const DEFAULT_MAX_USERS: usize = 1000;
/// Time between two readings of channels and roles, unless configured.
const DEFAULT_CHANNELS: Duration = Duration::from_mins(1);

/// Reads a mapping `discover_users`: nothing if it is switched off.
pub(super) fn read_discovery(
    node: Node<'_>,
    report: &mut Report,
) -> Result<Option<Discovery>, Noted> {
    let known = ["enabled", "refresh_interval", "include", "exclude", "max_users", "labels"];
    let section = MappingSection::open(node, &known, report).ok_or(Noted)?;
    let enabled = switch(&section, false, report);
    let refresh_interval = refresh(&section, DEFAULT_DISCOVERY, report);
    let include = match section.get("include") {
        Some(node) => patterns(&node, report),
        None => Pattern::parse(".*").ok().map(|all| vec![all]),
    };
    let exclude = section.get("exclude").map_or(Some(Vec::new()), |node| patterns(&node, report));
    let max_users = section.get("max_users");
    let max_users =
        max_users.map_or(Some(DEFAULT_MAX_USERS), |node| count(&node, &MAX_USERS, report));
    let rules = section.get("labels").map_or(Some(Vec::new()), |node| rules(&node, report));
    let discovery = Discovery {
        refresh_interval: refresh_interval.ok_or(Noted)?,
        include: include.ok_or(Noted)?,
        exclude: exclude.ok_or(Noted)?,
        max_users: max_users.ok_or(Noted)?,
        labels: rules.ok_or(Noted)?,
    };
    Ok(enabled.ok_or(Noted)?.then_some(discovery))
}

/// Reads a mapping `channels`; see [`read_discovery`].
pub(super) fn read_channels(
    node: Option<Node<'_>>,
    report: &mut Report,
) -> Result<Option<Channels>, Noted> {
    let Some(node) = node else {
        return Ok(Some(Channels { refresh_interval: DEFAULT_CHANNELS }));
    };
    let known = ["enabled", "refresh_interval"];
    let section = MappingSection::open(node, &known, report).ok_or(Noted)?;
    let enabled = switch(&section, true, report);
    let refresh_interval = refresh(&section, DEFAULT_CHANNELS, report);
    let channels = Channels { refresh_interval: refresh_interval.ok_or(Noted)? };
    Ok(enabled.ok_or(Noted)?.then_some(channels))
}

/// Reads a mapping `working_hours`.
pub(super) fn read_working_hours(node: Node<'_>, report: &mut Report) -> Option<WorkingHours> {
    let section = MappingSection::open(node, &["timezone", "days", "from", "to"], report)?;
    let mut text = |key, remedy| {
        let node = section.require(key, remedy, report)?;
        node.text(report).map(str::to_owned)
    };
    let zone = text("timezone", "write a name of the IANA database, Asia/Almaty");
    let days = text("days", "write mon-fri, or mon,wed,fri");
    let from = text("from", "write a time of day, \"09:00\"");
    let to = text("to", "write a time of day, \"18:00\"");
    match WorkingHours::parse(&zone?, &days?, &from?, &to?) {
        Ok(hours) => Some(hours),
        Err((key, why)) => {
            if let Some(node) = section.get(key) {
                node.problem(report, &why.to_string());
            }
            None
        }
    }
}

fn switch(section: &MappingSection<'_>, default: bool, report: &mut Report) -> Option<bool> {
    section.get("enabled").map_or(Some(default), |node| flag(&node, report))
}

fn refresh(
    section: &MappingSection<'_>,
    default: Duration,
    report: &mut Report,
) -> Option<Duration> {
    let node = section.get("refresh_interval");
    node.map_or(Some(default), |node| duration(&node, &REFRESH, report))
}

fn patterns(node: &Node<'_>, report: &mut Report) -> Option<Vec<Pattern>> {
    let items: Vec<Node<'_>> = node.items(report, "a list, [\".*\"]").collect();
    let read: Vec<Option<Pattern>> = items.iter().map(|item| pattern(item, report)).collect();
    read.into_iter().collect()
}

fn pattern(node: &Node<'_>, report: &mut Report) -> Option<Pattern> {
    let text = line(node, PATTERN_MAX, report)?;
    Pattern::parse(&text).map_err(|why| node.problem(report, &why.to_string())).ok()
}

fn rules(node: &Node<'_>, report: &mut Report) -> Option<Vec<LabelRule>> {
    let example = "a list, [{match: \"name: .*Sales.*\", set: {team: sales}}]";
    let items: Vec<Node<'_>> = node.items(report, example).collect();
    let read: Vec<Option<LabelRule>> = items.iter().map(|item| rule(*item, report)).collect();
    read.into_iter().collect()
}

fn rule(node: Node<'_>, report: &mut Report) -> Option<LabelRule> {
    let section = MappingSection::open(node, &["match", "set"], report)?;
    let matched = section.require("match", "write a pattern, \"name: .*Sales.*\"", report);
    let matched = matched.and_then(|node| pattern(&node, report));
    let set = section.require("set", "write the labels, {team: sales}", report)?;
    let set = labels(&set, report);
    Some(LabelRule { pattern: matched?, set })
}
