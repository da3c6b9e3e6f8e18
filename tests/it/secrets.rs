//! Whatever goes wrong, nothing that the program says holds a secret.
//!
//! The real program runs with every source of tokens at log level trace while upstream fails in every
//! way it can, repeats the credentials it was sent, and changes its mind. Everything the program
//! prints or serves is searched for every secret. What is added to the program is to be added here.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use tempfile::TempDir;
use wazzup_exporter::config::{self, Permissions};
use wazzup_exporter::simulator::{
    AccountSpec, Login, PartnerSpec, RateLimit, Role, Settings, Simulator, UserSpec,
};

use super::support::exporter::{Exporter, command};
use super::support::files::{write_private, write_script};
use super::support::http::client;
use super::support::process::Process;
use super::support::upstream::serve;
use super::support::wait::{guard, until};

const TOKEN: &str = "s3cr3t-token-4f2a77c09be14c0d";
const FILE: &str = "s3cr3t-file-8d5f3a6e1b2c3d4e";
const COMMAND: &str = "s3cr3t-command-0718293a4b5c6d7e";
const ARGUMENT: &str = "s3cr3t-argument-1b2c3d4e5f607182";
const KEY: &str = "s3cr3t-key-a1b2c3d4e5f60718293a4b5c6d7e8f90";
const PASSWORD: &str = "s3cr3t-password-98765432101234567890";
const SEED: &str = "s3cr3t-seed-c0ffee00c0ffee00";
const PROXY: &str = "s3cr3t-proxy-0badc0de0badc0de";

const RESET: &str = "s3cr3t-reset-5566778899aabbccddeeff0011223344";

/// How each JWT begins, of which the simulated API makes new ones all the time.
const JWT: &str = "eyJ";

/// An upstream, and a configuration with each kind of secret.
struct Scene {
    api: Simulator,
    folder: TempDir,
    config: String,
    storage: String,
}

