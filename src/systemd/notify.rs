//! Notifications to the service manager: `sd_notify(3)`.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::health::Health;
use crate::shutdown::Shutdown;

/// Time between two checks of readiness.
const READINESS_PERIOD: Duration = Duration::from_millis(100);
/// Longest time after which a changed status is reported.
const STATUS_PERIOD: Duration = Duration::from_secs(5);
/// How much time a starting daemon requests at a time: the first readings take as long
/// as upstream takes, and a restart would not make it faster.
const START_EXTENSION: Duration = Duration::from_secs(30);

/// The socket of the service manager, or none.
#[derive(Clone, Default)]
pub struct Notifier(Option<Arc<Link>>);

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

/// Reports a reload to the service manager until it is dropped.
#[must_use = "the reload is over when this is dropped"]
pub struct Reloading(Option<Arc<Link>>);

impl Notifier {
    /// The socket that the environment names, if any. The variables stay: children must be started
    /// without them.
    pub fn from_env() -> Self {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Self::default();
        };
        match Link::new(&path, sd_notify::watchdog_enabled()) {
            Ok(link) => Self(Some(Arc::new(link))),
            Err(error) => {
                warn!(%error, "the service manager is not notified: NOTIFY_SOCKET cannot be used");
                Self::default()
            }
        }
    }

    /// Reports that a reload begins, as `Type=notify-reload` requires. When the
    /// guard goes, by whatever way, the daemon counts as running again, with the new configuration or
    /// the old one. Before the daemon is ready nothing is sent.
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
            manager: match path.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(path)?,
            },
            watchdog: watchdog.filter(|period| !period.is_zero()),
            running: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        })
    }

    /// Sends assignments in one message; returns whether it was sent.
    fn send(&self, assignments: &[String]) -> bool {
        let message = assignments.join("\n");
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.manager);
        if let Err(error) = &sent
            && !self.failing.load(Relaxed)
        {
            warn!(%error, "the service manager cannot be notified");
        }
        self.failing.store(sent.is_err(), Relaxed);
        sent.is_ok()
    }
}

/// Keeps the service manager informed for as long as it is polled: that the daemon is ready as
/// `/-/ready` says it, what `status` says of it, that it is alive while `/-/healthy` would say so, and
/// that it stops once `shutdown` has begun.
pub async fn notify_manager(
    notifier: &Notifier,
    health: &Health,
    status: impl Fn() -> String,
    shutdown: &Shutdown,
) -> Infallible {
    let Some(link) = &notifier.0 else { return std::future::pending().await };
    let mut reported = ManagerState::default();
    loop {
        let (now, before) = (Instant::now(), reported.clone());
        let messages = reported.next(link.watchdog, health, &status, now);
        if !messages.is_empty() && !link.send(&messages) {
            // It is sent again.
            reported = before;
        }
        link.running.store(reported.ready && !reported.stopping, Relaxed);
        tokio::select! {
            biased;
            () = shutdown.wait(), if !reported.stopping => {
                reported.stopping = true;
                link.running.store(false, Relaxed);
                let status = NotifyState::Status("stopping");
                link.send(&[NotifyState::Stopping.to_string(), status.to_string()]);
            }
            () = sleep(reported.pause(link.watchdog, now)) => {}
        }
    }
}

/// What the service manager has been reported.
#[derive(Debug, Clone, Default)]
struct ManagerState {
    ready: bool,
    stopping: bool,
    status: String,
    /// When it last heard that the daemon is alive.
    alive: Option<Instant>,
    /// When the start timeout was last extended.
    extended: Option<Instant>,
}

impl ManagerState {
    /// What is to be reported now.
    fn next(
        &mut self,
        watchdog: Option<Duration>,
        health: &Health,
        status: &impl Fn() -> String,
        now: Instant,
    ) -> Vec<String> {
        let mut messages = Vec::new();
        let mut send = |state: NotifyState<'_>| messages.push(state.to_string());
        let healthy = health.healthy();
        if healthy && watchdog.is_some_and(|period| is_due(self.alive, period / 2, now)) {
            send(NotifyState::Watchdog);
            self.alive = Some(now);
        }
        if self.stopping {
            return messages;
        }
        if !self.ready && health.ready() {
            send(NotifyState::Ready);
            self.ready = true;
        }
        if !self.ready && healthy && is_due(self.extended, START_EXTENSION / 2, now) {
            send(NotifyState::ExtendTimeoutUsec(START_EXTENSION.as_micros() as u32));
            self.extended = Some(now);
        }
        let status = if self.ready { status() } else { "reading for the first time".to_owned() };
        if status != self.status {
            send(NotifyState::Status(&status));
            self.status = status;
        }
        messages
    }

