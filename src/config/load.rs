//! Loads a whole configuration: the main file first, then the account files it names.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::account::{Account, Authorities};
use crate::files::OpenFile;
use crate::schedule::{fnv1a, fnv1a_on};
use crate::text;

use super::accounts::{AccountsKeys, Defaults, FoundAccounts, RunningAccounts, check_accounts};
use super::admission::{AccountFile, Candidate, admit, stem};
use super::budget;
use super::claims::{Claim, ClaimKey, check_duplicates};
use super::file::{AccountFileKeys, MainKeys};
use super::file_scope::{Environment, FileContext, FileScope, FileTrust, Permissions};
use super::key::{Key, Nested, missing};
use super::partners::Partners;
use super::settings::GlobalSettings;
use super::source::{self, SourceFile, expand};
use super::value::PathText;
use crate::problems::place::{Spot, folder_of};
use crate::problems::read::{Switches, read as read_yaml};
use crate::problems::report::{ConfigError, ConfigProblem, Noted, Report, Scope};

/// Most accounts that are named where another one was meant.
const NAMES_SHOWN: usize = 20;
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
        let mut broken = self.files.iter().filter_map(|file| file.broken.clone());
        broken.next().map(|first| together(first, broken))
    }

    /// The account of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn account(&self, name: &str) -> Result<&Arc<Account>, NoSuchAccount> {
        let found = self.accounts.iter().find(|account| account.name.as_str() == name);
        found.ok_or_else(|| {
            let known = self.accounts.iter().map(|account| account.name.as_str());
            NoSuchAccount { name: name.to_owned(), known: text::names(known, NAMES_SHOWN) }
        })
    }
}

/// No account has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no account is named {name}; configured are {known}")]
pub struct NoSuchAccount {
    name: String,
    known: String,
}

/// What stands against polling an account, where something does.
pub type AccountCheck = dyn Fn(&Account) -> Result<(), String> + Send + Sync;

/// What a reload has to respect.
pub struct Running<'a> {
    /// The configuration in use, if there is one.
    pub config: Option<&'a Config>,
    /// Whether another account could be polled.
    pub check: &'a AccountCheck,
}

impl Running<'_> {
    /// Where nothing runs yet.
    pub(super) const NOTHING: Self = Self { config: None, check: &|_| Ok(()) };

    fn files(&self) -> &[AccountFile] {
        self.config.map_or(&[], |config| &config.files)
    }

    /// The files are in the order of their paths.
    fn file(&self, path: &Path) -> Option<&AccountFile> {
        let found = self.files().binary_search_by(|file| file.path.as_path().cmp(path));
        found.ok().and_then(|index| self.files().get(index))
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
    let main = SourceFile::main(path).map_err(|message| ConfigError::whole(path, message))?;
    read(main, permissions, &|name| std::env::var_os(name), running)
}

/// Reads a configuration from bytes, with no permissions. `file` gives it a name, and a folder against which the relative
/// paths in it count.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn parse(text: &[u8], file: &Path) -> Result<Config, ConfigError> {
    let main = SourceFile { bytes: text.to_owned(), ..SourceFile::unread(file) };
    read(main, Permissions::default(), &|name| std::env::var_os(name), &Running::NOTHING)
}

/// Reads the main file and everything that it names.
pub(super) fn read(
    main: SourceFile,
    permissions: Permissions,
    environment: Environment<'_>,
    running: &Running<'_>,
) -> Result<Config, ConfigError> {
    let mut report = Report::default();
    let accounts = running.config.iter().flat_map(|config| &config.accounts);
    let accounts = accounts.map(|account| (&account.name, account)).collect();
    let hash = fnv1a(&main.bytes);
    let mut loader = ConfigLoader { main, permissions, environment, running, accounts, hash };
    let found = loader.load_main(&mut report);
    let main = report.finish();
    let (settings, mut accounts, admitted) = match found {
        Ok(found) => found,
        Err(Noted) => return Err(main.expect_err("what was noted is in the report")),
    };
    let (files, warned): (Vec<AccountFile>, Vec<_>) = admitted.into_iter().unzip();
    let mut warnings = match main {
        Ok(warnings) => warnings,
        Err(error) => return Err(together(error, files.into_iter().filter_map(|one| one.broken))),
    };
    warnings.extend(warned.into_iter().flatten());
    accounts.extend(files.iter().flat_map(|file| file.accounts.iter().cloned()));
    let mut config = Config { accounts, settings, files, hash: 0, warnings };
    config.hash = with_others(loader.hash, &config);
    Ok(config)
}

