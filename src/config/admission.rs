//! Which account files come into use: a broken one costs its own accounts and no others.
//!
//! The main file is in use. Then come, for each broken file, the accounts that it had when it was last
//! good, as far as they fit to the main file; then the other files, those that run as they are before
//! those that have changed, and those before the new ones. One that contradicts what is in use already is
//! broken from there on, and as its earlier accounts may stand in the way of others, everything is
//! judged once more.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Account, Auth, Credential};

use super::accounts::{Defaults, FoundAccounts};
use super::budget::{self, Placed};
use super::claims::{Claim, ClaimKey};
use crate::problems::place::Spot;
use crate::problems::report::Report;
use crate::problems::{ConfigError, ConfigProblem};

/// An account file, or a folder that cannot be searched for account files.
#[derive(Debug, Clone)]
pub struct AccountFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its accounts that are in use. Those of a broken file are the ones that it had before.
    pub accounts: Vec<Arc<Account>>,
    /// What is wrong with it.
    pub broken: Option<ConfigError>,
}

/// An account file that was read.
pub(super) struct Candidate {
    path: Arc<Path>,
    found: FoundAccounts,
    /// What it had when it was last in use, if it was.
    earlier: Option<Vec<Arc<Account>>>,
    /// Those of them that it may have while it is broken, each by itself.
    kept: Vec<FoundAccounts>,
    /// What stands against it; it is judged while what it has found is in use.
    report: RefCell<Report>,
}

/// What is in use already.
#[derive(Default)]
struct Admitted<'a> {
    claims: HashMap<&'a ClaimKey, Spot>,
    groups: HashMap<Credential, Vec<&'a Placed>>,
}

/// Every candidate with its accounts that come into use and what stands against it, or what it is warned of.
pub(super) fn admit(
    main: &FoundAccounts,
    candidates: Vec<Candidate>,
) -> Vec<(AccountFile, Vec<ConfigProblem>)> {
    let broken = || candidates.iter().filter(|candidate| candidate.is_broken()).count();
    let mut admitted = loop {
        let before = broken();
        let admitted = round(main, &candidates);
        // Each round but the last breaks a file, so that this ends.
        if broken() == before {
            break admitted;
        }
    };
    let finish = |candidate: Candidate| {
        let accounts = admitted.remove(&candidate.path).unwrap_or_default();
        candidate.finish(accounts)
    };
    candidates.into_iter().map(finish).collect()
}

/// Judges every candidate that is not broken; those that contradict the others are afterwards.
fn round(main: &FoundAccounts, candidates: &[Candidate]) -> HashMap<Arc<Path>, Vec<Arc<Account>>> {
    let mut in_use = Admitted::default();
    in_use.add(main);
    let mut admitted = HashMap::new();
    let (broken, mut good): (Vec<&Candidate>, Vec<_>) =
        candidates.iter().partition(|candidate| candidate.is_broken());
    for candidate in broken {
        in_use.keep_folder(candidate);
        let fit = candidate.kept.iter().filter(|one| in_use.admit(one, &mut Report::default()));
        let accounts = fit.flat_map(FoundAccounts::accounts).collect();
        admitted.insert(Arc::clone(&candidate.path), accounts);
    }
    good.sort_by_key(|candidate| candidate.rank());
    let owners = owners(&good);
    for candidate in good {
        let report = &mut *candidate.report.borrow_mut();
        for claim in &candidate.found.claims {
            if let Some(owner) = owners.get(&claim.key).filter(|of| of.file != candidate.path) {
                claim.refuse(owner, report);
            }
        }
        if report.is_clean() && in_use.admit(&candidate.found, report) {
            let accounts = candidate.found.accounts().collect();
            admitted.insert(Arc::clone(&candidate.path), accounts);
        }
    }
    admitted
}

/// Where each key stands that a file has used before and still wants.
fn owners<'a>(good: &[&'a Candidate]) -> HashMap<&'a ClaimKey, &'a Spot> {
    let mut owners = HashMap::new();
    for candidate in good {
        let had = candidate.earlier.iter().flatten().flat_map(|account| ClaimKey::of(account));
        let had: HashSet<ClaimKey> = had.collect();
        let claims = candidate.found.claims.iter().filter(|claim| had.contains(&claim.key));
        owners.extend(claims.map(|claim| (&claim.key, &claim.spot)));
    }
    owners
}

