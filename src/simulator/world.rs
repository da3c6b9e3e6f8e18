//! The accounts, the partners and the clock of a running simulation.
//!
//! [`World`] finds an account by credential or name and a user by id, each in constant time. Answers
//! are read from here by `api` and `control`, changes come from the `Simulator` and `control`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use super::account::{Account, AccountState};
use super::channels::ChannelSpec;
use super::counts::Counts;
use super::fault::Faults;
use super::latency::Latency;
use super::lock::lock;
use super::model::{Moment, STEP_SECONDS};
use super::partner::Partner;
use super::rate_limit::RateLimit;
use super::record::Recorder;
use super::role::Role;
use super::settings::Settings;
use super::spec::{Credential, UserSpec};
use super::tokens::{Kind, Tokens};
use super::user::User;

/// Something the simulator does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No account has this name.
    #[error("the simulator has no account `{0}`")]
    Account(String),
    /// The account has no such user, or it was removed.
    #[error("the simulator's account `{account}` has no user `{user}`")]
    User {
        /// The account's name.
        account: String,
        /// The user's id.
        user: String,
    },
    /// No partner has this name.
    #[error("the simulator has no partner `{0}`")]
    Partner(String),
    /// The account has no such channel.
    #[error("the simulator's account `{account}` has no channel `{channel}`")]
    Channel {
        /// The account's name.
        account: String,
        /// The channel's id.
        channel: String,
    },
}

/// All that is shared by the connections.
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    pub(super) partners: Vec<Partner>,
    pub(super) tokens: Tokens,
    /// The account in which the browsers of this simulation are logged in.
    pub(super) browser: Mutex<Option<usize>>,
    /// Accounts by a credential that never changes.
    fixed: HashMap<String, usize>,
    names: HashMap<String, usize>,
    pub(super) faults: Faults,
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
    /// The same by the wall clock, for the times in responses.
    started_at: SystemTime,
    pub(super) latency: Latency,
    pub(super) limit: RateLimit,
    pub(super) control: bool,
    seed: u64,
    speed: f64,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings {
            accounts,
            partners,
            seed,
            speed,
            latency,
            faults,
            control,
            limit,
            log_capacity,
        } = settings;
        let tokens = Tokens::new();
        let (mut fixed, mut names) = (HashMap::new(), HashMap::new());
        for (place, account) in accounts.iter().enumerate() {
            if let Some(token) = account.credential.fixed() {
                fixed.entry(token.to_owned()).or_insert(place);
            }
            if let Credential::Label { partner, refresh_token: Some(token) } = &account.credential
                && let Some(partner) = partners.iter().find(|known| known.name == *partner)
            {
                tokens.adopt_refresh(token, place, partner.refresh_ttl);
            }
            names.entry(account.name.clone()).or_insert(place);
        }
        Self {
            accounts: accounts.into_iter().map(|spec| Account::new(spec, seed)).collect(),
            partners: partners.into_iter().map(Partner::new).collect(),
            tokens,
            browser: Mutex::default(),
            fixed,
            names,
            faults: Faults::new(faults, seed),
            recorder: Recorder::new(log_capacity),
            started: Instant::now(),
            started_at: SystemTime::now(),
            latency,
            limit,
            control,
            seed,
            speed,
        }
    }

    /// The account of a credential, and whether the credential is still good.
    pub(super) fn bearer(&self, credential: &str) -> Option<(&Account, bool)> {
        let fixed = self.fixed.get(credential).map(|place| (*place, true));
        let (place, live) = fixed.or_else(|| self.tokens.access(credential))?;
        Some((self.accounts.get(place)?, live))
    }

    /// Where an account of this name is in the list.
    pub(super) fn place(&self, name: &str) -> Result<usize, Unknown> {
        self.names.get(name).copied().ok_or_else(|| Unknown::Account(name.to_owned()))
    }

    pub(super) fn account(&self, name: &str) -> Result<&Account, Unknown> {
        let missing = || Unknown::Account(name.to_owned());
        self.accounts.get(self.place(name)?).ok_or_else(missing)
    }

    /// A partner of this name and its place in the list.
    pub(super) fn partner(&self, name: &str) -> Result<(usize, &Partner), Unknown> {
        let mut partners = self.partners.iter().enumerate();
        let found = partners.find(|(_, partner)| *partner.name == *name);
        found.ok_or_else(|| Unknown::Partner(name.to_owned()))
    }

    /// Ends tokens of an account.
    pub(super) fn end_tokens(&self, account: &str, kinds: &[Kind]) -> Result<(), Unknown> {
        let place = self.place(account)?;
        for kind in kinds {
            self.tokens.end(place, *kind);
        }
        Ok(())
    }

    /// Logs the browsers in to an account, or out.
    pub(super) fn log_browser_in(&self, account: Option<&str>) -> Result<(), Unknown> {
        *lock(&self.browser) = account.map(|name| self.place(name)).transpose()?;
        Ok(())
    }

    pub(super) fn user(&self, account: &str, id: &str) -> Result<Arc<User>, Unknown> {
        let missing = || Unknown::User { account: account.to_owned(), user: id.to_owned() };
        self.account(account)?.user(id).ok_or_else(missing)
    }

    pub(super) fn add_user(&self, account: &str, spec: UserSpec) -> Result<(), Unknown> {
        self.account(account)?.add(spec, self.seed);
        Ok(())
    }

    pub(super) fn remove_user(&self, account: &str, id: &str) -> Result<(), Unknown> {
        self.user(account, id)?.remove();
        Ok(())
    }

    /// Adds a channel to an account, or replaces the one with the same id.
    pub(super) fn put_channel(&self, account: &str, channel: ChannelSpec) -> Result<(), Unknown> {
        self.account(account)?.channels_mut().put(channel);
        Ok(())
    }

    pub(super) fn set_channel_state(
        &self,
        account: &str,
        channel: &str,
        state: &str,
    ) -> Result<(), Unknown> {
        let mut channels = self.account(account)?.channels_mut();
        let found = channels.find(channel).ok_or_else(|| missing_channel(account, channel))?;
        *found = found.clone().state(state);
        Ok(())
    }

    /// Gives a user a role on one channel.
    pub(super) fn set_role(
        &self,
        account: &str,
        user: &str,
        channel: &str,
        role: Role,
    ) -> Result<(), Unknown> {
        self.user(account, user)?;
        let mut channels = self.account(account)?.channels_mut();
        channels.find(channel).ok_or_else(|| missing_channel(account, channel))?;
        channels.set_role(user, channel, role);
        Ok(())
    }

    pub(super) fn now(&self) -> Moment {
        // The cast saturates, which takes care of a negative, endless or undefined speed.
        let step = (self.started.elapsed().as_secs_f64() * self.speed / STEP_SECONDS as f64) as u64;
        Moment { step, started: self.started_at, speed: self.speed }
    }

    pub(super) fn counts(&self) -> Counts {
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|account| (account.name.to_string(), account.traffic.counts()));
        let partners = self.partners.iter();
        let partners = partners.map(|partner| (partner.name.to_string(), partner.counts()));
        Counts {
            accounts: accounts.collect(),
            partners: partners.collect(),
            ..self.recorder.counts()
        }
    }

    pub(super) fn state(&self) -> Vec<AccountState> {
        let now = self.now();
        self.accounts.iter().map(|account| account.state(now)).collect()
    }
}

