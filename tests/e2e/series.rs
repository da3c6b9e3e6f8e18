//! How many series there are, as docs/privacy.md has it.

use super::support::exporter::{command, config_flag};
use super::support::files::write_config;
use super::support::process::run;
use super::support::upstream::{serve, still};

const ACCOUNTS: usize = 10;
const USERS: usize = 50;

/// The series of users, of accounts and of the process.
async fn count(export: &str) -> [usize; 3] {
    let names: Vec<String> = (0..ACCOUNTS).map(|number| format!("account-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (api, url) = serve(still(&names, USERS)).await;
    let yaml = format!("{export}\n{}", api.exporter_config(&url, "30s"));
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &yaml);
    let mut polled = command();
    polled.arg("poll").arg(config_flag(&file));
    let output = tokio::task::spawn_blocking(move || run("wazzup-exporter", &mut polled, b""));
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut series = [0; 3];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let of_account = line.contains("{account=");
        let place = if line.contains(",user=") {
            0
        } else if of_account {
            1
        } else {
            2
        };
        series[place] += 1;
    }
    series
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_series_as_the_page_on_privacy_says() {
    let page = include_str!("../../docs/privacy.md");
    let full = count("export: {profile: full}").await;
    let minimal = count("export: {profile: minimal}").await;
    let all = ACCOUNTS * USERS;
    // All users are red, so the series while red is above 0 is among them.
    let rows = [
        format!(
            "| a user | {}, and 1 while red is above 0 | {} |",
            full[0] / all - 1,
            minimal[0] / all
        ),
        format!("| an account | {} | {} |", full[1] / ACCOUNTS, minimal[1] / ACCOUNTS),
        format!("| the process | {} | {} |", full[2], minimal[2]),
        format!(
            "| {ACCOUNTS} accounts of {USERS} users, all of them red | {} | {} |",
            thousands(full.iter().sum()),
            thousands(minimal.iter().sum())
        ),
    ];
    for row in rows {
        assert!(page.contains(&row), "docs/privacy.md has to say: {row}");
    }
}

fn thousands(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}