impl Candidate {
    /// A file in which this was `found`, with what is noted of it, and what it had when it was last in use.
    pub(super) fn new(
        path: Arc<Path>,
        found: FoundAccounts,
        earlier: Option<Vec<Arc<Account>>>,
        report: Report,
        defaults: &Defaults,
    ) -> Self {
        let kept = earlier.iter().flatten().filter_map(|account| keep(account, defaults));
        let kept = kept.map(|account| stands(account, &path)).collect();
        Self { path, found, earlier, kept, report: report.into() }
    }

    fn is_broken(&self) -> bool {
        !self.report.borrow().is_clean()
    }

    /// The files that run as they are come before those that have changed, and those before the new ones.
    fn rank(&self) -> u8 {
        match &self.earlier {
            Some(earlier) => u8::from(!self.found.accounts().eq(earlier.iter().cloned())),
            None => 2,
        }
    }

    /// Notes which of its earlier accounts are lost, because they do not fit to the others any more.
    fn finish(self, accounts: Vec<Arc<Account>>) -> (AccountFile, Vec<ConfigProblem>) {
        let mut report = self.report.into_inner();
        if !report.is_clean() {
            let whole = Spot { file: Arc::clone(&self.path), at: None };
            let lost = |one: &&Arc<Account>| accounts.iter().all(|other| other.name != one.name);
            for lost in self.earlier.iter().flatten().filter(lost) {
                let what = format!(
                    "{:?}: is polled no more, because the main file, or what another broken file keeps, \
                     rules it out",
                    lost.name.as_str()
                );
                report.problem(&whole, what);
            }
        }
        let (warnings, broken) = match report.finish() {
            Ok(warnings) => (warnings, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        (AccountFile { path: self.path.to_path_buf(), accounts, broken }, warnings)
    }
}

/// An account that stands in a file no more, or differently.
fn stands(account: Arc<Account>, file: &Arc<Path>) -> FoundAccounts {
    let spot = Spot { file: Arc::clone(file), at: None };
    let words = format!("{:?}", account.name.as_str());
    let claim = |key| Claim { key, spot: spot.clone(), words: words.clone() };
    let claims = ClaimKey::of(&account).into_iter().map(claim).collect();
    let accounts = vec![Placed { account, words, spot, rate_limit: None }];
    FoundAccounts { accounts, claims }
}

/// An account as it was, under what the main file says of all accounts now.
fn keep(account: &Arc<Account>, defaults: &Defaults) -> Option<Arc<Account>> {
    let mut kept = Arc::clone(account);
    if let Auth::Partner(partner) | Auth::OAuth { partner, .. } = &account.auth {
        let now = defaults.partners.open_to_account_files(&partner.name)?;
        if now != partner {
            let own = Arc::make_mut(&mut kept);
            if let Auth::Partner(partner) | Auth::OAuth { partner, .. } = &mut own.auth {
                *partner = Arc::clone(now);
            }
        }
    }
    if account.export != defaults.export {
        let own = Arc::make_mut(&mut kept);
        own.export = defaults.export;
        if !own.export.user_names {
            own.users.iter_mut().for_each(|user| Arc::make_mut(user).name = None);
        }
    }
    Some(kept)
}

impl<'a> Admitted<'a> {
    fn add(&mut self, found: &'a FoundAccounts) {
        self.claims.extend(found.claims.iter().map(|claim| (&claim.key, claim.spot.clone())));
        for (credential, own) in budget::groups(&found.accounts) {
            self.groups.entry(credential).or_default().extend(own);
        }
    }

    /// A broken file that was good before still has its folder with secrets.
    fn keep_folder(&mut self, candidate: &'a Candidate) {
        if candidate.earlier.is_some() {
            let stem = |claim: &&Claim| matches!(claim.key, ClaimKey::Stem(_));
            let claims = candidate.found.claims.iter().filter(stem);
            self.claims.extend(claims.map(|claim| (&claim.key, claim.spot.clone())));
        }
    }

    /// Takes accounts into use if nothing of what is in use stands against them.
    fn admit(&mut self, found: &'a FoundAccounts, report: &mut Report) -> bool {
        for claim in &found.claims {
            if let Some(other) = self.claims.get(&claim.key) {
                claim.refuse(other, report);
            }
        }
        for (credential, placed) in budget::groups(&found.accounts) {
            if let (Some(others), Some(first)) = (self.groups.get(&credential), placed.first()) {
                budget::check_group(&[others.as_slice(), &placed].concat(), first, report);
            }
        }
        if report.is_clean() {
            self.add(found);
        }
        report.is_clean()
    }
}

/// The folder that an account file may name secrets in: its own name without the ending.
pub(super) fn stem(path: &Path) -> Option<&OsStr> {
    path.file_stem().filter(|stem| *stem != "." && *stem != "..")
}
