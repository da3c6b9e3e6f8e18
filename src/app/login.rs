//! The login of a customer who lets the partner's application in (Wazzup label).
//!
//! [`Login`] says which address to open, takes the one at which the browser ends, exchanges the code
//! in it for tokens, checks whose they are, puts the refresh token where the configuration says and
//! prints a summary of the account. A running daemon notices the file. The parts: `authorization` is the
//! address and the parameters it returns with, `account_summary` prints.

mod account_summary;
mod authorization;

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use self::authorization::{Authorization, InvalidRedirect};
use super::components::Components;
use super::error::CommandError;
use crate::account::{Account, AccountId, Auth, Partner};
use crate::auth::{TokenError, Tokens};
use crate::blocking;
use crate::config::Config;
use crate::metrics::Tally;
use crate::shard::Shard;
use crate::storage::{StorageError, check_replace_file, replace_file};

/// A login that is about to be made.
pub struct Login {
    components: Components,
    account: Arc<Account>,
    partner: Arc<Partner>,
    file: PathBuf,
    authorization: Authorization,
}

impl Login {
    /// Prepares the login of an account; nothing is asked of upstream yet.
    ///
    /// # Errors
    /// When there is no such account, when it needs no login, and when its outcome could not be stored.
    pub fn new(config: &Config, name: &str) -> Result<Self, CommandError> {
        let account = config.account(name).map_err(CommandError::usage)?;
        let Auth::OAuth { partner, refresh_token_file } = &account.auth else {
            let what = format!("the account {name} needs no login: its auth is not oauth");
            return Err(CommandError::Usage(what));
        };
        let file = refresh_token_file.clone();
        // A code that cannot be stored would be wasted.
        check_replace_file(&file).map_err(not_stored)?;
        let redirect = partner.redirect_uri.clone();
        let redirect = redirect.expect("without one the configuration is refused");
        let authorization = Authorization::new(redirect)?;
        let components = Components::new(config, &Shard::WHOLE, Tokens::read_only(None), None)?;
        let (account, partner) = (Arc::clone(account), Arc::clone(partner));
        Ok(Self { components, account, partner, file, authorization })
    }

    /// Makes the login. What is typed comes line by line, and waiting for it blocks, as nothing else is to be done
    /// then; `say` is given what the person is to read.
    ///
    /// # Errors
    /// Whatever kept the refresh token from being stored.
    pub async fn run(
        self,
        typed: impl Iterator<Item = String>,
        say: &dyn Fn(&str),
    ) -> Result<(), CommandError> {
        say(&self.instructions());
        let code = self.code(typed, say)?;
        let http = self.components.transport.client_for(&self.account)?;
        let asked_by = (http, Arc::clone(&self.components.process), Arc::new(Tally::default()));
        let grant = (&code, &self.authorization.verifier);
        let redeemed =
            self.components.tokens.redeem(&self.account, &self.partner, asked_by, grant).await;
        let (access, refresh) = redeemed.map_err(|error| match error {
            TokenError::CodeRefused(_) => CommandError::Runtime(format!(
                "{error}\nA code works once and for a few minutes, and only if redirect_uri is \
                 written as it is registered with Wazzup24; run the command again"
            )),
            error => CommandError::runtime(error),
        })?;
        self.check_owner(access.account(), say)?;
        let content = format!("{}\n", refresh.expose_secret());
        let file = self.file.clone();
        let stored = blocking::run(move || replace_file(&file, content.as_bytes())).await;
        stored.map_err(not_stored)?;
        say(&format!(
            "The refresh token is stored in {}. A running exporter takes it up by itself.",
            self.file.display()
        ));
        let account =
            Account { auth: Auth::Token(access.expose().into()), ..Account::clone(&self.account) };
        let client = self.components.client(&Arc::new(account), &Arc::new(Tally::default()))?;
        account_summary::summarize(&client, &self.account, say).await;
        Ok(())
    }

    fn instructions(&self) -> String {
        let address = self.authorization.address(&self.account.base_url, &self.partner);
        let redirect = &self.authorization.redirect;
        let (name, id) = (&self.account.name, self.account.account_id.as_ref());
        let id = id.map_or_else(String::new, |id| format!(" ({})", id.as_str()));
        format!(
            "Open this address in a browser and log in as a user who may grant access to the \
             account {name}{id}:\n\n{address}\n\nThe browser ends at an address that begins with \
             {redirect}, whatever is shown there. Copy that address from its address bar and paste it \
             here.\n"
        )
    }

    /// Waits for an address with a code in it.
    fn code(
        &self,
        typed: impl Iterator<Item = String>,
        say: &dyn Fn(&str),
    ) -> Result<SecretString, CommandError> {
        for line in typed {
            match self.authorization.code_in(&line) {
                Ok(code) => return Ok(code),
                Err(unfit) if unfit.is_final() => return Err(CommandError::runtime(unfit)),
                Err(InvalidRedirect::Nothing) => {}
                Err(unfit) => say(&format!("{unfit}. Try again:")),
            }
        }
        let what = "the address at which the browser ended was not given; run the command again";
        Err(CommandError::runtime(what))
    }

    /// Checks that the tokens belong to the account, as far as they name one.
    fn check_owner(&self, found: Option<&str>, say: &dyn Fn(&str)) -> Result<(), CommandError> {
        let wanted = self.account.account_id.as_ref().map(AccountId::as_str);
        match (found, wanted) {
            (Some(found), Some(wanted)) if found == wanted => {
                say(&format!("The tokens are of the account {found}, as configured."));
            }
            (Some(found), Some(wanted)) => {
                return Err(CommandError::Runtime(format!(
                    "the browser was logged in to the account {found}, but {} is {wanted}; nothing \
                     was stored. Log out of Wazzup24 in the browser, or open the address in a \
                     private window, and run the command again; if {found} is right, correct \
                     account_id",
                    self.account.name
                )));
            }
            (Some(found), None) => say(&format!(
                "The tokens are of the account {found}. With account_id: \"{found}\" in the \
                 configuration that is checked."
            )),
            (None, _) => say(
                "The tokens do not name their account; check below whether it is the right one.",
            ),
        }
        Ok(())
    }
}

/// Why the refresh token cannot be put where it belongs: outside the storage, for which storage errors have
/// other advice.
fn not_stored(error: StorageError) -> CommandError {
    let why = match error {
        StorageError::Io { action, path, source } => format!(
            "cannot {action} {}: {source}; refresh_token_file has to be in a folder in which this \
             user may replace files",
            path.display()
        ),
        error => error.to_string(),
    };
    CommandError::Runtime(format!("the refresh token cannot be stored: {why}"))
}
