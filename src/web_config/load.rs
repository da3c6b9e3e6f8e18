//! Loads a whole web configuration, section by section.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::files::{FileDigests, Files};
use super::headers::{self, Headers, HeadersKeys};
use super::rate::{RateKeys, RequestRate};
use super::tls::ServerTls;
use super::tls_section::{ServerTlsKeys, check_switch};
use super::users::{Users, UsersKeys};
use crate::problems::place::place;
use crate::problems::read::{Switches, Written, read as read_yaml};
use crate::problems::report::{Noted, Report, Scope};
use crate::problems::{ConfigError, ConfigProblem};

/// A valid web configuration; by default there is nothing in it.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// The TLS settings; plain HTTP if `None`.
    pub tls: Option<ServerTls>,
    /// Whether HTTP/2 is offered to clients that come with TLS.
    pub http2: bool,
    /// Headers of every response.
    pub headers: Headers,
    /// The users; if there are none, no login is required.
    pub users: Users,
    /// How many requests are answered, unless all are.
    pub rate_limit: Option<RequestRate>,
    /// What is legal but unwise.
    pub warnings: Vec<ConfigProblem>,
    /// Whether the file is empty.
    pub(super) empty: bool,
    pub(super) path: PathBuf,
    pub(super) digests: FileDigests,
}

/// The file. Null stands for the default everywhere.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebKeys {
    tls_server_config: Option<Spanned<ServerTlsKeys>>,
    http_server_config: Option<HttpKeys>,
    basic_auth_users: Option<UsersKeys>,
    rate_limit: Option<Spanned<RateKeys>>,
}

/// The section `http_server_config`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpKeys {
    http2: Option<Spanned<Written>>,
    headers: Option<HeadersKeys>,
}

/// Reads a web configuration and the files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path) -> Result<WebConfig, ConfigError> {
    read(path).0
}

/// Reads the file and everything that it names; also returns the digests of what was read, good or bad.
pub(super) fn read(path: &Path) -> (Result<WebConfig, ConfigError>, FileDigests) {
    let mut files = Files::of(path);
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(message) => return (Err(ConfigError::whole(path, message)), files.digests),
    };
    let mut report = Report::default();
    let read = read_first(&bytes, &mut Scope::new(&mut report, &Arc::from(path)));
    let empty = matches!(read, Ok(None));
    let keys = read.ok().flatten().unwrap_or_default();
    let config = keys.check(path, &mut files, &mut Scope::new(&mut report, &Arc::from(path)));
    let digests = files.digests;
    let checked = report.finish().map(|warnings| WebConfig {
        warnings,
        empty,
        digests: digests.clone(),
        ..config
    });
    (checked, digests)
}

/// The keys of the first YAML document, if it is one and has any.
fn read_first(bytes: &[u8], scope: &mut Scope<'_>) -> Result<Option<WebKeys>, Noted> {
    let (first, rest) = first_document(bytes);
    if !rest.strip_prefix(b"...").unwrap_or(rest).trim_ascii().is_empty() {
        let what = "only the first YAML document is read; what follows --- counts for nothing";
        scope.warn(None, "", what);
    }
    let read = read_yaml(first, Switches::YesNo);
    if let Ok(None) = read {
        scope.warn(None, "", "is empty: no TLS, and no login is required");
    }
    read.map_err(|(at, message)| {
        scope.problem(at, "", message);
        Noted
    })
}

/// The text up to the line that ends its first document, and the rest.
fn first_document(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (mut begun, mut end) = (false, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if begun && (line.starts_with(b"---") || line.starts_with(b"...")) {
            break;
        }
        // Before the first document there may be comments and directives.
        begun |= !matches!(line.trim_ascii(), [] | [b'#' | b'%', ..]);
        end += line.len();
    }
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

impl WebKeys {
    fn check(&self, path: &Path, files: &mut Files, scope: &mut Scope<'_>) -> WebConfig {
        let http = self.http_server_config.as_ref();
        let (mut http2, mut headers) = (true, Headers::new());
        if let Some(http) = http {
            let mut scope = scope.within("http_server_config");
            http2 = check_switch(http.http2.as_ref(), "http2", &mut scope).unwrap_or(true);
            let listed = http.headers.as_ref();
            headers = listed
                .map(|listed| headers::check(listed, &mut scope.within("headers")))
                .unwrap_or_default();
        }
        let tls = self.tls_server_config.as_ref();
        let tls = tls.and_then(|keys| {
            ServerTls::check(keys, http2, files, &mut scope.within("tls_server_config"))
        });
        let users = self.basic_auth_users.as_ref();
        let users = users.map(|keys| Users::check(keys, &mut scope.within("basic_auth_users")));
        let rate_limit = self.rate_limit.as_ref();
        let rate_limit = rate_limit
            .and_then(|keys| keys.value.check(place(keys), &mut scope.within("rate_limit")));
        WebConfig {
            tls,
            http2,
            headers,
            users: users.unwrap_or_default(),
            rate_limit,
            path: path.to_owned(),
            ..WebConfig::default()
        }
    }
}
