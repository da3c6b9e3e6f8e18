//! Ready-made settings: [`Settings::demo`] to look at, whose companies are in `demo.yaml`, and
//! [`Settings::load`] of any size for load tests and benchmarks.

use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;

use super::channels::ChannelSpec;
use super::partner::PartnerSpec;
use super::rng;
use super::settings::Settings;
use super::spec::{Access, AccountSpec, Credential, Discovery, Role, UserSpec};

/// Simulated seconds per real second: a working day passes in eight minutes.
const SPEED: f64 = 60.0;
/// The partner, by its name in the configuration.
const PARTNER: &str = "sputnik";
/// How long an account's token lives that the partner gets: short enough to watch.
const ACCESS_TTL: Duration = Duration::from_mins(1);
/// When a user is added to the account whose users are discovered.
const NEWCOMER: Duration = Duration::from_secs(30);
/// How often lists are read: often enough to watch.
const LISTS_EVERY: Duration = Duration::from_secs(10);

/// How the account of a company is read.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Auth {
    #[default]
    Token,
    ApiKey,
    /// Its tokens are the partner's to get.
    WhiteLabel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Company {
    /// The account's name.
    account: String,
    id: String,
    name: String,
    city: String,
    phone: String,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    access: Access,
    /// The state of its only channel, where it is not active.
    channel: Option<String>,
    staff: Vec<Employee>,
    /// Who comes after a while: the users of the account are found in its list then.
    newcomer: Option<Employee>,
}

/// Name, role and team.
type Employee = (String, Role, String);

impl Settings {
    /// Companies at work, a minute for every second: five without failures, one of them
    /// read through v3, two of them with tokens that a partner gets and that end every minute; one
    /// whose token is refused; and one whose only channel is dead, so that its counters stand still.
    /// Half a minute after the start a user is added to `bereke-market`.
    pub fn demo(seed: u64) -> Self {
        let mut rng = rng::named(seed, "demo");
        let companies: Vec<Company> = serde_saphyr::from_str(include_str!("demo.yaml"))
            .expect("the file is part of the program, and a test reads it");
        let account = |company: Company| company.account(&secret(&mut rng));
        let accounts = companies.into_iter().map(account).collect();
        let partner = PartnerSpec::new(PARTNER, "wazzup@sputnik.example", &secret(&mut rng));
        let partners = vec![PartnerSpec { access_ttl: ACCESS_TTL, ..partner }];
        Self { accounts, partners, seed, speed: SPEED, ..Self::default() }
    }

