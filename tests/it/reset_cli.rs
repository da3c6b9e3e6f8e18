//! The command `reset`, its flags and the admin listener's, as a person uses them.

use std::process::Output;

use wazzup_exporter::simulator::Endpoint;

use super::cli::{run as run_now, text};
use super::reset::{ID, Scene, TOKEN};
use super::support::exporter::{Exporter, command, config_flag, run};
use super::support::pki::Pki;

/// A scene, a daemon and the flags of commands beside it.
struct ResetCommand {
    scene: Scene,
    _process: Exporter,
    flags: Vec<String>,
}

impl ResetCommand {
    async fn new(more: &[String]) -> Self {
        let scene = Scene::new().await;
        scene.write("config.yaml", &scene.yaml("interval: 200ms, timeout: 5s", ""));
        let config = config_flag(&scene.path("config.yaml"));
        let storage = format!("--storage.path={}", scene.path("data").display());
        let mut flags = vec![config, storage];
        let mut daemon = flags.clone();
        daemon.extend(
            ["--web.enable-admin-api", "--web.admin-listen-address=127.0.0.1:0"].map(str::to_owned),
        );
        daemon.extend_from_slice(more);
        let daemon: Vec<&str> = daemon.iter().map(String::as_str).collect();
        let process = Exporter::start(&daemon);
        let admin = process.until_admin().await;
        let scheme = if more.is_empty() { "http" } else { "https" };
        flags.push(format!("--url={scheme}://{admin}"));
        Self { scene, _process: process, flags }
    }

    async fn reset(&self, words: &[&str]) -> Output {
        let words = ["reset"].iter().chain(words).map(|word| (*word).to_owned());
        run(&words.chain(self.flags.clone()).collect::<Vec<_>>()).await
    }
}

