//! The status page in a real browser.

use rustix::process::Signal;
use serde_json::{Value, json};
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

use super::browser::Browser;
use super::expected::{Figures, held, odd};
use super::support::exporter::Exporter;
use super::support::upstream::serve;

/// The shortest times that the rule `stale_after ≥ 2 × interval + timeout` allows for this interval.
pub(crate) const POLL: &str = "interval: 500ms, timeout: 1s, stale_after: 2s";

/// Everything in the tables: account, user, red and grey.
const ROWS: &str = "return [...document.querySelectorAll('.account')].flatMap(account => \
     [...account.querySelectorAll('.people tbody tr')].map(row => [account.dataset.key, row.dataset.key, \
     row.querySelector('.red').textContent, row.querySelector('.grey').textContent]))";

/// What the page shows of each user by account and id.
const NAMES: &str = "return Object.fromEntries([...document.querySelectorAll('.people tbody tr')]\
     .map(row => [row.dataset.key, row.querySelector('.name').textContent]))";

pub(crate) fn businesses() -> Settings {
    let account = |(number, name): (u64, &&str)| {
        let mut account = AccountSpec::new(name, &(10_000_000 + number).to_string(), name);
        for user in 0..6 {
            let kind = if user % 3 == 2 { "grey" } else { "red" };
            let spec = UserSpec::new(&format!("u{user}"), &format!("Name {user}"), Role::Manager);
            account = account.user(spec.pinned(number * 1_000 + user * 5, kind));
        }
        account
    };
    Settings {
        accounts: (0..).zip(&["acme", "globex", "initech"]).map(account).collect(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

/// An account of `users` whose red counters are their numbers.
fn large(users: u64) -> Settings {
    let mut account = AccountSpec::new("large", "87654321", "token-of-large");
    for user in 0..users {
        let spec = UserSpec::new(&format!("u{user:04}"), &format!("Имя {user}"), Role::SalesRep);
        account = account.user(spec.pinned(user, "red"));
    }
    Settings { accounts: vec![account], ..businesses() }
}

async fn start(settings: Settings) -> (Simulator, Exporter, Browser) {
    let (api, url) = serve(settings).await;
    let exporter = Exporter::polling(&api, &url, POLL);
    (api, exporter, Browser::start().await)
}

/// The rows in the terms of the simulated API.
fn figures(rows: &Value) -> Figures {
    let mut figures = Figures::new();
    for row in rows.as_array().unwrap() {
        let text = |index: usize| row[index].as_str().unwrap().replace('\u{202f}', "");
        for (index, kind) in [(2, "red"), (3, "grey")] {
            figures.insert((text(0), text(1), kind.to_owned()), text(index));
        }
    }
    figures
}

/// Waits until the page shows what the API holds.
pub(crate) async fn until_figures(browser: &Browser, exporter: &Exporter, api: &Simulator) {
    let processes = [&exporter.process];
    browser
        .until("the figures of the API", &processes, ROWS, |rows| figures(rows) == held(api))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_upstream_holds_and_follows_without_a_reload() {
    let (api, exporter, browser) = start(businesses()).await;
    browser.open(&exporter.url("/")).await;
    until_figures(&browser, &exporter, &api).await;
    // Would not survive a reload, nor the swapping of what is not to be swapped.
    browser.run("window.stays = true; document.querySelector('.people a, input').focus()").await;
    api.set("acme", "u0", 1_234_567, "red").unwrap();
    api.set("globex", "u5", 9, "grey").unwrap();
    api.set("globex", "u1", 0, "red").unwrap();
    api.set("initech", "u2", 77, "red").unwrap();
    until_figures(&browser, &exporter, &api).await;
    let first = browser.run("return document.querySelector('.people .name').textContent").await;
    assert_eq!(first, "Name 0");
    let kept = "return [window.stays, document.activeElement.name]";
    assert_eq!(browser.run(kept).await, json!([true, "q"]));
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_names_is_text() {
    const MARKUP: &str = "<img src=x onerror=alert(1)>";
    let mut settings = odd();
    let markup = UserSpec::new(MARKUP, MARKUP, Role::SalesRep).team("<script>alert(2)</script>");
    settings.accounts[0].users.push(markup.pinned(3, "red"));
    let names = settings.accounts[0].users.iter();
    let names: Value = names.map(|user| (user.id.clone(), Value::from(&*user.name))).collect();
    let (api, exporter, browser) = start(settings).await;
    browser.open(&exporter.url("/")).await;
    until_figures(&browser, &exporter, &api).await;
    assert_eq!(browser.run(NAMES).await, names);
    let made = "return [document.images.length, document.scripts.length]";
    assert_eq!(browser.run(made).await, json!([0, 1]));
    browser.open(&exporter.url("/?q=%3Cscript%3E")).await;
    let typed = "return document.querySelector('[name=q]').value";
    assert_eq!(browser.run(typed).await, "<script>");
    assert_eq!(browser.run(NAMES).await, json!({MARKUP: MARKUP}));
    assert!(!browser.has_dialog().await);
    assert_eq!(browser.complaints().await, [""; 0]);
    // What is not allowed would have been seen there.
    browser.run("document.body.append(Object.assign(new Image(), {src: 'data:,x'}))").await;
    let complaint = browser.first_complaint().await;
    assert!(complaint.contains("Content Security Policy"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn among_two_thousand_users_search_finds_one_while_it_is_typed() {
    let (_api, exporter, browser) = start(large(2_000)).await;
    let count = "return document.querySelectorAll('.people tbody tr').length";
    let highest = "return document.querySelector('.people tbody tr')?.dataset.key";
    browser.open(&exporter.url("/")).await;
    let processes = [&exporter.process];
    browser.until("the first figures", &processes, highest, |key| key == "u1999").await;
    assert_eq!(browser.run(count).await, 60);
    browser.type_into("[name=q]", "ИМЯ u0123").await;
    browser.until("the one who was searched", &processes, count, |count| count == 1).await;
    assert_eq!(browser.run(highest).await, "u0123");
    let found = "return [document.getElementById('found').textContent, location.search]";
    let query = "?q=%D0%98%D0%9C%D0%AF%20u0123";
    assert_eq!(browser.run(found).await, json!(["1 user found", query]));
    // Escape, which empties a field for searching.
    browser.type_into("[name=q]", "\u{e00c}").await;
    browser.until("all users", &processes, count, |count| count == 60).await;
    browser.open(&exporter.url("/?account=large")).await;
    assert_eq!(browser.run(count).await, 2_000);
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_upstream_is_shown_at_the_top_and_is_no_zero() {
    let (api, exporter, browser) = start(businesses()).await;
    browser.open(&exporter.url("/")).await;
    until_figures(&browser, &exporter, &api).await;
    api.add_fault("status=503,account=globex".parse().unwrap());
    let first = "const first = document.querySelector('.account');\
         return [first.dataset.key, first.querySelector('.trouble strong')?.textContent, \
         [...new Set([...first.querySelectorAll('.red > div')].map(red => red.textContent))].join()]";
    let dead = json!(["globex", "A server error is reported by 127.0.0.1.", "–"]);
    browser.until("globex at the top", &[&exporter.process], first, |got| *got == dead).await;
    let summary = browser.run("return document.querySelector('.summary').textContent").await;
    let summary = summary.as_str().unwrap();
    for words in ["at least", "1 account cannot be read", "6 of 18 users without a figure"] {
        assert!(summary.contains(words), "{summary}");
    }
    api.clear_faults();
    until_figures(&browser, &exporter, &api).await;
    assert_eq!(browser.run("return document.querySelectorAll('.trouble').length").await, 0);
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_lost_the_exporter_says_so_until_it_is_back() {
    let (api, exporter, browser) = start(businesses()).await;
    browser.open(&exporter.url("/")).await;
    until_figures(&browser, &exporter, &api).await;
    assert_eq!(browser.complaints().await, [""; 0]);
    let state = "const contact = document.getElementById('contact');\
         return [contact.hidden, contact.checkVisibility() && contact.textContent.slice(0, 36), \
         getComputedStyle(document.querySelector('main')).opacity < 0.6, document.title.slice(0, 10)]";
    let lost = json!([false, "No contact with the exporter since ", true, "No contact"]);
    let is_lost = |got: &Value| {
        let text = got[1].as_str().unwrap_or_default();
        let start = text.get(..35).unwrap_or_default();
        json!([got[0], start, got[2], got[3]]) == lost
    };
    // It accepts connections and answers nothing.
    exporter.process.signal(Signal::STOP);
    browser.until("the loss of a hung exporter", &[&exporter.process], state, is_lost).await;
    exporter.process.signal(Signal::CONT);
    let back = |got: &Value| got[0] == true && got[1] == false && got[2] == false;
    browser.until("contact again", &[&exporter.process], state, back).await;
    api.set("acme", "u0", 42, "red").unwrap();
    until_figures(&browser, &exporter, &api).await;
    drop(exporter);
    browser.until("the loss of an ended exporter", &[], state, is_lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tab_asks_nothing_and_is_current_when_it_is_seen_again() {
    let (api, exporter, browser) = start(businesses()).await;
    browser.open(&exporter.url("/")).await;
    until_figures(&browser, &exporter, &api).await;
    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});\
             document.dispatchEvent(new Event('visibilitychange'));\
             window.since = performance.now()"
        )
    };
    browser.run(&hide(true)).await;
    api.set("acme", "u0", 42, "red").unwrap();
    // Three times as long as it would wait between two questions.
    let waited = "return performance.now() - window.since";
    let long = |waited: &Value| waited.as_f64().unwrap() > 6_000.0;
    browser.until("six seconds", &[&exporter.process], waited, long).await;
    let asked = "return performance.getEntriesByType('resource').filter(entry => \
         entry.initiatorType === 'fetch' && entry.startTime > window.since).length";
    assert_eq!(browser.run(asked).await, 0);
    // The figure in its title would be old.
    assert_eq!(browser.run("return document.title").await, "Unanswered messages");
    browser.run(&hide(false)).await;
    until_figures(&browser, &exporter, &api).await;
    let title = browser.run("return document.title").await;
    assert_eq!(title, "12\u{202f}162 red · Unanswered messages");
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_the_page_is_complete_and_searches() {
    let (api, exporter, browser) = start(businesses()).await;
    browser.send_devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&exporter.url("/")).await;
    // It reloads itself.
    until_figures(&browser, &exporter, &api).await;
    let zones = "return [...document.querySelectorAll('.asof, .since')].map(cell => cell.innerText)\
         .filter(text => text.includes('UTC')).length";
    assert_eq!(browser.run(zones).await, 4);
    browser.type_into("[name=q]", "globex Name 3\n").await;
    let keys =
        "return [...document.querySelectorAll('.people tbody tr')].map(row => row.dataset.key)";
    let processes = [&exporter.process];
    browser
        .until("the one who was searched", &processes, keys, |keys| *keys == json!(["u3"]))
        .await;
    assert_eq!(browser.run("return location.search").await, "?q=globex+Name+3");
    assert_eq!(browser.complaints().await, [""; 0]);
}
