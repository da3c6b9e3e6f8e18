//! Where an account's token comes from: the mapping `auth`.
//!
//! What a main file may name, an account file may not: who may add an account also chooses the
//! address that its token is sent to, and must not be able to send any file or variable of the host
//! there. Called by [`accounts`](super::accounts).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::account::Auth;

use super::origin::{FileTrust, Origin};
use super::partners::Partners;
use super::token::{check_token_file, token_fault};
use super::value::{PATH_MAX, line};
use crate::yaml::hint::tellable_variable;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::problem::name_of;
use crate::yaml::report::Report;
use crate::yaml::tree::Tree;

/// The ways to a token.
const WAYS: [&str; 6] = ["token", "token_env", "token_file", "token_command", "partner", "oauth"];
/// The same in words.
const WAYS_WORDS: &str = "token, token_env, token_file, token_command, partner and oauth";

/// Most words of a command, and most characters in each.
const WORDS_MAX: usize = 64;

/// Reads a mapping `auth`.
pub(super) fn read_auth(
    node: Node<'_>,
    origin: &mut Origin<'_>,
    partners: &Partners,
    report: &mut Report,
) -> Option<Auth> {
    let section = MappingSection::open(node, &WAYS, report)?;
    let given: Vec<Node<'_>> = WAYS.iter().filter_map(|way| section.get(way)).collect();
    if let Some(token) = section.get("token")
        && !matches!(token.tree(), Tree::Null)
    {
        if !origin.literal {
            token.warn(report, "holds a token itself; token_file or token_env keeps it out");
        }
        origin.literal = true;
    }
    match given.as_slice() {
        [] if section.has_misspelt() => None,
        [] => {
            let what = format!("names no token; give exactly one of {WAYS_WORDS}");
            section.node().problem(report, &what);
            None
        }
        [way] => match way.key() {
            "token" => literal(way, report),
            "token_env" => variable(way, origin, report),
            "token_file" => file(way, origin, report),
            "token_command" => command(way, origin, report),
            "partner" => partners.find(way, origin.trust, report).map(Auth::Partner),
            _ => oauth(way, origin, partners, report),
        },
        [_, second, ..] => {
            let what = format!("is one token too many; keep exactly one of {WAYS_WORDS}");
            second.key_problem(report, &what);
            None
        }
    }
}

fn literal(node: &Node<'_>, report: &mut Report) -> Option<Auth> {
    let token = node.text(report)?;
    if let Some(fault) = token_fault(token) {
        node.problem(report, fault);
        return None;
    }
    Some(Auth::Token(token.into()))
}

fn variable(node: &Node<'_>, origin: &Origin<'_>, report: &mut Report) -> Option<Auth> {
    if let FileTrust::AccountFile { .. } = origin.trust {
        let what = "works only in the main file; use token_file below secrets_dir, or token";
        node.key_problem(report, what);
        return None;
    }
    let name = node.text(report)?;
    // A token pasted here by mistake must not be printed as if it were a name.
    let shown = tellable_variable(name).map_or("of that name".to_owned(), str::to_owned);
    let fault = match (origin.environment)(name).map(OsString::into_string) {
        None => format!("the environment variable {shown} is not set; set it to the token"),
        Some(Err(_)) => format!("the environment variable {shown} is not UTF-8"),
        Some(Ok(token)) => match token_fault(&token) {
            None => {
                let (variable, token) = (name.to_owned(), token.into());
                return Some(Auth::TokenEnv { variable, token });
            }
            Some(fault) => format!("the environment variable {shown} {fault}"),
        },
    };
    node.problem(report, &fault);
    None
}

fn file(node: &Node<'_>, origin: &Origin<'_>, report: &mut Report) -> Option<Auth> {
    let written = line(node, PATH_MAX, report)?;
    let checked = origin.reach(&written).and_then(|path| match check_token_file(&path) {
        Ok(warning) => Ok((path, warning)),
        Err(fault) => Err(format!("{} {fault}", name_of(&written, &path))),
    });
    let (path, warning) = checked.map_err(|fault| node.problem(report, &fault)).ok()?;
    if let Some(warning) = warning {
        node.warn(report, &format!("{} {warning}", name_of(&written, &path)));
    }
    Some(Auth::TokenFile(path))
}

fn command(node: &Node<'_>, origin: &mut Origin<'_>, report: &mut Report) -> Option<Auth> {
    if let FileTrust::AccountFile { .. } = origin.trust {
        let what = "works only in the main file, because it runs a program";
        node.key_problem(report, what);
        return None;
    }
    if !origin.permissions.token_command {
        let what =
            "runs a program, which has to be allowed: start with --config.allow-token-command";
        node.key_problem(report, what);
        return None;
    }
    let example =
        "a list, [\"get-token\", \"acme\"]: the program and its arguments, without a shell";
    let words: Vec<Option<String>> = node
        .items(report, example)
        .collect::<Vec<_>>()
        .iter()
        .map(|word| line(word, PATH_MAX, report))
        .collect();
    let words: Vec<String> = words.into_iter().collect::<Option<_>>()?;
    // Arguments may hold secrets.
    origin.literal |= words.len() > 1;
    if words.is_empty() || words.len() > WORDS_MAX {
        if matches!(node.tree(), Tree::List(_) | Tree::Null) {
            node.problem(report, &format!("must have 1 to {WORDS_MAX} words; write {example}"));
        }
        return None;
    }
    Some(Auth::TokenCommand(words.into()))
}

fn oauth(
    node: &Node<'_>,
    origin: &Origin<'_>,
    partners: &Partners,
    report: &mut Report,
) -> Option<Auth> {
    let section = MappingSection::open(*node, &["partner", "refresh_token_file"], report)?;
    let remedy = "name the login under partners whose application the customer lets in";
    let partner = section.require("partner", remedy, report);
    let partner = partner.and_then(|node| {
        let partner = partners.find(&node, origin.trust, report)?;
        if partner.client_id.is_none() || partner.redirect_uri.is_none() {
            let what = "has no client_id or no redirect_uri, which a customer's login needs";
            node.problem(report, what);
            return None;
        }
        Some(partner)
    });
    let remedy = "name the file in which `wazzup-exporter login` puts the token";
    let file = section.require("refresh_token_file", remedy, report)?;
    let refresh_token_file = refresh_token_file(&file, origin, report)?;
    Some(Auth::OAuth { partner: partner?, refresh_token_file })
}

/// The file need not be there before the first login.
fn refresh_token_file(
    node: &Node<'_>,
    origin: &Origin<'_>,
    report: &mut Report,
) -> Option<PathBuf> {
    let written = line(node, PATH_MAX, report)?;
    let path = origin.reach(&written).map_err(|fault| node.problem(report, &fault)).ok()?;
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        node.warn(report, "does not exist yet; `wazzup-exporter login` makes it");
        return Some(path);
    }
    match check_token_file(&path) {
        Ok(None) => {}
        Ok(Some(warning)) => node.warn(report, &format!("{} {warning}", name_of(&written, &path))),
        Err(fault) => {
            node.problem(report, &format!("{} {fault}", name_of(&written, &path)));
            return None;
        }
    }
    Some(path)
}
