//! A summary of an account after its login.

use crate::account::{Account, UserId};
use crate::api::{Client, ListedUser};
use crate::counter::Reading;

/// Users whose counters are read.
const COUNTERS: usize = 3;
/// Users and channels that are named.
const NAMED: usize = 5;

/// Prints an account's channels, users and first counters.
pub(super) async fn summarize(client: &Client, account: &Account, say: &dyn Fn(&str)) {
    say("What the account shows:");
    let channels = client.channels().await.map(|channels| {
        let list = channels.list.iter();
        listed(list.map(|one| format!("{} ({})", one.transport.label(), one.state.label())))
    });
    say(&format!("  channels: {}", channels.unwrap_or_else(|error| error.to_string())));
    let users = client.users().await.map(|users| users.list);
    let names = account.export.user_names;
    let shown = match &users {
        Ok(users) => listed(users.iter().map(|user| name_of(user, names))),
        Err(error) => error.to_string(),
    };
    say(&format!("  users: {shown}"));
    let found = users.iter().flatten().filter_map(|user| UserId::parse(&user.id).ok());
    let configured = account.users.iter().map(|user| user.id.clone());
    let found = found.filter(|id| account.users.iter().all(|user| user.id != *id));
    for user in configured.chain(found).take(COUNTERS) {
        let counter = match client.token().await {
            Ok(token) => client.counter(&token, &user).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let counter = counter.map_or_else(|error| error, |counter| describe(&counter.reading));
        say(&format!("  counter of user {user}: {counter}"));
    }
}

/// `2: one, other`
fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let count = items.len();
    let more = (count > NAMED).then(|| "…".to_owned());
    match count {
        0 => "none".to_owned(),
        _ => format!("{count}: {}", items.take(NAMED).chain(more).collect::<Vec<_>>().join(", ")),
    }
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
