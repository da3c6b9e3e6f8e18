//! Loads a whole web configuration, section by section.

use std::path::{Path, PathBuf};

use super::files::{FileDigests, Files};
use super::headers::{self, Headers};
use super::rate::RequestRate;
use super::section_reader::SectionReader;
use super::tls::ServerTls;
use super::users::Users;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::report::{Place, Report, Spot};
use crate::yaml::source::SourceFile;
use crate::yaml::tree::{self, Tree};
use crate::yaml::{ConfigError, ConfigProblem};

const SECTIONS: [&str; 4] =
    ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// A valid web configuration.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// The TLS settings; plain HTTP if `None`.
    pub tls: Option<ServerTls>,
    /// Whether HTTP/2 is offered to clients that come with TLS.
    pub http2: bool,
    /// Headers of every response.
    pub headers: Headers,
    /// The users; if there are none, no login is required.
    pub users: Users,
    /// How many requests are answered, unless all are.
    pub rate_limit: Option<RequestRate>,
    /// What is legal but unwise.
    pub warnings: Vec<ConfigProblem>,
    /// Whether the file is empty.
    pub(super) empty: bool,
    pub(super) path: PathBuf,
    pub(super) digests: FileDigests,
}

/// Reads a web configuration and the files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path) -> Result<WebConfig, ConfigError> {
    read(path).0
}

/// Reads the file and everything that it names; also returns the digests of what was read, good or bad.
pub(super) fn read(path: &Path) -> (Result<WebConfig, ConfigError>, FileDigests) {
    let mut files = Files::default();
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(message) => return (Err(broken(path, message)), files.digests()),
    };
    let source = SourceFile { path: path.to_owned(), bytes, mode: None };
    let report = Report::default();
    let mut reader = SectionReader { folder: source.folder(), bytes: &source.bytes, files, report };
    let sections = reader.sections();
    let SectionReader { files, report, .. } = reader;
    let digests = files.digests();
    let finished = report.finish(std::slice::from_ref(&source)).map(|warnings| WebConfig {
        tls: sections.tls,
        http2: sections.http2,
        headers: sections.headers,
        users: sections.users,
        rate_limit: sections.rate_limit,
        warnings,
        empty: sections.empty,
        path: path.to_owned(),
        digests: digests.clone(),
    });
    (finished, digests)
}

/// The error of a file of which only one thing can be said.
pub(super) fn broken(path: &Path, message: String) -> ConfigError {
    let problem = ConfigProblem { file: path.to_owned(), line: None, column: None, message };
    ConfigError { problems: vec![problem], more: 0, warnings: Vec::new() }
}

struct Sections {
    tls: Option<ServerTls>,
    http2: bool,
    headers: Headers,
    users: Users,
    rate_limit: Option<RequestRate>,
    empty: bool,
}

impl Default for Sections {
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

impl SectionReader<'_> {
    fn sections(&mut self) -> Sections {
        let mut sections = Sections::default();
        let Some(tree) = self.tree() else { return sections };
        if matches!(tree, Tree::Null) {
            let what = "is empty: no TLS, and no login is required";
            self.report.warn(Spot { file: 0, place: Place::File }, what.to_owned());
            sections.empty = true;
        }
        let top = Node::top(&tree, 0);
        let Some(top) = MappingSection::open(top, &SECTIONS, &mut self.report) else {
            return sections;
        };
        if let Some(node) = top.get("http_server_config") {
            self.http(node, &mut sections);
        }
        if let Some(node) = top.get("tls_server_config") {
            sections.tls = ServerTls::read(node, sections.http2, self);
        }
        if let Some(node) = top.get("basic_auth_users") {
            sections.users = Users::read(&node, self);
        }
        if let Some(node) = top.get("rate_limit") {
            sections.rate_limit = RequestRate::read(node, self);
        }
        sections
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

    fn http(&mut self, node: Node<'_>, sections: &mut Sections) {
        let opened = MappingSection::open(node, &["http2", "headers"], &mut self.report);
        let Some(section) = opened else { return };
        if let Some(node) = section.get("http2") {
            sections.http2 = self.flag(&node).unwrap_or(true);
        }
        if let Some(node) = section.get("headers") {
            sections.headers = headers::read(&node, self);
        }
    }
}
