//! Loads a whole configuration: the main file first, then the account files it names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Account, Authorities};
use crate::files::OpenFile;
use crate::schedule::fnv1a;

use super::accounts::{AccountReader, Defaults, FoundAccounts};
use super::admission::{AccountFile, Candidate, admit, stem};
use super::claims::{Claim, ClaimKey};
use super::origin::{Environment, FileTrust, Origin, Permissions};
use super::partners::Partners;
use super::settings::{DEFAULT_MAX_IN_FLIGHT, GlobalSettings, PollBounds, PollKeys, read_export};
use super::source::{self, SourceFile, expand};
use super::value::{PATH_MAX, count, line};
use crate::text;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::problem::{ConfigError, ConfigProblem};
use crate::yaml::report::{Place, Report, Spot};
use crate::yaml::tree::{self, Tree};

/// Most requests in flight: as many as there are local ports.
const MAX_IN_FLIGHT_MAX: usize = 65_536;

/// Most problems of all files that are reported together.
const REPORTED_MAX: usize = 50;

/// A configuration whose main file is valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// The accounts in the order of the files and within them; no name twice.
    pub accounts: Vec<Arc<Account>>,
    /// What is said beside the accounts.
    pub settings: GlobalSettings,
    /// The account files in the order of their paths, with their part of the accounts.
    pub files: Vec<AccountFile>,
    /// FNV-1a over the contents of all files in the order of reading, over the certificates of
    /// authorities that they name, and over what is wrong with account files.
    pub hash: u64,
    /// What is legal but unwise.
    pub warnings: Vec<ConfigProblem>,
}

impl Config {
    /// What is wrong with account files, if anything is.
    pub fn broken(&self) -> Option<ConfigError> {
        let broken: Vec<ConfigError> =
            self.files.iter().filter_map(|file| file.broken.clone()).collect();
        if broken.is_empty() { None } else { Some(together(broken)) }
    }
}

/// What stands against polling an account, where something does.
pub type AccountCheck = dyn Fn(&Account) -> Result<(), String> + Send + Sync;

/// What a reload has to respect.
pub struct Running<'a> {
    /// The account files of the configuration in use.
    pub files: &'a [AccountFile],
    /// Whether another account could be polled.
    pub check: &'a AccountCheck,
}

impl fmt::Debug for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Running<'_> {
    /// Where nothing runs yet.
    pub(super) const NOTHING: Self = Self { files: &[], check: &|_| Ok(()) };

    /// The files are in the order of their paths.
    fn file(&self, path: &Path) -> Option<&AccountFile> {
        let found = self.files.binary_search_by(|file| file.path.as_path().cmp(path));
        found.ok().and_then(|index| self.files.get(index))
    }

    fn accounts_of(&self, path: &Path) -> Option<Vec<Arc<Account>>> {
        let file = self.file(path)?;
        let ran = file.broken.is_none() || !file.accounts.is_empty();
        ran.then(|| file.accounts.clone())
    }
}

/// Reads a configuration from a file and from the account files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path, permissions: Permissions) -> Result<Config, ConfigError> {
    reload(path, permissions, &Running::NOTHING)
}

