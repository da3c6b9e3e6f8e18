//! The service manager, where there is one: it is told how the daemon is doing, and may have opened
//! the listeners.
//!
//! A [`Notifier`] sends what `sd_notify(3)` describes, and does nothing without a `NOTIFY_SOCKET`.
//! [`attend`] runs beside the daemon and tells when it is ready, that it is alive and that it stops;
//! whoever reads the configuration again holds a [`Reloading`] meanwhile. [`Sockets`] are those of a
//! `.socket` unit. [`app`](crate::app) uses all of them.
//!
//! Nothing of this can stop the daemon: sending never waits, and what fails is logged and dropped.

mod sockets;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep};
use tracing::warn;

pub use self::sockets::{Sockets, SocketsError, passed};

use crate::health::Health;
use crate::shutdown::Shutdown;

/// Time between two looks at readiness.
const LOOK: Duration = Duration::from_millis(100);
/// Longest time after which a changed status is told.
const STATUS_PERIOD: Duration = Duration::from_secs(5);
/// How much time a start that is under way asks for, again and again: the first readings take as long
/// as upstream takes, and a restart would not make it faster.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A way to the service manager, or none.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    socket: UnixDatagram,
    manager: SocketAddr,
    /// Silence after which the manager restarts the daemon.
    watchdog: Option<Duration>,
    /// Whether it knows that the daemon runs: then a reload means something to it.
    running: AtomicBool,
    /// Whether the last message was lost, which is logged once.
    failing: AtomicBool,
}

/// Tells the service manager that the configuration is being read again, until it is dropped.
#[derive(Debug)]
#[must_use = "the reload is over when this is dropped"]
pub struct Reloading(Option<Arc<Link>>);

impl Notifier {
    /// The way that the environment names, if it does. The variables stay: children must be started
    /// without them.
    pub fn from_env() -> Self {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Self::default();
        };
        match Link::new(&path, sd_notify::watchdog_enabled()) {
            Ok(link) => Self(Some(Arc::new(link))),
            Err(error) => {
                warn!(%error, "the service manager will hear nothing: NOTIFY_SOCKET is of no use");
                Self::default()
            }
        }
    }

    /// Tells that the configuration is being read again, as `Type=notify-reload` wants it. When the
    /// guard goes, by whatever way, the daemon counts as running again, with the new configuration or
    /// the old one. Before the daemon is ready there is nothing to tell.
    pub fn reloading(&self) -> Reloading {
        let link = self.0.clone().filter(|link| link.running.load(Relaxed));
        if let (Some(link), Ok(now)) = (&link, NotifyState::monotonic_usec_now()) {
            link.send(&[NotifyState::Reloading.to_string(), now.to_string()]);
        }
        Reloading(link)
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        // Not once the daemon is stopping.
        if let Some(link) = self.0.take().filter(|link| link.running.load(Relaxed)) {
            link.send(&[NotifyState::Ready.to_string()]);
        }
    }
}

impl Link {
    fn new(path: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            manager: SocketAddr::from_pathname(path)?,
            watchdog: watchdog.filter(|period| !period.is_zero()),
            running: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        })
    }

    /// Sends assignments in one message; tells whether it was taken.
    fn send(&self, assignments: &[String]) -> bool {
        let message = assignments.join("\n");
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.manager);
        if let Err(error) = &sent
            && !self.failing.load(Relaxed)
        {
            warn!(%error, "the service manager cannot be told how the daemon is doing");
        }
        self.failing.store(sent.is_err(), Relaxed);
        sent.is_ok()
    }
}

/// Keeps the service manager informed for as long as it is polled: that the daemon is ready as
/// `/-/ready` says it, what `status` says of it, that it is alive while `/-/healthy` would say so, and
/// that it stops once `shutdown` has begun.
pub async fn attend(
    notifier: &Notifier,
    health: &Health,
    status: impl Fn() -> String,
    shutdown: &Shutdown,
) -> Infallible {
    let Some(link) = &notifier.0 else { return std::future::pending().await };
    let mut told = Told::default();
    loop {
        let now = Instant::now();
        let (news, then) = told.next(link.watchdog, health, &status, now);
        // What was not taken is told again.
        if news.is_empty() || link.send(&news) {
            told = then;
        }
        link.running.store(told.ready && !told.stopping, Relaxed);
        tokio::select! {
            biased;
            () = shutdown.wait(), if !told.stopping => {
                told.stopping = true;
                link.running.store(false, Relaxed);
                let status = NotifyState::Status("stopping");
                link.send(&[NotifyState::Stopping.to_string(), status.to_string()]);
            }
            () = sleep(told.pause(link.watchdog, now)) => {}
        }
    }
}

/// What the service manager has been told.
#[derive(Debug, Clone, Default)]
struct Told {
    ready: bool,
    stopping: bool,
    status: String,
    /// When it last heard that the daemon is alive.
    alive: Option<Instant>,
    /// When it was last asked for patience with the start.
    patience: Option<Instant>,
}

impl Told {
    /// What is to be told now, and what has been told then.
    fn next(
        &self,
        watchdog: Option<Duration>,
        health: &Health,
        status: &impl Fn() -> String,
        now: Instant,
    ) -> (Vec<String>, Self) {
        let mut then = self.clone();
        let mut news = Vec::new();
        let mut tell = |state: NotifyState<'_>| news.push(state.to_string());
        let healthy = health.healthy();
        if healthy && watchdog.is_some_and(|period| is_due(self.alive, period / 2, now)) {
            tell(NotifyState::Watchdog);
            then.alive = Some(now);
        }
        if self.stopping {
            return (news, then);
        }
        if !self.ready && health.ready() {
            tell(NotifyState::Ready);
            then.ready = true;
        }
        if !then.ready && healthy && is_due(self.patience, START_PATIENCE / 2, now) {
            tell(NotifyState::ExtendTimeoutUsec(START_PATIENCE.as_micros() as u32));
            then.patience = Some(now);
        }
        let status = if then.ready { status() } else { "reading for the first time".to_owned() };
        if status != self.status {
            tell(NotifyState::Status(&status));
            then.status = status;
        }
        (news, then)
    }

