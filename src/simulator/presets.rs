//! Ready-made settings of any size, for load tests and benchmarks. `demo` has those to look at.

use super::rng::Rng;
use super::role::Role;
use super::settings::Settings;
use super::spec::{AccountSpec, UserSpec};

impl Settings {
    /// Accounts `acct-0001` and on, each with the users `u00001` and on; every tenth user is a
    /// manager. In real time, with the documented limit and without a log.
    pub fn load(accounts: usize, users: usize, seed: u64) -> Self {
        let mut rng = Rng::named(seed, &["load"]);
        let user = |number: usize| {
            let role = if number.is_multiple_of(10) { Role::Manager } else { Role::SalesRep };
            UserSpec::new(&format!("u{number:05}"), &format!("User {number}"), role)
        };
        let account = |number: usize| {
            let mut account = numbered(&mut rng, &format!("acct-{number:04}"));
            account.account_id = format!("{:08}", 10_000_000 + number);
            account.users = (1..=users).map(user).collect();
            account
        };
        let accounts = (1..=accounts).map(account).collect();
        Self { accounts, seed, log_capacity: 0, ..Self::default() }
    }
}

/// An account with an id and a token of its own.
pub(super) fn numbered(rng: &mut Rng, name: &str) -> AccountSpec {
    let id = rng.between(10_000_000, 99_999_999).to_string();
    let token = format!("simulated-{:016x}{:016x}", rng.next(), rng.next());
    AccountSpec::new(name, &id, &token)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn accounts_differ_in_token_and_id() {
        let settings = Settings::load(1_000, 1, 1);
        let tokens: HashSet<_> =
            settings.accounts.iter().map(|one| one.credential.fixed()).collect();
        let ids: HashSet<_> = settings.accounts.iter().map(|one| &one.account_id).collect();
        assert_eq!((tokens.len(), ids.len()), (1_000, 1_000));
        assert!(ids.iter().all(|id| id.len() == 8));
    }

    #[test]
    fn load_has_the_size_asked_for() {
        let load = Settings::load(2, 3, 1);
        let last = load.accounts.last().unwrap();
        assert_eq!((load.accounts.len(), last.name.as_str()), (2, "acct-0002"));
        let ids: Vec<_> = last.users.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(ids, ["u00001", "u00002", "u00003"]);
    }
}
