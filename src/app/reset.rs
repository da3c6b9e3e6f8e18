//! Resets from the command line: asking a running daemon for one, and reading what is on record.
//!
//! The daemon decides: its guards, its cooldown, its place in the limit. This only speaks HTTP with its
//! admin listener, once.

use std::io;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::error::CommandError;
use crate::files::{self, OpenFile};
use crate::net::is_loopback;
use crate::reset::{AUDIT_FILE, AuditKind, AuditLine, each_line};
use crate::storage::{AccountFolder, Storage, StorageError};
use crate::text;
use crate::transport::{BuildError, causes, http_client};

/// Longest foreign text that is printed, in characters.
const SHOWN_MAX: usize = 2000;
/// Largest file with certificates of authorities.
const AUTHORITIES_MAX: u64 = 1 << 20;
/// Time for a connection. The response takes as long as reading every counter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the daemon said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetAnswer {
    /// The HTTP status.
    pub status: u16,
    document: Value,
}

/// A client for the admin listener at `url`. The authority of its certificate is in `ca_file`, if the system does not
/// know it; with `insecure` any certificate will do, on this machine only.
///
/// # Errors
/// When the authority cannot be read, or when `url` is on another machine.
pub fn reset_client(
    url: &Url,
    ca_file: Option<&Path>,
    insecure: bool,
) -> Result<Client, CommandError> {
    let mut client = http_client()?.no_proxy().connect_timeout(CONNECT_TIMEOUT).http1_only();
    if let Some(path) = ca_file {
        client = client.tls_certs_only(authority(path)?);
    }
    if insecure {
        if !is_loopback(url) {
            return Err(CommandError::Usage(format!(
                "--insecure is for addresses of this machine; give --ca-file for {}",
                place_of(url)
            )));
        }
        client = client.tls_danger_accept_invalid_certs(true);
    }
    Ok(client.build().map_err(BuildError)?)
}

/// Asks the daemon at `url` for a reset of an account, once; `order` is the body of the request.
///
/// # Errors
/// When there is no answer. A refusal is an answer.
pub async fn request_reset(
    client: &Client,
    mut url: Url,
    account: &str,
    token: &SecretString,
    order: &Value,
) -> Result<ResetAnswer, CommandError> {
    let mut token = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
        CommandError::usage("the reset token contains a character that no token has; copy it again")
    })?;
    token.set_sensitive(true);
    let account = utf8_percent_encode(account, NON_ALPHANUMERIC);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{path}/api/v1/admin/accounts/{account}/reset"));
    let place = place_of(&url);
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(CommandError::Usage(format!(
            "the reset token would go to {place} unencrypted; give an address with https"
        )));
    }
    let request = client.post(url).header("x-reset-token", token);
    let request = request.header("content-type", "application/json").body(order.to_string());
    // The request may have arrived all the same.
    let no_answer = |error: reqwest::Error| {
        CommandError::Runtime(format!(
            "no answer from {place}: {}. Is the exporter running with --web.enable-admin-api, and is \
             this its --web.admin-listen-address? If it is, check wazzup-exporter reset --history \
             before trying again",
            causes(&error.without_url())
        ))
    };
    let answer = request.send().await.map_err(no_answer)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(no_answer)?;
    let document = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match &document {
        Value::Object(fields) if fields.contains_key("code") => {
            Ok(ResetAnswer { status, document })
        }
        _ => Err(CommandError::Runtime(format!(
            "{place} answered {status}, and not as an exporter does; check --url"
        ))),
    }
}

fn authority(path: &Path) -> Result<Vec<Certificate>, CommandError> {
    let failed = |problem: String| {
        let path = path.display();
        let what = format!("{path} does not hold the certificates of an authority: {problem}");
        CommandError::Usage(what)
    };
    let bytes = OpenFile::any(path).and_then(|file| file.read(AUTHORITIES_MAX));
    let bytes = bytes.map_err(|error| failed(io::Error::from(error).to_string()))?;
    let bytes = bytes.ok_or_else(|| failed("it is too large".to_owned()))?;
    let found = files::certificates(&bytes).map_err(|error| failed(format!("it {error}")))?;
    let found = found.iter().map(|certificate| Certificate::from_der(certificate));
    found.collect::<Result<_, _>>().map_err(|error| failed(causes(&error)))
}

