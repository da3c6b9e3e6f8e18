//! The log: lines on standard error; writing to it never blocks.
//!
//! [`Log::set_up`] makes every event a line ([`line`]) in a queue that a thread writes ([`queue`]).
//! `main` keeps the [`Log`] until the end: its drop writes what is left.

mod line;
mod queue;

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Event, Level, Subscriber, error};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use wazzup_exporter::metrics::dropped_log_lines;

use self::line::{LogLine, OUR_CRATE};
use self::queue::Queue;
use super::flags::{LogFlags, LogFormat};

/// Size limit of the queue in bytes; some thousand lines.
const LIMIT: usize = 1024 * 1024;
/// How long a daemon waits at its end until all lines are written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The log of this process.
pub(crate) struct Log {
    queue: Arc<Queue>,
    timeout: Option<Duration>,
}

/// Turns events into lines of the queue.
struct LogLayer {
    format: LogFormat,
    queue: Arc<Queue>,
}

impl Log {
    /// Installs the log for events and panics. A `daemon` limits how long it waits at its end for the
    /// reader of standard error.
    pub(crate) fn set_up(flags: &LogFlags, daemon: bool) -> std::io::Result<Self> {
        let format = flags.format;
        let notice = move |lost| {
            let place = concat!("cli/logging/mod.rs:", line!());
            let message = "lines of the log were lost, because it was not read in time";
            let mut line = LogLine::new(format, Level::WARN, place);
            line.add("msg", message);
            line.add_bare("lines", lost);
            line.finish()
        };
        let dropped = dropped_log_lines().clone();
        let queue = Queue::start(LIMIT, Box::new(notice), dropped, std::io::stderr())?;
        // Of libraries only warnings are logged.
        let filter = Targets::new().with_default(Level::WARN).with_target(OUR_CRATE, flags.level);
        let lines = LogLayer { format, queue: Arc::clone(&queue) };
        tracing_subscriber::registry().with(filter).with(lines).init();
        // The default hook writes to standard error directly, which may block.
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self { queue, timeout: daemon.then_some(FLUSH_TIMEOUT) })
    }

    /// Writes the reason of the exit, unformatted.
    pub(crate) fn exit_reason(&self, text: &str) {
        self.queue.push_last(format!("{text}\n"));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(self.timeout);
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.queue.push(LogLine::of(self.format, event));
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let problem = info.payload_as_str().unwrap_or("a panic without a message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => Some(backtrace.to_string()),
        _ => None,
    };
    error!(place, problem, backtrace, "a bug in wazzup-exporter: one of its tasks has panicked");
}