/// Several errors as one.
fn together(mut all: ConfigError, others: impl IntoIterator<Item = ConfigError>) -> ConfigError {
    for error in others {
        all.problems.extend(error.problems);
        all.warnings.extend(error.warnings);
        all.more += error.more;
    }
    all.more += all.problems.len().saturating_sub(REPORTED_MAX);
    all.problems.truncate(REPORTED_MAX);
    all
}

/// The hash of the files and of what else counts.
fn with_others(files: u64, config: &Config) -> u64 {
    let authorities = config.accounts.iter().filter_map(|account| account.tls.ca.as_ref());
    let certificates = authorities.flat_map(Authorities::certificates);
    let hash = certificates.fold(files, fnv1a_on);
    let broken = config.files.iter().filter_map(|file| file.broken.as_ref());
    broken.fold(hash, |hash, error| fnv1a_on(hash, error.to_string().as_bytes()))
}

/// The settings, the accounts of the main file, and the account files with their warnings.
type Loaded = (GlobalSettings, Vec<Arc<Account>>, Vec<(AccountFile, Vec<ConfigProblem>)>);

/// Reads one file after the other.
struct ConfigLoader<'a> {
    main: SourceFile,
    permissions: Permissions,
    environment: Environment<'a>,
    running: &'a Running<'a>,
    /// Those of the configuration in use.
    accounts: RunningAccounts<'a>,
    /// Of all files so far.
    hash: u64,
}

