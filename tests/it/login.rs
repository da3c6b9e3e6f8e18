//! The login of a customer, with the program at a terminal.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use url::Url;
use wazzup_exporter::simulator::{Endpoint, PartnerSpec, TokenQuirk};

use super::partners::{REDIRECT, Scene, id, label, main_partner};
use super::support::exporter::{Exporter, command, config_flag, run};
use super::support::files::write_private;
use super::support::http::client;
use super::support::samples::{counter, value};
use super::support::wait::guard;

/// A login that waits for input.
struct Terminal {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The address that it wants opened.
    address: Url,
}

/// Partner `main` with two customers, none of whom has logged in.
async fn scene(partner: PartnerSpec) -> (Scene, PathBuf) {
    let scene = Scene::new(partner, vec![label("acme", 0, 5), label("globex", 1, 2)]).await;
    let file = scene.config_file("interval: 100ms, timeout: 5s");
    std::fs::remove_file(scene.login_file("acme")).unwrap();
    (scene, file)
}

impl Terminal {
    /// Starts the login of `acme` and reads up to the address.
    async fn open(file: &std::path::Path) -> Self {
        let flag = config_flag(file);
        let started = tokio::task::spawn_blocking(move || {
            let child = command()
                .args(["login", "acme", &flag])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            Self::read_address(child)
        });
        guard("the address", started).await.unwrap()
    }

    fn read_address(mut child: Child) -> Self {
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = (&mut output).lines().map_while(Result::ok);
        let Some(address) = lines.find_map(|line| line.trim().parse().ok()) else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it prints no address");
        };
        Self { child, input, output, address }
    }

    fn paste(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    /// The value of a parameter of the address.
    fn parameter(&self, name: &str) -> String {
        let (_, value) = self.address.query_pairs().find(|(key, _)| key == name).unwrap();
        value.into_owned()
    }

    /// Waits for its end; its exit code, and what it has said since.
    async fn end(mut self) -> (Option<i32>, String) {
        self.input = None;
        let ended = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            self.output.read_to_string(&mut said).unwrap();
            self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            (self.child.wait().unwrap().code(), said)
        });
        guard("the end of the login", ended).await.unwrap()
    }
}

