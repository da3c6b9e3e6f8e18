//! The example for Alertmanager: that it is one, whom it sends what, and a running Alertmanager with it.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value as Json, json};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;
use url::Url;

use super::receiver::Receiver;
use super::{deploy, shortened};
use crate::support::http::client;
use crate::support::process::{Process, peer, run};
use crate::support::wait::until;

/// How many ports are tried: one that was free may be taken a moment later.
const PORTS: usize = 5;

fn amtool() -> Command {
    Command::new(peer("AMTOOL", "amtool"))
}

pub(super) fn example() -> String {
    std::fs::read_to_string(deploy().join("alertmanager/alertmanager.yaml")).unwrap()
}

/// The example in a folder with its templates. Debian's Alertmanager, 0.25, has no `bot_token_file` yet.
fn example_folder(yaml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::copy(
        deploy().join("alertmanager/templates/wazzup.tmpl"),
        templates.join("wazzup.tmpl"),
    )
    .unwrap();
    std::fs::write(folder.path().join("alertmanager.yaml"), yaml).unwrap();
    folder
}

fn without_token_file() -> String {
    let file = "bot_token_file: /etc/alertmanager/secrets/telegram-bot-token";
    let yaml = example();
    assert!(yaml.contains(file));
    yaml.replace(file, "bot_token: '123:abc'")
}

#[test]
fn amtool_finds_no_fault_in_the_example() {
    let folder = example_folder(&without_token_file());
    let file = folder.path().join("alertmanager.yaml");
    let output = run("amtool", amtool().arg("check-config").arg(file), b"");
    let told = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out)).concat();
    assert!(output.status.success() && told.contains("1 templates"), "{told}");
    // As it is, where it is understood.
    let version = run("amtool", amtool().arg("--version"), b"");
    let version = [version.stdout, version.stderr].concat();
    if !String::from_utf8_lossy(&version).contains("version 0.25") {
        let file = deploy().join("alertmanager/alertmanager.yaml");
        let output = run("amtool", amtool().arg("check-config").arg(file), b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn alerts_go_to_those_whom_they_concern() {
    let folder = example_folder(&without_token_file());
    let file = folder.path().join("alertmanager.yaml");
    let cases = [
        ("area=backlog account=acme team=sales severity=warning", "team-leads"),
        ("area=backlog account=acme severity=critical", "team-leads"),
        ("area=backlog account=acme team=support", "support-leads"),
        ("area=backlog account=uyut-mebel", "team-leads"),
        ("area=backlog account=uyut-mebel team=support", "support-leads"),
        ("area=trust account=acme", "operators"),
        ("area=account account=acme", "operators"),
        ("area=account account=acme severity=info", "operators-chat"),
        ("area=exporter job=wazzup", "operators"),
    ];
    for (labels, receiver) in cases {
        let mut asked = amtool();
        asked.args(["config", "routes", "test"]).arg(format!("--config.file={}", file.display()));
        let output = run("amtool", asked.args(labels.split(' ')), b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), receiver, "{labels}");
    }
}

/// The example with a webhook for each receiver, named after it, and with Telegram, Slack and the mail server
/// played by the test.
fn with_receivers(yaml: &str, receiver: &Receiver) -> String {
    let mut yaml: Value = serde_yaml::from_str(&shortened(yaml)).unwrap();
    let base = format!("http://{}", receiver.address);
    yaml["global"]["smtp_smarthost"] = receiver.mail_server.to_string().into();
    yaml["global"]["smtp_require_tls"] = false.into();
    for one in yaml["receivers"].as_sequence_mut().unwrap() {
        let name = one["name"].as_str().unwrap().to_owned();
        let one = one.as_mapping_mut().unwrap();
        for telegram in sequence(one, "telegram_configs") {
            telegram.remove("bot_token_file");
            telegram.insert("bot_token".into(), "123:abc".into());
            telegram.insert("api_url".into(), base.clone().into());
        }
        for slack in sequence(one, "slack_configs") {
            slack.insert("api_url".into(), format!("{base}/slack").into());
        }
        let hook = format!("- {{url: '{base}/hook/{name}', send_resolved: true}}");
        one.insert("webhook_configs".into(), serde_yaml::from_str(&hook).unwrap());
    }
    serde_yaml::to_string(&yaml).unwrap()
}

fn sequence<'a>(mapping: &'a mut Mapping, key: &str) -> impl Iterator<Item = &'a mut Mapping> {
    let sequence = mapping.get_mut(key).and_then(Value::as_sequence_mut);
    sequence.into_iter().flatten().filter_map(Value::as_mapping_mut)
}

