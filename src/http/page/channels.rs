//! The channels of an account: those that are not active, and what to do about them.

use std::fmt::{self, Write as _};

use super::context::PageContext;
use crate::http::format::{Count, Escaped, Grouped};
use crate::http::status::{AccountStatus, ChannelStatus};

/// Channels that are listed; beyond, only how many they are.
const CHANNELS_MAX: usize = 20;
/// Characters of a channel's id that are shown; enough to be unique within an account.
const ID_SHOWN: usize = 8;

/// The number of channels, if there are any.
pub(super) fn write_count(html: &mut String, channels: &[ChannelStatus]) -> fmt::Result {
    let (all, active) = (channels.len(), channels.iter().filter(|channel| channel.active).count());
    let text = match (all, active) {
        (0, _) => return Ok(()),
        (1, 1) => "1 channel, active".to_owned(),
        _ if all == active => format!("{}, all active", Count(all, "channel")),
        (1, _) => "1 channel, not active".to_owned(),
        _ => format!("{} of {} active", Grouped(active as u64), Count(all, "channel")),
    };
    let class = if all == active { "beside" } else { "reason" };
    write!(html, "<p class=\"{class} count\">{text}</p>")
}

/// The channels that are not active; on the page of one account all channels.
pub(super) fn write_channels(
    html: &mut String,
    account: &AccountStatus,
    view: &PageContext<'_>,
) -> fmt::Result {
    let all = view.query.account.is_some();
    let mut shown: Vec<&ChannelStatus> = account.channels.iter().collect();
    shown.retain(|channel| all || !channel.active);
    shown.sort_by_key(|channel| channel.active);
    if shown.is_empty() {
        return Ok(());
    }
    html.push_str("<ul class=\"channels\" aria-label=\"Channels\">");
    for channel in shown.iter().take(CHANNELS_MAX) {
        write_channel(html, channel)?;
    }
    if let Some(more) = shown.len().checked_sub(CHANNELS_MAX).filter(|more| *more > 0) {
        write!(html, "<li>{}</li>", Count(more, "more channel"))?;
    }
    html.push_str("</ul>");
    if account.is_cut_off() {
        html.push_str(
            "<p class=\"reason cut-off\">No message arrives, so the counters do not change.</p>",
        );
    }
    Ok(())
}

fn write_channel(html: &mut String, channel: &ChannelStatus) -> fmt::Result {
    let class = if channel.active { "active" } else { "inactive" };
    let id: String = channel.channel.chars().take(ID_SHOWN).collect();
    let (key, transport) = (Escaped(&channel.channel), Escaped(channel.transport));
    let name = Escaped(channel.name.as_deref().unwrap_or(&id));
    write!(
        html,
        "<li class=\"{class}\" data-key=\"{key}\" title=\"{key}\">{transport} <bdi>{name}</bdi> {}",
        channel.text
    )?;
    if !channel.remedy.is_empty() {
        write!(html, ": {}", channel.remedy)?;
    }
    html.push_str("</li>");
    Ok(())
}
