//! The log of a life: start, an outage and its end, reloads, a reset, the end.

use rustix::process::Signal;
use wazzup_exporter::simulator::Access;

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
