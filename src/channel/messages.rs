//! Messages for the states of channels: what they mean and what to do.

use super::{Channel, ChannelState};

impl Channel {
    /// What the channel does, to be read behind its name, and what to do about it, which is empty while
    /// there is nothing to do.
    pub fn messages(&self) -> (&'static str, &'static str) {
        match self.state {
            // Two words of upstream may contradict each other.
            ChannelState::Active if !self.active => {
                ("is active by one word and not by another", "look at it in Wazzup24")
            }
            state => state_messages(state),
        }
    }
}

fn state_messages(state: ChannelState) -> (&'static str, &'static str) {
    match state {
        ChannelState::Active => ("is active", ""),
        ChannelState::Init => ("is starting", "wait some minutes; if it stays, connect it again"),
        ChannelState::Disabled => {
            ("is switched off or not paid for", "switch it on in Wazzup24, or pay for it")
        }
        ChannelState::PhoneUnavailable => {
            ("has lost its phone", "switch the phone on, connect it to the internet, open WhatsApp")
        }
        ChannelState::Qr | ChannelState::QrIdle => {
            ("waits for its QR code", "scan the code in Wazzup24 with the phone")
        }
        ChannelState::OpenElsewhere => {
            ("is in use elsewhere", "end the other session, then connect it again in Wazzup24")
        }
        ChannelState::NotEnoughMoney => ("is not paid for", "top up the balance in Wazzup24"),
        ChannelState::ForeignPhone => {
            ("was connected with another phone", "scan the code with the phone of this channel")
        }
        ChannelState::Unauthorized => ("is not logged in", "log in to it again in Wazzup24"),
        ChannelState::WaitForPassword => {
            ("waits for the password of the second factor", "enter it in Wazzup24")
        }
        ChannelState::WaitForCode => ("waits for a code", "enter the code in Wazzup24"),
        ChannelState::Blocked => {
            ("was blocked by the messenger", "ask the messenger's support; use another number")
        }
        ChannelState::OnModeration => ("is being checked by the messenger", "wait for the result"),
        ChannelState::Rejected => {
            ("was turned down by the messenger", "correct what the messenger objects to")
        }
        ChannelState::Other => ("is in a state that is not known here", "look at it in Wazzup24"),
    }
}
