//! Account files that break while the exporter runs: what they cost, and where that is seen.

use std::path::PathBuf;

use reqwest::Method;
use wazzup_exporter::app::Options;
use wazzup_exporter::config::{self, Permissions};
use wazzup_exporter::reload::ConfigSource;

use super::cli::{run, text};
use super::support::daemon::{World, options};
use super::support::exporter::config_flag;
use super::support::files::write_private;
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{configuration, serve, still};

const SUCCESSFUL: &str = "wazzup_exporter_config_last_reload_successful";

/// An exporter with a main file without accounts and one account file for each of two accounts.
struct Split {
    world: World,
    folder: tempfile::TempDir,
    main: String,
    accounts: Vec<String>,
}

impl Split {
    async fn start(broken: &[usize]) -> Self {
        let (api, url) = serve(still(&["acme", "globex"], 1)).await;
        let yaml = configuration(&api, &url, "interval: 200ms, timeout: 5s");
        let (head, accounts) = yaml.split_once("accounts:").unwrap();
        let accounts = accounts.split("\n  - name: ").skip(1);
        let accounts: Vec<String> =
            accounts.map(|account| format!("accounts:\n  - name: {account}\n")).collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let main = format!("{head}account_files: ['d/*.yaml']\n");
        let file = folder.path().join("config.yaml");
        write_private(&file, &main);
        for (index, account) in accounts.iter().enumerate() {
            let text = if broken.contains(&index) { "accounts: [" } else { account.as_str() };
            write_private(&folder.path().join(format!("d/{index}.yaml")), text);
        }
        let permissions = Permissions::default();
        let config = config::load(&file, permissions).unwrap();
        let source = ConfigSource { file, permissions, check_interval: None };
        let options = Options { source: Some(source), lifecycle: true, ..options() };
        let world = World::start_options(api, config, options).await;
        Self { world, folder, main, accounts }
    }

    fn file(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("d/{index}.yaml"))
    }

    fn up(&self, samples: &Samples, index: usize) -> Option<f64> {
        let file = self.file(index);
        value(samples, &format!("wazzup_exporter_account_file_up{{file=\"{}\"}}", file.display()))
    }

    async fn reload(&self) -> (u16, String) {
        let answer = self.world.request(Method::POST, "/-/reload", &[]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_broken_account_file_stops_nobody_and_is_seen_everywhere() {
    let split = Split::start(&[]).await;
    let red = |name| counter(name, "u0", "red");
    let both =
        |samples: &Samples| ["acme", "globex"].iter().all(|name| samples.contains_key(&red(name)));
    let samples = split.world.until("figures", both).await;
    assert_eq!((split.up(&samples, 0), split.up(&samples, 1)), (Some(1.0), Some(1.0)));
    write_private(&split.file(0), "accounts: [{nam: x}]\n");
    let changed =
        split.accounts[1].replace("\n    users:", "\n    labels: {region: north}\n    users:");
    write_private(&split.file(1), &changed);
    let (status, text) = split.reload().await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("0.yaml:1:") && !text.contains("1.yaml"), "{text}");
    let samples = split.world.scrape().await;
    assert_eq!((split.up(&samples, 0), split.up(&samples, 1)), (Some(0.0), Some(1.0)));
    assert_eq!(value(&samples, SUCCESSFUL), Some(1.0));
    assert_eq!(value(&samples, &red("acme")), Some(1.0), "it stays as it was");
    assert!(
        samples.keys().any(|series| series.contains(r#"region="north""#)),
        "the other one changes"
    );
    let page = split.world.request(Method::GET, "/", &[]).await.text().await.unwrap();
    assert!(page.contains("1 account file broken") && page.contains("0.yaml"), "{page}");
    let status =
        split.world.request(Method::GET, "/api/v1/status", &[]).await.text().await.unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["broken_files"][0]["accounts"][0], "acme", "{status}");
    std::fs::remove_file(split.file(0)).unwrap();
    assert_eq!(split.reload().await, (200, "The configuration is in use.\n".to_owned()));
    let samples = split.world.scrape().await;
    assert_eq!((split.up(&samples, 0), split.up(&samples, 1)), (None, Some(1.0)));
    assert!(!samples.contains_key(&red("acme")), "what is removed is gone");
    split.world.stop().await;
}

#[tokio::test]
async fn an_exporter_starts_though_every_account_file_is_broken() {
    let split = Split::start(&[0, 1]).await;
    let samples = split.world.scrape().await;
    assert_eq!((split.up(&samples, 0), split.up(&samples, 1)), (Some(0.0), Some(0.0)));
    assert_eq!(value(&samples, "wazzup_exporter_accounts"), Some(0.0));
    write_private(&split.file(1), &split.accounts[1]);
    assert_eq!(split.reload().await.0, 200);
    let red = counter("globex", "u0", "red");
    split.world.until("the mended one", |samples| samples.contains_key(&red)).await;
    split.world.stop().await;
}

#[tokio::test]
async fn a_pipe_in_place_of_the_configuration_holds_up_no_reload() {
    let split = Split::start(&[]).await;
    let file = split.folder.path().join("config.yaml");
    std::fs::remove_file(&file).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, mode).unwrap();
    assert_eq!(split.reload().await.0, 500);
    assert_eq!(value(&split.world.scrape().await, SUCCESSFUL), Some(0.0));
    write_private(&file, &split.main);
    assert_eq!(split.reload().await.0, 200);
    assert_eq!(value(&split.world.scrape().await, SUCCESSFUL), Some(1.0));
    split.world.stop().await;
}

#[test]
fn check_config_fails_for_a_broken_account_file() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("config.yaml");
    write_private(&main, "account_files: [a.yaml, b.yaml]\n");
    let good = "accounts: [{name: a, auth: {token: t}, users: [{id: '1'}]}]\n";
    write_private(&folder.path().join("a.yaml"), good);
    write_private(&folder.path().join("b.yaml"), good);
    let checked = run(&["check-config", &config_flag(&main)]);
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    let errors = text(&checked.stderr);
    assert!(
        errors.contains("b.yaml:1:19: ") && errors.contains("is the name of two accounts"),
        "{errors}"
    );
}
