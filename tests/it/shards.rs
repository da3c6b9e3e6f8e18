//! Shards: what the flags say, which accounts a process has, and what it says of the others.

use std::path::Path;
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};
use wazzup_exporter::app::Options;
use wazzup_exporter::config;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::storage::Storage;

use super::cli::{run, text};
use super::reset::{ID, Scene, TOKEN};
use super::support::daemon::{World, options};
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::{write_config, write_private};
use super::support::http::client;
use super::support::samples::{Samples, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::guard;

const FAST: &str = "interval: 200ms, timeout: 5s";
/// Accounts and their owners among three shards.
const OWNERS: [(&str, u32); 4] = [("acme", 2), ("globex", 0), ("acct-0001", 0), ("acct-0002", 2)];

fn names() -> [&'static str; 4] {
    OWNERS.map(|(name, _)| name)
}

/// The accounts that an exposition has.
fn accounts(samples: &Samples) -> Vec<&str> {
    let infos = samples.keys().filter(|series| series.starts_with("wazzup_account_info{"));
    infos.map(|series| series.split('"').nth(1).unwrap()).collect()
}

async fn read(answer: reqwest::Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn words(output: &Output) -> String {
    text(&output.stderr).to_owned()
}

#[test]
fn flags_that_do_not_say_which_shard_it_is_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "accounts: [{name: acme, auth: {token_env: PATH}, users: [{id: '1'}]}]\n";
    let config = config_flag(&write_config(folder.path(), yaml));
    for (flags, reason) in [
        (&["--shard=3", "--total-shards=3"][..], "shard 3 of 3: shards are counted from 0"),
        (&["--shard=1"], "shard 1 of 1"),
        (&["--shard=0", "--total-shards=3", "--shard.from-hostname"], "give one"),
        (&["--total-shards=3"], "--total-shards: which of the shards"),
        (&["--total-shards=0"], "--total-shards"),
        (&["--shard=-1", "--total-shards=3"], "--shard"),
    ] {
        for command in [&["poll"][..], &["doctor"], &["--web.listen-address=127.0.0.1:0"]] {
            let output = run(&[command, flags, &[&*config]].concat());
            assert_eq!(output.status.code(), Some(2), "{flags:?}: {output:?}");
            assert!(words(&output).contains(reason), "{flags:?}: {}", words(&output));
        }
    }
    let variable = command()
        .args(["check-config", &config, "--total-shards=2"])
        .env("WAZZUP_EXPORTER_SHARD", "2")
        .output()
        .unwrap();
    assert!(words(&variable).contains("shard 2 of 2"), "{variable:?}");
}

/// The program on a host of this name; nothing where none may be named.
fn on_host(name: &str, arguments: &[&str]) -> Option<Output> {
    let mut host = std::process::Command::new("unshare");
    host.args(["--uts", "sh", "-c", "echo \"$0\" >/proc/sys/kernel/hostname && exec \"$@\"", name]);
    let output = host.arg(command().get_program()).args(arguments).output().ok()?;
    let may = !words(&output).contains("ermi") && !words(&output).contains("not permitted");
    may.then_some(output)
}

#[test]
fn the_hostname_of_a_pod_says_which_shard_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = names()
        .map(|name| format!("{{name: {name}, auth: {{token_env: PATH}}, users: [{{id: '1'}}]}}"));
    let config = write_config(folder.path(), &format!("accounts: [{}]\n", accounts.join(", ")));
    let flags =
        ["check-config", &config_flag(&config), "--shard.from-hostname", "--total-shards=3"];
    let Some(checked) = on_host("wazzup-1.wazzup.shop.svc", &flags) else { return };
    let said = "shards: 3, accounts of each: 0 to 2; this is shard 1 of 3 (wazzup-1)\n";
    assert!(text(&checked.stdout).ends_with(said), "{checked:?}");
    for (host, reason) in [("db7", "the hostname \"db7\" does not end"), ("db-7", "shard 7 of 3")] {
        let refused = on_host(host, &flags).unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(words(&refused).contains(reason), "{refused:?}");
    }
}