/// An address without a login that may stand in it.
fn place_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl ResetAnswer {
    /// Whether the request succeeded.
    pub fn is_good(&self) -> bool {
        self.status == 200
    }

    fn text(&self, key: &str) -> String {
        let text = self.document.get(key).and_then(Value::as_str);
        text::one_line(text.unwrap_or_default(), SHOWN_MAX)
    }
}

impl std::fmt::Display for ResetAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (code, message) = (self.text("code"), self.text("message"));
        if !self.is_good() {
            write!(f, "{code}: ")?;
        }
        f.write_str(&message)?;
        for key in ["before", "after"] {
            if let Some(figures) = self.document.get(key).and_then(figures) {
                write!(f, "\n{key:<7} {figures}")?;
            }
        }
        match self.text("id") {
            id if id.is_empty() => Ok(()),
            id => write!(f, "\nrecord  {id}"),
        }
    }
}

/// Figures as text: `1234 unanswered: 1000 red, 234 grey; 56 users`.
fn figures(figures: &Value) -> Option<String> {
    let of = |key: &str| figures.get(key)?.as_u64();
    let (total, red, grey) = (of("total")?, of("red")?, of("grey")?);
    let other = of("other").filter(|other| *other > 0);
    let other = other.map(|other| format!(", {other} of an unknown type")).unwrap_or_default();
    let users = of("users").unwrap_or_default();
    Some(format!("{total} unanswered: {red} red, {grey} grey{other}; {users} users"))
}

/// Prints an account's recorded resets, oldest first; `print` is given line by line. Returns whether
/// there was anything.
///
/// # Errors
/// When the log cannot be read.
pub fn reset_history(
    storage: &Storage,
    account: &str,
    folder: AccountFolder,
    print: &mut dyn FnMut(&str),
) -> Result<bool, StorageError> {
    let Some(log) = storage.open_unlocked(folder.clone(), AUDIT_FILE)? else { return Ok(false) };
    let mut any = false;
    let read = each_line(log, |line| {
        any = true;
        print(&history_line(account, &line));
    });
    read.map_err(|source| storage.unreadable(folder, AUDIT_FILE, source))?;
    Ok(any)
}

fn history_line(account: &str, line: &AuditLine) -> String {
    let sums = line.figures.and_then(|sums| figures(&serde_json::to_value(sums).ok()?));
    let sums = sums.unwrap_or_default();
    let some = |text: &Option<String>, before: &str| {
        text.as_deref().map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    let what = match line.kind {
        AuditKind::Intent | AuditKind::DryRun => {
            let kind = if line.kind == AuditKind::Intent { "to be reset" } else { "dry run" };
            let (caller, agent) = (some(&line.caller, ", from "), some(&line.user_agent, ", by "));
            let expected = line.expected_unanswered;
            let expected = expected.map(|count| format!(", expecting {count}")).unwrap_or_default();
            format!("{kind}: {sums}{caller}{agent}{expected}{}", some(&line.reason, ", because: "))
        }
        AuditKind::Outcome => {
            let result = line.result.as_deref().unwrap_or("?");
            let code = line.code.clone().filter(|code| code != result);
            format!("{result}{}{}", some(&code, ", "), some(&line.problem, ": "))
        }
        AuditKind::After => format!("after it: {sums}"),
    };
    text::one_line(&format!("{}  {account}  {}  {what}", line.time, line.id), SHOWN_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_read_well() {
        let answer = |status, document: Value| ResetAnswer { status, document }.to_string();
        let sums = |total| json!({"red": total, "grey": 0, "other": 0, "total": total, "users": 3});
        let document = json!({"code": "cleared", "message": "the counters are cleared", "id": "18f",
            "before": sums(12), "after": sums(0)});
        assert_eq!(
            answer(200, document),
            "the counters are cleared\nbefore  12 unanswered: 12 red, 0 grey; 3 users\n\
             after   0 unanswered: 0 red, 0 grey; 3 users\nrecord  18f"
        );
        let document = json!({"code": "cooldown", "message": "wait\u{1b}[2J"});
        assert_eq!(answer(429, document), "cooldown: wait [2J");
    }

    #[test]
    fn a_login_in_the_address_is_not_repeated() {
        let url: Url = "https://user:secret@host:1/x".parse().unwrap();
        assert_eq!(place_of(&url), "https://host:1");
        assert!(!is_loopback(&url) && is_loopback(&"http://[::1]:1".parse().unwrap()));
    }
}
