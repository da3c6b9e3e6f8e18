//! Exporters whose accounts' tokens come from a partner's login.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use url::Url;
use wazzup_exporter::config::{self, Config, Permissions};
use wazzup_exporter::simulator::{
    AccountSpec, Endpoint, PartnerSpec, RateLimit, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::storage::{AccountFolder, Storage};

use super::support::daemon::World;
use super::support::files::write_private;
use super::support::http::client;
use super::support::upstream::serve;
use super::support::wait::until_true;

/// Where customers' browsers are sent; no server is there.
pub(crate) const REDIRECT: &str = "https://partner.example/wazzup";
/// The counter of every user.
pub(crate) const COUNT: u64 = 7;

/// A simulated API and the files of an exporter that reads it.
pub(crate) struct Scene {
    pub(crate) api: Simulator,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

/// Partner `main`, whose accounts' tokens live for so many seconds.
pub(crate) fn main_partner(life: u64) -> PartnerSpec {
    let mut partner = PartnerSpec::new("main", "partner@example.com", "pa55word");
    partner.access_ttl = std::time::Duration::from_secs(life);
    partner
}

/// An account that the partner's login may read.
pub(crate) fn white(name: &str, number: usize, users: usize) -> AccountSpec {
    with_users(AccountSpec::white_label(name, &id(number), "main"), users)
}

/// An account whose owner has authorised the partner.
pub(crate) fn label(name: &str, number: usize, users: usize) -> AccountSpec {
    with_users(AccountSpec::label(name, &id(number), "main", &format!("seed-of-{name}")), users)
}

pub(crate) fn id(number: usize) -> String {
    format!("{:08}", 10_000_000 + number)
}

/// The folder of an account: the first is called `acme`, the second otherwise.
pub(crate) fn folder_of(account: &str) -> AccountFolder {
    AccountFolder::new(account, Some(&id(usize::from(account != "acme"))))
}

fn with_users(account: AccountSpec, users: usize) -> AccountSpec {
    (0..users).fold(account, |account, user| {
        let user = UserSpec::new(&format!("u{user}"), "Anna", Role::SalesRep);
        account.user(user.pinned(COUNT, "red"))
    })
}

impl Scene {
    pub(crate) async fn new(partner: PartnerSpec, accounts: Vec<AccountSpec>) -> Self {
        let (limit, partners) = (RateLimit::UNLIMITED, vec![partner]);
        let settings = Settings { accounts, partners, speed: 0.0, limit, ..Settings::default() };
        let (api, url) = serve(settings).await;
        let folder = tempfile::tempdir().unwrap();
        Self { api, url, folder }
    }

    /// Writes a configuration with this content of `poll`, the first time with its secrets, and
    /// returns where it is.
    pub(crate) fn config_file(&self, poll: &str) -> PathBuf {
        let file = self.path("config.yaml");
        if !file.exists() {
            self.api.write_config(&file, &self.url, "1h").unwrap();
        }
        let yaml = self.api.exporter_config(&self.url, "1h");
        let (_, rest) = yaml.split_once("accounts:").unwrap();
        // Lists would add requests to the counts.
        let rest = rest.replace("    users:", "    channels: {enabled: false}\n    users:");
        write_private(&file, &format!("poll: {{{poll}}}\naccounts:{rest}"));
        file
    }

    pub(crate) fn config(&self, poll: &str) -> Config {
        config::load(&self.config_file(poll), Permissions::default()).unwrap()
    }

    pub(crate) fn storage(&self) -> Storage {
        Storage::new(self.path("data"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs an exporter.
    pub(crate) async fn world(&self, poll: &str) -> World {
        let config = self.config(poll);
        World::start_config(self.api.clone(), config, Some(self.storage())).await
    }

    /// The file in which a login puts the refresh token of an account.
    pub(crate) fn login_file(&self, account: &str) -> PathBuf {
        self.path(&format!("{account}.refresh-token"))
    }

    /// Lets the partner in to an account, as its owner does in a browser, and puts the refresh token
    /// where the exporter looks for it.
    pub(crate) async fn log_in(&self, account: usize, name: &str) {
        let token = refresh_token(&self.url, account).await;
        write_private(&self.login_file(name), &token);
    }

    /// What the exporter keeps of an account's tokens.
    pub(crate) fn kept(&self, account: &str) -> Option<Value> {
        let content = self.storage().read_unlocked(folder_of(account), "oauth.json").unwrap()?;
        Some(serde_json::from_slice(&content).unwrap())
    }

    /// Whether the refresh token that is kept is the one that upstream takes.
    pub(crate) fn keeps_the_live_one(&self, account: &str) -> bool {
        let live = self.api.live_refresh_tokens(account).unwrap();
        let kept = self.kept(account).unwrap();
        live == [kept["refresh_token"].as_str().unwrap()]
    }

    /// How many tokens of this kind the partner got.
    pub(crate) fn granted(&self, kind: Endpoint) -> u64 {
        self.api.counts().partners.get("main").map_or(0, |counts| counts.granted(kind))
    }

    /// Waits until the partner got so many tokens of this kind.
    pub(crate) async fn until_granted(&self, kind: Endpoint, times: u64) {
        until_true(format!("{times} tokens"), async || self.granted(kind) >= times).await;
    }

    /// How often the partner asked for tokens of this kind.
    pub(crate) fn asked(&self, kind: Endpoint) -> u64 {
        self.api.counts().partners.get("main").map_or(0, |counts| counts.asked(kind))
    }
}

/// Goes through the owner's login and the exchange of its code.
async fn refresh_token(api: &str, account: usize) -> String {
    // The verifier and the challenge of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let form = [
        ("response_type", "code"),
        ("client_id", "app-main"),
        ("redirect_uri", REDIRECT),
        ("scope", "transport,crm"),
        ("state", "s"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("account", &id(account)),
    ];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let link = format!("{api}/v2/oauth/authorize?{form}");
    let answer = client().get(link).send().await.unwrap();
    let back: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    let body = serde_json::json!({
        "grant_type": "authorization_code",
        "authorize_code_data": {
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": "app-main",
            "code_verifier": verifier,
        },
    });
    let request = client().post(format!("{api}/v2/oauth/token")).body(body.to_string());
    let request = request.header("content-type", "application/json");
    let answer = request.basic_auth("partner@example.com", Some("pa55word")).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["data"]["refresh_token"].as_str().unwrap().to_owned()
}
