//! What people read: the example's messages in Telegram, in Slack and by mail, as a running Alertmanager renders and
//! sends them.

use regex::{Captures, Regex};
use serde_json::{Value as Json, json};

use super::alertmanager::{Alertmanager, example, labels};
use super::receiver::Receiver;
use crate::support::wait::until;

/// What Telegram takes in one message.
const TELEGRAM: usize = 4096;
const MANAGERS: usize = 60;
const DESCRIPTION: &str = "Customers have waited for replies for half an hour of working time. Ask whether help is \
                           needed, or let a colleague take over.";

/// Users of an account with an alert of this name, each with a summary as long as a real one.
fn backlog(alert: &str, users: std::ops::Range<usize>) -> Json {
    let one = |user: usize| {
        let mut labels = labels(alert, "backlog", "acme", &user.to_string());
        labels["team"] = "sales".into();
        json!({"labels": labels, "annotations": {
            "summary": format!("{} (acme, sales): 17 red, above zero for 1h 34m 0s", name(user)),
            "description": DESCRIPTION,
            "runbook_url": format!("https://runbooks.example.com/wazzup-exporter/{alert}.md"),
        }})
    };
    users.map(one).collect()
}

fn name(user: usize) -> String {
    format!("Константин Ивановский {user}")
}

fn ended(mut alerts: Json) -> Json {
    for one in alerts.as_array_mut().unwrap() {
        one["startsAt"] = "2020-01-01T00:00:00Z".into();
        one["endsAt"] = "2020-01-01T01:00:00Z".into();
    }
    alerts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_telegram_holds_sixty_managers_and_begins_with_what_is_over() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    alertmanager.hand(&backlog("WazzupRedTooLong", 0..MANAGERS)).await;
    let text = until("all of them in one message", &[&alertmanager.process], async || {
        let texts = receiver.chat();
        let last = texts.last().ok_or("none")?;
        let named = (0..MANAGERS).filter(|&user| last.contains(&format!("{} (", name(user))));
        if named.count() == MANAGERS { Ok(last.clone()) } else { Err(last.clone()) }
    })
    .await;
    assert!(text.chars().count() <= TELEGRAM, "{}", text.chars().count());
    assert_eq!(text.matches(DESCRIPTION).count(), 1, "{text}");
    assert_eq!(text.matches("WazzupRedTooLong.md").count(), 1, "{text}");

    alertmanager.hand(&ended(backlog("WazzupRedTooLong", 0..2))).await;
    until("the end of two", &[&alertmanager.process], async || {
        let texts = receiver.chat();
        let last = texts.last().ok_or("none")?;
        let lines: Vec<_> = last.lines().take(3).collect();
        let over = |user| format!("✓ over: {} (acme, sales): 17 red, 1h 34m", name(user));
        if lines.get(..2) != Some(&[over(0), over(1)].each_ref().map(String::as_str)) {
            return Err(last.clone());
        }
        assert!(lines[2].starts_with("• "), "{last}");
        assert!(last.chars().count() <= TELEGRAM, "{last}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_reads_the_subject_and_each_kind_with_its_description_once() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let alert = |name: &str, user: &str, summary: &str| {
        let mut labels = labels(name, "backlog", "acme", user);
        labels["team"] = "support".into();
        labels["severity"] = "critical".into();
        json!({"labels": labels, "annotations": {
            "summary": summary,
            "description": format!("Do {name}."),
            "runbook_url": "https://runbooks.example.com/x.md",
        }})
    };
    alertmanager
        .hand(&json!([
            alert("WazzupRedPastTarget", "1", "Анна <&\"> (acme, support): 7 red"),
            alert("WazzupRedPastTarget", "2", "Борис (acme, support): 8 red"),
            alert("WazzupRedTooMany", "2", "Борис (acme, support): 8 red"),
        ]))
        .await;
    until("a message in Slack", &[&alertmanager.process], async || {
        let bodies = receiver.bodies("/slack");
        let attachment = &bodies.last().ok_or("none")?["attachments"][0];
        let text = "❗ Анна <&\"> (acme, support): 7 red\n❗ Борис (acme, support): 8 red\n  Do WazzupRedPastTarget.\n  \
                    https://runbooks.example.com/x.md\n❗ Борис (acme, support): 8 red\n  Do WazzupRedTooMany.\n  \
                    https://runbooks.example.com/x.md";
        let (title, told) = (&attachment["title"], attachment["text"].as_str().unwrap().trim_end());
        let expected = "[critical] acme: WazzupRedPastTarget, WazzupRedTooMany (3)";
        if title == expected && told == text { Ok(()) } else { Err(attachment.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_alert_and_severity_in_its_subject() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let mut labels = labels("WazzupAccountFailing", "account", "acme", "");
    labels["severity"] = "critical".into();
    let alert = |ends: Option<&str>| {
        let mut one = json!({"labels": labels, "annotations": {
            "summary": "Nobody of acme can be read: unauthorized",
            "description": "Get a new token.",
            "runbook_url": "https://runbooks.example.com/x.md",
        }});
        if let Some(ends) = ends {
            one["startsAt"] = ends.into();
            one["endsAt"] = ends.into();
        }
        json!([one])
    };
    let mail = async |subject: &str| {
        until(subject, &[&alertmanager.process], async || {
            let mails = receiver.mails();
            let subject = format!("Subject: {subject}\r\n");
            let found = mails.iter().find(|mail| mail.contains(&subject)).cloned();
            found.ok_or_else(|| format!("{mails:#?}"))
        })
        .await
    };
    alertmanager.hand(&alert(None)).await;
    let told = plain(&mail("[critical] acme: WazzupAccountFailing (1)").await);
    let text = "❗ Nobody of acme can be read: unauthorized\n  Get a new token.\n  https://runbooks.example.com/x.md";
    assert!(told.contains("To: operators@example.com") && told.contains(text), "{told}");
    alertmanager.hand(&alert(Some("2020-01-01T00:00:00Z"))).await;
    let told = plain(&mail("[over] acme: WazzupAccountFailing").await);
    assert!(told.contains("✓ over: Nobody of acme can be read: unauthorized"), "{told}");
}

/// A mail without the encoding of its lines, quoted-printable.
fn plain(mail: &str) -> String {
    let joined = mail.replace("\r\n", "\n").replace("=\n", "");
    let bytes = Regex::new("(?:=[0-9A-F]{2})+").unwrap();
    let decode = |found: &Captures<'_>| {
        let codes = found[0].split('=').skip(1);
        let bytes: Vec<u8> = codes.map(|code| u8::from_str_radix(code, 16).unwrap()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    bytes.replace_all(&joined, decode).into_owned()
}

/// `nights` made to last all day, so that it is night.
#[tokio::test(flavor = "multi_thread")]
async fn at_night_nobody_is_called_whatever_the_team() {
    let receiver = Receiver::start().await;
    let night = r#"- {start_time: "18:00", end_time: "24:00"}"#;
    assert!(example().contains(night));
    let yaml = example().replace(night, r#"- {start_time: "00:00", end_time: "24:00"}"#);
    let alertmanager = Alertmanager::start_with(&yaml, &receiver).await;
    let alert = |account: &str, team: &str| {
        let mut labels = labels("WazzupRedTooLong", "backlog", account, "1");
        labels["team"] = team.into();
        json!({"labels": labels})
    };
    let handed: Vec<_> = ["uyut-mebel", "acme"]
        .iter()
        .flat_map(|account| ["support", "sales"].map(|team| alert(account, team)))
        .collect();
    alertmanager.hand(&handed.into()).await;
    // Every group is sent again and again: by the time that the others were, the muted ones would have been, too.
    until("messages about the other account", &[&alertmanager.process], async || {
        let told = receiver.told();
        let often = |name: &str| {
            told.iter().filter(|one| one.receiver == name && one.account == "acme").count()
        };
        let both = (often("support-leads"), often("team-leads"));
        if both.0 >= 3 && both.1 >= 3 { Ok(()) } else { Err(format!("{both:?}")) }
    })
    .await;
    let told = receiver.told();
    let called: Vec<_> = told.iter().filter(|one| one.account == "uyut-mebel").collect();
    assert!(called.is_empty(), "{called:?}");
}