impl ConfigLoader<'_> {
    fn load_main(&mut self, report: &mut Report) -> Result<Loaded, Noted> {
        let file = Arc::clone(&self.main.path);
        let mut main: Nested<MainKeys> = read_keys(&self.main, report)?;
        // Of 100,000 users several megabytes.
        self.main.bytes = Vec::new();
        let mut scope = Scope::new(report, &file);
        let (settings, secrets_dir, defaults) = self.check_settings(&main.keys, &mut scope);
        let accounts = std::mem::take(&mut main.keys.accounts);
        let found =
            self.check_accounts(&self.main, accounts, FileTrust::Main, &defaults, &mut scope);
        let named = &main.keys.account_files.keys;
        let files = self.find_account_files(named, &mut scope);
        if found.accounts.is_empty() && named.is_empty() && scope.report().is_clean() {
            let what = "configures no account; list one under accounts, \
                        or in a file that account_files names";
            scope.problem(main.at, "", what);
        }
        let candidates = files.into_iter().map(|(path, fault)| {
            self.load_account_file(&path, fault, secrets_dir.as_deref(), &defaults)
        });
        let candidates = candidates.collect();
        Ok((settings, found.accounts().collect(), admit(&found, candidates)))
    }

    /// The settings, the directory of the secrets of account files, and what the settings say of every account.
    /// In place of what is not good, and noted, there is a default.
    fn check_settings(
        &self,
        keys: &MainKeys,
        scope: &mut Scope<'_>,
    ) -> (GlobalSettings, Option<PathBuf>, Defaults) {
        let poll = keys.poll.check(&mut scope.within("poll")).unwrap_or_default();
        let export = keys.export.keys.check(&mut scope.within("export"));
        let max_in_flight = keys.max_in_flight.or(256_usize, "max_in_flight", scope);
        let file = self.context(&self.main.path, FileTrust::Main);
        let secrets_dir = keys.secrets_dir.get("secrets_dir", scope);
        let secrets_dir = secrets_dir.map(|written| file.folder.join(written));
        let partners = Partners::check(
            &keys.partners,
            &mut FileScope { scope: scope.within("partners"), file: &file },
        );
        let settings = GlobalSettings {
            poll,
            max_in_flight,
            export,
            secrets_dir: secrets_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()),
            partners: partners.usable(),
        };
        (settings, secrets_dir, Defaults { poll: keys.poll.keys.clone(), export, partners })
    }

    fn context<'t>(&'t self, file: &Path, trust: FileTrust<'t>) -> FileContext<'t> {
        FileContext {
            folder: folder_of(file),
            environment: self.environment,
            permissions: self.permissions,
            trust,
            literal: Cell::new(false),
        }
    }

    fn check_accounts(
        &self,
        source: &SourceFile,
        list: AccountsKeys,
        trust: FileTrust<'_>,
        defaults: &Defaults,
        scope: &mut Scope<'_>,
    ) -> FoundAccounts {
        let file = self.context(&source.path, trust);
        let mut accounts = FileScope { scope: scope.within(""), file: &file };
        let found = check_accounts(list, defaults, &self.accounts, &mut accounts);
        source.judge_mode(file.literal.get(), scope);
        check_duplicates(&found.claims, scope.report());
        budget::check(&found.accounts, scope.report());
        for placed in &found.accounts {
            if let Err(fault) = (self.running.check)(&placed.account) {
                scope.report().problem(&placed.spot, format!("{}: {fault}", placed.words));
            }
        }
        found
    }

    /// The account files in the order of their paths, and folders that cannot be searched, each with what is
    /// wrong with it if anything is.
    fn find_account_files(
        &self,
        named: &[Key<PathText>],
        scope: &mut Scope<'_>,
    ) -> BTreeMap<PathBuf, Option<String>> {
        let mut files = BTreeMap::new();
        for (index, name) in named.iter().enumerate() {
            let found = self.find(name, &format!("account_files[{index}]"), scope);
            files.extend(found.files.into_iter().map(|path| (path, None)));
            for (folder, fault) in found.faults {
                let running = self.running.files().iter();
                for file in running.filter(|file| file.path.starts_with(&folder)) {
                    let fault = format!("is in a folder that {fault}");
                    files.entry(file.path.clone()).or_insert(Some(fault));
                }
                files.insert(folder, Some(fault));
            }
        }
        files
    }

    /// What one item of `account_files` stands for.
    fn find(&self, name: &Key<PathText>, key: &str, scope: &mut Scope<'_>) -> source::Found {
        let Some(written) = name.get(key, scope) else { return source::Found::default() };
        // The folder as the main file's path has it, so that messages name files alike.
        let folder = self.main.path.parent().unwrap_or(Path::new(""));
        let mut found = match expand(folder, &written) {
            Ok(found) => found,
            Err(fault) => {
                scope.problem(name.at, key, fault);
                return source::Found::default();
            }
        };
        if found.files.is_empty() && found.faults.is_empty() {
            scope.warn(name.at, key, "matches no file, so no account comes from it");
        }
        // A token that was pasted here is not to be repeated as the name of a broken file.
        found.files.retain(|path| {
            let known = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
            let named =
                known || path.symlink_metadata().is_ok() || self.running.file(path).is_some();
            if !named {
                scope.problem(name.at, key, "names no file that exists");
            }
            named
        });
        found
    }

    fn load_account_file(
        &mut self,
        path: &Path,
        fault: Option<String>,
        secrets_dir: Option<&Path>,
        defaults: &Defaults,
    ) -> Candidate {
        let opened = fault.map_or_else(|| self.open_account_file(path), Err);
        let (mut report, mut found) = (Report::default(), FoundAccounts::default());
        let whole = Spot { file: path.into(), at: None };
        match (opened, stem(path)) {
            (Err(fault), _) => report.problem(&whole, fault),
            (Ok(_), None) => report.problem(&whole, "has no name before its ending".to_owned()),
            (Ok(source), Some(stem)) => {
                self.hash = fnv1a_on(self.hash, &source.bytes);
                if let Ok(file) = read_keys::<AccountFileKeys>(&source, &mut report) {
                    let trust = FileTrust::AccountFile { secrets_dir, stem };
                    let mut scope = Scope::new(&mut report, &source.path);
                    let list = file.keys.accounts;
                    if !list.is_given() {
                        let remedy = "an account file holds that list and nothing else";
                        missing("accounts", file.at, remedy, &mut scope);
                    }
                    found = self.check_accounts(&source, list, trust, defaults, &mut scope);
                }
            }
        }
        if let Some(stem) = stem(path) {
            let key = ClaimKey::Stem(stem.to_owned());
            found.claims.push(Claim { key, spot: whole.clone(), words: String::new() });
        }
        let earlier = self.running.accounts_of(path);
        Candidate::new(whole.file, found, earlier, report, defaults)
    }

    fn open_account_file(&self, path: &Path) -> Result<SourceFile, String> {
        let opened = OpenFile::regular(path)?;
        let main = self.main.path.canonicalize().ok();
        if main.is_some() && path.canonicalize().ok() == main {
            return Err("is the main file itself; narrow the pattern".to_owned());
        }
        SourceFile::read(path, opened)
    }
}

/// Reads the keys of a file; notes what stands against it.
fn read_keys<T: DeserializeOwned + Default>(
    source: &SourceFile,
    report: &mut Report,
) -> Result<Nested<T>, Noted> {
    let (at, message) = match read_yaml(&source.bytes, Switches::TrueFalse) {
        Ok(Some(keys)) => return Ok(keys),
        Ok(None) => {
            (None, "is empty; list accounts in it, accounts: [{name: …, auth: …}]".to_owned())
        }
        Err(fault) => fault,
    };
    report.problem(&Spot { file: Arc::clone(&source.path), at }, message);
    Err(Noted)
}
