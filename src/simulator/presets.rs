//! Ready-made settings: a demo with believable businesses, and any size for load tests.
//!
//! Called by the `demo` and `simulator` commands, and by load tests and benchmarks.

use super::rng::Rng;
use super::settings::Settings;
use super::spec::{Access, AccountSpec, Role, UserSpec};

/// Simulated seconds per real second in the demo: a working day passes in eight minutes.
const DEMO_SPEED: f64 = 60.0;

type DemoAccount =
    (&'static str, &'static str, &'static str, &'static [(&'static str, Role, &'static str)]);

/// Name, company, city, and the users with role and team.
const DEMO: [DemoAccount; 3] = [
    (
        "nomad-travel",
        "Nomad Travel",
        "Almaty",
        &[
            ("Aigerim Sadykova", Role::SalesRep, "tours"),
            ("Данияр Ахметов", Role::SalesRep, "tours"),
            ("Olga Kim", Role::SalesRep, "tickets"),
            ("Руслан Беков", Role::SalesRep, "tickets"),
            ("Dinara Ospanova", Role::SalesRep, "visas"),
            ("Тимур Жаксыбеков", Role::Manager, "leads"),
            ("Elena Park", Role::QualityControl, "quality"),
            ("Бухгалтерия", Role::None, "office"),
        ],
    ),
    (
        "uyut-mebel",
        "Уют Мебель",
        "Екатеринбург",
        &[
            ("Анна Смирнова", Role::SalesRep, "showroom"),
            ("Сергей Лебедев", Role::SalesRep, "showroom"),
            ("Мария Ковалёва", Role::SalesRep, "online"),
            ("Игорь \"Мастер\" Белов", Role::Manager, "workshop"),
            ("Наталья Орлова", Role::QualityControl, "quality"),
        ],
    ),
    (
        "smile-dental",
        "Smile Dental Clinic",
        "Astana",
        &[
            ("Madina Iskakova", Role::SalesRep, "reception"),
            ("Асель Нурланова", Role::SalesRep, "reception"),
            ("Dr. Viktor Han", Role::Manager, "doctors"),
            ("Жанна Алиева", Role::Manager, "reception"),
        ],
    ),
];

impl Settings {
    /// Three businesses at work and a fourth whose token is refused, a minute for every second.
    pub fn demo(seed: u64) -> Self {
        let mut rng = Rng::named(seed, &["demo"]);
        let mut accounts = Vec::new();
        for (name, company, city, users) in DEMO {
            let mut account = numbered(&mut rng, name);
            account.labels.insert("company".to_owned(), company.to_owned());
            account.labels.insert("city".to_owned(), city.to_owned());
            account.users = (101_u32..)
                .zip(users)
                .map(|(id, &(name, role, team))| {
                    UserSpec::new(&id.to_string(), name, role).team(team)
                })
                .collect();
            accounts.push(account);
        }
        let mut refused = numbered(&mut rng, "avtoservis-plus");
        refused.access = Access::Revoked;
        refused.labels.insert("company".to_owned(), "Автосервис Плюс".to_owned());
        refused.labels.insert("city".to_owned(), "Шымкент".to_owned());
        accounts.push(
            refused
                .user(UserSpec::new("101", "Арман Сериков", Role::SalesRep).team("service"))
                .user(UserSpec::new("102", "Pavel Tsoi", Role::Manager).team("service")),
        );
        Self { accounts, seed, speed: DEMO_SPEED, ..Self::default() }
    }

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
fn numbered(rng: &mut Rng, name: &str) -> AccountSpec {
    let id = rng.between(10_000_000, 99_999_999).to_string();
    let token = format!("simulated-{:016x}{:016x}", rng.next(), rng.next());
    AccountSpec::new(name, &id, &token)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_demo_shows_every_role_and_a_refused_token() {
        let demo = Settings::demo(7);
        let access: Vec<_> = demo.accounts.iter().map(|account| account.access).collect();
        assert_eq!(access, [Access::Normal, Access::Normal, Access::Normal, Access::Revoked]);
        for account in demo.accounts.iter().take(3) {
            assert!((4..=8).contains(&account.users.len()), "{}", account.name);
        }
        let has = |role| {
            demo.accounts.iter().flat_map(|account| &account.users).any(|user| user.role == role)
        };
        for role in [Role::SalesRep, Role::Manager, Role::QualityControl, Role::None] {
            assert!(has(role), "{role:?}");
        }
        assert_eq!(format!("{demo:?}"), format!("{:?}", Settings::demo(7)));
    }

    #[test]
    fn accounts_are_told_apart_by_token_and_id() {
        for settings in [Settings::demo(1), Settings::load(1_000, 1, 1)] {
            let tokens: HashSet<_> =
                settings.accounts.iter().map(|one| one.credential.fixed()).collect();
            let ids: HashSet<_> = settings.accounts.iter().map(|one| &one.account_id).collect();
            assert_eq!(
                (tokens.len(), ids.len()),
                (settings.accounts.len(), settings.accounts.len())
            );
            assert!(ids.iter().all(|id| id.len() == 8));
        }
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