    /// Time until the next message may be due.
    fn pause(&self, watchdog: Option<Duration>, now: Instant) -> Duration {
        let usual = if self.ready { STATUS_PERIOD } else { READINESS_PERIOD };
        let Some(period) = watchdog else { return usual };
        let silent = self.alive.map_or(period, |at| now.saturating_duration_since(at));
        match (period / 2).saturating_sub(silent) {
            // It is due, and something is wrong.
            Duration::ZERO => READINESS_PERIOD.min(period / 2),
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

    fn next(reported: &mut ManagerState, health: &Health) -> Vec<String> {
        reported.next(WATCHDOG, health, &|| "polling 2 accounts".to_owned(), Instant::now())
    }

    /// A daemon that is ready, and what was reported of it.
    fn ready() -> (Health, ManagerState) {
        let (health, mut reported) = (Health::default(), ManagerState::default());
        health.listening();
        assert_eq!(
            next(&mut reported, &health),
            ["WATCHDOG=1", "READY=1", "STATUS=polling 2 accounts"]
        );
        (health, reported)
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_extends_its_timeout_until_it_is_ready() {
        let (health, mut reported) = (Health::default(), ManagerState::default());
        let first = Heartbeat::default();
        health.listening();
        health.await_first_attempt(&first, 600 * SECOND);
        let begun = next(&mut reported, &health);
        let extension = "EXTEND_TIMEOUT_USEC=30000000";
        assert_eq!(begun, ["WATCHDOG=1", extension, "STATUS=reading for the first time"]);
        assert_eq!(reported.pause(WATCHDOG, Instant::now()), READINESS_PERIOD);
        health.tick();
        advance(14 * SECOND).await;
        assert_eq!(next(&mut reported, &health), [""; 0]);
        advance(SECOND).await;
        assert_eq!(next(&mut reported, &health), ["WATCHDOG=1", extension]);
        first.note_attempt();
        assert_eq!(next(&mut reported, &health), ["READY=1", "STATUS=polling 2 accounts"]);
        assert_eq!(next(&mut reported, &health), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_alive_twice_in_each_period_of_the_watchdog() {
        let (health, mut reported) = ready();
        for _ in 0..3 {
            assert_eq!(reported.pause(WATCHDOG, Instant::now()), STATUS_PERIOD);
            advance(14 * SECOND).await;
            health.tick();
            assert_eq!(next(&mut reported, &health), [""; 0]);
            assert_eq!(reported.pause(WATCHDOG, Instant::now()), SECOND);
            advance(SECOND).await;
            assert_eq!(next(&mut reported, &health), ["WATCHDOG=1"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_supervisor_is_not_reported_alive() {
        let (health, mut reported) = ready();
        advance(SILENCE).await;
        assert!(!health.healthy());
        for _ in 0..5 {
            assert_eq!(next(&mut reported, &health), [""; 0]);
            assert_eq!(reported.pause(WATCHDOG, Instant::now()), READINESS_PERIOD);
            advance(15 * SECOND).await;
        }
        health.tick();
        assert_eq!(next(&mut reported, &health), ["WATCHDOG=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_start_gets_no_more_time() {
        let (health, mut reported) = (Health::default(), ManagerState::default());
        next(&mut reported, &health);
        advance(SILENCE).await;
        assert_eq!(next(&mut reported, &health), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_stops_it_is_only_alive() {
        let (health, reported) = ready();
        let mut reported = ManagerState { stopping: true, ..reported };
        advance(15 * SECOND).await;
        let changed = || "changed".to_owned();
        assert_eq!(reported.next(WATCHDOG, &health, &changed, Instant::now()), ["WATCHDOG=1"]);
        assert_eq!(next(&mut reported, &health), [""; 0]);
    }

    #[test]
    fn without_a_manager_a_reload_sends_nothing() {
        drop(Notifier::default().reloading());
    }

    #[test]
    fn a_reload_is_reported_from_its_begin_to_its_end_once_the_daemon_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let file = UnixDatagram::bind(&path).unwrap();
        reports_a_reload(&file, path.as_os_str());
        let name = path.to_str().unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let unnamed = UnixDatagram::bind_addr(&address).unwrap();
        reports_a_reload(&unnamed, OsStr::new(&format!("@{name}")));
    }

    fn reports_a_reload(manager: &UnixDatagram, name: &OsStr) {
        manager.set_nonblocking(true).unwrap();
        let heard = || {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        };
        let link = Arc::new(Link::new(name, None).unwrap());
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
    fn a_manager_that_does_not_listen_or_does_not_read_stops_nothing() {
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
