//! The demo: companies at work, and most of what can go wrong with them.
//!
//! [`Settings::demo`] is used by the `demo` and `simulator` commands.

use std::time::Duration;

use super::channels::ChannelSpec;
use super::partner::PartnerSpec;
use super::presets::numbered;
use super::rng::Rng;
use super::role::Role;
use super::settings::Settings;
use super::spec::{Access, AccountSpec, Credential, Discovery, UserSpec};

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

/// How an account of the demo differs from one at work with a token of its own.
#[derive(Clone, Copy, PartialEq)]
enum Twist {
    None,
    /// Its token is refused.
    Refused,
    /// Its only channel has lost its phone.
    DeadChannel,
    /// Its tokens are the partner's to get.
    WhiteLabel,
    /// The same, and its users are found in its list, the last of them after a while.
    Growing,
    /// It is read with an API key.
    V3,
}

struct Company {
    /// The account's name.
    account: &'static str,
    name: &'static str,
    city: &'static str,
    twist: Twist,
    /// Name, role and team.
    staff: &'static [(&'static str, Role, &'static str)],
}

const COMPANIES: [Company; 8] = [
    Company {
        account: "nomad-travel",
        name: "Nomad Travel",
        city: "Almaty",
        twist: Twist::None,
        staff: &[
            ("Aigerim Sadykova", Role::SalesRep, "tours"),
            ("Данияр Ахметов", Role::SalesRep, "tours"),
            ("Olga Kim", Role::SalesRep, "tickets"),
            ("Руслан Беков", Role::SalesRep, "tickets"),
            ("Dinara Ospanova", Role::SalesRep, "visas"),
            ("Тимур Жаксыбеков", Role::Manager, "leads"),
            ("Elena Park", Role::QualityControl, "quality"),
            ("Бухгалтерия", Role::None, "office"),
        ],
    },
    Company {
        account: "uyut-mebel",
        name: "Уют Мебель",
        city: "Екатеринбург",
        twist: Twist::None,
        staff: &[
            ("Анна Смирнова", Role::SalesRep, "showroom"),
            ("Сергей Лебедев", Role::SalesRep, "showroom"),
            ("Мария Ковалёва", Role::SalesRep, "online"),
            ("Игорь \"Мастер\" Белов", Role::Manager, "workshop"),
            ("Наталья Орлова", Role::QualityControl, "quality"),
        ],
    },
    Company {
        account: "smile-dental",
        name: "Smile Dental Clinic",
        city: "Astana",
        twist: Twist::None,
        staff: &[
            ("Madina Iskakova", Role::SalesRep, "reception"),
            ("Асель Нурланова", Role::SalesRep, "reception"),
            ("Dr. Viktor Han", Role::Manager, "doctors"),
            ("Жанна Алиева", Role::Manager, "reception"),
        ],
    },
    Company {
        account: "gulder-flowers",
        name: "Гүлдер",
        city: "Тараз",
        twist: Twist::DeadChannel,
        staff: &[
            ("Айнур Сапарова", Role::SalesRep, "bouquets"),
            ("Karina Li", Role::SalesRep, "bouquets"),
            ("Марат Оразов", Role::Manager, "delivery"),
        ],
    },
    Company {
        account: "avtoservis-plus",
        name: "Автосервис Плюс",
        city: "Шымкент",
        twist: Twist::Refused,
        staff: &[
            ("Арман Сериков", Role::SalesRep, "service"),
            ("Pavel Tsoi", Role::Manager, "service"),
        ],
    },
    Company {
        account: "alatau-fitness",
        name: "Alatau Fitness",
        city: "Almaty",
        twist: Twist::WhiteLabel,
        staff: &[
            ("Камила Ержанова", Role::SalesRep, "memberships"),
            ("Denis Volkov", Role::SalesRep, "memberships"),
            ("Самал Бейсенова", Role::Manager, "trainers"),
        ],
    },
    Company {
        account: "bereke-market",
        name: "Береке Маркет",
        city: "Караганда",
        twist: Twist::Growing,
        staff: &[
            ("Гульмира Касымова", Role::SalesRep, "orders"),
            ("Nurlan Abishev", Role::SalesRep, "orders"),
            ("Ирина Цой", Role::QualityControl, "quality"),
            ("Сауле Тлеубаева", Role::SalesRep, "orders"),
        ],
    },
    Company {
        account: "zebra-print",
        name: "Zebra Print",
        city: "Новосибирск",
        twist: Twist::V3,
        staff: &[
            ("Фёдор Климов", Role::SalesRep, "orders"),
            ("Яна Мельник", Role::SalesRep, "orders"),
        ],
    },
];

impl Settings {
    /// Companies at work, a minute for every second: five without failures, one of them
    /// read through v3, two of them with tokens that a partner gets and that end every minute; one
    /// whose token is refused; and one whose only channel is dead, so that its counters stand still.
    /// Half a minute after the start a user is added to `bereke-market`.
    pub fn demo(seed: u64) -> Self {
        let mut rng = Rng::named(seed, &["demo"]);
        let accounts = COMPANIES.iter().map(|company| company.account(&mut rng)).collect();
        let password = format!("simulated-{:016x}", rng.next());
        let partner = PartnerSpec {
            access_ttl: ACCESS_TTL,
            ..PartnerSpec::new(PARTNER, "wazzup@sputnik.example", &password)
        };
        Self { accounts, partners: vec![partner], seed, speed: SPEED, ..Self::default() }
    }
}

