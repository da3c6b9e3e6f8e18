//! Which accounts this process polls where several processes share a configuration.
//!
//! Each process is a [`Shard`]: it polls the accounts whose [`owner`] it is, by a hash of their names, and no
//! others. Nothing is agreed between the processes, so all must have the same configuration and the same number of
//! shards. What must never have two owners, not even while that number changes, is protected by the lock in the
//! account's folder: [`Shard::check`] wants that folder to be shared.
//!
//! `cli` makes the shard of this process from flags, [`app`](crate::app) applies it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::account::{Account, AccountName, Auth};
use crate::schedule::{fnv1a, mix};
use crate::text;

/// Most accounts that a message names.
const NAMED_MAX: usize = 5;

/// The process among those that share a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Which of the shards this process is, counted from 0.
    pub ordinal: u32,
    /// How many there are.
    pub total: u32,
    /// What hostnames have before their ordinal, where that is where the ordinal is from.
    host: Option<Arc<str>>,
    shared_storage: bool,
}

/// Why this process cannot be a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShard {
    /// There is no such shard.
    #[error("shard {ordinal} of {total}: shards are counted from 0, so the last one is {}", total.saturating_sub(1))]
    NoSuchShard {
        /// The number that was given.
        ordinal: u32,
        /// How many there are.
        total: u32,
    },
    /// The hostname does not say which shard it is.
    #[error(
        "the hostname {0:?} does not end with a hyphen and a number, as exporter-2 does and the names of a \
         StatefulSet's pods do; give the number with --shard"
    )]
    Hostname(String),
}

/// Why an account cannot be polled by one of several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} may never have two owners, which two shards could be while their number changes: with \
     --total-shards above 1 this needs --storage.path on storage that all shards share, and --storage.shared"
)]
pub struct NeedsSharedStorage(&'static str);

impl Shard {
    /// The only process: all accounts are its own.
    pub const WHOLE: Self = Self { ordinal: 0, total: 1, host: None, shared_storage: false };

    /// One of `total`, counted from 0.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn new(ordinal: u32, total: u32) -> Result<Self, InvalidShard> {
        if ordinal >= total {
            return Err(InvalidShard::NoSuchShard { ordinal, total });
        }
        Ok(Self { ordinal, total, ..Self::WHOLE })
    }

    /// The one whose ordinal is at the end of the hostname, before any domain: `exporter-2`.
    ///
    /// # Errors
    /// When there is no ordinal, or no such shard.
    pub fn from_hostname(hostname: &str, total: u32) -> Result<Self, InvalidShard> {
        let invalid = || InvalidShard::Hostname(hostname.to_owned());
        let name = hostname.split('.').next().unwrap_or_default();
        let (host, digits) = name.rsplit_once('-').ok_or_else(invalid)?;
        if host.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let ordinal = digits.parse().map_err(|_| invalid())?;
        Ok(Self { host: Some(host.into()), ..Self::new(ordinal, total)? })
    }

    /// The same, with whether the operator says that all shards have the same storage.
    #[must_use]
    pub fn with_shared_storage(self, shared_storage: bool) -> Self {
        Self { shared_storage, ..self }
    }

    /// The shard that owns an account, if it is another one.
    pub fn other_owner(&self, account: &AccountName) -> Option<u32> {
        Some(owner(account, self.total)).filter(|owner| *owner != self.ordinal)
    }

    /// A shard in words; with its host, where hosts are numbered.
    pub fn describe(&self, ordinal: u32) -> String {
        let host =
            self.host.as_ref().map(|host| format!(" ({host}-{ordinal})")).unwrap_or_default();
        format!("shard {ordinal} of {}{host}", self.total)
    }

    /// Its own accounts among those of a configuration; see [`by_shard`].
    pub fn own(&self, accounts: &[Arc<Account>]) -> Vec<Arc<Account>> {
        by_shard(accounts, self.total).remove(&self.ordinal).unwrap_or_default()
    }

    /// Whether an account of the configuration may be polled by shards at all.
    ///
    /// # Errors
    /// When it could have two owners.
    pub fn check(&self, account: &Account) -> Result<(), NeedsSharedStorage> {
        if self.total == 1 || self.shared_storage {
            return Ok(());
        }
        if account.auth.needs_storage() {
            return Err(NeedsSharedStorage("auth.oauth: a refresh token"));
        }
        if account.reset.is_some() {
            return Err(NeedsSharedStorage("reset: its cooldown and its audit log"));
        }
        Ok(())
    }
}

