//! The accounts, the partners and the clock of a running simulation.
//!
//! [`World`] finds an account by credential in constant time. Answers are read from here by `api`,
//! changes come from the `Simulator`.

use std::mem::take;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use secrecy::ExposeSecret as _;

use super::account::Account;
use super::fault::Faults;
use super::model::{Moment, STEP_SECONDS};
use super::partner::Partner;
use super::record::{Counts, Recorder};
use super::settings::Settings;
use super::spec::Credential;
use super::tokens::{FOR_EVER, Good, Tokens};

/// Something the simulator does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in the simulator {0}")]
pub struct Unknown(pub(super) String);

/// All that is shared by the connections.
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    pub(super) partners: Vec<Partner>,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
    /// The same by the wall clock, for the times in responses.
    started_at: SystemTime,
    /// As they were given, without what is above.
    pub(super) settings: Settings,
}

impl World {
    pub(super) fn new(mut settings: Settings) -> Self {
        let (accounts, partners) = (take(&mut settings.accounts), take(&mut settings.partners));
        let tokens = Tokens::default();
        // From the last on, so that of two with the same text the first one is found.
        for (place, account) in accounts.iter().enumerate().rev() {
            match &account.credential {
                Credential::Token(text)
                | Credential::ApiKey(text)
                | Credential::SidecarKey(text) => {
                    tokens.adopt(text.expose_secret(), Good::Fixed(place), FOR_EVER);
                }
                Credential::Label { partner, refresh_token: Some(text) } => {
                    let partner = partners.iter().find(|known| known.name == *partner);
                    let ttl = partner.map_or(FOR_EVER, |partner| partner.refresh_ttl);
                    tokens.adopt(text.expose_secret(), Good::Refresh(place), ttl);
                }
                Credential::WhiteLabel { .. } | Credential::Label { .. } => {}
            }
        }
        let counts = Counts {
            accounts: accounts.iter().map(|account| named(&account.name)).collect(),
            partners: partners.iter().map(|partner| named(&partner.name)).collect(),
            ..Counts::default()
        };
        let (seed, faults) = (settings.seed, take(&mut settings.faults));
        let partner = |spec| Partner { spec, login: Mutex::default(), window: Mutex::default() };
        Self {
            accounts: accounts.into_iter().map(|spec| Account::new(spec, seed)).collect(),
            partners: partners.into_iter().map(partner).collect(),
            tokens,
            faults: Faults::new(faults, seed),
            recorder: Recorder::new(settings.log_capacity, counts),
            started: Instant::now(),
            started_at: SystemTime::now(),
            settings,
        }
    }

    /// The account of a credential, and whether the credential is still good.
    pub(super) fn bearer(&self, credential: &str) -> Option<(&Account, bool)> {
        match self.tokens.find(credential)? {
            (Good::Fixed(place) | Good::Access(place), live) => {
                Some((self.accounts.get(place)?, live))
            }
            _ => None,
        }
    }

    /// An account of this name and its place in the list.
    pub(super) fn account(&self, name: &str) -> Result<(usize, &Account), Unknown> {
        let mut accounts = self.accounts.iter().enumerate();
        let found = accounts.find(|(_, account)| account.name == name);
        found.ok_or_else(|| Unknown(format!("is no account `{name}`")))
    }

    /// A partner of this name and its place in the list.
    pub(super) fn partner(&self, name: &str) -> Result<(usize, &Partner), Unknown> {
        let mut partners = self.partners.iter().enumerate();
        let found = partners.find(|(_, partner)| partner.spec.name == name);
        found.ok_or_else(|| Unknown(format!("is no partner `{name}`")))
    }

    pub(super) fn now(&self) -> Moment {
        let speed = self.settings.speed;
        // The cast saturates, which takes care of a negative, endless or undefined speed.
        let step = (self.started.elapsed().as_secs_f64() * speed / STEP_SECONDS as f64) as u64;
        Moment { step, started: self.started_at, speed }
    }
}

fn named<T: Default>(name: &str) -> (String, T) {
    (name.to_owned(), T::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_speeds_stand_still() {
        for speed in [0.0, -3.0, f64::NAN] {
            let settings = Settings { speed, ..Settings::default() };
            assert_eq!(World::new(settings).now().step, 0);
        }
    }
}