impl Scene {
    async fn new() -> Self {
        let users = |account: AccountSpec| {
            account
                .user(UserSpec::new("1", "Anna", Role::SalesRep).pinned(5, "red"))
                .user(UserSpec::new("2", "Boris", Role::SalesRep).pinned(7, "red"))
        };
        let mut partner = PartnerSpec::new("main", "partner@example.com", PASSWORD);
        partner.access_ttl = Duration::from_secs(2);
        partner.redirect_uris = vec!["http://127.0.0.1:9/back".to_owned()];
        let client_id = partner.client_id.clone();
        let accounts = vec![
            users(AccountSpec::new("literal", "10000001", TOKEN)),
            users(AccountSpec::new("file", "10000002", FILE)),
            users(AccountSpec::new("command", "10000003", COMMAND)),
            users(AccountSpec::v3("key", "10000004", KEY)),
            users(AccountSpec::white_label("partner", "10000005", "main")),
            users(AccountSpec::label("label", "10000006", "main", SEED)),
        ];
        let limit = RateLimit::UNLIMITED;
        let partners = vec![partner];
        let settings = Settings { accounts, partners, speed: 0.0, limit, ..Settings::default() };
        let (api, url) = serve(settings).await;
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("token"), FILE);
        write_private(&folder.path().join("password"), PASSWORD);
        write_private(&folder.path().join("seed"), SEED);
        write_private(&folder.path().join("reset"), RESET);
        let script = format!(
            "#!/bin/sh\n[ -f {0}/broken ] && {{ echo {COMMAND}; exit 3; }}\n\
             echo '{{\"access_token\":\"{COMMAND}\",\"expires_in\":1}}'\n",
            folder.path().display()
        );
        write_script(&folder.path().join("get-token"), &script);
        let get_token = folder.path().join("get-token").display().to_string();
        let account = |name: &str, id: u32, more: &str| {
            format!(
                "- {{name: {name}, account_id: '{id}', base_url: '{url}', {more}, \
                 channels: {{refresh_interval: 200ms}}, users: [{{id: '1'}}, {{id: '2'}}, {{id: '3'}}], \
                 rate_limit: {{requests: 100000, per: 1s}}, \
                 discover_users: {{enabled: true, refresh_interval: 200ms}}}}\n"
            )
        };
        let accounts = [
            account(
                "literal",
                10_000_001,
                &format!("auth: {{token: {TOKEN}}}, reset: {{enabled: true, token_file: reset}}"),
            ),
            account("file", 10_000_002, "auth: {token_file: token}"),
            account(
                "command",
                10_000_003,
                &format!("auth: {{token_command: ['{get_token}', '--key={ARGUMENT}']}}"),
            ),
            account("key", 10_000_004, &format!("api: v3, auth: {{token: {KEY}}}")),
            account("partner", 10_000_005, "auth: {partner: main}"),
            account(
                "label",
                10_000_006,
                "auth: {oauth: {partner: main, refresh_token_file: seed}}",
            ),
            account(
                "proxied",
                10_000_007,
                &format!("auth: {{token: {TOKEN}}}, proxy_url: 'http://user:{PROXY}@127.0.0.1:9'"),
            ),
        ];
        let yaml = format!(
            "poll: {{interval: 200ms, timeout: 2s}}\n\
             partners:\n  main: {{email: partner@example.com, password_file: password, \
             client_id: '{client_id}', redirect_uri: 'http://127.0.0.1:9/back'}}\n\
             accounts:\n{}",
            accounts.concat()
        );
        write_private(&folder.path().join("config.yaml"), &yaml);
        let config = format!("--config.file={}", folder.path().join("config.yaml").display());
        let storage = format!("--storage.path={}", folder.path().join("data").display());
        Self { api, folder, config, storage }
    }

    /// Runs a command beside whatever else runs.
    fn run(&self, words: &[&str]) -> Output {
        let flags = [&*self.config, &*self.storage, "--config.allow-token-command"];
        command().args(words).args(flags).arg("--log.level=trace").output().unwrap()
    }

    fn start(&self, format: &str) -> Exporter {
        let format = format!("--log.format={format}");
        let flags = [
            &*self.config,
            &*self.storage,
            "--config.allow-token-command",
            "--web.enable-admin-api",
            "--web.admin-listen-address=127.0.0.1:0",
        ];
        Exporter::start(&[&flags[..], &["--log.level=trace", &format]].concat())
    }

    /// All secrets of the scene.
    fn secrets(&self) -> Vec<String> {
        let fixed = [TOKEN, FILE, COMMAND, ARGUMENT, KEY, PASSWORD, SEED, PROXY, RESET, JWT];
        let mut secrets: Vec<String> = fixed.map(str::to_owned).into();
        secrets.extend(self.api.live_refresh_tokens("label").unwrap());
        let basic = |login: String| {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.encode(login)
        };
        secrets.push(basic(format!("partner@example.com:{PASSWORD}")));
        secrets.push(basic(format!("user:{PROXY}")));
        secrets
    }

    /// Asks for resets with the right token and with wrong ones, and listens.
    async fn reset(&self, process: &Exporter) {
        let admin = process.until_admin().await;
        let url = format!("http://{admin}/api/v1/admin/accounts/literal/reset");
        let body = format!(r#"{{"confirm":"10000001","{TOKEN}":"{RESET}"}}"#);
        let good = r#"{"confirm":"10000001","reason":"why"}"#;
        for (token, body) in [(RESET, &*body), (FILE, good), (RESET, good), (RESET, good)] {
            let request = client().post(&url).header("x-reset-token", token);
            let request = request.header("content-type", "application/json").body(body.to_owned());
            let answer = guard("the answer to a reset", request.send()).await.unwrap();
            self.assert_clean("the headers of a reset", &format!("{:?}", answer.headers()));
            self.assert_clean("the answer to a reset", &answer.text().await.unwrap());
        }
        let url = format!("--url=http://{admin}");
        for words in [
            &["reset", "literal", "--confirm=10000001", &url][..],
            &["reset", "literal", "--confirm=10000001", "--url=http://user:secret@127.0.0.1:9"],
            &["reset", "--history"],
        ] {
            let Output { stdout, stderr, .. } = self.run(words);
            self.assert_clean(&words.join(" "), &String::from_utf8_lossy(&stdout));
            self.assert_clean(&words.join(" "), &String::from_utf8_lossy(&stderr));
        }
        let place = self.storage.split_once('=').unwrap().1;
        for name in ["reset-audit.jsonl", "reset-state.json"] {
            let text = std::fs::read_to_string(Path::new(place).join("literal").join(name));
            self.assert_clean(name, &text.unwrap_or_default());
        }
    }

    fn assert_clean(&self, what: &str, text: &str) {
        for secret in self.secrets() {
            assert!(!text.contains(&secret), "{what} shows {secret}:\n{text}");
        }
    }
}