/// The shard of `total` that owns an account. The same in every release: where two versions run side by side they must
/// agree.
pub fn owner(account: &AccountName, total: u32) -> u32 {
    jump(mix(fnv1a(account.as_str().as_bytes())), total)
}

/// Jump consistent hash by Lamping and Veach (arXiv:1406.2294): of n + 1 buckets the last one gets an equal part of the keys of
/// all others, and no other key moves.
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let divisor = ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * ((1_u64 << 31) as f64 / divisor)) as u64;
    }
    bucket as u32
}

/// The accounts of each shard that has any. Where accounts with one credential belong to several shards, each of these
/// has an equal part of its limit.
pub fn by_shard(accounts: &[Arc<Account>], total: u32) -> BTreeMap<u32, Vec<Arc<Account>>> {
    let sharing = sharing(accounts, total, |account| Some(account.credential()));
    let mut shards: BTreeMap<u32, Vec<Arc<Account>>> = BTreeMap::new();
    for account in accounts {
        let mut account = Arc::clone(account);
        if let Some((_, shards)) = sharing.get(&account.credential()) {
            let rate_limit = account.rate_limit.divided(shards.len());
            account = Arc::new(Account { rate_limit, ..Account::clone(&account) });
        }
        shards.entry(owner(&account.name, total)).or_default().push(account);
    }
    shards
}

/// What becomes of the limits that accounts of several shards have in common.
pub fn cross_shard(accounts: &[Arc<Account>], total: u32) -> Vec<String> {
    let tokens = sharing(accounts, total, |account| Some(account.credential()));
    let tokens = tokens.into_values().map(|(names, shards)| {
        let (names, parts) = (text::names(names.into_iter(), NAMED_MAX), shards.len());
        format!(
            "{names} have the same token and are on {parts} shards, each of which uses one of {parts} equal parts of \
             our share of its limit"
        )
    });
    let partners = sharing(accounts, total, |account| match &account.auth {
        Auth::Partner(partner) | Auth::OAuth { partner, .. } => Some(partner.name.clone()),
        _ => None,
    });
    let partners = partners.into_iter().map(|(partner, (_, shards))| {
        format!(
            "partner {partner} has accounts on {} shards, each of which logs in by itself and uses one of {total} equal \
             parts of the limit of the partner's requests for tokens",
            shards.len()
        )
    });
    let mut words: Vec<String> = tokens.chain(partners).collect();
    words.sort_unstable();
    words
}

/// Accounts that need one folder of the storage at several shards, of which only one can have it.
pub fn split_folders(accounts: &[Arc<Account>], total: u32) -> Vec<String> {
    let mut needing = sharing(accounts, total, |account| account.account_id.clone());
    needing.retain(|id, _| {
        let same = accounts.iter().filter(|account| account.account_id.as_ref() == Some(id));
        same.into_iter().any(|account| account.needs_storage())
    });
    let words = needing.into_values().map(|(names, _)| {
        format!(
            "{} have one account_id and so one folder of the storage, which one shard alone can hold; choose names that \
             belong to one shard, or poll the account once",
            text::names(names.into_iter(), NAMED_MAX)
        )
    });
    words.collect()
}

