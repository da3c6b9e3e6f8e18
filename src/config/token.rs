//! Tokens and the files that hold them: what they must look like and where they may lie.
//!
//! Pure checks but for the looks at the file system, used by [`auth`](super::auth). Every failure is
//! reported without the token.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::account::RESET_TOKEN_MIN;
use crate::files::{OpenFile, Privacy};
use crate::text;

/// What keeps a text from standing in an `Authorization` header.
pub(super) fn token_fault(token: &str) -> Option<&'static str> {
    if token.is_empty() {
        Some("is empty")
    } else if token.chars().any(char::is_whitespace) {
        Some("contains white space; write the token alone, without Bearer or line breaks")
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("contains a character that no token has; copy it again")
    } else {
        None
    }
}

/// What keeps a text from being a password.
fn password_fault(password: &str) -> Option<&'static str> {
    if password.is_empty() {
        Some("is empty")
    } else if password.chars().any(char::is_control) {
        Some("contains a line break or another control character; write the password alone")
    } else {
        None
    }
}

/// What is to be said about a file that can be used all the same.
pub(super) type FileWarning = Option<String>;

/// Checks that a file can serve as a token file. Its content is looked at and dropped.
pub(super) fn check_token_file(path: &Path) -> Result<FileWarning, String> {
    check_secret(path, "a token", |text| that(token_fault(text.trim())))
}

/// Checks that a file can serve as the file of a reset token, which must be hard to guess.
pub(super) fn check_reset_token_file(path: &Path) -> Result<FileWarning, String> {
    check_secret(path, "a reset token", |text| {
        let token = text.trim();
        let short = || {
            format!(
                "of fewer than {RESET_TOKEN_MIN} characters; make one with `openssl rand -hex 32`"
            )
        };
        that(token_fault(token)).or_else(|| (token.len() < RESET_TOKEN_MIN).then(short))
    })
}

/// Checks that a file can serve as a password file, which may end in a line break.
pub(super) fn check_password_file(path: &Path) -> Result<FileWarning, String> {
    check_secret(path, "a password", |text| {
        let password = text.strip_suffix('\n').unwrap_or(text);
        that(password_fault(password.strip_suffix('\r').unwrap_or(password)))
    })
}

fn that(fault: Option<&str>) -> Option<String> {
    fault.map(|fault| format!("that {fault}"))
}

/// Checks a file with `what`, which only its owner and group may read, unless its mount sets that otherwise.
fn check_secret(
    path: &Path,
    what: &'static str,
    fault: impl Fn(&str) -> Option<String>,
) -> Result<FileWarning, String> {
    let file = OpenFile::regular(path)?;
    let mode = file.mode();
    let warning = match file.privacy().map_err(|error| format!("cannot be read: {error}"))? {
        Privacy::Private => None,
        Privacy::SetByMount => Some(format!(
            "is open to every user (mode {mode}) on a read-only mount; set mode: 0400 in Compose or Swarm, \
             defaultMode: 0440 with fsGroup in Kubernetes"
        )),
        Privacy::Open => {
            let path = text::path(path);
            return Err(format!(
                "is open to every user of the host (mode {mode}); chmod 600 {path}"
            ));
        }
    };
    match fault(&file.read_secret(what)?) {
        Some(fault) => Err(format!("holds {what} {fault}")),
        None => Ok(warning),
    }
}

/// The path under which a file may be used that the account file `stem` names: one in the folder
/// of that name below `secrets_dir`.
///
/// Two conditions, because the file is read again later: by its name the path must go through the
/// folder, so that no other account file reaches it and it cannot be redirected from outside
/// afterwards; and with symlinks followed it must end somewhere below `secrets_dir`, as the links of a
/// Kubernetes volume do, so that a link within does not lead out now.
pub(super) fn confine(path: &Path, secrets_dir: &Path, stem: &OsStr) -> Result<PathBuf, String> {
    let own = secrets_dir.join(stem);
    let shown = text::path(&own);
    let real_dir = secrets_dir.canonicalize().map_err(|error| {
        let dir = text::path(secrets_dir);
        format!("must lie below {shown}, but secrets_dir, {dir}, is not usable: {error}")
    })?;
    let path = clean(path);
    let named_below = path.starts_with(clean(&own)) || path.starts_with(real_dir.join(stem));
    // A file that is missing itself is reported by the next check, or made later.
    let folder = || path.parent().map_or(Ok(real_dir.clone()), Path::canonicalize);
    let ends_below = path.canonicalize().or_else(|_| folder());
    if named_below && ends_below.map_or(true, |real| real.starts_with(&real_dir)) {
        Ok(path)
    } else {
        Err(format!("must lie below {shown}; move the file there"))
    }
}

/// The path with every `..` taken literally back, as nothing but the name decides here.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::CurDir => {}
            part => cleaned.push(part),
        }
    }
    cleaned
}
