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
use crate::health::Health;
use crate::http::{Access, Admin, Prefix, Service, Site, connections_max, serve};
use crate::metrics::ProcessMetrics;
use crate::shutdown::Shutdown;
use crate::web_config::{Watch, WebConfig};

/// Open listeners, and the web configuration for them.
#[derive(Debug)]
pub(super) struct Listeners {
    main: Vec<TcpListener>,
    health: Option<TcpListener>,
    prefix: Prefix,
    admin: Option<TcpListener>,
    web: Option<WebConfig>,
    /// How often the files of the web configuration are checked.
    pub(super) check_period: Duration,
}

impl Listeners {
    pub(super) async fn open(options: &Options) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        if let Some(sockets) = &options.sockets {
            listeners = sockets.listeners().map_err(BindError::inherited)?;
        } else {
            for address in &options.listen {
                listeners.push(address.bind().await?);
            }
        }
        let health = match &options.health_listen {
            Some(address) => Some(address.bind().await?),
            None => None,
        };
        let (web, prefix) = (options.web.clone(), options.route_prefix.clone());
        let admin = match &options.admin_listen {
            Some(address) => {
                check_admin(address, options.web.as_ref())?;
                Some(address.bind().await?)
            }
            None => None,
        };
        Ok(Self {
            main: listeners,
            health,
            admin,
            prefix,
            web,
            check_period: web_reload::CHECK_PERIOD,
        })
    }

    /// Where the site is, with the ports that the system chose.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.main.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where health and readiness alone are.
    pub(super) fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Where accounts are reset.
    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Whether the site speaks TLS.
    pub(super) fn encrypt(&self) -> bool {
        self.web.as_ref().is_some_and(|config| config.tls.is_some())
    }

    /// Serves everything, and follows the web configuration, until `shutdown`.
    pub(super) fn serve(
        self,
        site: Site,
        admin: Option<Admin>,
        health: &Arc<Health>,
        process: &Arc<ProcessMetrics>,
        shutdown: &Shutdown,
    ) -> JoinSet<()> {
        let access = Arc::new(Access::new(self.web.as_ref(), Arc::clone(process)));
        let count = self.main.len() + usize::from(self.health.is_some());
        let most = connections_max(count + usize::from(self.admin.is_some()));
        let mut servers = JoinSet::new();
        for address in self.addresses() {
            info!(%address, "listening");
        }
        let service = Service::site(site, Arc::clone(&access));
        for listener in self.main {
            servers.spawn(serve(listener, service.clone(), most, shutdown.clone()));
        }
        if let Some(listener) = self.health {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "listening for probes alone");
            }
            let service = Service::probes(health, &self.prefix);
            servers.spawn(serve(listener, service, most, shutdown.clone()));
        }
        if let (Some(listener), Some(admin)) = (self.admin, admin) {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "listening for resets");
            }
            let service = Service::admin(Arc::new(admin), Arc::clone(&access));
            servers.spawn(serve(listener, service, most, shutdown.clone()));
        }
        if let Some(config) = self.web {
            web_reload::log_in_use(&config, "the web configuration is in use");
            let watch = Watch::new(&config);
            let process = Arc::clone(process);
            servers.spawn(web_reload::follow(
                watch,
                self.check_period,
                access,
                process,
                shutdown.clone(),
            ));
        }
        servers
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
