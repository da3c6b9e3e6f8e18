//! `simulator`: only the simulated Wazzup24, for trying things out and for load.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use wazzup_exporter::simulator::{Settings, Simulator};

use super::cli::SimulatorFlags;
use super::{Failure, say, until_signalled};

/// The interval in a written configuration: the exporter's own default.
const INTERVAL: &str = "30s";

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
    let simulator = Simulator::new(settings);
    let listener = flags.listen.bind().await.map_err(Failure::runtime)?;
    let address = listener.local_addr().map_err(Failure::runtime)?;
    let url = format!("http://{address}");
    say(std::io::stdout(), &format!("The simulated Wazzup24 answers at {url}/"));
    if let Some(file) = &flags.write_config {
        write_config(file, &simulator.exporter_config(&url, INTERVAL))?;
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
