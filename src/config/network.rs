//! How an account reaches its API: `base_url`, `rate_limit`, `tls` and `proxy_url`.
//!
//! Called by [`accounts`](super::accounts). An account file may set all of them, because they only
//! concern the tokens that its own accounts send; the one that reads a file of the host, `ca_file`,
//! is confined to `secrets_dir` as token files are.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use crate::account::{Api, ProxyUrl, RateLimit, Tls};

use super::ca::read_ca;
use super::origin::Origin;
use super::value::{PATH_MAX, count, duration, flag, line, percent};
use crate::net::is_loopback;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::problem::name_of;
use crate::yaml::report::Report;

/// Where an API lives, unless configured.
fn default_base_url(api: Api) -> &'static str {
    match api {
        Api::V2 => "https://tech.wazzup24.com",
        Api::V3 => "https://api.wazzup24.com",
    }
}

const REQUESTS: RangeInclusive<usize> = 1..=100_000;
const SHARE: RangeInclusive<u8> = 1..=100;
const PER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// The keys of an account that are about the network.
pub(super) const KEYS: [&str; 5] =
    ["base_url", "allow_insecure_http", "rate_limit", "tls", "proxy_url"];

/// What they say.
pub(super) struct Network {
    pub(super) base_url: Url,
    pub(super) rate_limit: RateLimit,
    pub(super) tls: Tls,
    pub(super) proxy: Option<ProxyUrl>,
}

impl Network {
    /// Reads the keys of an account.
    pub(super) fn read(
        section: &MappingSection<'_>,
        api: Api,
        origin: &mut Origin<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let proxy = match section.get("proxy_url") {
            Some(node) => proxy(&node, origin, report).map(Some),
            None => Some(None),
        };
        let base_url = base_url(section, api, proxy.as_ref().and_then(Option::as_ref), report);
        let rate_limit = match section.get("rate_limit") {
            Some(node) => rate_limit(node, report),
            None => Some(RateLimit::default()),
        };
        let tls = match section.get("tls") {
            Some(node) => tls(node, origin, report),
            None => Some(Tls::default()),
        };
        Some(Self { base_url: base_url?, rate_limit: rate_limit?, tls: tls?, proxy: proxy? })
    }
}

/// The address of an API: https unless it is on loopback or plain HTTP is allowed explicitly.
fn base_url(
    section: &MappingSection<'_>,
    api: Api,
    proxy: Option<&ProxyUrl>,
    report: &mut Report,
) -> Option<Url> {
    let allowed = section.get("allow_insecure_http");
    let allowed = allowed.is_some_and(|node| flag(&node, report) == Some(true));
    let Some(node) = section.get("base_url") else { return Url::parse(default_base_url(api)).ok() };
    let text = node.text(report)?;
    let Ok(url) = Url::parse(text) else {
        node.problem(report, "is not a URL; write https://tech.wazzup24.com");
        return None;
    };
    if let Some(fault) = url_fault(&url) {
        node.problem(report, fault);
        return None;
    }
    if let Some(leak) = leak(&url, proxy) {
        if !allowed {
            node.problem(report, leak);
            return None;
        }
        let what = "sends the token unencrypted, as allow_insecure_http says; \
                    everyone on the network path can read it";
        node.warn(report, what);
    }
    Some(url)
}

fn url_fault(url: &Url) -> Option<&'static str> {
    if url.host().is_none() {
        Some("is not an address of an API; write https://tech.wazzup24.com")
    } else if !matches!(url.scheme(), "http" | "https") {
        Some("must start with https://")
    } else if !url.username().is_empty() || url.password().is_some() {
        Some("holds a user name or a password; remove it, auth is the place for the token")
    } else if url.query().is_some() {
        Some("has a query (?…); remove it")
    } else if url.fragment().is_some() {
        Some("has a fragment (#…); remove it")
    } else {
        None
    }
}

/// Where a token would leave this host without encryption.
pub(super) fn leak(url: &Url, proxy: Option<&ProxyUrl>) -> Option<&'static str> {
    if url.scheme() != "http" {
        None
    } else if !is_loopback(url) {
        Some(
            "would send the token unencrypted; write https://, or set allow_insecure_http: true \
             (http is for localhost, 127.0.0.0/8 and [::1])",
        )
    } else if proxy.is_some_and(|proxy| !is_loopback(proxy.address())) {
        Some(
            "would send the token unencrypted to the proxy, whose own loopback it names; \
             remove proxy_url, or set allow_insecure_http: true",
        )
    } else {
        None
    }
}

fn rate_limit(node: Node<'_>, report: &mut Report) -> Option<RateLimit> {
    let section = MappingSection::open(node, &["requests", "per", "share"], report)?;
    let default = RateLimit::default();
    let requests = match section.get("requests") {
        Some(node) => count(&node, &REQUESTS, report).and_then(|count| u32::try_from(count).ok()),
        None => Some(default.requests),
    };
    let per = match section.get("per") {
        Some(node) => duration(&node, &PER, report),
        None => Some(default.per),
    };
    let share = match section.get("share") {
        Some(node) => percent(&node, &SHARE, report),
        None => Some(default.share),
    };
    if section.has_misspelt() {
        return None;
    }
    Some(RateLimit { requests: requests?, per: per?, share: share? })
}

fn tls(node: Node<'_>, origin: &Origin<'_>, report: &mut Report) -> Option<Tls> {
    let section = MappingSection::open(node, &["ca_file", "insecure_skip_verify"], report)?;
    let ca = match section.get("ca_file") {
        Some(node) => {
            let written = line(&node, PATH_MAX, report)?;
            let read = origin.reach(&written).and_then(|path| {
                read_ca(&path).map_err(|fault| format!("{} {fault}", name_of(&written, &path)))
            });
            Some(read.map_err(|fault| node.problem(report, &fault)).ok()?)
        }
        None => None,
    };
    let skip = section.get("insecure_skip_verify");
    let insecure_skip_verify = match &skip {
        Some(node) => flag(node, report)?,
        None => false,
    };
    if let Some(node) = skip.filter(|_| insecure_skip_verify) {
        let what = "takes every certificate, so everyone on the network path can read the token; \
                    ca_file trusts an authority of your own";
        node.warn(report, what);
    }
    Some(Tls { ca, insecure_skip_verify })
}

fn proxy(node: &Node<'_>, origin: &mut Origin<'_>, report: &mut Report) -> Option<ProxyUrl> {
    match ProxyUrl::parse(node.text(report)?) {
        Ok(proxy) => {
            origin.literal |= proxy.has_secret();
            Some(proxy)
        }
        Err(why) => {
            node.problem(report, &why.to_string());
            None
        }
    }
}
