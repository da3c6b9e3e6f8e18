//! The log of a life: start, an outage and its end, reloads, a reset, the end. And that of tokens.

use rustix::process::Signal;
use wazzup_exporter::simulator::Access;

use super::super::partners::{self, label, main_partner};
use super::super::reset::{ID, Scene, TOKEN};
use super::super::support::exporter::{Exporter, config_flag};
use super::super::support::http::client;
use super::super::support::wait::{guard, until};
use super::{check, mask, program};

async fn log_of_a_life(format: &str) -> String {
    let scene = Scene::new().await;
    let good = scene.yaml("interval: 200ms, timeout: 5s", "");
    scene.write("config.yaml", &good);
    let mut command = program();
    command.arg(config_flag(&scene.path("config.yaml"))).arg(format!("--log.format={format}"));
    command.arg(format!("--storage.path={}", scene.path("data").display()));
    command.args(["--web.enable-admin-api", "--web.admin-listen-address=127.0.0.1:0"]);
    command.args(["--web.enable-lifecycle", "--log.level=info"]);
    let daemon = Exporter::spawn(&mut command);
    let red = r#"wazzup_unanswered_messages{account="acme",user="1",type="red"}"#;
    daemon.until("figures", |samples| samples.contains_key(red)).await;
    // One account fails, so that lines have one order; it is always broken in one way before it is in
    // no other.
    scene.api.add_fault("status=500,account=acme".parse().unwrap());
    daemon.until_logged("server_error").await;
    scene.api.set_access("acme", Access::Forbidden).unwrap();
    scene.api.clear_faults();
    daemon.until_logged("forbidden").await;
    scene.api.set_access("acme", Access::Normal).unwrap();
    daemon.until_logged("the account can be read again").await;
    for yaml in ["accounts: 7\n".to_owned(), good.replace("200ms", "300ms")] {
        scene.write("config.yaml", &yaml);
        let answer = client().post(format!("http://{}/-/reload", daemon.address)).send();
        guard("the reload", answer).await.unwrap();
    }
    scene.write("config.yaml", &good);
    daemon.signal(Signal::HUP);
    // The last line of what a reload has to say, after the start and two reloads.
    let last = "holds a token itself";
    until("the reload", &[&daemon.process], async || {
        let count = daemon.log().matches(last).count();
        if count == 3 { Ok(()) } else { Err(format!("it stands there {count} times")) }
    })
    .await;
    reset(&daemon).await;
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    let known = [(scene.folder.path().to_str().unwrap(), "DIR"), (&*scene.url, "http://SIMULATOR")];
    mask(&log, &known).replace(TOKEN, "(a secret)")
}

/// One is refused, one is rehearsed, one is carried out.
async fn reset(daemon: &Exporter) {
    let address = daemon.until_admin().await;
    for (token, body) in [
        ("wrong", String::new()),
        (TOKEN, r#"{"confirm":"11111111"}"#.to_owned()),
        (TOKEN, format!(r#"{{"confirm":"{ID}","dry_run":true}}"#)),
        (TOKEN, format!(r#"{{"confirm":"{ID}"}}"#)),
    ] {
        let request = client().post(format!("http://{address}/api/v1/admin/accounts/acme/reset"));
        let request =
            request.header("x-reset-token", token).header("content-type", "application/json");
        guard("an answer", request.body(body).send()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_both_formats() {
    for format in ["logfmt", "json"] {
        check(&format!("logs/life.{format}.txt"), &log_of_a_life(format).await);
    }
}

/// What is logged of an account's tokens: a renewal that fails while the earlier token is good, a refresh token that
/// is refused, the login that is needed then, and renewals.
#[tokio::test(flavor = "multi_thread")]
async fn of_tokens() {
    // Renewed after 11 to 14 seconds, which leaves time for a second attempt.
    let scene = partners::Scene::new(main_partner(16), vec![label("acme", 0, 1)]).await;
    let mut command = program();
    command.arg(config_flag(&scene.config_file("interval: 200ms, timeout: 5s")));
    command.arg(format!("--storage.path={}", scene.path("data").display()));
    let daemon = Exporter::spawn(command.arg("--log.level=debug"));
    daemon.until_logged("renewed the token").await;
    scene.api.add_fault("status=503,endpoint=refresh".parse().unwrap());
    daemon.until_logged("the old one is still good").await;
    scene.api.clear_faults();
    daemon.until_logged("the token can be renewed again").await;
    scene.api.revoke_tokens("acme").unwrap();
    daemon.until_logged("login_needed").await;
    scene.log_in(0, "acme").await;
    daemon.until_logged("the account can be read again").await;
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    let shown = |line: &&str| !line.contains("level=DEBUG") || line.contains("renewed the token");
    let about = log.lines().filter(|line| line.contains("account=acme")).filter(shown);
    let mut lines: Vec<String> = about.map(|line| mask(line, &[]) + "\n").collect();
    // A slow machine may renew once more.
    lines.dedup();
    check("logs/tokens.logfmt.txt", &lines.concat());
}