/// Reads a configuration that is to replace another one. Account files that are broken now have the
/// accounts that run.
///
/// # Errors
/// Everything that is wrong, if something is with the main file.
pub fn reload(
    path: &Path,
    permissions: Permissions,
    running: &Running<'_>,
) -> Result<Config, ConfigError> {
    match source::read_main(path) {
        Ok(main) => read(main, permissions, &|name| std::env::var_os(name), running),
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
    read(main, Permissions::default(), &|name| std::env::var_os(name), &Running::NOTHING)
}

/// Reads the main file and everything that it names.
pub(super) fn read(
    main: SourceFile,
    permissions: Permissions,
    environment: Environment<'_>,
    running: &Running<'_>,
) -> Result<Config, ConfigError> {
    let mut reader = ConfigReader {
        folder: main.folder(),
        environment,
        permissions,
        running,
        sources: vec![main],
        report: Report::default(),
        settings: GlobalSettings::default(),
    };
    let (mut accounts, candidates) = reader.read_main().unwrap_or_default();
    let ConfigReader { sources, report, settings, .. } = reader;
    let main = report.finish(&sources);
    let mut warnings = main.as_ref().cloned().unwrap_or_default();
    let mut files = Vec::new();
    for (candidate, admitted) in candidates {
        let Candidate { path, report, .. } = candidate;
        let reported = report.finish(&sources).map(|found| warnings.extend(found));
        accounts.extend(admitted.iter().cloned());
        files.push(AccountFile { path, accounts: admitted, broken: reported.err() });
    }
    let mut config = Config { accounts, settings, files, hash: 0, warnings };
    match main {
        Ok(_) => {
            config.hash = hash(&sources, &config);
            Ok(config)
        }
        Err(error) => Err(together([error].into_iter().chain(config.broken()).collect())),
    }
}

/// Several errors as one.
fn together(errors: Vec<ConfigError>) -> ConfigError {
    let mut all = ConfigError { problems: Vec::new(), more: 0, warnings: Vec::new() };
    for error in errors {
        all.problems.extend(error.problems);
        all.warnings.extend(error.warnings);
        all.more += error.more;
    }
    all.more += all.problems.len().saturating_sub(REPORTED_MAX);
    all.problems.truncate(REPORTED_MAX);
    all
}

fn hash(sources: &[SourceFile], config: &Config) -> u64 {
    let files = sources.iter().map(|source| source.bytes.as_slice());
    let authorities = config.accounts.iter().filter_map(|account| account.tls.ca.as_ref());
    let contents = files.chain(authorities.flat_map(Authorities::certificates));
    let mut contents = contents.collect::<Vec<&[u8]>>().concat();
    for error in config.files.iter().filter_map(|file| file.broken.as_ref()) {
        contents.extend_from_slice(error.to_string().as_bytes());
    }
    fnv1a(&contents)
}

/// The accounts of the main file, and the account files with the accounts that come into use.
type Found = (Vec<Arc<Account>>, Vec<(Candidate, Vec<Arc<Account>>)>);

/// A configuration on its way.
struct ConfigReader<'a> {
    /// The folder of the main file, absolute.
    folder: PathBuf,
    environment: Environment<'a>,
    permissions: Permissions,
    running: &'a Running<'a>,
    sources: Vec<SourceFile>,
    /// About the main file.
    report: Report,
    settings: GlobalSettings,
}

