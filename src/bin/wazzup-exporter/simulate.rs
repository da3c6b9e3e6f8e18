//! `simulator`: only the simulated Wazzup24, for trying things out and for load.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use wazzup_exporter::simulator::{Settings, Simulator};

use super::cli::SimulatorFlags;
use super::{Failure, say, until_signalled};

/// The shortest interval in a written configuration, in seconds: the exporter's own default.
const INTERVAL: f64 = 30.0;
/// Share of the limit that a written configuration uses at most.
const USED: f64 = 0.9;

pub(super) async fn run(flags: SimulatorFlags) -> Result<(), Failure> {
    let preset = match flags.accounts {
        Some(accounts) => Settings::load(accounts, flags.users, flags.seed),
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
    let listener = flags.listen.bind().await.map_err(Failure::runtime)?;
    let mut address = listener.local_addr().map_err(Failure::runtime)?;
    if address.ip().is_unspecified() {
        // Nobody can ask for "every interface"; this machine can ask for itself.
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}");
    say(std::io::stdout(), &format!("The simulated Wazzup24 answers at {url}/"));
    if let Some(file) = &flags.write_config {
        write_config(file, &simulator.exporter_config(&url, &interval))?;
        let file = file.display();
        say(
            std::io::stdout(),
            &format!("Poll it once:  wazzup-exporter poll --config.file={file}"),
        );
    }
    if flags.control {
        say(std::io::stdout(), &format!("It takes orders at {url}/_control/ from anybody."));
    }
    until_signalled(|shutdown| async move { simulator.serve(listener, shutdown.wait()).await })
        .await
}

/// How often the largest account can be polled within the limit.
fn interval(settings: &Settings) -> String {
    let users = settings.accounts.iter().map(|account| account.users.len()).max().unwrap_or(0);
    let a_second = f64::from(settings.limit.requests) / settings.limit.window.as_secs_f64();
    let needed = users as f64 / (a_second * USED);
    format!("{}s", needed.ceil().max(INTERVAL))
}

/// Writes the configuration, readable by its owner only, and never over another one.
fn write_config(file: &Path, yaml: &str) -> Result<(), Failure> {
    if std::fs::read_to_string(file).is_ok_and(|existing| existing == yaml) {
        return Ok(());
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut file| file.write_all(yaml.as_bytes()));
    written.map_err(|error| {
        Failure::runtime(format!(
            "cannot write {}: {error}; name a file that does not exist yet",
            file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_configuration_stays_within_the_limit() {
        assert_eq!(interval(&Settings::load(3, 20, 1)), "30s");
        assert_eq!(interval(&Settings::load(1, 5000, 1)), "56s");
    }
}
