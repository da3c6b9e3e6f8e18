//! Runs the doctor: which accounts are examined, and with which client.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::components::Components;
use super::error::CommandError;
use crate::account::{Account, Labels, User, UserId};
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::Config;
use crate::doctor::{Diagnosis, examine, examine_user};
use crate::exposition::{self, Format};
use crate::health::Heartbeat;
use crate::metrics::Tally;
use crate::poller;
use crate::shard::Shard;
use crate::storage::Storage;
use crate::transport::BuildError;

/// Accounts that are examined concurrently.
const AT_ONCE: usize = 8;

/// Examines all accounts of `shard`, or one of any shard, and there one user if given. Spends no refresh token that a
/// daemon holds.
///
/// # Errors
/// When there is no such account, or the HTTP client cannot be set up. What is wrong with an
/// account is no error here, it is in its diagnosis.
pub async fn diagnose(
    config: Config,
    shard: &Shard,
    storage: Option<Storage>,
    account: Option<&str>,
    user: Option<&str>,
) -> Result<Vec<Diagnosis>, CommandError> {
    let user = user.map(UserId::parse).transpose();
    let user = user.map_err(|error| CommandError::Usage(format!("the user's id {error}")))?;
    let wanted = match account {
        Some(name) => vec![Arc::clone(config.account(name).map_err(CommandError::usage)?)],
        None => shard.own(&config.accounts),
    };
    let components = Components::new(&config, shard, Tokens::read_only(storage), None)?;
    let examinations =
        wanted.into_iter().map(|account| examine_account(&components, account, user.as_ref()));
    let examinations: Vec<_> = stream::iter(examinations).buffered(AT_ONCE).collect().await;
    components.tokens.finish_renewals().await;
    Ok(examinations.into_iter().collect::<Result<_, _>>()?)
}

async fn examine_account(
    components: &Components,
    account: Arc<Account>,
    user: Option<&UserId>,
) -> Result<Diagnosis, BuildError> {
    let client = components.client(&account, &Arc::new(Tally::default()))?;
    let mut diagnosis = examine(&client, &account, user).await;
    if let Some(user) = user {
        let mut report = examine_user(&client, user).await;
        report.series = series(components, &account, user).await?;
        diagnosis.add_user(report);
    }
    Ok(diagnosis)
}

/// What a poller of this user alone would show, each family under its HELP.
async fn series(
    components: &Components,
    account: &Account,
    user: &UserId,
) -> Result<Vec<String>, BuildError> {
    let known = account.users.iter().find(|known| known.id == *user).cloned();
    let unknown = || User { id: user.clone(), name: None, labels: Labels::new() };
    let users = vec![known.unwrap_or_else(|| Arc::new(unknown()))];
    let alone = Account { users, discovery: None, ..account.clone() };
    let slot = Arc::new(poller::new_slot(Arc::new(alone)));
    components.poller(&slot, Heartbeat::default())?.run_once().await;
    let text = exposition::text(&[slot.view()], &[], Format::Text, Stamp::now());
    let text = String::from_utf8_lossy(&text);
    let mut series = Vec::new();
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if !line.starts_with('#') && line.contains("user=\"") {
            series.extend(help.take().map(str::to_owned));
            series.push(line.to_owned());
        }
    }
    Ok(series)
}