impl ConfigReader<'_> {
    /// The accounts; nothing if the main file is no mapping at all.
    fn read_main(&mut self) -> Option<Found> {
        const KEYS: [&str; 7] = [
            "poll",
            "max_in_flight",
            "export",
            "account_files",
            "secrets_dir",
            "partners",
            "accounts",
        ];
        let tree = self.tree(0).map_err(|fault| self.report.problem(fault.0, fault.1)).ok()?;
        let mut report = std::mem::take(&mut self.report);
        let section = MappingSection::open(Node::top(&tree, 0), &KEYS, &mut report);
        let Some(section) = section else {
            self.report = report;
            return None;
        };
        let defaults = self.read_settings(&section, &mut report);
        let list = section.get("accounts");
        let main = self.read_list(list.as_ref(), 0, FileTrust::Main, &defaults, &mut report);
        let files = section.get("account_files");
        let mut candidates = match &files {
            Some(list) => self.read_account_files(list, &defaults, &mut report),
            None => Vec::new(),
        };
        let named = files.as_ref().is_some_and(|list| list.items(&mut report, "").next().is_some());
        if main.accounts.is_empty() && !named && report.is_clean() {
            let what = "configures no account; list one under accounts, \
                        or in a file that account_files names";
            section.node().problem(&mut report, what);
        }
        self.report = report;
        let admitted = admit(&main, &mut candidates, &defaults);
        let accounts = main.accounts.into_iter().map(|placed| placed.account).collect();
        Some((accounts, candidates.into_iter().zip(admitted).collect()))
    }

    /// Parses a file; what is wrong if there is nothing to read in it.
    fn tree(&self, file: usize) -> Result<Tree, (Spot, String)> {
        let bytes = self.sources.get(file).map(|source| source.bytes.as_slice());
        let (place, message) = match tree::parse(bytes.unwrap_or_default()) {
            Ok(Tree::Null) => {
                let example = "is empty; list accounts in it, accounts: [{name: …, auth: …}]";
                (Place::File, example.to_owned())
            }
            Ok(tree) => return Ok(tree),
            Err(error) => (error.at.map_or(Place::File, Place::At), error.message),
        };
        Err((Spot { file, place }, message))
    }

    fn read_settings(&mut self, section: &MappingSection<'_>, report: &mut Report) -> Defaults {
        let poll = section.get("poll");
        let keys = poll.map(|node| PollKeys::read(node, &PollBounds::MAIN, report));
        let keys = keys.unwrap_or_default().checked(poll.as_ref(), report);
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
        Defaults { poll: keys, export: settings.export, partners }
    }

    fn read_list(
        &self,
        list: Option<&Node<'_>>,
        file: usize,
        trust: FileTrust<'_>,
        defaults: &Defaults,
        report: &mut Report,
    ) -> FoundAccounts {
        let Some(list) = list else { return FoundAccounts::default() };
        let folder = self.sources.get(file).map(SourceFile::folder).unwrap_or_default();
        let environment = self.environment;
        let permissions = self.permissions;
        let mut origin =
            Origin { folder: &folder, environment, permissions, trust, literal: false };
        let mut reader = AccountReader::new(defaults);
        reader.read_list(list, &mut origin, report);
        self.judge_mode(file, origin.literal, report);
        let found = reader.finish(report);
        for placed in &found.accounts {
            if let Err(fault) = (self.running.check)(&placed.account) {
                report.problem(placed.spot.clone(), format!("{}: {fault}", placed.words));
            }
        }
        found
    }

    /// Says who else may touch a file with accounts; more so if it holds a secret itself.
    fn judge_mode(&self, file: usize, secret: bool, report: &mut Report) {
        let Some(source) = self.sources.get(file) else { return };
        let path = text::path(&source.path);
        let mode = source.mode.unwrap_or_default();
        let whole = Spot { file, place: Place::File };
        if !secret {
            if mode.is_writable_by_others() {
                let what = "can be changed by every user of the host, who could have the tokens \
                            sent elsewhere";
                report.warn(whole, format!("{what} (mode {mode}); chmod o-w {path}"));
            }
        } else if mode.is_writable_by_group_or_others() {
            let what = "holds a secret and can be changed by others than its owner";
            report.problem(whole, format!("{what} (mode {mode}); chmod go-w {path}"));
        } else if mode.is_readable_by_others() {
            let what = "holds a secret and can be read by every user of the host";
            report.warn(whole, format!("{what} (mode {mode}); chmod o-r {path}"));
        }
    }

    fn read_account_files(
        &mut self,
        list: &Node<'_>,
        defaults: &Defaults,
        report: &mut Report,
    ) -> Vec<Candidate> {
        let items: Vec<Node<'_>> = list.items(report, "[\"accounts.d/*.yaml\"]").collect();
        let mut files: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
        for item in &items {
            let found = self.find(item, report);
            files.extend(found.files.into_iter().map(|path| (path, None)));
            for (folder, fault) in found.faults {
                for file in self.running.files.iter().filter(|file| file.path.starts_with(&folder))
                {
                    let fault = format!("is in a folder that {fault}");
                    files.entry(file.path.clone()).or_insert(Some(fault));
                }
                files.insert(folder, Some(fault));
            }
        }
        let read = |(path, fault): (PathBuf, Option<String>)| match fault {
            Some(fault) => {
                self.candidate(SourceFile { path, bytes: Vec::new(), mode: None }, Some(fault))
            }
            None => self.read_account_file(path, defaults),
        };
        files.into_iter().map(read).collect()
    }

    /// What one item of `account_files` stands for.
    fn find(&self, item: &Node<'_>, report: &mut Report) -> source::Found {
        let Some(name) = line(item, PATH_MAX, report) else { return source::Found::default() };
        // The folder as the main file's path has it, so that messages name files alike.
        let main = self.sources.first().and_then(|source| source.path.parent());
        let mut found = match expand(main.unwrap_or(Path::new("")), &name) {
            Ok(found) => found,
            Err(fault) => {
                item.problem(report, &fault);
                return source::Found::default();
            }
        };
        if found.files.is_empty() && found.faults.is_empty() {
            item.warn(report, "matches no file, so no account comes from it");
        }
        // A token that was pasted here is not to be repeated as the name of a broken file.
        found.files.retain(|path| {
            let known = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
            let named =
                known || path.symlink_metadata().is_ok() || self.running.file(path).is_some();
            if !named {
                item.problem(report, "names no file that exists");
            }
            named
        });
        found
    }

    fn read_account_file(&mut self, path: PathBuf, defaults: &Defaults) -> Candidate {
        let source = match self.open_account_file(&path) {
            Ok(source) => source,
            Err(fault) => {
                let source = SourceFile { path, bytes: Vec::new(), mode: None };
                return self.candidate(source, Some(fault));
            }
        };
        let mut candidate = self.candidate(source, None);
        let Some(stem) = stem(&path) else { return candidate };
        match self.tree(candidate.file) {
            Err((spot, fault)) => candidate.report.problem(spot, fault),
            Ok(tree) => self.read_accounts(&tree, stem, defaults, &mut candidate),
        }
        candidate
    }

    fn open_account_file(&self, path: &Path) -> Result<SourceFile, String> {
        let opened = OpenFile::regular(path)?;
        let main = self.sources.first().and_then(|source| source.path.canonicalize().ok());
        if main.is_some() && path.canonicalize().ok() == main {
            return Err("is the main file itself; narrow the pattern".to_owned());
        }
        source::read(path, opened)
    }

    /// A candidate of which nothing but its source is known, and what is wrong with that.
    fn candidate(&mut self, source: SourceFile, fault: Option<String>) -> Candidate {
        let file = self.sources.len();
        let (path, whole) = (source.path.clone(), Spot { file, place: Place::File });
        self.sources.push(source);
        let (mut report, mut found) = (Report::default(), FoundAccounts::default());
        match (stem(&path), fault) {
            (_, Some(fault)) => report.problem(whole.clone(), fault),
            (None, None) => report.problem(whole.clone(), "has no name before its ending".into()),
            (Some(_), None) => {}
        }
        if let Some(stem) = stem(&path) {
            let key = ClaimKey::Stem(stem.to_owned());
            found.claims.push(Claim { key, spot: whole, words: String::new() });
        }
        let earlier = self.running.accounts_of(&path);
        Candidate { file, path, found, earlier, report }
    }

    fn read_accounts(
        &self,
        tree: &Tree,
        stem: &OsStr,
        defaults: &Defaults,
        candidate: &mut Candidate,
    ) {
        let Candidate { file, report, found, .. } = candidate;
        let remedy = "an account file holds that list and nothing else";
        let section = MappingSection::open(Node::top(tree, *file), &["accounts"], report);
        let Some(section) = section else { return };
        let list = section.require("accounts", remedy, report);
        let trust =
            FileTrust::AccountFile { secrets_dir: self.settings.secrets_dir.as_deref(), stem };
        let FoundAccounts { accounts, claims } =
            self.read_list(list.as_ref(), *file, trust, defaults, report);
        found.accounts = accounts;
        found.claims.extend(claims);
    }
}