/// The names of accounts that have in common what `key` says, and their shards, where these are several.
fn sharing<K: Eq + Hash>(
    accounts: &[Arc<Account>],
    total: u32,
    key: impl Fn(&Account) -> Option<K>,
) -> HashMap<K, (BTreeSet<&str>, BTreeSet<u32>)> {
    let mut groups: HashMap<K, (BTreeSet<&str>, BTreeSet<u32>)> = HashMap::new();
    for account in accounts {
        if let Some(key) = key(account) {
            let (names, shards) = groups.entry(key).or_default();
            names.insert(account.name.as_str());
            shards.insert(owner(&account.name, total));
        }
    }
    groups.retain(|_, (_, shards)| shards.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Reset, fixture};
    use std::time::Duration;

    const NEVER_AGAIN: &str =
        "a release that changes this moves accounts between shards that run side by side";

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn reset() -> Reset {
        let cooldown = Duration::from_hours(1);
        Reset { cooldown, max_unanswered: 1, token_file: "reset".into() }
    }

    fn named(number: usize) -> Arc<Account> {
        Arc::new(fixture(&format!("acct-{number:05}"), &["1"]))
    }

    #[test]
    fn jump_gives_the_values_of_the_paper() {
        // Its figure 1, compiled, and what implementations in other languages are tested with.
        for (key, buckets, bucket) in [
            (1, 1, 0),
            (42, 57, 43),
            (0xDEAD_10CC, 1, 0),
            (0xDEAD_10CC, 666, 361),
            (256, 1024, 520),
            (1, 128, 55),
            (129, 128, 120),
            (u64::MAX, 128, 92),
        ] {
            assert_eq!(jump(key, buckets), bucket, "{key} of {buckets}");
        }
        for (key, expected) in [
            (0, [0, 0, 0, 0, 0, 0, 0]),
            (1, [0, 0, 0, 0, 6, 55, 549]),
            (0xDEAD_BEEF, [0, 1, 2, 3, 5, 16, 285]),
            (0x0DDC_0FFE_EBAD_F00D, [0, 1, 2, 2, 2, 50, 113]),
        ] {
            assert_eq!([1, 2, 3, 5, 10, 57, 1000].map(|buckets| jump(key, buckets)), expected);
        }
    }

    #[test]
    fn an_account_has_the_same_owner_in_every_release() {
        for (account, owners) in [
            ("acme", [0, 2, 2, 5, 580]),
            ("globex", [0, 0, 0, 7, 133]),
            ("нурлан", [0, 0, 0, 0, 184]),
            ("a", [1, 1, 3, 5, 723]),
            ("acct-0001", [0, 0, 0, 7, 727]),
            ("acct-0002", [0, 2, 2, 6, 648]),
        ] {
            let found = [2, 3, 5, 10, 1000].map(|total| owner(&name(account), total));
            assert_eq!(found, owners, "{account}: {NEVER_AGAIN}");
        }
    }

    #[test]
    fn every_account_has_one_owner_and_all_shards_about_as_many() {
        let accounts: Vec<Arc<Account>> = (0..3000).map(named).collect();
        let shards: Vec<Shard> = (0..3).map(|ordinal| Shard::new(ordinal, 3).unwrap()).collect();
        let own = shards.iter().flat_map(|shard| shard.own(&accounts));
        let mut names: Vec<AccountName> = own.map(|account| account.name.clone()).collect();
        names.sort();
        assert!(names.iter().eq(accounts.iter().map(|account| &account.name)), "{names:?}");
        let counts: Vec<usize> = by_shard(&accounts, 3).values().map(Vec::len).collect();
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_further_shard_takes_its_part_and_nothing_else_moves() {
        let names: Vec<AccountName> = (0..5000).map(|number| name(&format!("a{number}"))).collect();
        let moved: Vec<u32> = names
            .iter()
            .filter(|name| owner(name, 4) != owner(name, 5))
            .map(|name| owner(name, 5))
            .collect();
        assert!(moved.iter().all(|owner| *owner == 4));
        assert!((900..1100).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn the_ordinal_is_the_number_after_the_last_hyphen_of_the_host() {
        let ordinal = |host, total| Shard::from_hostname(host, total).map(|shard| shard.ordinal);
        assert_eq!(ordinal("exporter-2", 3), Ok(2));
        assert_eq!(ordinal("wazzup-exporter-0.wazzup.shop.svc.cluster.local", 1), Ok(0));
        assert_eq!(ordinal("a-9-1", 2), Ok(1));
        let none = InvalidShard::NoSuchShard { ordinal: 3, total: 3 };
        assert_eq!(ordinal("exporter-3", 3), Err(none));
        for odd in
            ["", "exporter", "exporter2", "-2", "exporter-", "exporter-x2", "exporter-+2", "a.b-2"]
        {
            assert_eq!(ordinal(odd, 9), Err(InvalidShard::Hostname(odd.to_owned())), "{odd}");
        }
        assert_eq!(ordinal("a-4294967296", 9), Err(InvalidShard::Hostname("a-4294967296".into())));
        let shard = Shard::from_hostname("exporter-2", 3).unwrap();
        assert_eq!(shard.describe(0), "shard 0 of 3 (exporter-0)");
        assert_eq!(Shard::new(2, 3).unwrap().describe(0), "shard 0 of 3");
    }

    #[test]
    fn what_must_not_have_two_owners_needs_shared_storage() {
        let plain = fixture("acme", &["1"]);
        let guarded = Account { reset: Some(reset()), ..plain.clone() };
        let shard = Shard::new(0, 2).unwrap();
        assert_eq!(shard.check(&plain), Ok(()));
        assert!(shard.check(&guarded).unwrap_err().to_string().starts_with("reset: "));
        assert_eq!(shard.with_shared_storage(true).check(&guarded), Ok(()));
        assert_eq!(Shard::WHOLE.check(&guarded), Ok(()));
    }

    #[test]
    fn a_folder_that_is_needed_at_two_shards_is_refused() {
        let number = AccountId::parse("78231464").unwrap();
        let place = |wanted: u32| {
            let account =
                (0..1000).map(named).find(|account| owner(&account.name, 2) == wanted).unwrap();
            Account { account_id: Some(number.clone()), ..Account::clone(&account) }
        };
        let accounts = |reset| {
            let resets = Account { reset, ..place(0) };
            [Arc::new(resets), Arc::new(place(1))]
        };
        let refused = split_folders(&accounts(Some(reset())), 2);
        assert_eq!(refused.len(), 1);
        assert!(refused[0].contains("have one account_id"), "{refused:?}");
        assert_eq!(split_folders(&accounts(Some(reset())), 1), [] as [&str; 0]);
        assert_eq!(split_folders(&accounts(None), 2), [] as [&str; 0]);
    }

    #[test]
    fn accounts_with_one_token_divide_its_limit_among_their_shards() {
        let accounts = ["acct-0001", "acme", "a"].map(|name| Arc::new(fixture(name, &["1"])));
        let owners: Vec<u32> = accounts.iter().map(|one| owner(&one.name, 2)).collect();
        assert_eq!(owners, [0, 0, 1]);
        let shares = |ordinal: u32, total: u32| {
            let own = Shard::new(ordinal, total).unwrap().own(&accounts);
            own.iter().map(|account| account.rate_limit.share).collect::<Vec<_>>()
        };
        assert_eq!(
            (shares(0, 1), shares(0, 2), shares(1, 2)),
            (vec![60; 3], vec![30; 2], vec![30])
        );
        let words = cross_shard(&accounts, 2);
        assert!(words[0].starts_with("a, acct-0001, acme have the same token"), "{words:?}");
        assert_eq!(cross_shard(&accounts, 1), [] as [&str; 0]);
    }
}