#[tokio::test]
async fn a_dry_run_a_reset_a_refusal_and_the_history() {
    let command_line = ResetCommand::new(&[]).await;
    let empty = command_line.reset(&["--history"]).await;
    assert_eq!(empty.status.code(), Some(0));
    assert!(text(&empty.stdout).contains("No reset is on record"));
    let confirm = format!("--confirm={ID}");
    let dry = command_line.reset(&["acme", &confirm, "--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");
    assert!(text(&dry.stdout).contains("before  970 unanswered: 670 red, 300 grey; 3 users"));
    let wrong = command_line.reset(&["acme", "--confirm=11111111"]).await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(text(&wrong.stderr).contains("confirmation_mismatch"), "{wrong:?}");
    let done = command_line.reset(&["acme", &confirm, "--reason=dead\u{1b} backlog"]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(text(&done.stdout).contains("after   0 unanswered"), "{done:?}");
    let again = command_line.reset(&["acme", &confirm, "--expected-unanswered=5"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("cooldown: the last reset"), "{again:?}");
    assert!(again.stdout.is_empty());
    for words in [&["--history"][..], &["--history", "acme"]] {
        let history = command_line.reset(words).await;
        let shown = text(&history.stdout);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((history.status.code(), lines.len()), (Some(0), 4), "{shown}");
        for (line, words) in
            lines.iter().zip(["dry run: 970", "to be reset: 970", "cleared", "after it: 0"])
        {
            assert!(line.contains(words), "{line}");
        }
        assert!(lines[1].contains("because: dead  backlog"), "{}", lines[1]);
    }
    assert_eq!(command_line.scene.api.counts().endpoint(Endpoint::Reset), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_command_line_is_exit_code_2_and_sends_nothing() {
    let scene = Scene::new().await;
    scene.write("config.yaml", &scene.yaml("interval: 200ms, timeout: 5s", ""));
    let config = config_flag(&scene.path("config.yaml"));
    let confirm = format!("--confirm={ID}");
    for (words, message) in [
        (&["reset"][..], "required"),
        (&["reset", "acme"], "--confirm"),
        (&["reset", "--history", "--dry-run"], "--dry-run"),
        (&["reset", "unknown", &confirm], "configures no account unknown"),
        (&["reset", "other", "--confirm=11111111"], "has no reset enabled"),
        (&["reset", "acme", &confirm, "--token-file=/no/such"], "/no/such"),
        (&["reset", "acme", &confirm, "--url=ftp://x"], "http"),
        (&["reset", "acme", &confirm, "--url=http://192.0.2.1:10118"], "unencrypted"),
        (&["reset", "acme", &confirm, "--web.admin-listen-address=:20118"], "--url"),
        (&["reset", "acme", &confirm, "--web.admin-listen-address=192.0.2.1:20118"], "--url"),
        (&["reset", "acme", &confirm, "--url=https://example.com", "--insecure"], "--ca-file"),
    ] {
        let output = run_now(&[words, &[&*config]].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?} {output:?}");
        assert!(text(&output.stderr).contains(message), "{words:?} {output:?}");
        assert!(!format!("{output:?}").contains(TOKEN));
    }
    let unanswered = run_now(&["reset", "acme", &confirm, "--url=http://127.0.0.1:9", &config]);
    assert_eq!(unanswered.status.code(), Some(1));
    assert!(text(&unanswered.stderr).contains("--web.enable-admin-api"), "{unanswered:?}");
}

#[tokio::test]
async fn an_admin_listener_that_others_reach_needs_tls() {
    let scene = Scene::new().await;
    scene.write("config.yaml", &scene.yaml("interval: 200ms, timeout: 5s", ""));
    let config = config_flag(&scene.path("config.yaml"));
    for address in ["0.0.0.0:0", ":0", "[::]:0", "10.1.2.3:0", "localhost.example:0"] {
        let admin = format!("--web.admin-listen-address={address}");
        for command in [&["--web.listen-address=127.0.0.1:0"][..], &["check-config"]] {
            let flags = [&*config, "--web.enable-admin-api", &admin];
            let output = run_now(&[command, &flags].concat());
            assert_eq!(output.status.code(), Some(2), "{address} {output:?}");
            let errors = text(&output.stderr);
            assert!(
                errors.contains("--web.config.file") && !errors.contains("listening"),
                "{errors}"
            );
        }
        let off = run_now(&["check-config", &config, &admin]);
        assert_eq!(off.status.code(), Some(0), "it is not opened: {off:?}");
    }
}

#[tokio::test]
async fn an_encrypted_admin_listener_wants_its_certificate_known_and_its_login() {
    let pki = Pki::new();
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    pki.write(
        "web.yml",
        &format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\n\
             basic_auth_users: {{admin: {hash}}}\n"
        ),
    );
    let web = format!("--web.config.file={}", pki.path("web.yml").display());
    let mut command_line = ResetCommand::new(&[web]).await;
    let confirm = format!("--confirm={ID}");
    let ask = ["acme", &*confirm, "--dry-run"];
    let ca = format!("--ca-file={}", pki.path("ca.crt").display());
    let unknown = command_line.reset(&ask).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(text(&unknown.stderr).contains("certificate"), "{unknown:?}");
    let stranger = command_line.reset(&[&ask[..], &["--insecure"]].concat()).await;
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert!(text(&stranger.stderr).contains("login_required"), "{stranger:?}");
    let url = command_line.flags.pop().unwrap().replace("https://", "https://admin:open%20sesame@");
    command_line.flags.push(url);
    let dry = command_line.reset(&[&ask[..], &[&*ca]].concat()).await;
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");
}

#[tokio::test]
async fn a_daemon_with_resets_makes_its_storage_and_check_config_looks_at_it() {
    let scene = Scene::new().await;
    scene.write("config.yaml", &scene.yaml("interval: 200ms, timeout: 5s", ""));
    let config = config_flag(&scene.path("config.yaml"));
    let mut daemon = command();
    daemon.arg(&config).current_dir(scene.folder.path());
    let process = Exporter::spawn(&mut daemon);
    let made = scene.path(&format!("data/id.{ID}"));
    process.until("the folder", |_| made.is_dir()).await;
    drop(process);
    std::fs::remove_dir_all(scene.path("data")).unwrap();
    scene.write("data", "a file in its place");
    let mut check = command();
    let checked = check.args(["check-config", &config]).current_dir(scene.folder.path()).output();
    let checked = checked.unwrap();
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    assert!(text(&checked.stderr).contains("is not a folder"), "{checked:?}");
}