/// Lets upstream fail in each of these ways, one after the other, and listens.
async fn suffer(faults: &[&str], format: &str, login: Login) {
    let scene = Scene::new().await;
    scene.api.set_login("main", login).unwrap();
    let process = scene.start(format);
    for (number, fault) in faults.iter().enumerate() {
        if number == 1 {
            write_private(&scene.folder.path().join("broken"), "");
        }
        scene.api.add_fault(fault.parse().unwrap());
        scene.api.expire_tokens("label").unwrap();
        let before = scene.api.counts().total;
        let asked = |log: &wazzup_exporter::simulator::Log| log.total >= before + 8;
        guard(fault, scene.api.wait_until(asked)).await;
        for path in
            ["/metrics", "/", "/api/v1/status", "/config", "/-/ready", "/-/healthy", "/no/such"]
        {
            let answer = process.get(path).await;
            scene.assert_clean("the headers", &format!("{:?}", answer.headers()));
            scene.assert_clean(path, &answer.text().await.unwrap());
        }
        scene.reset(&process).await;
        if number == 0 {
            for words in [&["poll"][..], &["doctor"], &["doctor", "label", "1", "--json"]] {
                let Output { stdout, stderr, .. } = scene.run(words);
                scene.assert_clean(&words.join(" "), &String::from_utf8_lossy(&stdout));
                scene.assert_clean(&words.join(" "), &String::from_utf8_lossy(&stderr));
            }
        }
        scene.api.clear_faults();
    }
    process.signal(Signal::TERM);
    let (_, log) = process.end();
    assert!(log.contains("cannot be read"), "something was logged: {log}");
    scene.assert_clean("the log", &log);
}

#[tokio::test]
async fn no_secret_is_shown_by_a_configuration() {
    let scene = Scene::new().await;
    let file = scene.config.split_once('=').unwrap().1;
    let config = config::load(Path::new(file), Permissions { token_command: true }).unwrap();
    scene.assert_clean("Debug", &format!("{config:?} {config:#?}"));
    scene.assert_clean("Debug of the API", &format!("{:?}", scene.api));
    scene.assert_clean("check-config", &format!("{:?}", scene.run(&["check-config"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown_when_upstream_refuses() {
    let faults = ["status=401", "status=400", "status=403", "status=404"];
    suffer(&faults, "logfmt", Login::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown_when_upstream_breaks() {
    let redirect = format!("redirect=http://user:{PROXY}@127.0.0.1:9/?token={TOKEN}");
    let faults = ["reset", "truncated", "malformed", "oversized", "status=500", &redirect];
    suffer(&faults, "json", Login::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown_when_upstream_repeats_what_it_was_sent() {
    let problem = format!("body={{\"code\":\"{TOKEN}\",\"detail\":\"{FILE} {COMMAND}\"}}");
    let granted = format!(
        "path=/v2/oauth/token,body={{\"data\":{{\"access_token\":\"{SEED}\",\"expires_in\":-1}}}}"
    );
    let faults = [&*problem, &granted, &format!("body={COMMAND}"), r#"body={"data":5}"#];
    suffer(&faults, "logfmt", Login::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown_when_logins_fail() {
    let faults = ["latency=1ms", "status=500,path=/v2/oauth/token", "retry_after=429:1"];
    suffer(&faults, "json", Login::Refused).await;
}

/// Ends a process as a crash does, with all the room for a core file that the system gives.
async fn crash(process: &Process) -> ExitStatus {
    let maximum = getrlimit(Resource::Core).maximum;
    prlimit(Some(process.pid()), Resource::Core, Rlimit { current: maximum, maximum }).unwrap();
    process.signal(Signal::ABORT);
    until("the end", &[], async || process.ended().ok_or_else(|| "it runs".to_owned())).await
}

#[tokio::test]
async fn a_crash_leaves_no_core_file() {
    let folder = tempfile::tempdir().unwrap();
    let sleep =
        Process::start("sleep", Command::new("sleep").arg("600").current_dir(folder.path()));
    if !crash(&sleep).await.core_dumped() {
        eprintln!("not tested: this system writes no core files");
        return;
    }
    let exporter = Exporter::spawn(command().arg("demo").current_dir(folder.path()));
    let status = crash(&exporter.process).await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