impl Drop for Terminal {
    /// A failed test leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Follows the link to an account on the page at an address; where the browser is sent then.
async fn browse(account: usize, address: &Url) -> Url {
    let mut link = address.clone();
    link.query_pairs_mut().append_pair("account", &id(account));
    let page = client().get(link).send().await.unwrap();
    page.headers()["location"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_login_is_stored_shows_the_account_and_is_used_by_the_exporter() {
    let (scene, file) = scene(main_partner(3600)).await;
    let data = format!("--storage.path={}", scene.path("data").display());
    let exporter = Exporter::start(&[&config_flag(&file), &data]);
    let needed = r#"wazzup_account_failing{account="acme",reason="login_needed"}"#;
    exporter.until("the reason", |samples| samples.contains_key(needed)).await;
    let mut terminal = Terminal::open(&file).await;
    assert_eq!(terminal.parameter("redirect_uri"), REDIRECT);
    let back = browse(0, &terminal.address).await;
    terminal.paste(back.as_str());
    let (code, said) = terminal.end().await;
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "of the account 10000000, as configured",
        "acme.refresh-token. A running exporter takes it up by itself",
        "  channels: 1: whatsapp (active)\n",
        "  users: 5: u0 (Anna), u1 (Anna), u2 (Anna), u3 (Anna), u4 (Anna)\n",
        "  counter of user u2: 7 red, 0 grey\n",
    ] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    let shown = counter("acme", "u4", "red");
    exporter.until("figures", |samples| value(samples, &shown).is_some()).await;
    let stored = scene.login_file("acme");
    assert_eq!(stored.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(stored).unwrap();
    assert!(!said.contains(token.trim()), "{said}");
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    assert!(!said.contains(&*code), "{said}");
}

#[tokio::test]
async fn what_is_pasted_by_mistake_is_explained_and_asked_for_again() {
    let (_scene, file) = scene(main_partner(3600)).await;
    let mut terminal = Terminal::open(&file).await;
    let old = format!("{REDIRECT}?code=c&state=of-yesterday");
    for text in ["", "the-code-alone", "https://example.com/", &old, REDIRECT] {
        terminal.paste(text);
    }
    let back = browse(0, &terminal.address).await;
    terminal.paste(&format!("  {back}  "));
    let (code, said) = terminal.end().await;
    assert_eq!(code, Some(0), "{said}");
    for (words, times) in [("not the address", 2), ("not of this login", 1), ("no code in that", 1)]
    {
        assert_eq!(said.matches(words).count(), times, "{words}:\n{said}");
    }
}

#[tokio::test]
async fn a_login_that_comes_to_nothing_stores_nothing_and_says_why() {
    let (scene, file) = scene(main_partner(3600)).await;
    write_private(&scene.login_file("acme"), "what-was-there");
    for (pasted, words) in [
        ("error=access_denied&state={state}", "the user has to agree"),
        ("error=server_error&state={state}", "Wazzup24 has ended the login: server_error"),
        ("code=over&state={state}", "A code works once and for a few minutes"),
    ] {
        let mut terminal = Terminal::open(&file).await;
        let pasted = pasted.replace("{state}", &terminal.parameter("state"));
        terminal.paste(&format!("{REDIRECT}?{pasted}"));
        let (code, said) = terminal.end().await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{words}:\n{said}");
    }
    // The input ends at once.
    let (code, said) = Terminal::open(&file).await.end().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("run the command again"), "{said}");
    // The partner's password has changed.
    write_private(&scene.path("main.password"), "wrong");
    let mut terminal = Terminal::open(&file).await;
    let back = browse(0, &terminal.address).await;
    terminal.paste(back.as_str());
    let (code, said) = terminal.end().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("OAUTH_CLIENT_UNAUTHORIZED") && !said.contains("A code works"), "{said}");
    assert_eq!(std::fs::read(scene.login_file("acme")).unwrap(), b"what-was-there");
}

#[tokio::test]
async fn a_browser_that_is_logged_in_to_another_account_is_noticed() {
    let (scene, file) = scene(main_partner(3600)).await;
    let mut terminal = Terminal::open(&file).await;
    let back = browse(1, &terminal.address).await;
    terminal.paste(back.as_str());
    let (code, said) = terminal.end().await;
    assert_eq!(code, Some(1), "{said}");
    let words = format!("logged in to the account {}, but acme is {}", id(1), id(0));
    assert!(said.contains(&words) && said.contains("private window"), "{said}");
    assert!(!scene.login_file("acme").exists());
}

#[tokio::test]
async fn tokens_without_their_account_are_accepted_with_a_note() {
    let (scene, file) = scene(main_partner(3600).quirk(TokenQuirk::NoChildId)).await;
    let mut terminal = Terminal::open(&file).await;
    let back = browse(0, &terminal.address).await;
    terminal.paste(back.as_str());
    let (code, said) = terminal.end().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("do not name their account"), "{said}");
    assert!(scene.login_file("acme").exists());
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_a_browser_is_opened() {
    let (scene, file) = scene(main_partner(3600)).await;
    let login = async |account: &str, file: &std::path::Path| {
        let output = run(&["login".to_owned(), account.to_owned(), config_flag(file)]).await;
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = login("unknown", &file).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("configured are acme, globex"), "{said}");
    let yaml = std::fs::read_to_string(&file).unwrap();
    write_private(&file, &yaml.replace("acme.refresh-token", "none/acme.refresh-token"));
    let (code, said) = login("acme", &file).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/none: No such file") && !said.contains("--storage.path"), "{said}");
    let token = "accounts:\n- name: acme\n  auth: {token: x}\n  users: [{id: '1'}]\n";
    write_private(&file, token);
    let (code, said) = login("acme", &file).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("acme needs no login"), "{said}");
    assert_eq!(scene.api.counts().endpoint(Endpoint::Code), 0);
}
