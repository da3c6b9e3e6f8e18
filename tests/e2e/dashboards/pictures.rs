//! The pictures of the dashboards in the documentation, drawn by `make dashboard-pictures`.
//!
//! `grafana/pictures/record.py` has recorded simulated days by then; see there and docs/dashboards.md.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::grafana::dashboard;
use super::queries::demo;
use crate::browser::Browser;
use crate::prometheus::Prometheus;
use crate::screenshots::keep;
use crate::support::process::run;

/// Largest picture, in bytes.
const SIZE_MAX: usize = 600_000;
/// Width of the window, in the browser's units, and how many pixels each is.
const WIDTH: u32 = 1440;
const SCALE: f64 = 1.5;
/// For how long the demo runs before its exporter's health is drawn.
const RUN: Duration = Duration::from_mins(15);
/// A quarter past four in Almaty, on the last of the recorded days.
const NOW: i64 = 1_795_518_900;
const WEEK: i64 = 7 * 86_400;
/// How long a recorded span is at least.
const LENGTH: i64 = 30 * 3_600;
const BLOCKS: [&str; 2] = ["tsdb", "create-blocks-from"];
/// Midnight before.
const MIDNIGHT: i64 = 1_795_460_400;

/// A picture: the file, the dashboard, and what a person has chosen there.
struct Picture {
    file: &'static str,
    dashboard: &'static str,
    from: i64,
    to: i64,
    /// Seconds between two samples.
    scrape: u32,
    span: &'static str,
    theme: &'static str,
    chosen: Value,
    /// What is shown for a chosen value that does not speak for itself.
    texts: Value,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what record.py has written, and changes files of the repository"]
async fn pictures_of_recorded_days() {
    let recorded = std::env::var("RECORDED").expect("the folder that record.py has written");
    let days = blocks(Path::new(&recorded));
    // What rules record is evaluated over the same days, and put beside them.
    record(&Prometheus::holding(blocks(Path::new(&recorded))).await, days.path());
    let days = Prometheus::holding(days).await;
    let browser = Browser::start().await;
    let team = Picture {
        file: "dashboard-team",
        dashboard: "team-backlog",
        from: NOW - 24 * 3_600,
        to: NOW,
        scrape: 60,
        span: "Last 24 hours",
        theme: "dark",
        chosen: json!({}),
        texts: json!({}),
    };
    team.draw(&browser, &days).await;
    let manager = Picture {
        file: "dashboard-manager",
        dashboard: "manager",
        from: MIDNIGHT,
        span: "Today so far",
        theme: "light",
        chosen: json!({"account": "nomad-travel", "user": "102"}),
        texts: json!({"user": "Данияр Ахметов"}),
        ..team
    };
    manager.draw(&browser, &days).await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// The recorded days, as Prometheus keeps them.
fn blocks(recorded: &Path) -> TempDir {
    let days = tempfile::tempdir().unwrap();
    for span in ["0", "1"] {
        let file = recorded.join(span).join("recorded.om");
        create_blocks(
            Command::new("promtool").args(BLOCKS).arg("openmetrics").args([&file, days.path()]),
        );
    }
    days
}

/// Evaluates `grafana/pictures/rules.yaml` over the recorded days, into this folder.
fn record(days: &Prometheus, folder: &Path) {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/pictures/rules.yaml");
    for end in [NOW - WEEK, NOW] {
        let mut promtool = Command::new("promtool");
        promtool.args(BLOCKS).args(["rules", "--eval-interval=60s", rules]);
        promtool
            .arg(format!("--url={}", days.url()))
            .arg(format!("--output-dir={}", folder.display()));
        promtool.arg(format!("--start={}", end - LENGTH)).arg(format!("--end={end}"));
        create_blocks(&mut promtool);
    }
}

fn create_blocks(promtool: &mut Command) {
    let made = run("promtool", promtool, b"");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour and changes files of the repository"]
async fn picture_of_the_exporters_health() {
    let (_exporter, prometheus) = demo().await;
    sleep(RUN).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let health = Picture {
        file: "dashboard-health",
        dashboard: "exporter-health",
        from: now - RUN.as_secs() as i64,
        to: now,
        scrape: 5,
        span: "Last 15 minutes",
        theme: "dark",
        chosen: json!({}),
        texts: json!({}),
    };
    let browser = Browser::start().await;
    health.draw(&browser, &prometheus).await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

impl Picture {
    async fn draw(&self, browser: &Browser, prometheus: &Prometheus) {
        browser
            .send_devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "Asia/Almaty"}))
            .await;
        let metrics =
            json!({"width": WIDTH, "height": 1_000, "deviceScaleFactor": SCALE, "mobile": false});
        browser.send_devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let page = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/grafana/pictures/draw.html");
        browser.open(page).await;
        let how = json!({
            "prometheus": prometheus.url().as_str(),
            "scrape": self.scrape,
            "from": self.from,
            "to": self.to,
            "span": self.span,
            "theme": self.theme,
            "zone": "Asia/Almaty",
            "chosen": self.chosen,
            "texts": self.texts,
        });
        let height =
            browser.run(&format!("return draw({}, {how})", dashboard(self.dashboard))).await;
        let clip = json!({"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1});
        let whole = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = browser.send_devtools("Page.captureScreenshot", whole).await;
        keep(self.file, shot["data"].as_str().unwrap(), SIZE_MAX);
    }
}
