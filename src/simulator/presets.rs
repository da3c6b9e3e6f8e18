//! Ready-made settings of any size, for load tests and benchmarks. `demo` has those to look at.

use fastrand::Rng;

use super::rng;
use super::settings::Settings;
use super::spec::{AccountSpec, Role, UserSpec};

impl Settings {
    /// Accounts `acct-0001` and on, each with the users `u00001` and on; every tenth user is a
    /// manager. In real time, with the documented limit and without a log.
    pub fn load(accounts: usize, users: usize, seed: u64) -> Self {
        let mut rng = rng::named(seed, "load");
        let user = |number: usize| {
            let role = if number.is_multiple_of(10) { Role::Manager } else { Role::SalesRep };
            UserSpec::new(&format!("u{number:05}"), &format!("User {number}"), role)
        };
        let account = |number: usize| {
            let (name, id) = (format!("acct-{number:04}"), format!("{:08}", 10_000_000 + number));
            let account = AccountSpec::new(&name, &id, &secret(&mut rng));
            AccountSpec { users: (1..=users).map(user).collect(), ..account }
        };
        let accounts = (1..=accounts).map(account).collect();
        Self { accounts, seed, log_capacity: 0, ..Self::default() }
    }
}

/// A text that is shown for access, different for each seed.
pub(super) fn secret(rng: &mut Rng) -> String {
    format!("simulated-{:032x}", rng.u128(..))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use secrecy::ExposeSecret as _;

    use super::super::spec::Credential;
    use super::*;

    #[test]
    fn accounts_differ_in_token_and_id() {
        let settings = Settings::load(1_000, 1, 1);
        let tokens: HashSet<_> = settings
            .accounts
            .iter()
            .filter_map(|one| match &one.credential {
                Credential::Token(token) => Some(token.expose_secret()),
                _ => None,
            })
            .collect();
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