/// A running Alertmanager with the example.
pub(super) struct Alertmanager {
    pub(super) process: Process,
    url: Url,
    _folder: TempDir,
}

impl Alertmanager {
    pub(super) async fn start(receiver: &Receiver) -> Self {
        Self::start_with(&example(), receiver).await
    }

    /// With this in place of the example.
    pub(super) async fn start_with(yaml: &str, receiver: &Receiver) -> Self {
        let folder = example_folder(&with_receivers(yaml, receiver));
        let mut last = String::new();
        for _ in 0..PORTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(peer("ALERTMANAGER", "prometheus-alertmanager"));
            command
                .arg(format!("--config.file={}", folder.path().join("alertmanager.yaml").display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--cluster.listen-address=");
            let process = Process::start("alertmanager", &mut command);
            let url: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
            let ready = until("alertmanager to be ready", &[], async || {
                if process.ended().is_some() {
                    return Ok(false);
                }
                let answer = client().get(url.join("-/ready").unwrap()).send().await;
                answer.map(|answer| answer.status().is_success()).map_err(|why| why.to_string())
            });
            if ready.await && process.ended().is_none() {
                return Self { process, url, _folder: folder };
            }
            last = process.log();
        }
        panic!("alertmanager does not start:\n{last}");
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.url.port().unwrap())
    }

    /// Hands it alerts, as Prometheus does.
    pub(super) async fn hand(&self, alerts: &Json) {
        let post = client().post(self.url.join("api/v2/alerts").unwrap());
        let post = post.header("content-type", "application/json").body(alerts.to_string());
        let answer = post.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
    }

