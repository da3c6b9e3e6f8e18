//! `demo`: the daemon and a simulated Wazzup24 in one process, talking over real HTTP on loopback.

use std::path::Path;

use tokio::net::TcpListener;
use wazzup_exporter::app::{Daemon, ListenAddress, Options};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::simulator::{Settings, Simulator};

use super::cli::{DemoFlags, WebFlags};
use super::{Failure, say, until_signalled};

/// Short enough to watch the counters move.
const INTERVAL: &str = "2s";
/// The demo stays on this machine unless told otherwise.
const WEB: &str = "127.0.0.1:10117";
const API: &str = "127.0.0.1:10119";

pub(super) async fn run(flags: &DemoFlags, web: &WebFlags) -> Result<(), Failure> {
    let api = bind_api().await?;
    let api_url = format!("http://{}", api.local_addr().map_err(Failure::runtime)?);
    let simulator = Simulator::new(Settings { speed: flags.speed, ..Settings::demo(flags.seed) });
    let yaml = simulator.exporter_config(&api_url, INTERVAL);
    let config = config::parse(yaml.as_bytes(), Path::new("demo.yaml")).map_err(Failure::usage)?;
    let daemon = bind_daemon(web, config).await?;
    greet(&daemon, web, &api_url);
    until_signalled(|shutdown| async move {
        let api = simulator.serve(api, shutdown.wait());
        tokio::join!(daemon.run(shutdown.clone()), api);
    })
    .await
}

async fn bind_api() -> Result<TcpListener, Failure> {
    let usual = address(API);
    match usual.bind().await {
        Ok(listener) => Ok(listener),
        Err(_) => usual.with_port(0).bind().await.map_err(Failure::runtime),
    }
}

/// Binds where the flags say; where they say nothing, at the usual port or, if it is taken, any.
async fn bind_daemon(web: &WebFlags, config: Config) -> Result<Daemon, Failure> {
    let options =
        |listen| Options { listen, telemetry_path: web.telemetry_path.clone(), storage: None };
    if !web.listen.is_empty() {
        return Daemon::bind(&options(web.listen.clone()), config).await.map_err(Failure::runtime);
    }
    let usual = address(WEB);
    let any = options(vec![usual.with_port(0)]);
    match Daemon::bind(&options(vec![usual]), config.clone()).await {
        Ok(daemon) => Ok(daemon),
        Err(_) => Daemon::bind(&any, config).await.map_err(Failure::runtime),
    }
}

fn greet(daemon: &Daemon, web: &WebFlags, api_url: &str) {
    let Some(site) = daemon.addresses().first().map(|address| format!("http://{address}")) else {
        return;
    };
    let metrics = format!("{site}{}", web.telemetry_path);
    let text = format!(
        "The demo runs: three companies in a simulated Wazzup24, and a fourth whose token is refused.\n\
         \n  page           {site}/\n  metrics        {metrics}\n  simulated API  {api_url}/\n\
         \nWatch it:  curl -s {metrics} | grep ^wazzup_unanswered_messages\n\
         Stop it with Ctrl-C.\n"
    );
    say(std::io::stdout(), &text);
}

fn address(text: &str) -> ListenAddress {
    text.parse().expect("the literal is an address")
}
