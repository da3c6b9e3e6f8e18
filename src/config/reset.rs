//! Who may clear an account's counters, and when: the mapping `reset`.
//! Called by [`accounts`](super::accounts).

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::account::{AccountId, Api, Auth, Reset};

use super::origin::{FileTrust, Origin};
use super::token::check_reset_token_file;
use super::value::{PATH_MAX, count, duration, flag, line};
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::problem::name_of;
use crate::yaml::report::{Noted, Report};

const COOLDOWN: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 30);
const MAX_UNANSWERED: RangeInclusive<usize> = 0..=1_000_000_000;

/// Time between two resets, unless configured.
const DEFAULT_COOLDOWN: Duration = Duration::from_hours(1);
/// Messages that are cleared without their number being named, unless configured.
const DEFAULT_MAX_UNANSWERED: usize = 1000;

/// Reads a mapping `reset`: nothing if it is switched off.
pub(super) fn read_reset(
    node: Node<'_>,
    origin: &Origin<'_>,
    report: &mut Report,
) -> Result<Option<Reset>, Noted> {
    let known = ["enabled", "cooldown", "max_unanswered", "token_file"];
    let section = MappingSection::open(node, &known, report).ok_or(Noted)?;
    let enabled =
        section.get("enabled").map_or(Some(false), |node| flag(&node, report)).ok_or(Noted);
    let cooldown = section.get("cooldown");
    let cooldown =
        cooldown.map_or(Some(DEFAULT_COOLDOWN), |node| duration(&node, &COOLDOWN, report));
    let most = section.get("max_unanswered");
    let most =
        most.map_or(Some(DEFAULT_MAX_UNANSWERED), |node| count(&node, &MAX_UNANSWERED, report));
    if !enabled? {
        return Ok(None);
    }
    let remedy = "name a file that holds a token of 32 characters or more, \
                  as `openssl rand -hex 32` makes one";
    let file = section.require("token_file", remedy, report).ok_or(Noted)?;
    let token_file = token_file(&file, origin, report).ok_or(Noted)?;
    let (cooldown, most) = (cooldown.ok_or(Noted)?, most.ok_or(Noted)?);
    Ok(Some(Reset { cooldown, max_unanswered: most as u64, token_file }))
}

fn token_file(node: &Node<'_>, origin: &Origin<'_>, report: &mut Report) -> Option<PathBuf> {
    let written = line(node, PATH_MAX, report)?;
    let checked = origin.reach(&written).and_then(|path| match check_reset_token_file(&path) {
        Ok(warning) => Ok((path, warning)),
        Err(fault) => Err(format!("{} {fault}", name_of(&written, &path))),
    });
    let (path, warning) = checked.map_err(|fault| node.problem(report, &fault)).ok()?;
    if let Some(warning) = warning {
        node.warn(report, &format!("{} {warning}", name_of(&written, &path)));
    }
    Some(path)
}

/// Whether the file may say so. Who writes an account file chooses the number and the reset token: with a
/// partner's login he could clear every customer of the partner.
pub(super) fn check_reset_origin(
    section: &MappingSection<'_>,
    auth: &Auth,
    origin: &Origin<'_>,
    report: &mut Report,
) -> bool {
    if let (FileTrust::AccountFile { .. }, Auth::Partner(_)) = (origin.trust, auth) {
        let what = "works in an account file only for an account with a credential of its own; \
                    move the account to the main file, or give it token_file";
        if let Some(node) = section.get("reset") {
            node.key_problem(report, what);
        }
        return false;
    }
    true
}

/// Whether an account can be cleared at all: the number has to be confirmed, and only v2 has a reset.
pub(super) fn check_reset(
    section: &MappingSection<'_>,
    api: Api,
    account_id: Option<&AccountId>,
    report: &mut Report,
) -> bool {
    let what = match (api, account_id) {
        (Api::V3, _) => "works only with api: v2, v3 has no reset; remove it",
        (Api::V2, None) => {
            "needs the account's number, which every reset has to confirm; \
             write account_id: \"78231464\""
        }
        (Api::V2, Some(_)) => return true,
    };
    if let Some(node) = section.get("reset") {
        node.key_problem(report, what);
    }
    false
}
