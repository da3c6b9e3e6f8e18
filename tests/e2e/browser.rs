//! A headless Chromium, driven over the protocol `WebDriver`.
//!
//! The protocol is JSON over HTTP, and a few of its commands are all that is needed here; a crate for
//! it would cost more to build than these lines to read.

use std::fs::File;
use std::process::Command;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::http::client;
use super::support::process::Process;
use super::support::wait::{guard, until};

/// What `WebDriver` calls the property of an object that refers to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab.
pub(crate) struct Browser {
    driver: Process,
    /// The address of its session.
    session: String,
    chromium: Option<Pid>,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The driver writes its port to standard output.
        let log_file = folder.path().join("driver.log");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(File::create(&log_file).unwrap());
        let driver = Process::start_with_stdout("chromedriver", &mut command);
        let port: u16 = until("the driver's port", &[&driver], async || {
            let log = std::fs::read_to_string(&log_file).map_err(|error| error.to_string())?;
            let (_, rest) = log.split_once("successfully on port ").ok_or("no port is logged")?;
            let (port, _) = rest.split_once('.').ok_or("half a line")?;
            port.parse().map_err(|error| format!("{port}: {error}"))
        })
        .await;
        let profile = folder.path().join("profile");
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": [
                "--headless=new",
                // Only pages of the test are opened, and root has no sandbox.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
                format!("--user-data-dir={}", profile.display()),
            ]},
        }}});
        let url = format!("http://127.0.0.1:{port}/session");
        let mut browser =
            Self { driver, session: url, chromium: None, client: client(), _folder: folder };
        let session = browser.order(Method::POST, "", &capabilities).await.unwrap();
        let chromium = session["capabilities"]["goog:processID"].as_i64().unwrap();
        browser.chromium = Pid::from_raw(chromium as i32);
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().unwrap());
        browser
    }

    /// Sends a command; the error is what the driver says.
    async fn order(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let mut request = self.client.request(method.clone(), url);
        if method == Method::POST {
            request = request.body(body.to_string());
        }
        let answer = guard(format!("the browser to do {path}"), async {
            request.send().await.unwrap().text().await.unwrap()
        });
        let mut answer: Value = serde_json::from_str(&answer.await).unwrap();
        match answer["value"].take() {
            Value::Object(value) if value.contains_key("error") => {
                Err(format!("{path}: {}", Value::Object(value)))
            }
            value => Ok(value),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.order(Method::POST, path, body).await.unwrap()
    }

    /// Opens an address and waits until the page is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await;
    }

    /// Runs a function's body in the page and takes what it returns.
    pub(crate) async fn run(&self, body: &str) -> Value {
        self.post("/execute/sync", &json!({"script": body, "args": []})).await
    }

    /// Runs a function's body until it returns something that fits.
    pub(crate) async fn until(
        &self,
        what: &str,
        processes: &[&Process],
        body: &str,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> Value {
        let all: Vec<_> = processes.iter().copied().chain([&self.driver]).collect();
        until(what, &all, async || {
            let got = self.run(body).await;
            if fits(&got) { Ok(got) } else { Err(format!("{got:#}")) }
        })
        .await
    }

    /// Types into the element that a selector finds, key by key.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let found = json!({"using": "css selector", "value": selector});
        let element = self.post("/element", &found).await;
        let id = element[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{id}/value"), &json!({"text": text})).await;
    }

    /// Sends a command of the browser's debugging protocol.
    pub(crate) async fn send_devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// What the console holds: errors of scripts, violations of the content security policy, what
    /// could not be loaded.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for something in the console.
    pub(crate) async fn first_complaint(&self) -> String {
        until("a complaint", &[&self.driver], async || {
            self.complaints().await.pop().ok_or_else(|| "the console is empty".to_owned())
        })
        .await
    }

    /// Whether a dialog is open, as `alert` opens one.
    pub(crate) async fn has_dialog(&self) -> bool {
        self.order(Method::GET, "/alert/text", &Value::Null).await.is_ok()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver would leave it running.
        if let Some(chromium) = self.chromium {
            let _ = kill_process(chromium, Signal::KILL);
        }
    }
}