    /// How long there is nothing to tell.
    fn pause(&self, watchdog: Option<Duration>, now: Instant) -> Duration {
        let usual = if self.ready { STATUS_PERIOD } else { LOOK };
        let Some(period) = watchdog else { return usual };
        let silent = self.alive.map_or(period, |at| now.saturating_duration_since(at));
        match (period / 2).saturating_sub(silent) {
            // It is due, and something is wrong.
            Duration::ZERO => LOOK.min(period / 2),
            left => left.min(usual),
        }
    }
}

fn is_due(last: Option<Instant>, period: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Heartbeat, SILENCE};
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);
    const WATCHDOG: Option<Duration> = Some(Duration::from_secs(30));

    fn next(told: &mut Told, health: &Health) -> Vec<String> {
        let (news, then) =
            told.next(WATCHDOG, health, &|| "polling 2 accounts".to_owned(), Instant::now());
        *told = then;
        news
    }

    /// A daemon that is ready, and what was told of it.
    fn ready() -> (Health, Told) {
        let (health, mut told) = (Health::new(), Told::default());
        health.listening();
        assert_eq!(
            next(&mut told, &health),
            ["WATCHDOG=1", "READY=1", "STATUS=polling 2 accounts"]
        );
        (health, told)
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_asks_for_patience_until_it_is_ready() {
        let (health, mut told) = (Health::new(), Told::default());
        let first = Heartbeat::new();
        health.listening();
        health.await_first_attempt(&first, 600 * SECOND);
        let begun = next(&mut told, &health);
        let patience = "EXTEND_TIMEOUT_USEC=30000000";
        assert_eq!(begun, ["WATCHDOG=1", patience, "STATUS=reading for the first time"]);
        assert_eq!(told.pause(WATCHDOG, Instant::now()), LOOK);
        health.tick();
        advance(14 * SECOND).await;
        assert_eq!(next(&mut told, &health), [""; 0]);
        advance(SECOND).await;
        assert_eq!(next(&mut told, &health), ["WATCHDOG=1", patience]);
        first.note_attempt();
        assert_eq!(next(&mut told, &health), ["READY=1", "STATUS=polling 2 accounts"]);
        assert_eq!(next(&mut told, &health), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_alive_twice_in_each_period_of_the_watchdog() {
        let (health, mut told) = ready();
        for _ in 0..3 {
            assert_eq!(told.pause(WATCHDOG, Instant::now()), STATUS_PERIOD);
            advance(14 * SECOND).await;
            health.tick();
            assert_eq!(next(&mut told, &health), [""; 0]);
            assert_eq!(told.pause(WATCHDOG, Instant::now()), SECOND);
            advance(SECOND).await;
            assert_eq!(next(&mut told, &health), ["WATCHDOG=1"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_supervisor_is_not_called_alive() {
        let (health, mut told) = ready();
        advance(SILENCE).await;
        assert!(!health.healthy());
        for _ in 0..5 {
            assert_eq!(next(&mut told, &health), [""; 0]);
            assert_eq!(told.pause(WATCHDOG, Instant::now()), LOOK);
            advance(15 * SECOND).await;
        }
        health.tick();
        assert_eq!(next(&mut told, &health), ["WATCHDOG=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_start_gets_no_more_time() {
        let (health, mut told) = (Health::new(), Told::default());
        next(&mut told, &health);
        advance(SILENCE).await;
        assert_eq!(next(&mut told, &health), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_stops_it_is_only_alive() {
        let (health, told) = ready();
        let mut told = Told { stopping: true, ..told };
        advance(15 * SECOND).await;
        let (news, then) = told.next(WATCHDOG, &health, &|| "changed".to_owned(), Instant::now());
        assert_eq!(news, ["WATCHDOG=1"]);
        told = then;
        assert_eq!(next(&mut told, &health), [""; 0]);
    }

    #[test]
    fn without_a_manager_a_reload_tells_nothing() {
        drop(Notifier::default().reloading());
    }

    #[test]
    fn a_reload_is_told_from_its_begin_to_its_end_once_the_daemon_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let heard = || {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        };
        let link = Arc::new(Link::new(path.as_os_str(), None).unwrap());
        let notifier = Notifier(Some(Arc::clone(&link)));
        drop(notifier.reloading());
        assert_eq!(heard(), None);
        link.running.store(true, Relaxed);
        let reloading = notifier.reloading();
        let begun = heard().unwrap();
        let usec = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0);
        assert_eq!(heard(), None);
        drop(reloading);
        assert_eq!(heard().as_deref(), Some("READY=1"));
        let reloading = notifier.reloading();
        link.running.store(false, Relaxed);
        drop(reloading);
        assert!(heard().unwrap().starts_with("RELOADING=1") && heard().is_none());
    }

    #[test]
    fn a_manager_that_does_not_listen_or_does_not_read_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let link = Link::new(path.as_os_str(), None).unwrap();
        assert!(!link.send(&["READY=1".to_owned()]));
        let _deaf = UnixDatagram::bind(&path).unwrap();
        assert!(link.send(&["READY=1".to_owned()]));
        // Once its queue is full.
        while link.send(&["WATCHDOG=1".to_owned()]) {}
    }
}
