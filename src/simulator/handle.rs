//! [`Simulator`], the handle by which a simulation is served, steered and watched.
//!
//! It is held by the `demo` and `simulator` commands and by tests; clones share one simulation.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tokio::net::TcpListener;

use super::account::AccountState;
use super::channels::{ChannelSpec, WebhookSpec};
use super::counts::Counts;
use super::fault::Fault;
use super::files::{self, SecretFile, WriteError};
use super::partner::Login;
use super::record::{Log, Request};
use super::role::Role;
use super::server;
use super::settings::Settings;
use super::shapes::Shapes;
use super::spec::{Access, Pinned, UserSpec};
use super::tokens::Kind;
use super::world::{Unknown, World};
use super::yaml;

/// A running simulation. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Simulator {
    world: Arc<World>,
}

impl Simulator {
    /// Starts the simulated clock; nothing is served yet.
    pub fn new(settings: Settings) -> Self {
        Self { world: Arc::new(World::new(settings)) }
    }

    /// Serves the API on a listener until `stop` is done, then ends every connection, hung ones
    /// included. With [`Settings::control`] the listener should be on loopback.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        server::serve(Arc::clone(&self.world), listener, stop).await;
    }

    /// Sets a user's counter, which then stays.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn set(&self, account: &str, user: &str, counter: u64, kind: &str) -> Result<(), Unknown> {
        self.pin_raw(account, user, counter.into(), kind.into())
    }

    /// Sets a user's counter and type to any JSON, as undocumented answers have it.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn pin_raw(
        &self,
        account: &str,
        user: &str,
        counter: Value,
        kind: Value,
    ) -> Result<(), Unknown> {
        self.world.user(account, user)?.pin(Some(Pinned { counter, kind }));
        Ok(())
    }

    /// Lets a user's counter be simulated again, where it would be had it never been set.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn unpin(&self, account: &str, user: &str) -> Result<(), Unknown> {
        self.world.user(account, user)?.pin(None);
        Ok(())
    }

    /// Sets when a user's last message came, which v3 shows, or lets it be simulated again.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn set_last_message(
        &self,
        account: &str,
        user: &str,
        at: Option<SystemTime>,
    ) -> Result<(), Unknown> {
        self.world.user(account, user)?.set_last_message(at);
        Ok(())
    }

    /// A user's counter and type now; `None` for an unknown user and for one pinned to anything
    /// but a whole number and a word.
    pub fn counter(&self, account: &str, user: &str) -> Option<(u64, String)> {
        let account = self.world.account(account).ok()?;
        let reading = account.counter_view(&*account.user(user)?, self.world.now()).reading;
        Some((reading.counter.as_u64()?, reading.kind.as_str()?.to_owned()))
    }

    /// Adds a user, or replaces the one with the same id, removed or not.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn add_user(&self, account: &str, user: UserSpec) -> Result<(), Unknown> {
        self.world.add_user(account, user)
    }

    /// Makes the API forget a user.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn remove_user(&self, account: &str, user: &str) -> Result<(), Unknown> {
        self.world.remove_user(account, user)
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
        self.world.set_role(account, user, channel, role)
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
        self.world.set_channel_state(account, channel, state)
    }

    /// Adds a channel, or replaces the one with the same id, as with a state and a status that do
    /// not go together.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn put_channel(&self, account: &str, channel: ChannelSpec) -> Result<(), Unknown> {
        self.world.put_channel(account, channel)
    }

    /// Replaces the subscriptions of an account.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_webhooks(&self, account: &str, webhooks: Vec<WebhookSpec>) -> Result<(), Unknown> {
        self.world.account(account)?.set_webhooks(webhooks);
        Ok(())
    }

    /// Changes the form in which an account's lists are answered.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_shapes(&self, account: &str, shapes: Shapes) -> Result<(), Unknown> {
        self.world.account(account)?.set_shapes(shapes);
        Ok(())
    }

    /// Changes how an account's token is treated.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_access(&self, account: &str, access: Access) -> Result<(), Unknown> {
        self.world.account(account)?.set_access(access);
        Ok(())
    }

    /// Ends the access tokens of an account now; a refresh or an exchange gets
    /// a new one.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn expire_tokens(&self, account: &str) -> Result<(), Unknown> {
        self.world.end_tokens(account, &[Kind::Access])
    }

    /// Ends the refresh tokens of an account now; its access tokens live on to their end.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn revoke_refresh_tokens(&self, account: &str) -> Result<(), Unknown> {
        self.world.end_tokens(account, &[Kind::Refresh])
    }

    /// Ends all tokens of an account now, as when its owner withdraws the permission: under the
    /// Wazzup label a new login is needed.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn revoke_tokens(&self, account: &str) -> Result<(), Unknown> {
        self.world.end_tokens(account, &[Kind::Access, Kind::Refresh])
    }

    /// Ends the machine tokens of a partner now.
    ///
    /// # Errors
    /// If there is no such partner.
    pub fn revoke_machine_tokens(&self, partner: &str) -> Result<(), Unknown> {
        self.world.tokens.end_machine(self.world.partner(partner)?.0);
        Ok(())
    }

    /// The refresh tokens of an account that still work, for a test to compare with
    /// the stored one.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn live_refresh_tokens(&self, account: &str) -> Result<Vec<String>, Unknown> {
        Ok(self.world.tokens.live_refresh(self.world.place(account)?))
    }

    /// Changes how a partner's login is taken.
    ///
    /// # Errors
    /// If there is no such partner.
    pub fn set_login(&self, partner: &str, login: Login) -> Result<(), Unknown> {
        self.world.partner(partner)?.1.set_login(login);
        Ok(())
    }

    /// Logs every browser in to an account, or out. A browser that is logged in authorises that
    /// account without a page to choose from.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn log_browser_in(&self, account: Option<&str>) -> Result<(), Unknown> {
        self.world.log_browser_in(account)
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
        self.world.counts()
    }

    /// Waits until the predicate holds, looking now and after every request's start and finish.
    ///
    /// It waits for ever if need be: put a timeout around it. The predicate runs under the log's
    /// lock, so it must not call [`Simulator::log`]; what it needs is on [`Log`].
    pub async fn wait_until(&self, predicate: impl FnMut(&Log<'_>) -> bool) {
        self.world.recorder.wait_until(predicate).await;
    }

    /// Every account and user as they are now.
    pub fn state(&self) -> Vec<AccountState> {
        self.world.state()
    }

    /// A complete exporter configuration for the accounts, fixed tokens included. Other secrets are
    /// in [`Simulator::secret_files`], which belong into the same folder.
    pub fn exporter_config(&self, base_url: &str, interval: &str) -> String {
        yaml::exporter_config(&self.world, base_url, interval)
    }

    /// The secrets that the configuration names by file: passwords of partners, and the refresh
    /// tokens that work now.
    pub fn secret_files(&self) -> Vec<SecretFile> {
        let World { accounts, partners, tokens, .. } = &*self.world;
        let passwords = partners.iter().map(|partner| SecretFile {
            name: files::password_file(partner),
            content: partner.spec.password.clone(),
        });
        let refresh_tokens = accounts.iter().enumerate().filter_map(|(place, account)| {
            let content = tokens.live_refresh(place).into_iter().next()?;
            Some(SecretFile { name: files::refresh_token_file(account), content })
        });
        passwords.chain(refresh_tokens).collect()
    }

    /// Writes [`Simulator::secret_files`] into a folder, readable by their owner only. For tests
    /// that give a configuration as text: parse it as a file of that folder.
    ///
    /// # Errors
    /// If a file cannot be written, or is there with other content.
    pub fn write_secrets(&self, folder: &Path) -> Result<(), WriteError> {
        files::write_secrets(folder, &self.secret_files())
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
}

impl fmt::Debug for Simulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.world.accounts.iter().map(|account| &account.name);
        out.debug_struct("Simulator")
            .field("accounts", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
