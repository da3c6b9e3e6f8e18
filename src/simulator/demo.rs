//! The demo: companies at work, and most of what can go wrong with them.
//!
//! [`Settings::demo`] is used by the `demo` and `simulator` commands; the companies are in `demo.yaml`.

use std::time::Duration;

use serde::Deserialize;

use super::channels::ChannelSpec;
use super::partner::PartnerSpec;
use super::presets::secret;
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
        let growing = state.iter().find(|account| account.name == "bereke-market").unwrap();
        assert_eq!(growing.users.len(), 3);
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
}
