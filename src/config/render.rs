//! The configuration in use, as YAML: [`render`], for `/config`.
//!
//! It is made from what runs, not from the text of a file, and has every default. It is a
//! configuration itself: with the secrets put in for [`SECRET`] it gives the same accounts. Those of
//! account files stand among the others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_yaml::{Mapping, Value};
use url::Url;

use crate::account::{
    Account, AccountId, Api, Auth, Channels, Discovery, Export, LabelRule, Labels, Partner,
    Pattern, Poll, Profile, RateLimit, Reset, Tls, User,
};
use crate::schedule::WorkingHours;

use super::network::leak;
use super::settings::GlobalSettings;
use crate::text;

/// What stands in place of a secret.
const SECRET: &str = "<secret>";

/// Writes a configuration in full and without its secrets.
pub fn render(settings: &GlobalSettings, accounts: &[Arc<Account>]) -> String {
    let Export { user_names, channel_names, profile } = settings.export;
    let profile = match profile {
        Profile::Full => "full",
        Profile::Minimal => "minimal",
    };
    let partners = settings.partners.iter();
    let document = ConfigDocument {
        poll: PollText::of(settings.poll),
        max_in_flight: settings.max_in_flight,
        export: ExportText { user_names, channel_names, profile },
        secrets_dir: settings.secrets_dir.as_deref().map(path),
        partners: partners.map(|one| (one.name.as_str(), PartnerText::of(one))).collect(),
        accounts: accounts.iter().map(|account| AccountText::of(account)).collect(),
    };
    serde_yaml::to_string(&document).expect("these are texts, numbers and switches under text keys")
}

#[derive(Serialize)]
struct ConfigDocument<'a> {
    poll: PollText,
    max_in_flight: usize,
    export: ExportText,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets_dir: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partners: BTreeMap<&'a str, PartnerText<'a>>,
    accounts: Vec<AccountText<'a>>,
}

#[derive(Serialize)]
struct PollText {
    interval: String,
    timeout: String,
    concurrency: usize,
    stale_after: String,
}

#[derive(Serialize)]
struct ExportText {
    user_names: bool,
    channel_names: bool,
    profile: &'static str,
}

#[derive(Serialize)]
struct PartnerText<'a> {
    email: &'a str,
    password_file: Cow<'a, str>,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    allow_account_files: bool,
}

#[derive(Serialize)]
struct AccountText<'a> {
    name: &'a str,
    api: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    base_url: String,
    allow_insecure_http: bool,
    auth: Mapping,
    rate_limit: RateText,
    tls: TlsText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_url: Option<String>,
    poll: PollText,
    labels: LabelsText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_hours: Option<HoursText<'a>>,
    users: Vec<UserText<'a>>,
    discover_users: DiscoveryText<'a>,
    channels: ChannelsText,
    reset: ResetText<'a>,
}

#[derive(Serialize)]
struct RateText {
    requests: u32,
    per: String,
    share: String,
}

#[derive(Serialize)]
struct TlsText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<Cow<'a, str>>,
    insecure_skip_verify: bool,
}

#[derive(Serialize)]
struct HoursText<'a> {
    timezone: &'a str,
    days: String,
    from: String,
    to: String,
}

#[derive(Serialize)]
struct UserText<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: LabelsText<'a>,
}

/// Of what is switched off nothing else is known.
#[derive(Serialize)]
struct DiscoveryText<'a> {
    enabled: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    on: Option<DiscoveryOn<'a>>,
}

#[derive(Serialize)]
struct DiscoveryOn<'a> {
    refresh_interval: String,
    include: Vec<String>,
    exclude: Vec<String>,
    max_users: usize,
    labels: Vec<RuleText<'a>>,
}

#[derive(Serialize)]
struct RuleText<'a> {
    r#match: String,
    set: LabelsText<'a>,
}

#[derive(Serialize)]
struct ChannelsText {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_interval: Option<String>,
}

#[derive(Serialize)]
struct ResetText<'a> {
    enabled: bool,
    #[serde(flatten)]
    on: Option<ResetOn<'a>>,
}

#[derive(Serialize)]
struct ResetOn<'a> {
    cooldown: String,
    max_unanswered: u64,
    token_file: Cow<'a, str>,
}

type LabelsText<'a> = BTreeMap<&'a str, &'a str>;

impl PollText {
    fn of(poll: Poll) -> Self {
        let Poll { interval, timeout, concurrency, stale_after } = poll;
        let [interval, timeout, stale_after] = [interval, timeout, stale_after].map(text::duration);
        Self { interval, timeout, concurrency, stale_after }
    }
}

impl<'a> PartnerText<'a> {
    fn of(partner: &'a Partner) -> Self {
        let Partner {
            name: _,
            email,
            password_file,
            scope,
            client_id,
            redirect_uri,
            allow_account_files,
        } = partner;
        Self {
            email,
            password_file: path(password_file),
            scope,
            client_id: client_id.as_deref(),
            redirect_uri: redirect_uri.as_ref().map(masked),
            allow_account_files: *allow_account_files,
        }
    }
}

