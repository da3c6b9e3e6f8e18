//! Loads a whole configuration: the main file first, then the account files it names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::account::{Account, Authorities};
use crate::files::OpenFile;
use crate::schedule::fnv1a;

use super::accounts::AccountReader;
use super::auth::{Environment, FileTrust, Origin, Permissions};
use super::partners::Partners;
use super::settings::{DEFAULT_MAX_IN_FLIGHT, GlobalSettings, PollKeys, read_export};
use super::source::{self, SourceFile, expand};
use super::value::{PATH_MAX, count, line};
use crate::text;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::problem::{ConfigError, ConfigProblem, name_of};
use crate::yaml::report::{Place, Report, Spot};
use crate::yaml::tree::{self, Tree};

/// Most requests in flight: as many as there are local ports.
const MAX_IN_FLIGHT_MAX: usize = 65_536;

/// A complete, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The accounts in the order of the files and within them; at least one, no name twice.
    pub accounts: Vec<Account>,
    /// What is said beside the accounts.
    pub settings: GlobalSettings,
    /// FNV-1a over the contents of all files in the order of reading, and over the certificates of
    /// authorities that they name.
    pub hash: u64,
    /// What is legal but unwise.
    pub warnings: Vec<ConfigProblem>,
}

/// Reads a configuration from a file and from the account files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path, permissions: Permissions) -> Result<Config, ConfigError> {
    match source::read_main(path) {
        Ok(main) => read(main, permissions, &|name| std::env::var_os(name)),
        Err(message) => {
            let file = path.to_owned();
            let problem = ConfigProblem { file, line: None, column: None, message };
            Err(ConfigError { problems: vec![problem], more: 0, warnings: Vec::new() })
        }
    }
}

/// Reads a configuration from bytes, with no permissions. `file` gives it a name, and a folder against which the relative
/// paths in it count.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn parse(text: &[u8], file: &Path) -> Result<Config, ConfigError> {
    let main = SourceFile { path: file.to_owned(), bytes: text.to_owned(), mode: None };
    read(main, Permissions::default(), &|name| std::env::var_os(name))
}

/// Reads the main file and everything that it names.
pub(super) fn read(
    main: SourceFile,
    permissions: Permissions,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let mut reading = ConfigReader {
        folder: main.folder(),
        environment,
        permissions,
        sources: vec![main],
        report: Report::default(),
        settings: GlobalSettings::default(),
    };
    let accounts = reading.read_main().unwrap_or_default();
    let ConfigReader { sources, report, settings, .. } = reading;
    let warnings = report.finish(&sources)?;
    let hash = hash(&sources, &accounts);
    Ok(Config { accounts, settings, hash, warnings })
}

fn hash(sources: &[SourceFile], accounts: &[Account]) -> u64 {
    let files = sources.iter().map(|source| source.bytes.as_slice());
    let authorities = accounts.iter().filter_map(|account| account.tls.ca.as_ref());
    let contents = files.chain(authorities.flat_map(Authorities::certificates));
    fnv1a(&contents.collect::<Vec<&[u8]>>().concat())
}

/// A configuration on its way.
struct ConfigReader<'a> {
    /// The folder of the main file, absolute.
    folder: PathBuf,
    environment: Environment<'a>,
    permissions: Permissions,
    sources: Vec<SourceFile>,
    report: Report,
    settings: GlobalSettings,
}

