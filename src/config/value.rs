//! Scalars of the configuration: durations, counts, switches, names and labels.
//!
//! Every function notes what is wrong with its [`Node`] and then gives `None`. None repeats what was
//! written: a token may stand in any wrong place.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::account::{InvalidName, LABEL_VALUE_MAX, LabelName, Labels, Profile, check_text};

use crate::text;
use crate::yaml::node::{Node, unique_entries};
use crate::yaml::report::Report;
use crate::yaml::tree::Tree;

/// Longest path in the configuration; the kernel's limit is the same.
pub(super) const PATH_MAX: usize = 4096;

/// A duration within bounds, in units of h, m, s and ms.
pub(super) fn duration(
    node: &Node<'_>,
    bounds: &RangeInclusive<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    if let Tree::Int(_) | Tree::Float = node.tree() {
        node.problem(report, "is a number without a unit; write 30s, 1m30s, 200ms or 2h");
        return None;
    }
    let Some(duration) = text::parse_duration(node.text(report)?) else {
        node.problem(report, "is not a duration; write 30s, 1m30s, 200ms or 2h");
        return None;
    };
    if !bounds.contains(&duration) {
        let (least, most) = (text::duration(*bounds.start()), text::duration(*bounds.end()));
        let what = format!("is {}; it must be from {least} to {most}", text::duration(duration));
        node.problem(report, &what);
        return None;
    }
    Some(duration)
}

/// A whole number within bounds.
pub(super) fn count(
    node: &Node<'_>,
    bounds: &RangeInclusive<usize>,
    report: &mut Report,
) -> Option<usize> {
    let (least, most) = (bounds.start(), bounds.end());
    let what = match node.tree() {
        Tree::Int(number) => match usize::try_from(*number) {
            Ok(count) if bounds.contains(&count) => return Some(count),
            // Longer ones are not repeated: some tokens consist of digits.
            _ if number.unsigned_abs() < 1_000_000_000 => {
                format!("is {number}; it must be from {least} to {most}")
            }
            _ => format!("is out of bounds; it must be from {least} to {most}"),
        },
        other => format!(
            "is {} where a whole number is wanted; write one from {least} to {most}, unquoted",
            if matches!(other, Tree::Float) { "a fraction" } else { other.kind() }
        ),
    };
    node.problem(report, &what);
    None
}

/// A whole percentage within bounds, with its sign.
pub(super) fn percent(
    node: &Node<'_>,
    bounds: &RangeInclusive<u8>,
    report: &mut Report,
) -> Option<u8> {
    let (least, most) = (bounds.start(), bounds.end());
    let number = match node.tree() {
        Tree::Int(_) | Tree::Float => None,
        _ => node.text(report)?.strip_suffix('%'),
    };
    let percent = number.and_then(|number| number.trim().parse().ok());
    if percent.is_none_or(|percent| !bounds.contains(&percent)) {
        let what = format!("must be a whole percentage from {least}% to {most}%, as in 60%");
        node.problem(report, &what);
        return None;
    }
    percent
}

/// A switch.
pub(super) fn flag(node: &Node<'_>, report: &mut Report) -> Option<bool> {
    if let Tree::Bool(flag) = node.tree() {
        return Some(*flag);
    }
    node.problem(report, "must be true or false, unquoted (yes, no, on and off are text in YAML)");
    None
}

/// The choice of metric families.
pub(super) fn profile(node: &Node<'_>, report: &mut Report) -> Option<Profile> {
    match node.text(report)? {
        "full" => Some(Profile::Full),
        "minimal" => Some(Profile::Minimal),
        _ => {
            node.problem(report, "must be full or minimal");
            None
        }
    }
}

/// A name, an id or something else that its own `parse` checks.
pub(super) fn named<T>(
    node: &Node<'_>,
    parse: impl Fn(&str) -> Result<T, InvalidName>,
    report: &mut Report,
) -> Option<T> {
    let text = node.text(report)?;
    parse(text).map_err(|why| node.problem(report, &in_words(why))).ok()
}

/// Text on one line, at most `limit` characters long.
pub(super) fn line(node: &Node<'_>, limit: usize, report: &mut Report) -> Option<String> {
    named(node, |text| check_text(text, limit).map(|()| text.to_owned()), report)
}

/// What is wrong and, where the first does not say it, what to do.
fn in_words(why: InvalidName) -> String {
    let remedy = match why {
        InvalidName::TooLong { .. } => "; shorten it",
        InvalidName::Control | InvalidName::Padded => "; remove it",
        InvalidName::DotSegment => "; give the id that the CRM uses",
        _ => "",
    };
    format!("{why}{remedy}")
}

/// Labels by their names.
pub(super) fn labels(node: &Node<'_>, report: &mut Report) -> Labels {
    if !matches!(node.tree(), Tree::Map(_) | Tree::Null) {
        let kind = node.tree().kind();
        node.problem(report, &format!("is {kind} where a mapping is wanted; write team: sales"));
    }
    let mut labels = Labels::new();
    for (key, entry) in unique_entries(node, report) {
        let name = LabelName::parse(key);
        if let Err(why) = name {
            entry.key_problem(report, &in_words(why));
        }
        let value = line(&entry, LABEL_VALUE_MAX, report);
        if let (Ok(name), Some(value)) = (name, value) {
            labels.insert(name, value);
        }
    }
    labels
}