impl<'a> AccountText<'a> {
    /// Takes every field by its name, so that a new one is not forgotten here.
    fn of(account: &'a Account) -> Self {
        let Account {
            name,
            api,
            account_id,
            base_url,
            auth,
            rate_limit: RateLimit { requests, per, share },
            tls: Tls { ca, insecure_skip_verify },
            proxy,
            poll,
            export: _,
            labels,
            working_hours,
            users,
            discovery,
            channels,
            reset,
        } = account;
        let ca_file = ca.as_ref().and_then(|ca| ca.file()).map(path);
        Self {
            name: name.as_str(),
            api: match api {
                Api::V2 => "v2",
                Api::V3 => "v3",
            },
            account_id: account_id.as_ref().map(AccountId::as_str),
            base_url: masked(base_url),
            allow_insecure_http: leak(base_url, proxy.as_ref()).is_some(),
            auth: auth_text(auth),
            rate_limit: RateText {
                requests: *requests,
                per: text::duration(*per),
                share: format!("{share}%"),
            },
            tls: TlsText { ca_file, insecure_skip_verify: *insecure_skip_verify },
            proxy_url: proxy.as_ref().map(ToString::to_string),
            poll: PollText::of(*poll),
            labels: labels_text(labels),
            working_hours: working_hours.as_ref().map(HoursText::of),
            users: users.iter().map(|user| UserText::of(user)).collect(),
            discover_users: DiscoveryText {
                enabled: discovery.is_some(),
                on: discovery.as_ref().map(DiscoveryOn::of),
            },
            channels: ChannelsText {
                enabled: channels.is_some(),
                refresh_interval: channels
                    .map(|Channels { refresh_interval }| text::duration(refresh_interval)),
            },
            reset: ResetText { enabled: reset.is_some(), on: reset.as_ref().map(ResetOn::of) },
        }
    }
}

impl<'a> ResetOn<'a> {
    fn of(reset: &'a Reset) -> Self {
        let Reset { cooldown, max_unanswered, token_file } = reset;
        let (cooldown, max_unanswered) = (text::duration(*cooldown), *max_unanswered);
        Self { cooldown, max_unanswered, token_file: path(token_file) }
    }
}

impl<'a> HoursText<'a> {
    fn of(hours: &'a WorkingHours) -> Self {
        let [from, to] = hours.times_text();
        Self { timezone: hours.timezone(), days: hours.days_text(), from, to }
    }
}

impl<'a> UserText<'a> {
    fn of(user: &'a User) -> Self {
        let User { id, name, labels } = user;
        Self { id: id.as_str(), name: name.as_deref(), labels: labels_text(labels) }
    }
}

impl<'a> DiscoveryOn<'a> {
    fn of(discovery: &'a Discovery) -> Self {
        let Discovery { refresh_interval, include, exclude, max_users, labels } = discovery;
        let rule = |LabelRule { pattern, set }: &'a LabelRule| RuleText {
            r#match: pattern.to_string(),
            set: labels_text(set),
        };
        Self {
            refresh_interval: text::duration(*refresh_interval),
            include: include.iter().map(Pattern::to_string).collect(),
            exclude: exclude.iter().map(Pattern::to_string).collect(),
            max_users: *max_users,
            labels: labels.iter().map(rule).collect(),
        }
    }
}

/// The one way to a token. A token from a variable is shown as one that stands in the file.
fn auth_text(auth: &Auth) -> Mapping {
    let (way, value) = match auth {
        Auth::Token(_) | Auth::TokenEnv { .. } => ("token", SECRET.into()),
        Auth::TokenFile(file) => ("token_file", path(file).into()),
        Auth::TokenCommand(words) => {
            // Arguments may be secrets; the program is none.
            let program = words.first().map(String::as_str);
            let words = program.into_iter().chain(words.iter().skip(1).map(|_| SECRET));
            ("token_command", words.map(Value::from).collect())
        }
        Auth::Partner(partner) => ("partner", partner.name.as_str().into()),
        Auth::OAuth { partner, refresh_token_file } => {
            let keys = [
                ("partner", partner.name.as_str().into()),
                ("refresh_token_file", path(refresh_token_file)),
            ];
            let entry = |(key, value): (&str, Cow<'_, str>)| (key.into(), value.into());
            ("oauth", Value::Mapping(keys.map(entry).into_iter().collect()))
        }
    };
    Mapping::from_iter([(way.into(), value)])
}

fn labels_text(labels: &Labels) -> LabelsText<'_> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A path that is not UTF-8 cannot be written in YAML, nor have come from there.
fn path(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// An address without user name and password.
fn masked(url: &Url) -> String {
    let mut bare = url.clone();
    // Only addresses without a host refuse this, and they cannot carry a login.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    let login = if bare == *url { "" } else { "<secret>@" };
    bare.as_str().replacen("://", &format!("://{login}"), 1)
}
