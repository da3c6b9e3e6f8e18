//! The files of a web configuration, and whether any of them has changed.
//!
//! Content is compared, not times: Kubernetes and most tools swap symlinks or whole files. A
//! [`FileDigests`] holds digests, no content.

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde_saphyr::Spanned;

use crate::files::OpenFile;
use crate::problems::place::{folder_of, name_of, place};
use crate::problems::report::Scope;
use crate::text::opaque;

/// Largest file; the authorities of a whole operating system have a quarter of it.
const SIZE_MAX: u64 = 1 << 20;

/// Reads files and notes what was in them.
pub(super) struct Files {
    /// Where relative paths start.
    folder: PathBuf,
    pub(super) digests: FileDigests,
}

/// Which files were read, and a digest of each content or of the reason why there was none.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct FileDigests(Vec<(PathBuf, FileDigest)>);

type FileDigest = Result<Vec<u8>, String>;

impl Files {
    /// The files that the one at `path` names, and it itself.
    pub(super) fn of(path: &Path) -> Self {
        Self { folder: folder_of(path), digests: FileDigests::default() }
    }

    /// The content of the file that a key names, with its name for messages.
    pub(super) fn named(
        &mut self,
        written: &Spanned<String>,
        key: &str,
        scope: &mut Scope<'_>,
    ) -> Option<(Vec<u8>, String)> {
        let path = self.folder.join(&written.value);
        let content = self.read(&path);
        let name = name_of(&written.value, &path);
        match content {
            Ok(content) => Some((content, name)),
            Err(fault) => scope.refuse(place(written), key, format_args!("{name} {fault}")),
        }
    }

    /// Reads a file; the error follows the file's name.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let content = read(path);
        self.digests.0.push((path.to_owned(), sum(&content)));
        content
    }
}

impl FileDigests {
    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), sum(&read(path)))).collect())
    }
}

opaque!(FileDigests);

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = OpenFile::regular(path)?;
    let content = file.read(SIZE_MAX)?;
    content.ok_or_else(|| format!("is larger than {} MiB", SIZE_MAX >> 20))
}

fn sum(content: &Result<Vec<u8>, String>) -> FileDigest {
    let content = content.as_ref().map_err(Clone::clone)?;
    Ok(digest(&SHA256, content).as_ref().to_vec())
}