    /// The labels of its alerts, each with whether it is inhibited by another.
    pub(super) async fn alerts(&self) -> Result<Vec<(Json, bool)>, String> {
        let answer = client().get(self.url.join("api/v2/alerts").unwrap()).send().await;
        let text = answer.map_err(|why| why.to_string())?.text().await;
        let alerts: Json = serde_json::from_str(&text.map_err(|why| why.to_string())?)
            .map_err(|why| why.to_string())?;
        let alerts = alerts.as_array().ok_or("no list")?.iter();
        let inhibited =
            |one: &Json| one["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
        Ok(alerts.map(|one| (one["labels"].clone(), inhibited(one))).collect())
    }
}

/// Alert, area, account, user, and whether it has to be inhibited by those beside it.
const TOGETHER: [(&str, &str, &str, &str, bool); 14] = [
    ("WazzupTargetDown", "exporter", "", "", false),
    // Silent itself, it silences its users.
    ("WazzupAccountVanished", "account", "lost", "", true),
    ("WazzupRedTooLong", "backlog", "lost", "1", true),
    ("WazzupAccountFailing", "account", "acme", "", false),
    ("WazzupRedTooMany", "backlog", "acme", "1", true),
    ("WazzupChannelDown", "trust", "acme", "", true),
    ("WazzupThrottled", "account", "acme", "", true),
    ("WazzupRedTooLong", "backlog", "other", "1", false),
    ("WazzupRedPastTarget", "backlog", "other", "2", false),
    ("WazzupRedTooLong", "backlog", "other", "2", true),
    ("WazzupReadingStale", "trust", "other", "3", false),
    ("WazzupRedGrowing", "backlog", "other", "3", true),
    ("WazzupCounterUntrusted", "trust", "other", "4", false),
    ("WazzupRedTooMany", "backlog", "other", "4", true),
];

pub(super) fn labels(alert: &str, area: &str, account: &str, user: &str) -> Json {
    let labels = [("alertname", alert), ("area", area), ("account", account), ("user", user)];
    let labels = labels.into_iter().chain([("job", "wazzup"), ("severity", "warning")]);
    labels
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Json::from(value)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_is_told_as_neither_firing_nor_over() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let hand = |ends: Option<&'static str>| {
        let alerts = TOGETHER.iter().filter(|one| ends.is_none() || one.1 == "backlog" && one.4);
        let alerts = alerts.map(|(alert, area, account, user, _)| {
            let mut one = json!({"labels": labels(alert, area, account, user)});
            if let Some(ends) = ends {
                one["startsAt"] = ends.into();
                one["endsAt"] = ends.into();
            }
            one
        });
        alerts.collect::<Json>()
    };
    alertmanager.hand(&hand(None)).await;
    until("all alerts to be judged", &[&alertmanager.process], async || {
        let found = alertmanager.alerts().await?;
        for (alert, area, account, user, inhibited) in TOGETHER {
            let wanted = (labels(alert, area, account, user), inhibited);
            if !found.contains(&wanted) {
                return Err(format!("{wanted:?} is not in {found:#?}"));
            }
        }
        Ok(())
    })
    .await;
    // The figures go missing, so Prometheus says that these are over.
    alertmanager.hand(&hand(Some("2020-01-01T00:00:00Z"))).await;
    let before = receiver.told().len();
    until("more messages", &[&alertmanager.process], async || {
        let told = receiver.told();
        let of_other = told.get(before..).unwrap_or_default().iter();
        let often = of_other.filter(|one| one.alert == "WazzupRedPastTarget").count();
        if often >= 3 { Ok(()) } else { Err(format!("{often}")) }
    })
    .await;
    for told in receiver.told() {
        let of = (told.alert.as_str(), told.account.as_str());
        let inhibited = TOGETHER.iter().any(|one| (one.0, one.2) == of && one.4);
        let uninhibited = TOGETHER.iter().any(|one| (one.0, one.2) == of && !one.4);
        assert!(!inhibited || uninhibited && told.firing, "{told:?}");
    }
}

#[test]
fn what_is_repeated_is_repeated_before_it_is_forgotten() {
    // Alertmanager's own --data.retention, in hours.
    const RETENTION: u64 = 120;
    let yaml = example();
    let repeated = regex::Regex::new(r"repeat_interval: (\d+)([hd])\n").unwrap();
    let hours = repeated.captures_iter(&yaml).map(|found| {
        let number: u64 = found[1].parse().unwrap();
        if &found[2] == "d" { number * 24 } else { number }
    });
    let hours: Vec<_> = hours.collect();
    assert_eq!(hours.len(), yaml.matches("repeat_interval:").count());
    assert!(hours.iter().all(|&hours| hours < RETENTION), "{hours:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_many_accounts_is_one_alert() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let mut alerts = vec![("WazzupManyAccountsFailing", "account", "", "", false)];
    for account in ["acme", "globex"] {
        alerts.extend([
            ("WazzupAccountFailing", "account", account, "", true),
            ("WazzupAccountDown", "account", account, "", true),
            ("WazzupRedTooLong", "backlog", account, "1", true),
        ]);
    }
    let handed: Json = alerts
        .iter()
        .map(
            |(alert, area, account, user, _)| json!({"labels": labels(alert, area, account, user)}),
        )
        .collect();
    alertmanager.hand(&handed).await;
    until("all alerts to be judged", &[&alertmanager.process], async || {
        let found = alertmanager.alerts().await?;
        let wanted = alerts.iter().map(|&(alert, area, account, user, inhibited)| {
            (labels(alert, area, account, user), inhibited)
        });
        let missing: Vec<_> = wanted.filter(|one| !found.contains(one)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:#?}")) }
    })
    .await;
}
