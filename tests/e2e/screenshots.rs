//! The pictures in the documentation: the page of the demo, taken by `make screenshots`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::browser::Browser;
use super::support::exporter::Exporter;
use super::support::http::client;
use super::support::process::run;

/// Points of the charts that the demo should have before its picture is taken, one a second.
const POINTS: usize = 170;
/// Longest time to wait for them.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Largest picture, in bytes.
const SIZE_MAX: usize = 200_000;

/// Accounts in a picture that is as high as they need.
const ACCOUNTS: usize = 3;

/// Name, width and least height in the browser's units, colour scheme, whether it is a phone, whose
/// picture is only that high.
const PICTURES: [(&str, u32, u32, &str, bool); 3] = [
    ("status-light", 1120, 800, "light", false),
    ("status-dark", 1120, 800, "dark", false),
    ("status-phone", 390, 844, "light", true),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and changes files of the repository"]
async fn screenshots() {
    let demo = Exporter::start(&["demo"]);
    let site = demo.address;
    let charts = timeout(TIMEOUT, async {
        while points(&format!("http://{site}/api/v1/status")).await < POINTS {
            sleep(Duration::from_secs(1)).await;
        }
    });
    charts.await.unwrap();
    let browser = Browser::start().await;
    for (name, width, height, scheme, mobile) in PICTURES {
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.send_devtools("Emulation.setEmulatedMedia", scheme).await;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": mobile});
        browser.send_devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        browser.open(&format!("http://{site}/")).await;
        let end = format!("return document.querySelectorAll('section')[{ACCOUNTS}].offsetTop");
        let height = if mobile { height.into() } else { browser.run(&end).await };
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let whole = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = browser.send_devtools("Page.captureScreenshot", whole).await;
        keep(name, shot["data"].as_str().unwrap(), SIZE_MAX);
    }
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// Points in the shortest of the charts that have any.
async fn points(url: &str) -> usize {
    let answer = client().get(url).send().await.unwrap().text().await.unwrap();
    let status: Value = serde_json::from_str(&answer).unwrap();
    let known = |account: &Value| {
        let red = account["history"]["red"].as_array().cloned().unwrap_or_default();
        red.iter().filter(|red| !red.is_null()).count()
    };
    let accounts = status["accounts"].as_array().unwrap().iter();
    accounts.map(known).filter(|points| *points > 0).min().unwrap_or_default()
}

/// Writes a picture that is in base64 to `docs/img`, in fewer colours.
pub(crate) fn keep(name: &str, picture: &str, size_max: usize) {
    let png = small(&decode(picture));
    assert!(png.len() < size_max, "{name}: {} bytes", png.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/img");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name).with_extension("png"), png).unwrap();
}

/// The same picture in fewer colours.
fn small(png: &[u8]) -> Vec<u8> {
    let mut command = Command::new("pngquant");
    let output = run("pngquant", command.args(["--quality=60-95", "--speed=1", "-"]), png);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Reads base64.
fn decode(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{letter} is not base64"),
    };
    let letters: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
    let bytes = letters.chunks(4).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, value| bits << 6 | u32::from(*value));
        let bits = bits << (6 * (4 - group.len()) + 8);
        bits.to_be_bytes().into_iter().take(group.len() * 3 / 4)
    });
    bytes.collect()
}
