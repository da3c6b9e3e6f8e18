//! What a kill in the middle of a reset can and cannot do.
//!
//! The program is killed (SIGKILL) at random moments from the request to its answer, `CRASHES` times;
//! `make crash-test` does it a hundred times. Upstream counts what reaches it, and the disk is what a
//! restarted program finds.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::reset::{ID, Scene, TOKEN, audit, body};
use super::support::exporter::{Exporter, config_flag};
use super::support::http::client;
use super::support::samples::{Samples, value};
use super::support::wait::{guard, random_below};

/// How often the program is killed unless `CRASHES` says otherwise.
const CRASHES: u32 = 15;

/// The program with an admin listener, and where that is.
struct Running {
    process: Exporter,
    admin: SocketAddr,
}

impl Running {
    async fn start(scene: &Scene) -> Self {
        let flags = [
            config_flag(&scene.path("config.yaml")),
            format!("--storage.path={}", scene.path("data").display()),
            "--web.enable-admin-api".to_owned(),
            "--web.admin-listen-address=127.0.0.1:0".to_owned(),
        ];
        let process = Exporter::start(&flags.each_ref().map(String::as_str));
        let admin = process.until_admin().await;
        Self { process, admin }
    }

    /// The code of the answer to a reset; nothing if there is none.
    fn ask(&self) -> impl Future<Output = Option<String>> + use<> {
        let url = format!("http://{}/api/v1/admin/accounts/acme/reset", self.admin);
        let request = client().post(url).header("x-reset-token", TOKEN);
        let request = request.header("content-type", "application/json").body(body().to_string());
        async move {
            let answer = request.send().await.ok()?.text().await.ok()?;
            let body: Value = serde_json::from_str(&answer).ok()?;
            Some(body["code"].as_str()?.to_owned())
        }
    }
}

fn fill(scene: &Scene) {
    scene.api.set("acme", "1", 600, "red").unwrap();
    scene.api.set("acme", "2", 300, "grey").unwrap();
    let _ = std::fs::remove_dir_all(scene.path("data"));
}

#[tokio::test]
async fn a_kill_never_sends_twice_nor_without_a_record_nor_opens_the_cooldown() {
    let crashes = std::env::var("CRASHES").map_or(CRASHES, |crashes| crashes.parse().unwrap());
    let scene = Scene::new().await;
    scene.write("config.yaml", &scene.yaml("interval: 1h, timeout: 10s, stale_after: 3h", ""));
    // Long enough for kills while the answer is on its way.
    scene.api.add_fault("late=5ms..30ms,endpoint=reset".parse().unwrap());
    let whole = {
        let running = Running::start(&scene).await;
        let began = Instant::now();
        let code = guard("a whole reset", running.ask()).await;
        assert_eq!(code.as_deref(), Some("cleared"));
        began.elapsed()
    };
    let (mut sent, mut recorded, mut unknown) = (0, 0, 0);
    for crash in 0..crashes {
        fill(&scene);
        let before = scene.deletes();
        let running = Running::start(&scene).await;
        let asked = tokio::spawn(running.ask());
        tokio::time::sleep(random_below(whole)).await;
        running.process.signal(Signal::KILL);
        running.process.end();
        guard("the end of the call", asked).await.unwrap();
        let record = audit_if_any(&scene);
        let of_kind = |kind: &str| record.iter().filter(|line| line["kind"] == kind).count();
        let (intents, outcomes) = (of_kind("intent"), of_kind("outcome"));
        assert!(intents <= 1 && outcomes <= intents, "crash {crash}: {record:?}");

        let running = Running::start(&scene).await;
        let code = guard("the second call", running.ask()).await.unwrap();
        let now = scene.deletes() - before;
        if intents == 1 {
            assert_eq!(code, "cooldown", "crash {crash}: {record:?}");
            assert!(now <= 1, "crash {crash}: one call was sent {now} times");
            let shown = |samples: &Samples| {
                value(samples, r#"wazzup_reset_refusals_total{account="acme",code="cooldown"}"#)
                    .is_some()
            };
            let samples = running.process.until("the account", shown).await;
            let series = r#"wazzup_reset_unresolved{account="acme"}"#;
            let unresolved = f64::from(outcomes == 0);
            if value(&samples, series) != Some(unresolved) {
                let known = |samples: &Samples| value(samples, series) == Some(unresolved);
                running.process.until("what is known of the reset", known).await;
            }
        } else {
            // Nothing was sent, so the second call may be the only one that is.
            let later = u64::from(code == "cleared");
            assert_eq!(now, later, "crash {crash}: sent without a record, {code}");
        }
        sent += u64::from(intents == 1 && now == 1);
        recorded += intents;
        unknown += usize::from(intents == 1 && outcomes == 0);
    }
    println!(
        "{crashes} kills within {whole:?}: {recorded} after the record, of which {sent} had been \
         sent; {unknown} with an unknown outcome"
    );
}

/// The log without a line that was torn.
fn audit_if_any(scene: &Scene) -> Vec<Value> {
    let file = scene.path(&format!("data/id.{ID}/reset-audit.jsonl"));
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.is_empty() && !text.ends_with('\n') => {
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines.collect()
        }
        _ => audit(&scene.path("data")),
    }
}
