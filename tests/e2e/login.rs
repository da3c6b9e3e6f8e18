//! A login through a real browser.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;
use wazzup_exporter::simulator::{AccountSpec, PartnerSpec, RateLimit, Role, Settings, UserSpec};

use super::support::exporter::{command, config_flag};
use super::support::process::run;
use super::support::upstream::serve;
use super::support::wait::guard;

#[tokio::test]
async fn a_browser_ends_at_the_login_that_waits_for_it() {
    let mut partner = PartnerSpec::new("main", "partner@example.com", "pa55word");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    partner.redirect_uris = vec![format!("http://{free}/callback")];
    let account = AccountSpec::label("acme", "10000000", "main", "seed");
    let accounts = vec![account.user(UserSpec::new("7", "Anna", Role::SalesRep).pinned(3, "red"))];
    let (limit, partners) = (RateLimit::UNLIMITED, vec![partner]);
    let (api, url) = serve(Settings { accounts, partners, limit, ..Settings::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    api.write_config(&file, &url, "30s").unwrap();
    api.log_browser_in(Some("acme")).unwrap();
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let done = spawn_blocking(move || {
        let mut login = command();
        let login = login
            .args(["login", "acme", &config_flag(&file)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut login = login.spawn().unwrap();
        let mut said = BufReader::new(login.stdout.take().unwrap()).lines();
        let address = said
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("/v2/oauth/authorize?"))
            .expect("it prints an address");
        let mut browser = Command::new("chromium");
        browser.args(["--headless", "--no-sandbox", "--dump-dom", &profile, &address]);
        let page = String::from_utf8(run("chromium", &mut browser, b"").stdout).unwrap();
        let rest: Vec<String> = said.map(Result::unwrap).collect();
        (page, rest.join("\n"), login.wait().unwrap())
    });
    let (page, said, status) = guard("the login", done).await.unwrap();
    assert!(page.contains("You can close this page"), "{page}\n{said}");
    assert!(status.success(), "{said}");
    assert!(said.contains("counter of user 7: 3 red, 0 grey"), "{said}");
    let stored = std::fs::read_to_string(folder.path().join("acme.refresh-token")).unwrap();
    assert!(api.live_refresh_tokens("acme").unwrap().contains(&stored.trim().to_owned()));
}
