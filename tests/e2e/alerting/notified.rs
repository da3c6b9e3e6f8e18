//! From a manager who stops answering to a message in a chat, with every part real but Wazzup24 and the
//! chat.

use serde_json::Value;
use wazzup_exporter::simulator::{
    Access, AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec,
};

use super::alertmanager::Alertmanager;
use super::prometheus_folder;
use super::receiver::{Receiver, Told};
use crate::prometheus::Prometheus;
use crate::support::exporter::Exporter;
use crate::support::process::Process;
use crate::support::upstream::serve;
use crate::support::wait::until;

/// Messages about an account that have to come without one about its users in between, to show that
/// there will be none. Without inhibition every second one would be about a user.
const IN_A_ROW: usize = 6;

struct Stage {
    api: Simulator,
    exporter: Exporter,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    receiver: Receiver,
}

impl Stage {
    /// Two accounts in which nobody owes anything.
    async fn set() -> Self {
        let user =
            |id, name| UserSpec::new(id, name, Role::SalesRep).team("sales").pinned(0, "red");
        let account = |name, id| {
            AccountSpec::new(name, id, &format!("token-of-{name}"))
                .user(user("1", "Anna \"Anya\" Ivanova <3"))
                .user(user("2", "Борис"))
        };
        let settings = Settings {
            accounts: vec![account("acme", "12345678"), account("globex", "87654321")],
            speed: 0.0,
            limit: RateLimit::UNLIMITED,
            ..Settings::default()
        };
        let (api, url) = serve(settings).await;
        let exporter = Exporter::polling(&api, &url, "interval: 200ms, stale_after: 2m");
        let receiver = Receiver::start().await;
        let alertmanager = Alertmanager::start(&receiver).await;
        let folder = prometheus_folder(exporter.address, &alertmanager.address(), "");
        let prometheus = Prometheus::configured(folder).await;
        Self { api, exporter, prometheus, alertmanager, receiver }
    }

    fn processes(&self) -> [&Process; 3] {
        [&self.exporter.process, &self.prometheus.process, &self.alertmanager.process]
    }

    /// Waits until a webhook was told something like that, from the `after`th alert it was told on.
    async fn told(&self, what: &str, after: usize, fits: impl Fn(&Told) -> bool) -> Told {
        until(what, &self.processes(), async || {
            let told = self.receiver.told();
            let found = told.get(after..).unwrap_or_default().iter().find(|one| fits(one)).cloned();
            found.ok_or_else(|| format!("{:#?}", told.last()))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_answering_is_told_by_name_and_figure_until_the_answer() {
    let stage = Stage::set().await;
    stage.api.set("acme", "1", 7, "red").unwrap();
    let told = stage.told("the alert", 0, |one| one.alert == "WazzupRedTooLong").await;
    assert!(told.firing, "{told:?}");
    assert_eq!((told.receiver.as_str(), told.account.as_str()), ("team-leads", "acme"));
    let start = "Anna \"Anya\" Ivanova <3 (acme, sales): 7 red, above zero for ";
    assert!(told.summary.starts_with(start), "{}", told.summary);
    let labels = serde_json::json!({
        "alertname": "WazzupRedTooLong", "account": "acme", "user": "1", "team": "sales",
        "severity": "warning", "area": "backlog",
    });
    assert_eq!(told.labels, labels);
    // The chat reads the same, as it is written.
    let chat = "the message in the chat";
    until(chat, &stage.processes(), async || {
        let texts = stage.receiver.chat();
        let first = texts.first().ok_or("none")?;
        assert!(first.starts_with(&format!("• {start}")), "{first}");
        assert!(first.contains("WazzupRedTooLong.md"), "{first}");
        Ok(())
    })
    .await;

    stage.api.set("acme", "1", 0, "red").unwrap();
    stage.told("the end", 0, |one| one.alert == "WazzupRedTooLong" && !one.firing).await;
    until("the end in the chat", &stage.processes(), async || {
        let texts = stage.receiver.chat();
        let over = texts.iter().any(|text| text.starts_with(&format!("✓ over: {start}")));
        if over { Ok(()) } else { Err(format!("{texts:?}")) }
    })
    .await;
    // Of the exporter something may be told, before it is scraped for the first time.
    let others = stage.receiver.told().into_iter();
    let others: Vec<_> =
        others.filter(|one| one.alert != "WazzupRedTooLong" && !one.account.is_empty()).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_read_is_told_instead_of_its_users() {
    let stage = Stage::set().await;
    stage.api.set("acme", "2", 5, "red").unwrap();
    let red = |one: &Told| one.alert == "WazzupRedTooLong" && one.account == "acme";
    stage.told("the user's alert", 0, red).await;

    stage.api.set_access("acme", Access::Revoked).unwrap();
    let failing = |one: &Told| one.alert == "WazzupAccountFailing";
    let told = stage.told("the account's alert", 0, failing).await;
    assert_eq!(told.receiver, "operators");
    assert_eq!(told.summary, "Nobody of acme can be read: unauthorized");
    until("the user's alert to be inhibited", &stage.processes(), async || {
        let alerts = stage.alertmanager.alerts().await?;
        let ours = |labels: &Value| {
            labels["alertname"] == "WazzupRedTooLong" && labels["account"] == "acme"
        };
        match alerts.iter().find(|(labels, _)| ours(labels)) {
            Some((_, true)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    until("silence about users", &stage.processes(), async || {
        let told = stage.receiver.told();
        let last: Vec<_> = told.iter().rev().take(IN_A_ROW).collect();
        let silent = last.len() == IN_A_ROW && last.iter().all(|one| failing(one) && one.firing);
        if silent { Ok(()) } else { Err(format!("{last:#?}")) }
    })
    .await;

    // Another account's users are told as ever.
    stage.api.set("globex", "2", 3, "red").unwrap();
    let told = stage.told("the other account's alert", 0, |one| one.account == "globex").await;
    assert!(told.summary.starts_with("Борис (globex, sales): 3 red"), "{}", told.summary);

    let before = stage.receiver.told().len();
    stage.api.set_access("acme", Access::Normal).unwrap();
    stage.told("the account's end", before, |one| failing(one) && !one.firing).await;
    stage.told("the user's alert again", before, |one| red(one) && one.firing).await;
}
