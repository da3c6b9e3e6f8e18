//! `simulator`: only the simulated Wazzup24, for trying things out and for load.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;

use wazzup_exporter::app::CommandError;
use wazzup_exporter::simulator::{AccountSpec, Settings, Simulator};

use super::command::SimulatorFlags;
use super::output::print_line;
use super::startup::until_signalled;

/// The shortest interval in a written configuration, in seconds: the exporter's own default.
const INTERVAL: f64 = 30.0;
/// Share of the limit that a written configuration uses at most.
const USED: f64 = 0.58;

pub(super) async fn run(flags: SimulatorFlags) -> Result<(), CommandError> {
    let preset = match flags.accounts {
        Some(accounts) => Settings::load(accounts, flags.users, flags.seed),
        None if flags.label => Settings::demo(flags.seed).with_label_accounts(),
        None => Settings::demo(flags.seed),
    };
    let settings = Settings {
        speed: flags.speed,
        latency: flags.latency.unwrap_or(preset.latency),
        faults: flags.fault,
        control: flags.control,
        ..preset
    };
    let interval = interval(&settings);
    let simulator = Simulator::new(settings);
    let listener = flags.listen.bind().await.map_err(CommandError::runtime)?;
    let mut address = listener.local_addr().map_err(CommandError::runtime)?;
    if address.ip().is_unspecified() {
        // The wildcard address is no address to connect to; loopback is.
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}");
    print_line(std::io::stdout(), &format!("The simulated Wazzup24 answers at {url}/"));
    if let Some(file) = &flags.write_config {
        write_config(&simulator, file, &url, &interval)?;
    }
    if flags.control {
        print_line(
            std::io::stdout(),
            &format!("It accepts commands at {url}/_control/ from every client."),
        );
    }
    until_signalled(|shutdown| async move { simulator.serve(listener, shutdown.wait()).await })
        .await
}

fn write_config(
    simulator: &Simulator,
    file: &Path,
    url: &str,
    interval: &str,
) -> Result<(), CommandError> {
    simulator.write_config(file, url, interval).map_err(|error| match error.source.kind() {
        ErrorKind::AlreadyExists => CommandError::runtime(format!(
            "{error}; name a configuration in a folder without files of another simulation"
        )),
        _ => CommandError::runtime(error),
    })?;
    let how = format!("Poll it once:  wazzup-exporter poll --config.file={}", file.display());
    print_line(std::io::stdout(), &how);
    Ok(())
}

/// How often the largest account can be polled within the limit.
fn interval(settings: &Settings) -> String {
    let users = |account: &AccountSpec| {
        let found = account.discovery.map_or(0, |discovery| discovery.max_users);
        account.users.len().max(found)
    };
    let users = settings.accounts.iter().map(users).max().unwrap_or(0);
    let a_second = f64::from(settings.limit.requests) / settings.limit.window.as_secs_f64();
    let needed = users as f64 / (a_second * USED);
    format!("{}s", needed.ceil().max(INTERVAL))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wazzup_exporter::config::{self, Permissions};
    use wazzup_exporter::simulator::{Discovery, PartnerSpec, Role, UserSpec};

    use super::*;

    /// An account of every kind.
    fn every_kind() -> Settings {
        let user = || UserSpec::new("1", "Anna", Role::SalesRep);
        let white = AccountSpec {
            discovery: Some(Discovery { every: Duration::from_secs(10), max_users: 100 }),
            channels_every: Some(Duration::from_millis(1_500)),
            ..AccountSpec::white_label("white", "11111111", "ma in")
        };
        Settings {
            accounts: vec![
                AccountSpec::new("token", "33333333", "t").user(user()),
                AccountSpec::v3("key", "44444444", "k").user(user()),
                white.user(user()),
                AccountSpec::label("label", "22222222", "ma in", "seed").user(user()),
            ],
            partners: vec![PartnerSpec::new("ma in", "main@example.com", "hush hush")],
            ..Settings::default()
        }
    }

    #[test]
    fn a_written_configuration_is_one_that_the_exporter_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sim.yaml");
        let simulator = Simulator::new(every_kind());
        simulator.write_config(&file, "http://127.0.0.1:1", "30s").unwrap();
        let config = config::load(&file, Permissions::default()).unwrap();
        let auth: Vec<_> = config
            .accounts
            .iter()
            .map(|account| format!("{:?} {:?}", account.api, account.auth))
            .collect();
        let path = folder.path().join("label.refresh-token");
        let expected = [
            r#"V2 {"token":"<secret>"}"#.to_owned(),
            r#"V3 {"token":"<secret>"}"#.to_owned(),
            r#"V2 {"partner":"ma in"}"#.to_owned(),
            format!(r#"V2 {{"oauth":{{"partner":"ma in","refresh_token_file":{path:?}}}}}"#),
        ];
        assert_eq!(auth, expected);
        let discovery = config.accounts[2].discovery.as_ref().unwrap();
        assert_eq!(discovery.refresh_interval, Duration::from_secs(10));
        assert_eq!(discovery.max_users, 100);
        let channels = config.accounts[2].channels.as_ref().unwrap();
        assert_eq!(channels.refresh_interval, Duration::from_millis(1_500));
    }

    #[test]
    fn a_written_configuration_stays_within_the_limit() {
        assert_eq!(interval(&Settings::load(3, 20, 1)), "30s");
        assert_eq!(interval(&Settings::load(1, 5000, 1)), "87s");
        let mut settings = every_kind();
        let discovery = Discovery { every: Duration::from_secs(1), max_users: 5000 };
        settings.accounts[0].discovery = Some(discovery);
        assert_eq!(interval(&settings), "87s");
    }
}
