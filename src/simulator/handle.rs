//! [`Simulator`], the handle by which a simulation is steered and watched. `server` serves it.
//!
//! It is held by the `demo` and `simulator` commands and by tests, and it is what `control` calls;
//! clones share one simulation.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::account::Account;
use super::channels::ChannelSpec;
use super::fault::Fault;
use super::files::{self, WriteError};
use super::lock::lock;
use super::partner::Login;
use super::record::{Counts, Log, Request};
use super::settings::Settings;
use super::shapes::Shapes;
use super::spec::{Access, Pinned, Role, UserSpec};
use super::tokens::Good;
use super::world::{Unknown, World};
use super::yaml;

/// A running simulation. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Simulator {
    pub(super) world: Arc<World>,
}

impl Simulator {
    /// Starts the simulated clock; nothing is served yet.
    pub fn new(settings: Settings) -> Self {
        Self { world: Arc::new(World::new(settings)) }
    }

    /// Sets a user's counter, which then stays: normally a number and a word, but any JSON will do, as
    /// undocumented answers have it.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn set(
        &self,
        account: &str,
        user: &str,
        counter: impl Into<Value>,
        kind: impl Into<Value>,
    ) -> Result<(), Unknown> {
        let pinned = Pinned { counter: counter.into(), kind: kind.into() };
        self.change_user(account, user, |user| user.pinned = Some(pinned))
    }

    /// Changes a user that the API knows: its counter, its roles, its last message.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn change_user(
        &self,
        account: &str,
        user: &str,
        change: impl FnOnce(&mut UserSpec),
    ) -> Result<(), Unknown> {
        let mut now = self.account(account)?.now();
        let missing = || Unknown(format!("account `{account}` has no user `{user}`"));
        change(&mut now.user(user).ok_or_else(missing)?.spec);
        Ok(())
    }

    /// A user's counter and type now; `None` for an unknown user and for one pinned to anything
    /// but a whole number and a word.
    pub fn counter(&self, account: &str, user: &str) -> Option<(u64, String)> {
        let account = self.account(account).ok()?;
        let reading = account.now().counter(user, self.world.now())?.reading;
        Some((reading.counter.as_u64()?, reading.kind.as_str()?.to_owned()))
    }

    /// Adds a user, or replaces the one with the same id, removed or not.
    ///
    /// # Errors
    /// If there is no such account, or the user has no id.
    pub fn add_user(&self, account: &str, user: UserSpec) -> Result<(), Unknown> {
        if user.id.is_empty() {
            return Err(Unknown("is no user without an id".to_owned()));
        }
        self.account(account)?.add(user, self.world.settings.seed);
        Ok(())
    }

    /// Makes the API forget a user.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn remove_user(&self, account: &str, user: &str) -> Result<(), Unknown> {
        self.change_user(account, user, |user| user.removed = true)
    }

    /// Gives a user a role on one channel, where it then has no other; [`Role::None`] takes it away.
    ///
    /// # Errors
    /// If there is no such user or channel.
    pub fn set_role(
        &self,
        account: &str,
        user: &str,
        channel: &str,
        role: Role,
    ) -> Result<(), Unknown> {
        self.with_channel(account, channel, |_| ())?;
        self.change_user(account, user, |user| {
            user.roles.insert(channel.to_owned(), role);
        })
    }

    /// Changes a channel's state, and its status to the one that goes with it.
    ///
    /// # Errors
    /// If there is no such channel.
    pub fn set_channel_state(
        &self,
        account: &str,
        channel: &str,
        state: &str,
    ) -> Result<(), Unknown> {
        self.with_channel(account, channel, |found| *found = found.clone().state(state))
    }

    /// Changes the form in which an account's lists are answered.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_shapes(&self, account: &str, shapes: Shapes) -> Result<(), Unknown> {
        self.account(account)?.now().spec.shapes = shapes;
        Ok(())
    }

    /// Changes how an account's token is treated.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_access(&self, account: &str, access: Access) -> Result<(), Unknown> {
        self.account(account)?.now().spec.access = access;
        Ok(())
    }

    /// Ends the access tokens of an account now; a refresh or an exchange gets a new one. A token
    /// that stays the same stays good.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn expire_tokens(&self, account: &str) -> Result<(), Unknown> {
        self.world.tokens.end(&Good::Access(self.world.account(account)?.0));
        Ok(())
    }

    /// Ends all tokens of an account now, as when its owner withdraws the permission: under the
    /// Wazzup label a new login is needed.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn revoke_tokens(&self, account: &str) -> Result<(), Unknown> {
        self.world.tokens.end(&Good::Refresh(self.world.account(account)?.0));
        self.expire_tokens(account)
    }

    /// Ends the machine tokens of a partner now.
    ///
    /// # Errors
    /// If there is no such partner.
    pub fn revoke_machine_tokens(&self, partner: &str) -> Result<(), Unknown> {
        self.world.tokens.end(&Good::Machine(self.world.partner(partner)?.0));
        Ok(())
    }

    /// The refresh tokens of an account that still work, for a test to compare with
    /// the stored one.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn live_refresh_tokens(&self, account: &str) -> Result<Vec<String>, Unknown> {
        Ok(self.world.tokens.all(&Good::Refresh(self.world.account(account)?.0)))
    }

    /// Changes how a partner's login is taken.
    ///
    /// # Errors
    /// If there is no such partner.
    pub fn set_login(&self, partner: &str, login: Login) -> Result<(), Unknown> {
        *lock(&self.world.partner(partner)?.1.login) = login;
        Ok(())
    }

    /// Adds a fault behind those in force.
    pub fn add_fault(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    /// Ends every fault; requests already caught in one stay caught.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// The remembered requests, oldest first.
    pub fn log(&self) -> Vec<Request> {
        self.world.recorder.requests()
    }

    /// Totals since the start.
    pub fn counts(&self) -> Counts {
        self.world.recorder.counts()
    }

    /// Waits until the predicate holds, looking now and after every request's start and finish.
    ///
    /// It waits for ever if need be: put a timeout around it. The predicate runs under the log's
    /// lock, so it must not call [`Simulator::log`] or [`Simulator::counts`]; what it needs is on
    /// [`Log`].
    pub async fn wait_until(&self, predicate: impl FnMut(&Log) -> bool) {
        self.world.recorder.wait_until(predicate).await;
    }

    /// Every account with its users and channels as they are now, as `GET /_control/state` shows them.
    pub fn state(&self) -> Vec<Value> {
        let now = self.world.now();
        self.world.accounts.iter().map(|account| account.state(now)).collect()
    }

    /// A complete exporter configuration for the accounts, fixed tokens included. The other secrets
    /// are in files, which [`Simulator::write_secrets`] writes.
    pub fn exporter_config(&self, base_url: &str, interval: &str) -> String {
        yaml::exporter_config(&self.world, base_url, interval)
    }

    /// Writes the secrets that the configuration names by file into its folder, readable by their
    /// owner only: passwords of partners, and the refresh tokens that work now.
    ///
    /// # Errors
    /// If a file cannot be written, or is there with other content.
    pub fn write_secrets(&self, folder: &Path) -> Result<(), WriteError> {
        for partner in &self.world.partners {
            let file = folder.join(files::password_file(&partner.spec.name));
            files::write_private(file, partner.spec.password.expose_secret())?;
        }
        for (place, account) in self.world.accounts.iter().enumerate() {
            if let Some(token) = self.world.tokens.all(&Good::Refresh(place)).first() {
                let file = folder.join(files::refresh_token_file(&account.name));
                files::write_private(file, token)?;
            }
        }
        Ok(())
    }

    /// Writes [`Simulator::exporter_config`] to a file and the secrets that it names beside it, all
    /// readable by their owner only.
    ///
    /// # Errors
    /// If a file cannot be written, or is there with other content.
    pub fn write_config(
        &self,
        file: &Path,
        base_url: &str,
        interval: &str,
    ) -> Result<(), WriteError> {
        self.write_secrets(file.parent().unwrap_or(Path::new("")))?;
        files::write_private(file.to_owned(), &self.exporter_config(base_url, interval))
    }

    fn account(&self, name: &str) -> Result<&Account, Unknown> {
        Ok(self.world.account(name)?.1)
    }

    fn with_channel(
        &self,
        account: &str,
        channel: &str,
        change: impl FnOnce(&mut ChannelSpec),
    ) -> Result<(), Unknown> {
        let mut now = self.account(account)?.now();
        let found = now.spec.channels.iter_mut().find(|known| known.id == channel);
        let missing = || Unknown(format!("account `{account}` has no channel `{channel}`"));
        found.map(change).ok_or_else(missing)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Simulator").finish_non_exhaustive()
    }
}
