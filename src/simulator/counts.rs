//! Numbers of requests: all, of one account, of one partner. `record` keeps them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::endpoint::Endpoint;

/// Totals since the start. They count every request outside `/_control/`, remembered or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests received.
    pub total: u64,
    /// Requests not finished yet.
    pub open: u64,
    /// Requests finished without a status: hung, reset, or left by the client.
    pub unanswered: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests received by endpoint; an endpoint without requests is absent.
    pub endpoints: BTreeMap<Endpoint, u64>,
    /// Requests for each account, by name: with its credential, or to get it a token.
    pub accounts: BTreeMap<String, AccountCounts>,
    /// Requests for tokens for each partner, by name.
    pub partners: BTreeMap<String, PartnerCounts>,
}

impl Counts {
    /// How often a status was answered.
    pub fn status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Requests to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.endpoints.get(&endpoint).copied().unwrap_or(0)
    }
}

/// Totals of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AccountCounts {
    /// Requests received.
    pub total: u64,
    /// Those not finished yet.
    pub open: u64,
    /// The most that were open at one time.
    pub max_open: u64,
    /// Requests received by endpoint; an endpoint without requests is absent.
    pub endpoints: BTreeMap<Endpoint, u64>,
}

impl AccountCounts {
    /// Requests to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.endpoints.get(&endpoint).copied().unwrap_or(0)
    }
}

/// Totals of one partner's requests for tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartnerCounts {
    /// Requests received by kind of token; a kind without requests is absent.
    pub asked: BTreeMap<Endpoint, u64>,
    /// Those that were granted, whether or not the answer arrived.
    pub granted: BTreeMap<Endpoint, u64>,
}

impl PartnerCounts {
    /// Requests for a kind of token.
    pub fn asked(&self, kind: Endpoint) -> u64 {
        self.asked.get(&kind).copied().unwrap_or(0)
    }

    /// How often a kind of token was granted.
    pub fn granted(&self, kind: Endpoint) -> u64 {
        self.granted.get(&kind).copied().unwrap_or(0)
    }
}
