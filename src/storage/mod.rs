//! What has to survive the process, per account: small files in a folder of its own, safe from a second
//! owner, a kill and a power loss.
//!
//! A [`Storage`] is the place for all accounts; [`Storage::account`] locks one account's folder and
//! gives its [`AccountStore`], the only way to write there; [`Storage::files`] is for async code and for the
//! several parts of one process that store something of the same account. Commands beside a running daemon read with
//! [`Storage::read_unlocked`], or [`Storage::open_unlocked`] for long logs. [`replace_file`] is for files
//! elsewhere. Everything but [`AccountFiles`] blocks, mostly on fsync: call it in `spawn_blocking`. The content of the
//! files is up to their owners; [`state_bytes`] and [`parse_state`] put a version into it.
//!
//! ```text
//! data/                 0700, made when the first account is opened
//!   id.78231464/        0700, of the account with this number; see `folder_name.rs`
//!     .lock             0600, locked by the owner and holding its process id; stays when it ends
//!     .new              0600, exists while a file is written; a killed owner's is removed
//!     state.json        0600, the callers' files, whose names do not start with a dot
//! ```
//!
//! The place itself may be reached through symbolic links, as systemd's `StateDirectory=` is; from
//! there on they are refused. Once a folder is open, it is what is used, wherever its path may lead
//! later, so that the files and the lock stay together.

mod error;
mod folder;
mod folder_name;
mod state_file;
mod store;

pub use self::error::StorageError;
pub use self::folder::SIZE_MAX;
pub use self::folder_name::AccountFolder;
pub use self::state_file::{StateError, parse_state, state_bytes};
pub use self::store::{
    AccountFiles, AccountStore, DISK_TIMEOUT, Storage, check_replace_file, replace_file,
};
