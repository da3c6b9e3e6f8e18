//! A read-only file system that stops responding when a test wants it to, as one over a network does. It speaks FUSE
//! itself (`linux/fuse.h`), so that it needs no more than root and `/dev/fuse`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::event::{PollFd, PollFlags};

use super::mount::{Mount, finish};

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;
/// The folder; files follow.
const ROOT: u64 = 1;

/// Operations of `enum fuse_opcode`.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// A mounted folder with files in it.
pub(crate) struct HangingFs {
    hangs: Arc<(Mutex<bool>, Condvar)>,
    mount: Mount,
}

/// What answers the kernel.
struct Server {
    device: File,
    files: Vec<(String, Vec<u8>)>,
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl HangingFs {
    /// A folder with these files, all of mode 0600. Nothing, where none can be mounted.
    pub(crate) fn mount(files: BTreeMap<String, String>) -> Option<Self> {
        let files = files.into_iter().map(|(name, content)| (name, content.into_bytes())).collect();
        let hangs = Arc::<(Mutex<bool>, Condvar)>::default();
        let served = Arc::clone(&hangs);
        let mount = Mount::by(|point| {
            let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
            let device = device.map_err(|error| format!("/dev/fuse: {error}"))?;
            // It is the standard input of the program that mounts.
            let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
            let mut mount = Command::new("mount");
            mount.args(["-i", "-t", "fuse", "-o", options, "hanging"]).arg(point);
            finish(mount.stdin(Stdio::from(device.try_clone().unwrap())))?;
            std::thread::spawn(|| Server { device, files, hangs: served }.serve());
            Ok(())
        })?;
        Some(Self { hangs, mount })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.mount.path()
    }

    /// Whether it responds from now on.
    pub(crate) fn hang(&self, hangs: bool) {
        *self.hangs.0.lock().unwrap() = hangs;
        self.hangs.1.notify_all();
    }
}

impl Drop for HangingFs {
    fn drop(&mut self) {
        self.hang(false);
    }
}

impl Server {
    /// Answers until the file system is unmounted.
    fn serve(mut self) {
        let mut request = vec![0; 1 << 20];
        loop {
            // What was read from the device cannot be killed any more, so nothing is while it hangs.
            let mut ready = [PollFd::new(&self.device, PollFlags::IN)];
            if rustix::event::poll(&mut ready, None).is_err() {
                return;
            }
            let (hangs, changed) = &*self.hangs;
            drop(changed.wait_while(hangs.lock().unwrap(), |hangs| *hangs).unwrap());
            let Ok(length) = self.device.read(&mut request) else { return };
            let (head, body) = request[..length].split_at(40);
            let operation = u32::from_ne_bytes(head[4..8].try_into().unwrap());
            let id: [u8; 8] = head[8..16].try_into().unwrap();
            let node = u64::from_ne_bytes(head[16..24].try_into().unwrap());
            if [FORGET, BATCH_FORGET, INTERRUPT].contains(&operation) {
                continue;
            }
            let (error, answer) = match self.answer(operation, node, body) {
                Ok(answer) => (0, answer),
                Err(error) => (-error, Vec::new()),
            };
            let length = (16 + answer.len()) as u32;
            let reply = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &id, &answer].concat();
            // The one who asked may have been killed.
            let _ = self.device.write(&reply);
        }
    }

    fn answer(&self, operation: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, i32> {
        match operation {
            // Version 7.31, and nothing that it could offer.
            INIT => Ok(words(&[7, 31, 0, 0, 0, 1 << 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            LOOKUP => {
                let name = body.strip_suffix(b"\0").unwrap_or(body);
                let found = self.files.iter().position(|(file, _)| file.as_bytes() == name);
                let node = ROOT + 1 + found.ok_or(ENOENT)? as u64;
                // No generation, and nothing is valid for later.
                Ok([&node.to_ne_bytes()[..], &[0; 32], &self.attributes(node)].concat())
            }
            GETATTR => Ok([&[0; 16][..], &self.attributes(node)].concat()),
            // FOPEN_DIRECT_IO: nothing is cached.
            OPEN => Ok(words(&[0, 0, 1, 0])),
            READ => {
                let field = |at: usize| u64::from_ne_bytes(body[at..at + 8].try_into().unwrap());
                let content = self.content(node);
                let start = (field(8) as usize).min(content.len());
                let size = field(16) as u32 as usize;
                Ok(content[start..content.len().min(start + size)].to_vec())
            }
            RELEASE => Ok(Vec::new()),
            _ => Err(ENOSYS),
        }
    }

    fn content(&self, node: u64) -> &[u8] {
        &self.files[(node - ROOT - 1) as usize].1
    }

    /// `struct fuse_attr`.
    fn attributes(&self, node: u64) -> Vec<u8> {
        let (size, mode) =
            if node == ROOT { (0, 0o040_700) } else { (self.content(node).len(), 0o100_600) };
        let long = [node, size as u64, 0, 0, 0, 0].map(u64::to_ne_bytes).concat();
        [long, words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0])].concat()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
