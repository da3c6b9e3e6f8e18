//! Files as the exporter accepts them: readable by their owner only.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file with mode 0600, replaced atomically.
pub(crate) fn write_private(file: &Path, content: &str) {
    write_with_mode(file, content, 0o600);
}

/// Writes a script that its owner may run.
pub(crate) fn write_script(file: &Path, content: &str) {
    write_with_mode(file, content, 0o700);
}

fn write_with_mode(file: &Path, content: &str, mode: u32) {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, content).unwrap();
    std::fs::set_permissions(&draft, Permissions::from_mode(mode)).unwrap();
    std::fs::rename(draft, file).unwrap();
}

/// Writes `config.yaml` into a folder.
pub(crate) fn write_config(folder: &Path, yaml: &str) -> PathBuf {
    let file = folder.join("config.yaml");
    write_private(&file, yaml);
    file
}