    /// The same demo with two accounts under the Wazzup label: `karavan-shop`, whose owner has let
    /// the partner in, and `silk-road-hotel`, whose owner has not yet.
    #[must_use]
    pub fn with_label_accounts(mut self) -> Self {
        let user = || UserSpec::new("101", "Алия Досанова", Role::SalesRep);
        let token = secret(&mut rng::named(self.seed, "label"));
        let authorised = AccountSpec::label("karavan-shop", "89842961", PARTNER, &token);
        let (partner, refresh_token) = (PARTNER.to_owned(), None);
        let not_yet = AccountSpec {
            credential: Credential::Label { partner, refresh_token },
            ..AccountSpec::label("silk-road-hotel", "73420027", PARTNER, "")
        };
        self.accounts.extend([authorised, not_yet].map(|account| account.user(user())));
        self
    }

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
fn secret(rng: &mut Rng) -> String {
    format!("simulated-{:032x}", rng.u128(..))
}

impl Company {
    fn account(self, token: &str) -> AccountSpec {
        let user = |(id, (name, role, team)): (u32, Employee)| {
            UserSpec::new(&id.to_string(), &name, role).team(&team)
        };
        let growing = self.newcomer.is_some();
        let mut users: Vec<_> =
            (101..).zip(self.staff.into_iter().chain(self.newcomer)).map(user).collect();
        if let (true, Some(newcomer)) = (growing, users.last_mut()) {
            newcomer.arrives_after = NEWCOMER;
        }
        let channel = ChannelSpec::of_account(&self.id).phone(&self.phone);
        let labels = [("company", self.name), ("city", self.city)];
        AccountSpec {
            access: self.access,
            labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
            users,
            channels: vec![
                self.channel.iter().fold(channel, |channel, state| channel.state(state)),
            ],
            discovery: growing.then_some(Discovery { every: LISTS_EVERY, max_users: 50 }),
            channels_every: Some(LISTS_EVERY),
            ..match self.auth {
                Auth::Token => AccountSpec::new(&self.account, &self.id, token),
                Auth::ApiKey => AccountSpec::v3(&self.account, &self.id, token),
                Auth::WhiteLabel => AccountSpec::white_label(&self.account, &self.id, PARTNER),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use secrecy::ExposeSecret as _;

    use super::super::Simulator;
    use super::super::endpoint::Version;
    use super::*;

    #[test]
    fn the_demo_shows_every_role_and_what_can_go_wrong() {
        let demo = Settings::demo(7);
        let kinds: Vec<_> = demo
            .accounts
            .iter()
            .map(|account| {
                let credential = match &account.credential {
                    Credential::WhiteLabel { partner } => partner,
                    credential if credential.version() == Version::V2 => "token",
                    _ => "key",
                };
                (account.access, credential, account.channels[0].state.as_str())
            })
            .collect();
        let usual = (Access::Normal, "token", "active");
        let white = (Access::Normal, "sputnik", "active");
        let expected = [
            usual,
            usual,
            usual,
            (Access::Normal, "token", "phoneUnavailable"),
            (Access::Revoked, "token", "active"),
            white,
            white,
            (Access::Normal, "key", "active"),
        ];
        assert_eq!(kinds, expected);
        let has = |role| {
            demo.accounts.iter().flat_map(|account| &account.users).any(|user| user.role == role)
        };
        for role in [Role::SalesRep, Role::Manager, Role::QualityControl, Role::None] {
            assert!(has(role), "{role:?}");
        }
        let tokens: HashSet<_> = demo
            .accounts
            .iter()
            .filter_map(|one| match &one.credential {
                Credential::Token(text) | Credential::ApiKey(text) => Some(text.expose_secret()),
                _ => None,
            })
            .collect();
        let ids: HashSet<_> = demo.accounts.iter().map(|one| &one.account_id).collect();
        assert_eq!((tokens.len(), ids.len()), (6, 8));
        assert!(ids.iter().all(|id| id.len() == 8));
        let config = |seed| Simulator::new(Settings::demo(seed)).exporter_config("http://x", "2s");
        assert_eq!(config(7), config(7));
        assert_ne!(config(7), config(8));
        assert!(!format!("{demo:?}").contains("simulated-"), "no secret is shown");
    }

    #[test]
    fn label_accounts_are_let_in_or_not_yet() {
        let settings = Settings::demo(7).with_label_accounts();
        let before = settings.accounts.len();
        let simulator = Simulator::new(settings);
        let live = |account| simulator.live_refresh_tokens(account).unwrap().len();
        assert_eq!((before, live("karavan-shop"), live("silk-road-hotel")), (10, 1, 0));
    }

    #[test]
    fn a_newcomer_is_not_there_at_first_and_not_configured() {
        let simulator = Simulator::new(Settings::demo(7));
        let state = simulator.state();
        let growing = state.iter().find(|account| account["name"] == "bereke-market").unwrap();
        assert_eq!(growing["users"].as_array().unwrap().len(), 3);
        let yaml = simulator.exporter_config("http://127.0.0.1:1", "2s");
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read["accounts"][6]["users"], serde_json::json!([]));
        assert_eq!(read["accounts"][6]["discover_users"]["enabled"], true);
        assert_eq!(read["accounts"][0]["users"].as_array().unwrap().len(), 8);
    }

    #[test]
    fn counters_of_the_dead_channel_stand_still_while_others_move() {
        let settings = Settings { speed: 1e6, ..Settings::demo(7) };
        let simulator = Simulator::new(settings);
        let counters = |account: &str| -> Vec<_> {
            (101..=103).map(|user| simulator.counter(account, &user.to_string()).unwrap()).collect()
        };
        let (dead, alive) = (counters("gulder-flowers"), counters("nomad-travel"));
        while counters("nomad-travel") == alive {
            std::thread::yield_now();
        }
        assert_eq!(counters("gulder-flowers"), dead);
    }

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
