//! The queue between the log and standard error, which may block: a pipe that is not read.
//!
//! Lines go into a [`Queue`] without waiting and a thread writes them. While the queue is full, lines
//! are lost and counted; once half of it is written, one line in their place says how many were lost.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use wazzup_exporter::blocking::lock;

/// How long to wait before a stream that says it is not ready is tried again.
const NOT_READY: Duration = Duration::from_millis(20);

/// Makes the line that says how many were lost.
type Notice = Box<dyn Fn(u64) -> String + Send + Sync>;

/// Lines that wait to be written.
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
    /// Most bytes that wait.
    limit: usize,
    notice: Notice,
    dropped: IntCounter,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// Bytes of the lines that wait and of the one that is being written.
    bytes: usize,
    /// Whether lines are being lost until there is room again.
    full: bool,
    /// Lines that were lost since then.
    lost: u64,
    /// Lines that were written, or could not be.
    done: u64,
}

/// How long to wait for a reader at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlushTimeout {
    /// For each line.
    pub(super) line: Duration,
    /// For all of them.
    pub(super) all: Duration,
}

impl Queue {
    /// A queue of at most so many bytes, whose lines a thread of its own writes to `stream`.
    pub(super) fn start(
        limit: usize,
        notice: Notice,
        dropped: IntCounter,
        stream: impl Write + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let (state, filled, written) = Default::default();
        let queue = Arc::new(Self { state, filled, written, limit, notice, dropped });
        let written = Arc::clone(&queue);
        // It ends with the process.
        std::thread::Builder::new().name("log".to_owned()).spawn(move || written.write(stream))?;
        Ok(queue)
    }

    /// Has a line written, or counts it as lost. Never waits.
    pub(super) fn push(&self, line: String) {
        let mut state = self.state();
        if state.full || state.bytes + line.len() > self.limit {
            state.full = true;
            state.lost += 1;
            drop(state);
            self.dropped.inc();
        } else {
            self.append(state, line);
        }
    }

    /// Has a line written for which there is always room: the reason why the program ends.
    pub(super) fn push_last(&self, line: String) {
        self.append(self.state(), line);
    }

    /// Waits until everything is written; with a limit to its `timeout`, not for ever.
    pub(super) fn flush(&self, timeout: Option<FlushTimeout>) {
        let begun = Instant::now();
        let mut state = self.state();
        while state.bytes > 0 {
            let Some(FlushTimeout { line, all }) = timeout else {
                state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = line.min(all.saturating_sub(begun.elapsed()));
            let done = state.done;
            let waited = self.written.wait_timeout_while(state, left, |now| now.done == done);
            let (now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                return;
            }
            state = now;
        }
    }

    fn append(&self, mut state: MutexGuard<'_, State>, line: String) {
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.filled.notify_one();
    }

    fn write(&self, mut stream: impl Write) {
        let mut state = self.state();
        loop {
            let Some(line) = state.lines.pop_front() else {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            if write_whole(&mut stream, line.as_bytes()).is_err() {
                self.dropped.inc();
            }
            state = self.state();
            state.bytes -= line.len();
            state.done += 1;
            if state.full && state.bytes <= self.limit / 2 {
                state.full = false;
                let notice = (self.notice)(std::mem::take(&mut state.lost));
                state.bytes += notice.len();
                state.lines.push_back(notice);
            }
            self.written.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Writes all of it, also to a stream that another program has made non-blocking.
fn write_whole(stream: &mut impl Write, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(NOT_READY),
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const FOREVER: Duration = Duration::from_mins(1);

    /// A stream that takes a line when the test takes it.
    struct Slow(mpsc::SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let line = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.send(line).map_err(|_| std::io::Error::from(ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn start(limit: usize) -> (Arc<Queue>, mpsc::Receiver<String>, IntCounter) {
        let (send, read) = mpsc::sync_channel(0);
        let dropped = IntCounter::new("dropped", "Lines").unwrap();
        let notice = Box::new(|lost| format!("lost {lost}\n"));
        (Queue::start(limit, notice, dropped.clone(), Slow(send)).unwrap(), read, dropped)
    }

    fn line(number: usize) -> String {
        format!("line {number:03}\n")
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_where_it_is_missing() {
        let size = line(0).len();
        let (queue, read, dropped) = start(10 * size);
        (0..25).for_each(|number| queue.push(line(number)));
        assert_eq!(dropped.get(), 15);
        // Below half of the limit there is room again.
        let mut written: Vec<String> =
            (0..6).map(|_| read.recv_timeout(FOREVER).unwrap()).collect();
        assert_eq!(written, (0..6).map(line).collect::<Vec<_>>());
        // The sixth is done once the seventh is taken.
        written.push(read.recv_timeout(FOREVER).unwrap());
        queue.push(line(25));
        written.extend((0..5).map(|_| read.recv_timeout(FOREVER).unwrap()));
        assert_eq!(written[7..], [line(7), line(8), line(9), "lost 15\n".to_owned(), line(25)]);
        assert_eq!(dropped.get(), 15);
    }

    #[test]
    fn everything_comes_out_at_the_end_if_somebody_reads() {
        let (queue, read, _) = start(1_000_000);
        (0..1_000).for_each(|number| queue.push(line(number)));
        queue.push_last("the reason\n".to_owned());
        let reader = std::thread::spawn(move || read.iter().take(1_001).collect::<Vec<_>>());
        queue.flush(Some(FlushTimeout { line: FOREVER, all: FOREVER }));
        let lines = reader.join().unwrap();
        assert_eq!((lines.len(), &*lines[1_000]), (1_001, "the reason\n"));
        queue.flush(None);
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_whoever_does_not_read() {
        let (queue, read, _) = start(1_000);
        queue.push(line(0));
        queue.push(line(1));
        let timeout = FlushTimeout { line: Duration::from_millis(20), all: FOREVER };
        queue.flush(Some(timeout));
        assert_eq!(read.recv_timeout(FOREVER).unwrap(), line(0));
    }

    #[test]
    fn the_last_line_finds_room_in_a_full_queue() {
        let (queue, read, dropped) = start(line(0).len());
        queue.push(line(0));
        queue.push(line(1));
        queue.push_last("the reason\n".to_owned());
        assert_eq!(dropped.get(), 1);
        let written: Vec<_> = (0..2).map(|_| read.recv_timeout(FOREVER).unwrap()).collect();
        assert_eq!(written, [line(0), "the reason\n".to_owned()]);
    }

    #[test]
    fn lines_for_a_closed_stream_are_counted() {
        let (queue, read, dropped) = start(1_000);
        drop(read);
        queue.push(line(0));
        queue.flush(None);
        assert_eq!(dropped.get(), 1);
    }
}
