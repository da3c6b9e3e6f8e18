//! The listeners of a daemon, from being opened to being served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use super::listen::{BindError, ListenAddress};
use super::options::{Options, StartError};
use super::web_reload;
use crate::http::{Access, Admin, Service, Site, connections_max, serve};
use crate::shutdown::Shutdown;
use crate::web_config::{Watch, WebConfig};

/// Open listeners, and the web configuration for them.
pub(super) struct Listeners {
    main: Vec<TcpListener>,
    pub(super) health: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    web: Option<WebConfig>,
    /// How often the files of the web configuration are checked.
    pub(super) check_period: Duration,
}

impl Listeners {
    pub(super) async fn open(options: &Options) -> Result<Self, StartError> {
        let mut main = Vec::new();
        if let Some(sockets) = &options.sockets {
            main = sockets.listeners().map_err(BindError::inherited)?;
        } else {
            for address in &options.listen {
                main.push(address.bind().await?);
            }
        }
        let health = bind(options.health_listen.as_ref()).await?;
        if let Some(address) = &options.admin_listen {
            check_admin(address, options.web.as_ref())?;
        }
        let admin = bind(options.admin_listen.as_ref()).await?;
        let (web, check_period) = (options.web.clone(), web_reload::CHECK_PERIOD);
        Ok(Self { main, health, admin, web, check_period })
    }

    /// Where the site is, with the ports that the system chose.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.main.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves everything, and follows the web configuration, until `shutdown`.
    pub(super) fn serve(
        self,
        site: Site,
        admin: Option<Admin>,
        shutdown: &Shutdown,
    ) -> JoinSet<()> {
        let process = Arc::clone(&site.process);
        let access = Arc::new(Access::new(self.web.as_ref(), Arc::clone(&process)));
        let others = [&self.health, &self.admin].into_iter().flatten().count();
        let most = connections_max(self.main.len() + others);
        let mut servers = JoinSet::new();
        let mut start = |listener: TcpListener, service: Service, what: &str| {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "{what}");
            }
            servers.spawn(serve(listener, service, most, shutdown.clone()));
        };
        let probes = Service::probes(&site.health, &site.prefix);
        let service = Service::site(site, Arc::clone(&access));
        for listener in self.main {
            start(listener, service.clone(), "listening");
        }
        if let Some(listener) = self.health {
            start(listener, probes, "listening for probes alone");
        }
        if let (Some(listener), Some(admin)) = (self.admin, admin) {
            let service = Service::admin(Arc::new(admin), Arc::clone(&access));
            start(listener, service, "listening for resets");
        }
        if let Some(config) = self.web {
            web_reload::log_in_use(&config, "the web configuration is in use");
            let (watch, period) = (Watch::new(&config), self.check_period);
            servers.spawn(web_reload::follow(watch, period, access, process, shutdown.clone()));
        }
        servers
    }
}

async fn bind(address: Option<&ListenAddress>) -> Result<Option<TcpListener>, BindError> {
    match address {
        Some(address) => address.bind().await.map(Some),
        None => Ok(None),
    }
}

/// Refuses an admin listener that others could reach in plain HTTP: the token would be read on the way.
///
/// # Errors
/// When the address is not loopback and there is no TLS.
pub fn check_admin(address: &ListenAddress, web: Option<&WebConfig>) -> Result<(), StartError> {
    if address.is_loopback() || web.is_some_and(|config| config.tls.is_some()) {
        return Ok(());
    }
    Err(StartError::PlainAdmin(address.clone()))
}
