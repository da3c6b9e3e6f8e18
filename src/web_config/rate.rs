//! The section `rate_limit`: how many requests are answered.

use std::time::Duration;

use super::duration::nanoseconds;
use super::section_reader::SectionReader;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::tree::Tree;

/// A bucket of `burst` requests, which gets one back per `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Time for one more request; more than nothing.
    pub interval: Duration,
    /// Requests that a full bucket holds; at 0 none is ever answered.
    pub burst: u32,
}

impl RequestRate {
    /// Reads the section; an interval of 0 or less limits nothing.
    pub(super) fn read(node: Node<'_>, reader: &mut SectionReader<'_>) -> Option<Self> {
        let section = MappingSection::open(node, &["interval", "burst"], &mut reader.report)?;
        let nanos = match section.get("interval") {
            Some(node) => interval(&node, reader)?,
            None => 0,
        };
        let burst = match section.get("burst") {
            Some(node) => burst(&node, reader)?,
            None => 0,
        };
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or_default());
        if interval.is_zero() {
            return None;
        }
        if burst == 0 {
            let what = "answers every request 429, because burst is 0; write burst: 20";
            section.node().warn(&mut reader.report, what);
        }
        Some(Self { interval, burst })
    }
}

fn interval(node: &Node<'_>, reader: &mut SectionReader<'_>) -> Option<i64> {
    let nanos = match node.tree() {
        Tree::Null => Some(0),
        Tree::Int(nanos) => i64::try_from(*nanos).ok(),
        Tree::Text(text) => nanoseconds(text),
        _ => None,
    };
    if nanos.is_none() {
        node.problem(&mut reader.report, "is not a duration; write 1s, 1m30s or 200ms");
    }
    nanos
}

fn burst(node: &Node<'_>, reader: &mut SectionReader<'_>) -> Option<u32> {
    match node.tree() {
        Tree::Null => Some(0),
        // A bucket that large is never empty.
        Tree::Int(burst) => Some(u32::try_from((*burst).max(0)).unwrap_or(u32::MAX)),
        _ => {
            let what = "is not a whole number; write one, unquoted, as 20";
            node.problem(&mut reader.report, what);
            None
        }
    }
}
