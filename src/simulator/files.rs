//! The files of an exporter that fits a simulation: its configuration, and the secrets that this
//! names by file. Written for the `simulator` and `demo` commands and for tests.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What stood in the way; [`io::ErrorKind::AlreadyExists`] if there is something else in it.
    pub source: io::Error,
}

/// The name of the file with a partner's password.
pub(super) fn password_file(partner: &str) -> String {
    format!("{}.password", encoded(partner))
}

/// The name of the file with an account's refresh token.
pub(super) fn refresh_token_file(account: &str) -> String {
    format!("{}.refresh-token", encoded(account))
}

/// A file name that any other text has not.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%2D", "-")
}

/// Writes a file that only its owner may read. One that is there already is left alone if it has
/// this content, and is an error otherwise.
pub(super) fn write_private(path: PathBuf, content: &str) -> Result<(), WriteError> {
    if std::fs::read_to_string(&path).is_ok_and(|existing| existing == content) {
        return Ok(());
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|source| WriteError { path, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::{AccountSpec, PartnerSpec, Settings, Simulator};
    use super::*;

    fn simulator() -> Simulator {
        let mut first = AccountSpec::label("a label/ü", "11111111", "main", "");
        first.credential =
            super::super::Credential::Label { partner: "main".into(), refresh_token: None };
        Simulator::new(Settings {
            accounts: vec![
                AccountSpec::label("label-1", "22222222", "main", "seed"),
                first,
                AccountSpec::white_label("white", "33333333", "main"),
            ],
            partners: vec![PartnerSpec::new("main", "main@example.com", "hush")],
            ..Settings::default()
        })
    }

    #[test]
    fn each_secret_has_a_file() {
        let folder = tempfile::tempdir().unwrap();
        simulator().write_secrets(folder.path()).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| {
                let file = file.unwrap();
                let content = std::fs::read_to_string(file.path()).unwrap();
                (file.file_name().into_string().unwrap(), content)
            })
            .collect();
        files.sort_unstable();
        let file = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        let expected = [file("label-1.refresh-token", "seed"), file("main.password", "hush")];
        assert_eq!(files, expected);
        assert_eq!(encoded("a label/ü"), "a%20label%2F%C3%BC");
    }

    #[test]
    fn files_are_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let simulator = simulator();
        let config = folder.path().join("sim.yaml");
        let write = || simulator.write_config(&config, "http://127.0.0.1:1", "5s");
        write().unwrap();
        write().unwrap();
        let written = std::fs::read_to_string(&config).unwrap();
        assert_eq!(written, simulator.exporter_config("http://127.0.0.1:1", "5s"));
        for name in ["sim.yaml", "main.password", "label-1.refresh-token"] {
            let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        std::fs::write(folder.path().join("main.password"), "mine").unwrap();
        let error = write().unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("main.password"), "{error}");
        assert_eq!(std::fs::read(folder.path().join("main.password")).unwrap(), b"mine");
    }
}
