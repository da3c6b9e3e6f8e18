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

use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use self::authorization::Authorization;
pub use self::authorization::InvalidRedirect;
use super::components::Components;
use crate::account::{Account, Auth, Partner};
use crate::auth::{TokenError, Tokens};
use crate::blocking;
use crate::config::{Config, NoSuchAccount};
use crate::metrics::Tally;
use crate::shard::Shard;
use crate::storage::{StorageError, check_replace_file, replace_file};
use crate::transport::BuildError;

/// Why the login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The account is not configured.
    #[error(transparent)]
    UnknownAccount(#[from] NoSuchAccount),
    /// Its token comes from elsewhere.
    #[error("the account {0} needs no login: its auth is not oauth")]
    NoLoginNeeded(String),
    /// The refresh token could not be put where it belongs.
    #[error("the refresh token cannot be stored: {}", without_remedy(.0))]
    File(#[source] StorageError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
    /// The customer or Wazzup24 refused.
    #[error("{0}")]
    Refused(InvalidRedirect),
    /// Nothing more is typed.
    #[error("the address at which the browser ended was not given; run the command again")]
    NoAnswer,
    /// Upstream does not take the code.
    #[error(
        "{0}\nA code works once and for a few minutes, and only if redirect_uri is written as it is \
         registered with Wazzup24; run the command again"
    )]
    Code(#[source] TokenError),
    /// There are no tokens for another reason.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The browser was logged in elsewhere.
    #[error(
        "the browser was logged in to the account {found}, but {name} is {wanted}; nothing was stored. \
         Log out of Wazzup24 in the browser, or open the address in a private window, and run the \
         command again; if {found} is right, correct account_id"
    )]
    OtherAccount {
        /// The account's name in the configuration.
        name: String,
        /// The account that the tokens belong to.
        found: String,
        /// The account that they should belong to.
        wanted: String,
    },
}

/// A login that is about to be made.
pub struct Login {
    components: Components,
    account: Arc<Account>,
    partner: Arc<Partner>,
    file: PathBuf,
    authorization: Authorization,
}

impl LoginError {
    /// Whether the command line or the configuration is at fault.
    pub fn is_of_usage(&self) -> bool {
        matches!(self, Self::UnknownAccount(_) | Self::NoLoginNeeded(_))
    }
}

impl Login {
    /// Prepares the login of an account; nothing is asked of upstream yet.
    ///
    /// # Errors
    /// When there is no such account, when it needs no login, and when its outcome could not be stored.
    pub fn new(config: &Config, name: &str) -> Result<Self, LoginError> {
        let account = config.account(name)?;
        let Auth::OAuth { partner, refresh_token_file } = &account.auth else {
            return Err(LoginError::NoLoginNeeded(name.to_owned()));
        };
        let file = refresh_token_file.clone();
        // A code that cannot be stored would be wasted.
        check_replace_file(&file).map_err(LoginError::File)?;
        let redirect = partner.redirect_uri.clone().ok_or(TokenError::NoRedirect)?;
        let authorization = Authorization::new(redirect).map_err(|_| LoginError::Random)?;
        let components = Components::new(config, &Shard::WHOLE, Tokens::read_only(None), None)?;
        let (account, partner) = (Arc::clone(account), Arc::clone(partner));
        Ok(Self { components, account, partner, file, authorization })
    }

    /// Makes the login. What is typed comes line by line; `say` is given what the person is to read.
    ///
    /// # Errors
    /// Whatever kept the refresh token from being stored.
    pub async fn run(
        self,
        typed: mpsc::Receiver<String>,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), LoginError> {
        say(&self.instructions());
        let code = self.code(typed, say).await?;
        let http = self.components.transport.client_for(&self.account)?;
        let asked_by = (http, Arc::clone(&self.components.process), Arc::new(Tally::default()));
        let grant = (&code, &self.authorization.verifier);
        let redeemed =
            self.components.tokens.redeem(&self.account, &self.partner, asked_by, grant).await;
        let (access, refresh) = redeemed.map_err(|error| {
            let of_the_code = matches!(error, TokenError::CodeRefused(_));
            if of_the_code { LoginError::Code(error) } else { error.into() }
        })?;
        self.check_owner(access.account(), say)?;
        let content = format!("{}\n", refresh.expose_secret());
        let file = self.file.clone();
        let stored = blocking::run(move || replace_file(&file, content.as_bytes())).await;
        stored.map_err(LoginError::File)?;
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
    async fn code(
        &self,
        mut typed: mpsc::Receiver<String>,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<secrecy::SecretString, LoginError> {
        while let Some(line) = typed.recv().await {
            match self.authorization.code_in(&line) {
                Ok(code) => return Ok(code),
                Err(unfit) if unfit.is_final() => return Err(LoginError::Refused(unfit)),
                Err(InvalidRedirect::Nothing) => {}
                Err(unfit) => say(&format!("{unfit}. Try again:")),
            }
        }
        Err(LoginError::NoAnswer)
    }

    /// Checks that the tokens belong to the account, as far as they name one.
    fn check_owner(
        &self,
        found: Option<&str>,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), LoginError> {
        let wanted = self.account.account_id.as_ref().map(|id| id.as_str().to_owned());
        match (found, wanted) {
            (Some(found), Some(wanted)) if found == wanted => {
                say(&format!("The tokens are of the account {found}, as configured."));
            }
            (Some(found), Some(wanted)) => {
                let name = self.account.name.to_string();
                return Err(LoginError::OtherAccount { name, found: found.to_owned(), wanted });
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

/// What is wrong with a file that is not in the storage, for which storage errors have other advice.
fn without_remedy(error: &StorageError) -> String {
    match error {
        StorageError::Io { action, path, source } => format!(
            "cannot {action} {}: {source}; refresh_token_file has to be in a folder in which this \
             user may replace files",
            path.display()
        ),
        error => error.to_string(),
    }
}
