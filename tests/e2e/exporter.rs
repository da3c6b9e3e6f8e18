//! The exporter as a process, and what it has to show.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

use super::process::{Process, until};
use super::support::configuration;

/// The values of `wazzup_unanswered_messages` by account, user and type.
pub(crate) type Figures = BTreeMap<(String, String, String), String>;

/// A running exporter.
pub(crate) struct Exporter {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Exporter {
    /// Runs the daemon. `poll` is the content of the configuration's `poll`.
    pub(crate) async fn start(api: &Simulator, url: &str, poll: &str) -> Self {
        Self::start_with(api, url, poll, &[]).await
    }

    /// The same with more flags.
    pub(crate) async fn start_with(
        api: &Simulator,
        url: &str,
        poll: &str,
        flags: &[String],
    ) -> Self {
        Self::start_yaml(api, &configuration(api, url, poll), flags).await
    }

    /// Runs the daemon with a configuration of one's own, beside the secrets that the API knows.
    pub(crate) async fn start_yaml(api: &Simulator, yaml: &str, flags: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = write_config(folder.path(), yaml);
        api.write_secrets(folder.path()).unwrap();
        let mut command = command(&file);
        command.args(flags);
        let process =
            Process::start("wazzup-exporter", command.arg("--web.listen-address=127.0.0.1:0"));
        let address =
            until("the exporter's address", &[&process], async || process.address()).await;
        Self { process, address, _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// The program with this configuration.
pub(crate) fn command(config_file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wazzup-exporter"));
    command.arg(format!("--config.file={}", config_file.display()));
    command
}

/// Writes a configuration the way the exporter wants it: closed to other users.
pub(crate) fn write_config(folder: &Path, yaml: &str) -> PathBuf {
    let file = folder.join("config.yaml");
    std::fs::write(&file, yaml).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// What the API holds for every user it knows, in the exporter's terms: red and grey, one of them 0.
pub(crate) fn held(api: &Simulator) -> Figures {
    let mut figures = Figures::new();
    for account in api.state() {
        for user in account.users.iter().filter(|user| !user.removed) {
            for kind in ["red", "grey"] {
                let value = if user.kind == kind { user.counter.to_string() } else { "0".into() };
                figures.insert((account.name.clone(), user.id.clone(), kind.to_owned()), value);
            }
        }
    }
    figures
}

/// Accounts and users that have to be escaped somewhere: in a URL, in a label, in HTML.
pub(crate) fn odd() -> Settings {
    let mut account = AccountSpec::new(r#"acme "&" <co> \ {x="y"}"#, "12345678", "token-of-acme");
    account.labels.insert("city".to_owned(), "Алматы".to_owned());
    account.labels.insert("path".to_owned(), r"C:\new\table".to_owned());
    let users = [
        ("a/b", "Plain"),
        ("ünï", "Данияр Ахметов"),
        (r#"q"uo\te"#, r#"Игорь "Мастер" Белов\"#),
        ("%2E", "100 %"),
        ("a b?c=d#e&f+g", "# HELP me"),
        (r"\n", r"line\nbreak"),
        ("{a=\"b\",c} 1", "\u{1f600}\u{2028}\u{feff}"),
        ("...", "dots"),
    ];
    for (counter, (id, name)) in (1..).zip(users) {
        let user = UserSpec::new(id, name, Role::SalesRep).team(r#"te"am\"#);
        account = account.user(user.pinned(counter, "red"));
    }
    Settings {
        accounts: vec![account],
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}
