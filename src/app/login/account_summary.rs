//! A summary of an account after its login.

use crate::account::{Account, UserId};
use crate::api::{Client, ListedUser};
use crate::counter::Reading;

/// Users whose counters are read.
const COUNTERS: usize = 3;
/// Users and channels that are named.
const NAMED: usize = 5;

/// Prints an account's channels, users and first counters.
pub(super) async fn summarize(
    client: &Client,
    account: &Account,
    say: &mut (dyn FnMut(&str) + Send),
) {
    say("What the account shows:");
    match client.channels().await {
        Ok(channels) => {
            let words = channels.list.iter().map(|channel| {
                format!("{} ({})", channel.transport.label(), channel.state.label())
            });
            say(&format!("  channels: {}", listed(channels.list.len(), words)));
        }
        Err(error) => say(&format!("  channels: {error}")),
    }
    let users = match client.users().await {
        Ok(users) => {
            let users = users.list;
            let words = users.iter().map(|user| name_of(user, account.export.user_names));
            say(&format!("  users: {}", listed(users.len(), words)));
            users
        }
        Err(error) => {
            say(&format!("  users: {error}"));
            Vec::new()
        }
    };
    let listed = users.iter().filter_map(|user| UserId::parse(&user.id).ok());
    let configured = account.users.iter().map(|user| user.id.clone());
    let first: Vec<UserId> = configured.chain(listed).take(COUNTERS).collect();
    for user in first {
        let counter = match client.token().await {
            Ok(token) => {
                client.counter(&token, &user).await.map(|counter| describe(&counter.reading))
            }
            Err(error) => Ok(error.to_string()),
        };
        let counter = counter.unwrap_or_else(|error| error.to_string());
        say(&format!("  counter of user {user}: {counter}"));
    }
}

/// `2: one, other`
fn listed(count: usize, items: impl Iterator<Item = String>) -> String {
    if count == 0 {
        return "none".to_owned();
    }
    let mut items: Vec<String> = items.take(NAMED).collect();
    if count > items.len() {
        items.push("…".to_owned());
    }
    format!("{count}: {}", items.join(", "))
}

fn name_of(user: &ListedUser, with_name: bool) -> String {
    match user.name.as_ref().filter(|_| with_name) {
        Some(name) => format!("{} ({})", user.id.escape_debug(), name.escape_debug()),
        None => user.id.escape_debug().to_string(),
    }
}

fn describe(reading: &Reading) -> String {
    let shown = reading.values();
    let parts = [(shown.red, "red"), (shown.grey, "grey"), (shown.other, "of an unknown type")];
    let parts = parts.into_iter().filter_map(|(count, kind)| Some(format!("{} {kind}", count?)));
    parts.collect::<Vec<_>>().join(", ")
}