impl ConfigReader<'_> {
    /// The accounts; nothing if the main file is no mapping at all.
    fn read_main(&mut self) -> Option<Vec<Account>> {
        const KEYS: [&str; 7] = [
            "poll",
            "max_in_flight",
            "export",
            "account_files",
            "secrets_dir",
            "partners",
            "accounts",
        ];
        let tree = self.tree(0)?;
        let section = MappingSection::open(Node::top(&tree, 0), &KEYS, &mut self.report)?;
        let mut reader = self.read_settings(&section);
        if let Some(list) = section.get("accounts") {
            self.read_list(&list, 0, FileTrust::Main, &mut reader);
        }
        if let Some(list) = section.get("account_files") {
            self.read_account_files(&list, &mut reader);
        }
        let accounts = reader.finish(&mut self.report);
        if accounts.is_empty() && self.report.is_clean() {
            let what = "configures no account; list one under accounts, \
                        or in a file that account_files names";
            section.node().problem(&mut self.report, what);
        }
        Some(accounts)
    }

    /// Parses a file; nothing if there is nothing to read in it.
    fn tree(&mut self, file: usize) -> Option<Tree> {
        let bytes = self.sources.get(file).map(|source| source.bytes.as_slice());
        let (place, message) = match tree::parse(bytes.unwrap_or_default()) {
            Ok(Tree::Null) => {
                let example = "is empty; list accounts in it, accounts: [{name: …, auth: …}]";
                (Place::File, example.to_owned())
            }
            Ok(tree) => return Some(tree),
            Err(error) => (error.at.map_or(Place::File, Place::At), error.message),
        };
        self.report.problem(Spot { file, place }, message);
        None
    }

    fn read_settings(&mut self, section: &MappingSection<'_>) -> AccountReader {
        let report = &mut self.report;
        let poll = section.get("poll");
        let keys = poll.map(|node| PollKeys::read(node, report)).unwrap_or_default();
        let keys = keys.checked(poll.as_ref(), report);
        let settings = &mut self.settings;
        settings.poll = keys.resolve(None, report).unwrap_or(settings.poll);
        settings.export = read_export(section.get("export"), report);
        if let Some(node) = section.get("max_in_flight") {
            let given = count(&node, &(1..=MAX_IN_FLIGHT_MAX), report);
            settings.max_in_flight = given.unwrap_or(DEFAULT_MAX_IN_FLIGHT);
        }
        let secrets_dir = section.get("secrets_dir");
        let written = secrets_dir.and_then(|node| line(&node, PATH_MAX, report));
        settings.secrets_dir = written.map(|written| self.folder.join(written));
        let partners = section.get("partners");
        let partners = partners.map(|node| Partners::read(&node, &self.folder, report));
        let partners = partners.unwrap_or_default();
        settings.partners = partners.usable();
        let export = settings.export;
        AccountReader {
            poll: keys,
            export,
            partners,
            names: HashMap::new(),
            refresh_files: HashMap::new(),
            resets: HashMap::new(),
            accounts: Vec::new(),
        }
    }

    fn read_list(
        &mut self,
        list: &Node<'_>,
        file: usize,
        trust: FileTrust<'_>,
        reader: &mut AccountReader,
    ) {
        let folder = self.sources.get(file).map(SourceFile::folder).unwrap_or_default();
        let environment = self.environment;
        let permissions = self.permissions;
        let mut origin =
            Origin { folder: &folder, environment, permissions, trust, literal: false };
        reader.read_list(list, &mut origin, &mut self.report);
        let literal = origin.literal;
        self.judge_mode(file, literal);
    }

    /// Says who else may touch a file with accounts; more so if it holds a secret itself.
    fn judge_mode(&mut self, file: usize, secret: bool) {
        let Some(source) = self.sources.get(file) else { return };
        let path = text::path(&source.path);
        let mode = source.mode.unwrap_or_default();
        let whole = Spot { file, place: Place::File };
        if !secret {
            if mode.is_writable_by_others() {
                let what = "can be changed by every user of the host, who could have the tokens \
                            sent elsewhere";
                self.report.warn(whole, format!("{what} (mode {mode}); chmod o-w {path}"));
            }
        } else if mode.is_writable_by_group_or_others() {
            let what = "holds a secret and can be changed by others than its owner";
            self.report.problem(whole, format!("{what} (mode {mode}); chmod go-w {path}"));
        } else if mode.is_readable_by_others() {
            let what = "holds a secret and can be read by every user of the host";
            self.report.warn(whole, format!("{what} (mode {mode}); chmod o-r {path}"));
        }
    }

    fn read_account_files(&mut self, list: &Node<'_>, reader: &mut AccountReader) {
        let items: Vec<Node<'_>> =
            list.items(&mut self.report, "[\"accounts.d/*.yaml\"]").collect();
        let mut files: BTreeMap<PathBuf, &Node<'_>> = BTreeMap::new();
        for item in &items {
            for path in self.find(item) {
                files.entry(path).or_insert(item);
            }
        }
        for (path, item) in files {
            if let Err(fault) = self.read_account_file(&path, reader) {
                let written = item.text(&mut self.report).unwrap_or_default();
                let name = name_of(written, &path);
                item.problem(&mut self.report, &format!("{name} {fault}"));
            }
        }
    }

    /// The files that one item of `account_files` stands for.
    fn find(&mut self, item: &Node<'_>) -> Vec<PathBuf> {
        let Some(name) = line(item, PATH_MAX, &mut self.report) else { return Vec::new() };
        // The folder as the main file's path has it, so that messages name files alike.
        let main = self.sources.first().and_then(|source| source.path.parent());
        let found = expand(main.unwrap_or(Path::new("")), &name);
        match &found {
            Err(fault) => item.problem(&mut self.report, fault),
            Ok(found) if found.is_empty() => {
                item.warn(&mut self.report, "matches no file, so no account comes from it");
            }
            Ok(_) => {}
        }
        found.unwrap_or_default()
    }

    fn read_account_file(&mut self, path: &Path, reader: &mut AccountReader) -> Result<(), String> {
        let opened = OpenFile::regular(path)?;
        let main = self.sources.first().and_then(|source| source.path.canonicalize().ok());
        if main.is_some() && path.canonicalize().ok() == main {
            return Err("is the main file itself; narrow the pattern".to_owned());
        }
        let file = self.sources.len();
        self.sources.push(source::read(path, opened)?);
        let Some(tree) = self.tree(file) else { return Ok(()) };
        let report = &mut self.report;
        let remedy = "an account file holds that list and nothing else";
        if let Some(section) = MappingSection::open(Node::top(&tree, file), &["accounts"], report)
            && let Some(list) = section.require("accounts", remedy, report)
        {
            let secrets_dir = self.settings.secrets_dir.clone();
            let trust = FileTrust::AccountFile { secrets_dir: secrets_dir.as_deref() };
            self.read_list(&list, file, trust, reader);
        }
        Ok(())
    }
}
