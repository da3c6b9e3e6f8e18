//! A real nginx in front of something else.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;

use super::support::http::builder;
use super::support::process::Process;
use super::support::wait::until;

/// A running nginx, which is one process.
pub(super) struct Nginx {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Runs one server: `listen` has the options of its socket, as `ssl http2`, and `server` the rest.
    pub(super) async fn start(listen: &str, server: &str) -> Self {
        until("nginx", &[], async || Self::attempt(listen, server).await).await
    }

    /// nginx cannot ask for any free port, and one that was free may be taken when it starts.
    async fn attempt(listen: &str, server: &str) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{\n  access_log off;\n  \
             client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n  \
             fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n  \
             server {{\n    listen {address} {listen};\n    {server}\n  }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        // It is not always in PATH.
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let mut command = Command::new("nginx");
        command.env("PATH", places).args(["-e", "stderr", "-p"]).arg(folder.path());
        let process = Process::start("nginx", command.arg("-c").arg(&file));
        let nginx = Self { process, address, _folder: folder };
        let scheme = if listen.contains("ssl") { "https" } else { "http" };
        let home = format!("{scheme}://{address}/");
        // Whose certificate it is does not matter here: only whether this nginx has got the port.
        let client = builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        until("nginx to answer or to end", &[], async || {
            if let Some(status) = nginx.process.ended() {
                return Ok(Err(format!("{status}: {}", nginx.process.log())));
            }
            let response = client.get(&home).send().await.map_err(|error| error.to_string())?;
            let server = response.headers()["server"].to_str().unwrap_or_default();
            if server.starts_with("nginx") { Ok(Ok(())) } else { Err(server.to_owned()) }
        })
        .await?;
        Ok(nginx)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
