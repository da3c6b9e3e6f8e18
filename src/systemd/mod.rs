//! The service manager, where there is one: the daemon reports its state to it, and may have got its
//! listeners from it.
//!
//! A [`Notifier`] sends what `sd_notify(3)` describes, and does nothing without a `NOTIFY_SOCKET`.
//! [`notify_manager`] runs beside the daemon and reports that it is ready, alive and stopping; a reload
//! holds a [`Reloading`]. [`Sockets`] are those of a `.socket` unit. [`app`](crate::app) uses all of them.
//!
//! Nothing of this can stop the daemon: sending never waits, and failures are logged and dropped.

mod notify;
mod sockets;

pub use self::notify::{Notifier, Reloading, notify_manager};
pub use self::sockets::{Sockets, SocketsError, passed};
