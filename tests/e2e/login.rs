//! A login through a real browser.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::task::spawn_blocking;
use wazzup_exporter::simulator::{AccountSpec, PartnerSpec, RateLimit, Role, Settings, UserSpec};

use super::support::exporter::{command, config_flag};
use super::support::process::run;
use super::support::upstream::serve;
use super::support::wait::guard;

/// The path at which a browser ends; connections that it only opens in advance are passed over.
fn end_of_the_browser(listener: &TcpListener) -> String {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_err() || line.is_empty() {
            continue;
        }
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        if let Some(path) = line.split(' ').nth(1).filter(|path| path.starts_with("/callback")) {
            return path.to_owned();
        }
    }
}

#[tokio::test]
async fn the_address_at_which_a_browser_ends_completes_a_login() {
    let mut partner = PartnerSpec::new("main", "partner@example.com", "pa55word");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    partner.redirect_uris = vec![format!("{origin}/callback")];
    let account = AccountSpec::label("acme", "10000000", "main", "seed");
    let accounts = vec![account.user(UserSpec::new("7", "Anna", Role::SalesRep).pinned(3, "red"))];
    let (limit, partners) = (RateLimit::UNLIMITED, vec![partner]);
    let (api, url) = serve(Settings { accounts, partners, limit, ..Settings::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    api.write_config(&file, &url, "30s").unwrap();
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let done = spawn_blocking(move || {
        let mut login = command();
        let login = login
            .args(["login", "acme", &config_flag(&file)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut login = login.spawn().unwrap();
        let mut said = BufReader::new(login.stdout.take().unwrap()).lines();
        let address = said
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("/v2/oauth/authorize?"))
            .expect("it prints an address");
        // The link to the account on that page.
        let address = format!("{}&account=10000000", address.trim());
        let ended = std::thread::spawn(move || end_of_the_browser(&listener));
        let mut browser = Command::new("chromium");
        browser.args(["--headless", "--no-sandbox", "--dump-dom", &profile, &address]);
        run("chromium", &mut browser, b"");
        let pasted = format!("{origin}{}\n", ended.join().unwrap());
        login.stdin.take().unwrap().write_all(pasted.as_bytes()).unwrap();
        let rest: Vec<String> = said.map(Result::unwrap).collect();
        (rest.join("\n"), login.wait().unwrap())
    });
    let (said, status) = guard("the login", done).await.unwrap();
    assert!(status.success(), "{said}");
    assert!(said.contains("counter of user 7: 3 red, 0 grey"), "{said}");
    let stored = std::fs::read_to_string(folder.path().join("acme.refresh-token")).unwrap();
    assert!(api.live_refresh_tokens("acme").unwrap().contains(&stored.trim().to_owned()));
}