impl Settings {
    /// The same demo with two accounts under the Wazzup label: `karavan-shop`, whose owner has let
    /// the partner in, and `silk-road-hotel`, whose owner has not yet.
    #[must_use]
    pub fn with_label_accounts(mut self) -> Self {
        let mut rng = Rng::named(self.seed, &["label"]);
        let seed = format!("simulated-{:016x}{:016x}", rng.next(), rng.next());
        for (name, refresh_token) in [("karavan-shop", Some(seed)), ("silk-road-hotel", None)] {
            let partner = PARTNER.to_owned();
            let account = AccountSpec {
                credential: Credential::Label { partner, refresh_token },
                ..numbered(&mut rng, name)
            };
            let user = UserSpec::new("101", "Алия Досанова", Role::SalesRep);
            self.accounts.push(account.user(user));
        }
        self
    }
}

impl Company {
    fn account(&self, rng: &mut Rng) -> AccountSpec {
        let mut account = numbered(rng, self.account);
        account.labels.insert("company".to_owned(), self.name.to_owned());
        account.labels.insert("city".to_owned(), self.city.to_owned());
        account.channels_every = Some(LISTS_EVERY);
        for channel in &mut account.channels {
            let phone = format!("7701{:07}", rng.between(0, 9_999_999));
            *channel = channel.clone().phone(&phone);
        }
        account.users = (101_u32..)
            .zip(self.staff)
            .map(|(id, &(name, role, team))| UserSpec::new(&id.to_string(), name, role).team(team))
            .collect();
        self.twist.turn(account)
    }
}

impl Twist {
    fn turn(self, mut account: AccountSpec) -> AccountSpec {
        match self {
            Self::None => {}
            Self::Refused => account.access = Access::Revoked,
            Self::DeadChannel => {
                let dead = |channel: ChannelSpec| channel.state("phoneUnavailable");
                account.channels = account.channels.into_iter().map(dead).collect();
            }
            Self::WhiteLabel | Self::Growing => {
                account.credential = Credential::WhiteLabel { partner: PARTNER.to_owned() };
            }
            Self::V3 => {
                if let Credential::Token(text) = account.credential {
                    account.credential = Credential::ApiKey(text);
                }
            }
        }
        if self == Self::Growing {
            account.discovery = Some(Discovery { every: LISTS_EVERY, max_users: 50 });
            if let Some(newcomer) = account.users.last_mut() {
                newcomer.arrives_after = NEWCOMER;
            }
        }
        account
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Simulator;
    use super::*;

    #[test]
    fn the_demo_shows_every_role_and_what_can_go_wrong() {
        let demo = Settings::demo(7);
        let kinds: Vec<_> = demo
            .accounts
            .iter()
            .map(|account| {
                let credential = format!("{:?}", account.credential);
                (account.access, credential, account.channels[0].state.as_str())
            })
            .collect();
        let usual = (Access::Normal, "Token(<secret>)".to_owned(), "active");
        let white = (Access::Normal, r#"WhiteLabel("sputnik")"#.to_owned(), "active");
        let expected = [
            usual.clone(),
            usual.clone(),
            usual.clone(),
            (Access::Normal, usual.1.clone(), "phoneUnavailable"),
            (Access::Revoked, usual.1.clone(), "active"),
            white.clone(),
            white,
            (Access::Normal, "ApiKey(<secret>)".to_owned(), "active"),
        ];
        assert_eq!(kinds, expected);
        let has = |role| {
            demo.accounts.iter().flat_map(|account| &account.users).any(|user| user.role == role)
        };
        for role in [Role::SalesRep, Role::Manager, Role::QualityControl, Role::None] {
            assert!(has(role), "{role:?}");
        }
        let tokens: HashSet<_> =
            demo.accounts.iter().filter_map(|one| one.credential.fixed()).collect();
        let ids: HashSet<_> = demo.accounts.iter().map(|one| &one.account_id).collect();
        assert_eq!((tokens.len(), ids.len()), (6, 8));
        assert_eq!(format!("{demo:?}"), format!("{:?}", Settings::demo(7)));
    }

    #[test]
    fn label_accounts_are_let_in_or_not_yet() {
        let settings = Settings::demo(7).with_label_accounts();
        let before = settings.accounts.len();
        let simulator = Simulator::new(settings);
        let live = |account| simulator.live_refresh_tokens(account).unwrap().len();
        assert_eq!((before, live("karavan-shop"), live("silk-road-hotel")), (10, 1, 0));
        let files: Vec<_> = simulator.secret_files().into_iter().map(|file| file.name).collect();
        assert_eq!(files, ["sputnik.password", "karavan-shop.refresh-token"]);
    }

    #[test]
    fn a_newcomer_is_not_there_at_first_and_not_configured() {
        let simulator = Simulator::new(Settings::demo(7));
        let state = simulator.state();
        let growing = state.iter().find(|account| account.name == "bereke-market").unwrap();
        assert_eq!(growing.users.len(), 3);
        let yaml = simulator.exporter_config("http://127.0.0.1:1", "2s");
        let read: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
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
