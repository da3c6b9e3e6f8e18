//! The reading of a whole web configuration, section by section.
//!
//! A [`Reading`] holds what all sections need: the text, the folder that paths start from, the files
//! that were read and the problems that were found. Scalars follow the rules of the format's own
//! YAML library: whatever stands where text is wanted is taken as it is written, and nothing at all
//! is the default.

use std::path::{Path, PathBuf};

use super::files::{Files, Print};
use super::rate::RateLimit;
use super::tls::Tls;
use super::users::Users;
use super::{WebConfig, headers};
use crate::text;
use crate::yaml::node::{Node, Section};
use crate::yaml::report::{Place, Report, Spot};
use crate::yaml::source::Source;
use crate::yaml::tree::{self, Tree};
use crate::yaml::{ConfigError, Problem};

const SECTIONS: [&str; 4] =
    ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// Reads the file and everything that it names; tells also what was read, good or bad.
pub(super) fn read(path: &Path) -> (Result<WebConfig, ConfigError>, Print) {
    let mut files = Files::default();
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(message) => return (Err(broken(path, message)), files.print()),
    };
    let source = Source { path: path.to_owned(), bytes, mode: None };
    let report = Report::default();
    let mut reading = Reading { folder: source.folder(), bytes: &source.bytes, files, report };
    let parts = reading.parts();
    let Reading { files, report, .. } = reading;
    let print = files.print();
    let finished = report.finish(std::slice::from_ref(&source)).map(|warnings| WebConfig {
        tls: parts.tls,
        http2: parts.http2,
        headers: parts.headers,
        users: parts.users,
        rate_limit: parts.rate_limit,
        warnings,
        empty: parts.empty,
        path: path.to_owned(),
        print: print.clone(),
    });
    (finished, print)
}

/// The error of a file of which only one thing can be said.
pub(super) fn broken(path: &Path, message: String) -> ConfigError {
    let problem = Problem { file: path.to_owned(), line: None, column: None, message };
    ConfigError { problems: vec![problem], more: 0, warnings: Vec::new() }
}

/// A web configuration on its way.
pub(super) struct Reading<'a> {
    bytes: &'a [u8],
    folder: PathBuf,
    files: Files,
    pub(super) report: Report,
}

struct Parts {
    tls: Option<Tls>,
    http2: bool,
    headers: headers::Headers,
    users: Users,
    rate_limit: Option<RateLimit>,
    empty: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            tls: None,
            http2: true,
            headers: Vec::new(),
            users: Users::default(),
            rate_limit: None,
            empty: false,
        }
    }
}

impl Reading<'_> {
    fn parts(&mut self) -> Parts {
        let mut parts = Parts::default();
        let Some(tree) = self.tree() else { return parts };
        if matches!(tree, Tree::Null) {
            let what = "is empty: no TLS, and nobody has to log in";
            self.report.warn(Spot { file: 0, place: Place::File }, what.to_owned());
            parts.empty = true;
        }
        let top = Node::top(&tree, 0);
        let Some(sections) = Section::open(top, &SECTIONS, &mut self.report) else { return parts };
        if let Some(node) = sections.get("http_server_config") {
            self.http(node, &mut parts);
        }
        if let Some(node) = sections.get("tls_server_config") {
            parts.tls = Tls::read(node, parts.http2, self);
        }
        if let Some(node) = sections.get("basic_auth_users") {
            parts.users = Users::read(&node, self);
        }
        if let Some(node) = sections.get("rate_limit") {
            parts.rate_limit = RateLimit::read(node, self);
        }
        parts
    }

    fn tree(&mut self) -> Option<Tree> {
        let whole = |place| Spot { file: 0, place };
        match tree::parse_first(self.bytes) {
            Ok((tree, follows)) => {
                if follows {
                    let what =
                        "only the first YAML document is read; what follows --- counts for nothing";
                    self.report.warn(whole(Place::File), what.to_owned());
                }
                Some(tree)
            }
            Err(error) => {
                self.report.problem(whole(error.at.map_or(Place::File, Place::At)), error.message);
                None
            }
        }
    }

    fn http(&mut self, node: Node<'_>, parts: &mut Parts) {
        let opened = Section::open(node, &["http2", "headers"], &mut self.report);
        let Some(section) = opened else { return };
        if let Some(node) = section.get("http2") {
            parts.http2 = self.flag(&node).unwrap_or(true);
        }
        if let Some(node) = section.get("headers") {
            parts.headers = headers::read(&node, self);
        }
    }

    /// The entries of a mapping whose keys are free text; each key once, as it is written.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node<'_>,
        example: &str,
    ) -> Vec<(String, Node<'n>)> {
        if !matches!(node.tree(), Tree::Map(_) | Tree::Null) {
            let kind = node.tree().kind();
            let what = format!("is {kind} where a mapping is wanted; write {example}");
            node.problem(&mut self.report, &what);
        }
        let mut entries: Vec<(String, Node<'n>)> = Vec::new();
        for (key, entry) in node.entries() {
            let written = match key {
                // The empty name, as the format's own library reads it.
                Tree::Null => Some(String::new()),
                Tree::Text(key) => Some(key.clone()),
                _ => entry.written_key(self.bytes),
            };
            match written {
                None => {
                    let what = "has a key that is no text; every key must be text";
                    entry.key_problem(&mut self.report, what);
                }
                Some(key) if entries.iter().any(|(other, _)| *other == key) => {
                    let what = "is given twice; remove one of them";
                    entry.key_problem(&mut self.report, what);
                }
                Some(key) => entries.push((key, entry)),
            }
        }
        entries
    }

    /// Text; nothing at all gives nothing, everything else that is one value is taken as written.
    pub(super) fn text(&mut self, node: &Node<'_>) -> Option<String> {
        let written = node.written(self.bytes);
        if written.is_none() && !matches!(node.tree(), Tree::Null) {
            let what = format!("is {} where text is wanted", node.tree().kind());
            node.problem(&mut self.report, &what);
        }
        written
    }

    /// A switch, in the words of YAML 1.1 too; nothing at all gives nothing.
    pub(super) fn flag(&mut self, node: &Node<'_>) -> Option<bool> {
        match node.tree() {
            Tree::Null => None,
            Tree::Bool(flag) => Some(*flag),
            Tree::Text(word) => match word.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
                _ => self.no_flag(node),
            },
            _ => self.no_flag(node),
        }
    }

    fn no_flag(&mut self, node: &Node<'_>) -> Option<bool> {
        node.problem(&mut self.report, "must be true or false, unquoted");
        None
    }

    /// The content of a file that is named there, with its name for messages.
    pub(super) fn file(&mut self, node: &Node<'_>, written: &str) -> Option<(Vec<u8>, String)> {
        let path = self.folder.join(written);
        let name = if tellable(written) { text::path(&path) } else { "the file".to_owned() };
        match self.files.read(&path) {
            Ok(content) => Some((content, name)),
            Err(fault) => {
                node.problem(&mut self.report, &format!("{name} {fault}"));
                None
            }
        }
    }
}

/// Whether it looks like a path and not like a key or a hash that was put in its place.
fn tellable(written: &str) -> bool {
    let plain = written.len() <= 255 && !written.chars().any(char::is_control);
    let path = written.starts_with('/') || written.contains('.') || written.len() <= 40;
    plain && path && !written.contains("-----") && !written.contains("$2")
}