fn missing_channel(account: &str, channel: &str) -> Unknown {
    Unknown::Channel { account: account.to_owned(), channel: channel.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::spec::AccountSpec;
    use super::*;

    fn world() -> World {
        let account = AccountSpec::new("acme", "12345678", "t")
            .user(UserSpec::new("1", "Anna", Role::SalesRep))
            .user(UserSpec::new("2", "Boris", Role::Manager).pinned(7, "grey"));
        World::new(Settings { accounts: vec![account], speed: 0.0, ..Settings::default() })
    }

    #[test]
    fn a_removed_user_is_unknown_until_added_again() {
        let world = world();
        world.remove_user("acme", "1").unwrap();
        let unknown = Unknown::User { account: "acme".into(), user: "1".into() };
        assert_eq!(world.user("acme", "1").err(), Some(unknown.clone()));
        assert_eq!(world.remove_user("acme", "1"), Err(unknown));
        let removed = |world: &World| -> Vec<_> {
            world.state()[0].users.iter().map(|user| (user.id.clone(), user.removed)).collect()
        };
        assert_eq!(removed(&world), [("1".into(), true), ("2".into(), false)]);
        world.add_user("acme", UserSpec::new("1", "Anna", Role::SalesRep)).unwrap();
        assert_eq!(removed(&world), [("1".into(), false), ("2".into(), false)]);
    }

    #[test]
    fn odd_speeds_stand_still() {
        for speed in [0.0, -3.0, f64::NAN] {
            assert_eq!(World { speed, ..world() }.now().step, 0);
        }
    }
}
