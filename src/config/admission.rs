//! Which account files come into use: a broken one costs its own accounts and no others.
//!
//! The main file is in use. Then come, for each broken file, the accounts that it had when it was last
//! good, as far as they fit to the main file; then the other files, those that run as they are before
//! those that have changed, and those before the new ones. One that contradicts what is in use already is
//! broken from there on, and as its earlier accounts may stand in the way of others, everything is
//! judged once more.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Account, Auth, Credential};

use super::accounts::{Defaults, FoundAccounts};
use super::budget::{self, Placed};
use super::claims::{Claim, ClaimKey};
use crate::problems::ConfigError;
use crate::problems::place::Spot;
use crate::problems::report::Report;

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
    pub(super) path: Arc<Path>,
    pub(super) found: FoundAccounts,
    /// What it had when it was last in use, if it was.
    pub(super) earlier: Option<Vec<Arc<Account>>>,
    pub(super) report: Report,
}

/// What is in use already.
#[derive(Default)]
struct InUse<'a> {
    claims: HashMap<&'a ClaimKey, Spot>,
    groups: HashMap<Credential, Vec<&'a Placed>>,
}

/// The accounts of every candidate that come into use. What stands against one is noted in its report.
pub(super) fn admit(
    main: &FoundAccounts,
    candidates: &mut [Candidate],
    defaults: &Defaults,
) -> Vec<Vec<Arc<Account>>> {
    let mut reports: Vec<Report> =
        candidates.iter_mut().map(|candidate| std::mem::take(&mut candidate.report)).collect();
    let kept: Vec<Vec<FoundAccounts>> =
        candidates.iter().map(|candidate| candidate.kept(defaults)).collect();
    let order = order(candidates);
    let admitted = loop {
        let broken = reports.iter().filter(|report| !report.is_clean()).count();
        let admitted = round(main, candidates, &kept, &order, &mut reports);
        // Each round but the last breaks a file, so that this ends.
        if broken == reports.iter().filter(|report| !report.is_clean()).count() {
            break admitted;
        }
    };
    for ((candidate, report), accounts) in candidates.iter_mut().zip(reports).zip(&admitted) {
        candidate.report = report;
        candidate.note_given_up(accounts);
    }
    admitted
}

/// Judges every candidate that is not broken; those that contradict the others are afterwards.
fn round<'a>(
    main: &'a FoundAccounts,
    candidates: &'a [Candidate],
    kept: &'a [Vec<FoundAccounts>],
    order: &[usize],
    reports: &mut [Report],
) -> Vec<Vec<Arc<Account>>> {
    let mut in_use = InUse::default();
    in_use.add(main);
    let mut admitted = vec![Vec::new(); candidates.len()];
    for (index, candidate) in candidates.iter().enumerate() {
        let (Some(kept), Some(report), Some(admitted)) =
            (kept.get(index), reports.get(index), admitted.get_mut(index))
        else {
            continue;
        };
        if !report.is_clean() {
            in_use.keep_folder(candidate);
            let fit = kept.iter().filter(|one| in_use.admit(one, &mut Report::default()));
            let accounts = fit.flat_map(|one| &one.accounts);
            *admitted = accounts.map(|placed| Arc::clone(&placed.account)).collect();
        }
    }
    let owners = owners(candidates, reports);
    for index in order {
        let (Some(candidate), Some(report), Some(admitted)) =
            (candidates.get(*index), reports.get_mut(*index), admitted.get_mut(*index))
        else {
            continue;
        };
        if !report.is_clean() {
            continue;
        }
        for claim in &candidate.found.claims {
            if let Some((_, spot)) = owners.get(&claim.key).filter(|(of, _)| of != index) {
                claim.refuse(spot, report);
            }
        }
        if report.is_clean() && in_use.admit(&candidate.found, report) {
            let accounts = candidate.found.accounts.iter();
            *admitted = accounts.map(|placed| Arc::clone(&placed.account)).collect();
        }
    }
    admitted
}

/// The files that run as they are, then those that have changed, then the new ones; else by path.
fn order(candidates: &[Candidate]) -> Vec<usize> {
    let rank = |candidate: &Candidate| match &candidate.earlier {
        Some(earlier) => u8::from(!candidate.is_unchanged(earlier)),
        None => 2,
    };
    let mut order: Vec<(u8, usize)> =
        candidates.iter().enumerate().map(|(index, one)| (rank(one), index)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// Who has used a key before and still wants to.
fn owners<'a>(
    candidates: &'a [Candidate],
    reports: &[Report],
) -> HashMap<ClaimKey, (usize, &'a Spot)> {
    let mut owners = HashMap::new();
    for (index, (candidate, report)) in candidates.iter().zip(reports).enumerate() {
        let had = candidate.earlier.iter().flatten().flat_map(|account| ClaimKey::of(account));
        let had: HashSet<ClaimKey> = had.collect();
        let claims = candidate.found.claims.iter().filter(|claim| had.contains(&claim.key));
        if report.is_clean() {
            owners.extend(claims.map(|claim| (claim.key.clone(), (index, &claim.spot))));
        }
    }
    owners
}

impl Candidate {
    /// Its file as a whole.
    pub(super) fn whole(&self) -> Spot {
        Spot { file: Arc::clone(&self.path), at: None }
    }

    fn is_unchanged(&self, earlier: &[Arc<Account>]) -> bool {
        self.found.accounts.iter().map(|placed| &placed.account).eq(earlier)
    }

    /// The accounts that it has while it is broken, each by itself.
    fn kept(&self, defaults: &Defaults) -> Vec<FoundAccounts> {
        let earlier = self.earlier.iter().flatten();
        earlier.filter_map(|account| keep(account, defaults)).map(|one| self.stands(one)).collect()
    }

    /// An account that stands in the file no more, or differently.
    fn stands(&self, account: Arc<Account>) -> FoundAccounts {
        let spot = self.whole();
        let words = format!("{:?}", account.name.as_str());
        let claim = |key| Claim { key, spot: spot.clone(), words: words.clone() };
        let claims = ClaimKey::of(&account).into_iter().map(claim).collect();
        let placed = Placed { account, words: words.clone(), spot: spot.clone(), rate_limit: None };
        FoundAccounts { accounts: vec![placed], claims }
    }

    /// Notes which of its earlier accounts are lost, because they do not fit to the main file any more.
    fn note_given_up(&mut self, accounts: &[Arc<Account>]) {
        if self.report.is_clean() {
            return;
        }
        let whole = self.whole();
        let stays = |name| accounts.iter().any(|account| account.name == name);
        for account in self.earlier.iter().flatten() {
            if !stays(account.name.clone()) {
                let name = account.name.as_str();
                let what =
                    format!("{name:?}: is polled no more, because the main file rules it out");
                self.report.problem(&whole, what);
            }
        }
    }
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

impl<'a> InUse<'a> {
    fn add(&mut self, found: &'a FoundAccounts) {
        self.claims.extend(found.claims.iter().map(|claim| (&claim.key, claim.spot.clone())));
        for placed in &found.accounts {
            self.groups.entry(placed.account.credential()).or_default().push(placed);
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
        let mut own: HashMap<Credential, Vec<&Placed>> = HashMap::new();
        for placed in &found.accounts {
            own.entry(placed.account.credential()).or_default().push(placed);
        }
        for (credential, placed) in own {
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
