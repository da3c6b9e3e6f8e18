//! The channels of an account: those that are not active, and what to do about them.

use maud::{Markup, html};

use super::context::PageContext;
use crate::http::format::{grouped, number_of};
use crate::http::status::{AccountStatus, ChannelStatus};

/// Channels that are listed; beyond, only how many they are.
const CHANNELS_MAX: usize = 20;
/// Characters of a channel's id that are shown; enough to be unique within an account.
const ID_SHOWN: usize = 8;

/// The number of channels, if there are any.
pub(super) fn count(channels: &[ChannelStatus]) -> Markup {
    let (all, active) = (channels.len(), channels.iter().filter(|channel| channel.active).count());
    let text = match (all, active) {
        (0, _) => return html! {},
        (1, 1) => "1 channel, active".to_owned(),
        _ if all == active => format!("{}, all active", number_of(all, "channel")),
        (1, _) => "1 channel, not active".to_owned(),
        _ => format!("{} of {} active", grouped(active as u64), number_of(all, "channel")),
    };
    html! { p.(if all == active { "beside" } else { "reason" }).count { (text) } }
}

/// The channels that are not active; on the page of one account all channels.
pub(super) fn channels(account: &AccountStatus, view: &PageContext<'_>) -> Markup {
    let all = view.query.account.is_some();
    let mut shown: Vec<&ChannelStatus> = account.channels.iter().collect();
    shown.retain(|channel| all || !channel.active);
    shown.sort_by_key(|channel| channel.active);
    let more = shown.len().saturating_sub(CHANNELS_MAX);
    html! {
        @if !shown.is_empty() {
            ul.channels aria-label="Channels" {
                @for channel in shown.iter().take(CHANNELS_MAX) { (line(channel)) }
                @if more > 0 { li { (number_of(more, "more channel")) } }
            }
            @if account.is_cut_off() {
                p.reason.cut-off { "No message arrives, so the counters do not change." }
            }
        }
    }
}

fn line(channel: &ChannelStatus) -> Markup {
    let (class, key) = (if channel.active { "active" } else { "inactive" }, &channel.channel);
    let id: String = key.chars().take(ID_SHOWN).collect();
    html! {
        li.(class) data-key=(key) title=(key) {
            (channel.transport) " " bdi { (channel.name.as_deref().unwrap_or(&id)) } " "
            (channel.text)
            @if !channel.remedy.is_empty() { ": " (channel.remedy) }
        }
    }
}
