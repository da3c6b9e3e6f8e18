//! Secrets that every user may read, as Compose and Kubernetes mount them: good on a read-only mount, where their mode
//! cannot be changed, and nowhere else. Needs root.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::support::exporter::{Exporter, config_flag, run};
use super::support::files::write_config;
use super::support::http::client;
use super::support::mount::Mount;
use super::support::samples::value;
use super::support::upstream::{configuration, serve, still};

const RESET_TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_all_may_read_are_refused_unless_their_mount_is_read_only() {
    let Some(secrets) = Mount::tmpfs() else { return };
    let (api, url) = serve(still(&["acme"], 1)).await;
    let [token, reset] = ["token", "reset"].map(|name| secrets.path().join(name));
    let yaml = configuration(&api, &url, "interval: 1s, timeout: 5s")
        .replace("token: \"token-of-acme\"", &format!("token_file: '{}'", token.display()))
        .replace(
            "\n    users:",
            &format!(
                "\n    reset: {{enabled: true, token_file: '{}'}}\n    users:",
                reset.display()
            ),
        );
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &yaml);
    let storage = format!("--storage.path={}", folder.path().join("data").display());
    let check = async || {
        let checked = run(&["check-config".to_owned(), config_flag(&file), storage.clone()]).await;
        (checked.status.code(), String::from_utf8_lossy(&checked.stderr).into_owned())
    };
    for mode in [0o444, 0o644] {
        for (path, content) in [(&token, "token-of-acme"), (&reset, RESET_TOKEN)] {
            std::fs::write(path, content).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let (code, said) = check().await;
        assert_eq!(code, Some(2), "{said}");
        for path in [&token, &reset] {
            assert!(said.contains(&format!("chmod 600 {}", path.display())), "{said}");
        }
        secrets.remount("ro");
        let (code, said) = check().await;
        assert_eq!(code, Some(0), "{said}");
        let warned = said.matches(&format!("(mode {mode:o}) on a read-only mount")).count();
        assert_eq!(warned, 2, "{said}");
        let flags = [config_flag(&file), storage.clone(), "--web.enable-admin-api".to_owned()];
        let admin = "--web.admin-listen-address=127.0.0.1:0".to_owned();
        let flags: Vec<&str> = flags.iter().chain([&admin]).map(String::as_str).collect();
        let exporter = Exporter::start(&flags);
        let up = r#"wazzup_up{account="acme"}"#;
        exporter.until("readings", |samples| value(samples, up) == Some(1.0)).await;
        exporter.until_logged("on a read-only mount").await;
        let admin = exporter.until_admin().await;
        let address = format!("http://{admin}/api/v1/admin/accounts/acme/reset");
        let request = client().post(address).body(r#"{"confirm":"10000000","dry_run":true}"#);
        let request = request.header("content-type", "application/json");
        let response = request.header("x-reset-token", RESET_TOKEN).send().await.unwrap();
        assert_eq!(response.status(), 200);
        drop(exporter);
        secrets.remount("rw");
    }
}
