//! File systems of their own, mounted for one test. Needs root; tests say why they check nothing where it is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A mounted file system.
pub(crate) struct Mount(TempDir);

impl Mount {
    /// A file system on a disk image, which can be frozen.
    pub(crate) fn ext4() -> Option<Self> {
        Self::by(|point| {
            let image = point.with_file_name("image");
            std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
            run("mkfs.ext4", &["-q".as_ref(), &image])?;
            run("mount", &["-o".as_ref(), "loop".as_ref(), &image, point])
        })
    }

    /// A file system in memory.
    pub(crate) fn tmpfs() -> Option<Self> {
        Self::by(|point| run("mount", &["-t".as_ref(), "tmpfs".as_ref(), "none".as_ref(), point]))
    }

    /// What `mount` mounts at the folder that it is given.
    pub(crate) fn by(mount: impl FnOnce(&Path) -> Result<(), String>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let point = folder.path().join("disk");
        std::fs::create_dir(&point).unwrap();
        if let Err(why) = mount(&point) {
            #[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
            {
                println!("skipped, because no file system can be mounted: {why}");
            }
            return None;
        }
        Some(Self(folder))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    /// Makes it hang, or respond again: `-f` or `-u`.
    pub(crate) fn freeze(&self, flag: &str) -> Result<(), String> {
        run("fsfreeze", &[flag.as_ref(), &self.path()])
    }

    /// Mounts it again with these options.
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        run("mount", &["-o".as_ref(), options.as_ref(), &self.path()]).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.freeze("-u");
        let _ = run("umount", &["-l".as_ref(), &self.path()]);
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    finish(Command::new(program).args(arguments).stdin(Stdio::null()))
}

/// Runs a program of the system to its end.
pub(crate) fn finish(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin");
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}