#[tokio::test]
async fn a_shard_polls_its_accounts_and_says_how_many_others_have() {
    let (api, url) = serve(still(&names(), 1)).await;
    let yaml = configuration(&api, &url, FAST);
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let mut hashes = Vec::new();
    for ordinal in 0..3 {
        let shard = Shard::new(ordinal, 3).unwrap();
        let options = Options { shard, ..options() };
        let world = World::start_options(api.clone(), config.clone(), options).await;
        let own: Vec<&str> =
            OWNERS.iter().filter(|own| own.1 == ordinal).map(|own| own.0).collect();
        let samples = world.until("its accounts", |samples| accounts(samples).len() == own.len());
        let samples = samples.await;
        assert!(accounts(&samples).iter().all(|account| own.contains(account)));
        let gauge = |name: &str| value(&samples, &format!("wazzup_exporter_{name}"));
        let gauges = ["shard_ordinal", "shards", "accounts", "accounts_configured"].map(gauge);
        let expected = [f64::from(ordinal), 3.0, own.len() as f64, 4.0].map(Some);
        assert_eq!(gauges, expected);
        hashes.push(gauge("config_hash"));
        let status = read(world.get("/api/v1/status").await).await;
        let elsewhere = 4 - own.len();
        let shard = json!({"ordinal": ordinal, "total": 3, "accounts_elsewhere": elsewhere});
        assert_eq!(status["shard"], shard);
        let page = world.get("/").await.text().await.unwrap();
        assert!(page.contains(&format!("This is shard {ordinal} of 3, counted from 0: ")));
        let running = world.get("/config").await.text().await.unwrap();
        assert!(names().iter().all(|name| running.contains(name)), "{running}");
        world.stop().await;
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}

#[tokio::test]
async fn a_reload_gives_a_shard_its_own_of_the_new_accounts() {
    let (api, url) = serve(still(&names(), 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let whole = configuration(&api, &url, FAST);
    let first = whole.find("  - name: \"globex\"").unwrap();
    let file = write_config(folder.path(), &whole[..first]);
    let flags = [&*config_flag(&file), "--shard=0", "--total-shards=3", "--web.enable-lifecycle"];
    let shard = Exporter::start(&flags);
    shard.until("no account", |samples| accounts(samples).is_empty()).await;
    write_private(&file, &whole);
    let reload = client().post(shard.url("/-/reload")).send();
    assert_eq!(guard("a reload", reload).await.unwrap().status(), 200);
    let samples = shard.until("its accounts", |samples| accounts(samples).len() == 2).await;
    assert_eq!(accounts(&samples), ["acct-0001", "globex"]);
    assert_eq!(value(&samples, "wazzup_exporter_accounts_configured"), Some(4.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_and_doctor_take_the_accounts_of_their_shard_and_any_that_is_named() {
    let (api, url) = serve(still(&names(), 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &configuration(&api, &url, "interval: 30s"));
    let flags = [&*config_flag(&file), "--shard=2", "--total-shards=3"];
    let run = async |arguments: &[&str]| {
        let arguments: Vec<String> =
            arguments.iter().chain(&flags).map(|&word| word.to_owned()).collect();
        super::support::exporter::run(&arguments).await
    };
    let polled = run(&["poll"]).await;
    let samples = super::support::samples::samples(text(&polled.stdout));
    assert_eq!(accounts(&samples), ["acct-0002", "acme"]);
    assert_eq!(value(&samples, "wazzup_exporter_shard_ordinal"), Some(2.0));
    assert_eq!(value(&samples, "wazzup_exporter_accounts_configured"), Some(4.0));
    let examined = async |arguments: &[&str]| {
        let output = run(&[&["doctor", "--json"], arguments].concat()).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let names = report["accounts"].as_array().unwrap().iter();
        (names.map(|one| one["account"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), output)
    };
    assert_eq!(examined(&[]).await.0, ["acme", "acct-0002"]);
    let (names, output) = examined(&["globex"]).await;
    assert_eq!(names, ["globex"]);
    assert!(words(&output).contains("belongs to shard 0 of 3"), "{output:?}");
}

#[test]
fn accounts_that_must_not_have_two_owners_need_shared_storage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::create_dir(folder.path().join("secrets/more")).unwrap();
    write_private(&folder.path().join("reset"), TOKEN);
    write_private(&folder.path().join("secrets/more/reset"), TOKEN);
    write_private(&folder.path().join("secrets/more/token"), "t0ken");
    let plain = "name: acme, auth: {token_env: PATH}, users: [{id: '1'}]";
    let main = |more: &str| format!("accounts: [{{{plain}{more}}}]\n");
    let reset = format!(", account_id: '{ID}', reset: {{enabled: true, token_file: reset}}");
    let file = write_config(folder.path(), &main(&reset));
    let (config, storage) =
        (config_flag(&file), format!("--storage.path={}", folder.path().join("data").display()));
    let shards = ["--shard=0", "--total-shards=2", &storage, &config];
    let reason =
        "--total-shards above 1 this needs --storage.path on storage that all shards share";
    for command in [&["check-config"][..], &["poll"], &["--web.listen-address=127.0.0.1:0"]] {
        let refused = run(&[command, &shards].concat());
        assert_eq!(refused.status.code(), Some(2), "{command:?}: {refused:?}");
        let words = words(&refused);
        assert!(words.contains("config.yaml:1:") && words.contains(reason), "{words}");
    }
    let shared = run(&[&["check-config", "--storage.shared"], &shards[..]].concat());
    assert_eq!(shared.status.code(), Some(0), "{shared:?}");

    let more = format!(
        "accounts: [{{name: more, account_id: '{ID}', auth: {{token_file: secrets/more/token}}, \
         users: [{{id: '1'}}], reset: {{enabled: true, token_file: secrets/more/reset}}}}]\n"
    );
    write_private(&folder.path().join("more.yaml"), &more);
    let yaml = format!("account_files: [more.yaml]\nsecrets_dir: secrets\n{}", main(""));
    write_private(&file, &yaml);
    let broken = run(&[&["check-config"], &shards[..]].concat());
    assert!(words(&broken).contains("more.yaml:1:") && words(&broken).contains(reason));
    let log = Exporter::start(&shards).log();
    assert!(log.contains("an account file is broken") && log.contains(reason));
}

#[test]
fn accounts_with_one_token_are_told_what_sharding_does_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let check = |users: [usize; 2]| {
        let account = |(name, users): (&&str, usize)| {
            let users: Vec<String> = (0..users).map(|user| format!("{{id: '{user}'}}")).collect();
            format!("{{name: {name}, auth: {{token_env: PATH}}, users: [{}]}}", users.join(", "))
        };
        let accounts: Vec<String> = ["acme", "globex"].iter().zip(users).map(account).collect();
        let yaml = format!("accounts: [{}]\n", accounts.join(", "));
        let config = config_flag(&write_config(folder.path(), &yaml));
        run(&["check-config", &config, "--total-shards=3"])
    };
    let fine = check([800, 800]);
    assert_eq!(fine.status.code(), Some(0), "{fine:?}");
    assert!(words(&fine).contains("warning: acme, globex have the same token and are on 2 shards"));
    assert!(text(&fine.stdout).ends_with("shards: 3, accounts of each: 0 to 1\n"));
    // As many in all, but more than half of the limit for one of them.
    let refused = check([1000, 600]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let reason = "shard 2 of 3: acme: 1000 users every 30s need 33.4 requests/s; 30% of the limit, 500 per 5s, \
                  allows 29.1/s: raise poll.interval to 35s or more, or raise \
                  rate_limit.share, or use fewer shards\n";
    assert!(words(&refused).contains(reason), "{refused:?}");
}

#[tokio::test]
async fn a_reset_of_an_account_of_another_shard_is_referred_to_it() {
    let scene = Scene::new().await;
    let shard = Shard::from_hostname("wazzup-0", 3).unwrap().with_shared_storage(true);
    let admin_listen = Some("127.0.0.1:0".parse().unwrap());
    let storage = Some(Storage::new(scene.path("data")));
    let options = Options { shard, storage, admin_listen, ..options() };
    let world = World::start_options(scene.api.clone(), scene.config(FAST, ""), options).await;
    let admin = world.admin.unwrap();
    let ask = async |account: &str, token: &str| {
        let request = client()
            .request(Method::POST, format!("http://{admin}/api/v1/admin/accounts/{account}/reset"))
            .header("x-reset-token", token)
            .header("content-type", "application/json")
            .body(json!({"confirm": ID}).to_string());
        let answer = guard("an answer", request.send()).await.unwrap();
        (answer.status().as_u16(), read(answer).await)
    };
    let (status, body) = ask("acme", TOKEN).await;
    let message =
        "the account is polled by shard 2 of 3 (wazzup-2); send the request to its admin listener";
    assert_eq!(
        (status, body),
        (404, json!({"code": "other_shard", "message": message, "account": "acme"}))
    );
    // As an account that does not exist, where the token is wrong.
    let wrong = ask("acme", &TOKEN.replace('0', "1")).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (401, &json!("unauthorized")));
    assert_eq!(wrong, ask("nobody", TOKEN).await);
    let refusals = |code: &str| format!(r#"wazzup_exporter_admin_refusals_total{{code="{code}"}}"#);
    let samples = world.scrape().await;
    assert_eq!(value(&samples, &refusals("other_shard")), Some(1.0));
    assert_eq!(value(&samples, &refusals("unauthorized")), Some(2.0));
    assert_eq!(scene.deletes(), 0);
    world.stop().await;
}
