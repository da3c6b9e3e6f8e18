//! One sweep of every account, without a daemon.

use std::sync::Arc;

use futures_util::future::join_all;

use super::components::Components;
use super::error::CommandError;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::Config;
use crate::exposition::{self, Format};
use crate::health::Heartbeat;
use crate::metrics::SweepResult;
use crate::poller::{self, Poller};
use crate::shard::Shard;
use crate::snapshot::AccountView;
use crate::storage::Storage;
use crate::text;

/// What one sweep of every account gave.
pub struct PollReport {
    /// The exposition, in Prometheus' text format.
    pub exposition: Vec<u8>,
    /// Accounts of which some user could not be read.
    pub incomplete: Vec<String>,
}

/// Reads every user of every account of `shard` once. Where a daemon holds the refresh token of an account, the
/// access token that it keeps in `storage` is used.
///
/// # Errors
/// When a way to upstream cannot be set up. Readings that fail are no error here, they are in the report.
pub async fn poll_once(
    config: Config,
    shard: &Shard,
    storage: Option<Storage>,
) -> Result<PollReport, CommandError> {
    let components = Components::new(&config, shard, Tokens::read_only(storage), None)?;
    let slots = shard.own(&config.accounts).into_iter();
    let slots: Vec<_> = slots.map(|account| Arc::new(poller::new_slot(account))).collect();
    let pollers = slots.iter().map(|slot| components.poller(slot, Heartbeat::default()));
    let pollers = pollers.collect::<Result<Vec<_>, _>>()?;
    let pauses = join_all(pollers.into_iter().map(Poller::run_once)).await;
    components.tokens.finish_renewals().await;
    let views: Vec<_> = slots.iter().map(|slot| slot.view()).collect();
    let result = |view: &AccountView| view.facts.sweep.map(|sweep| sweep.result);
    let incomplete = views.iter().zip(pauses);
    let incomplete = incomplete.filter(|(view, _)| result(view) != Some(SweepResult::Ok));
    let incomplete = incomplete.map(|(view, pause)| named(view, pause)).collect();
    let families = components.process.gather();
    let exposition = exposition::text(&views, &families, Format::Text, Stamp::now());
    Ok(PollReport { exposition, incomplete })
}

/// An account of which some user could not be read, and when to come back, where that is known.
fn named(view: &AccountView, pause: Option<Stamp>) -> String {
    let name = &view.account.name;
    match pause {
        Some(until) => {
            format!(
                "{name} (Wazzup24 asks to wait; run it again after {})",
                text::timestamp(until.unix)
            )
        }
        None => name.to_string(),
    }
}
