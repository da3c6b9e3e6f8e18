//! The queue between the log and standard error, which may block: a pipe that is not read.
//!
//! Lines go into a [`Queue`] without waiting and a thread writes them. While the queue is full, lines
//! are lost and counted; once half of it is written, one line in their place says how many were lost.

use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use prometheus::IntCounter;
use wazzup_exporter::blocking::lock;

/// How long to wait before a stream that says it is not ready is tried again.
const NOT_READY: Duration = Duration::from_millis(20);

/// Makes the line that says how many were lost.
type Notice = Box<dyn Fn(u64) -> String + Send + Sync>;

/// Lines that wait to be written.
pub(super) struct Queue {
    items: mpsc::Sender<QueueItem>,
    waiting: Mutex<Waiting>,
    /// Most bytes that wait, unless a single line is longer.
    limit: usize,
    notice: Notice,
    dropped: IntCounter,
}

enum QueueItem {
    Line(String),
    /// To be answered when everything before it is written.
    Flush(mpsc::Sender<()>),
}

#[derive(Default)]
struct Waiting {
    /// Bytes of the lines that wait and of the one that is being written.
    bytes: usize,
    /// Lines that were lost since there was no room; more are, until their number is in the queue.
    lost: u64,
}

impl Queue {
    /// A queue of at most so many bytes, or one line, whose lines a thread of its own writes to `stream`.
    pub(super) fn start(
        limit: usize,
        notice: Notice,
        dropped: IntCounter,
        stream: impl Write + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let (items, read) = mpsc::channel();
        let queue = Arc::new(Self { items, waiting: Mutex::default(), limit, notice, dropped });
        let writer = Arc::clone(&queue);
        // It ends with the process.
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.write(&read, stream))?;
        Ok(queue)
    }

    /// Has a line written, or counts it as lost. Never waits.
    pub(super) fn push(&self, line: String) {
        let mut waiting = lock(&self.waiting);
        let full = waiting.bytes > 0 && waiting.bytes + line.len() > self.limit;
        if waiting.lost > 0 || full {
            waiting.lost += 1;
            self.dropped.inc();
        } else {
            self.append(&mut waiting, line);
        }
    }

    /// Has a line written for which there is always room: the reason why the program ends.
    pub(super) fn push_last(&self, line: String) {
        self.append(&mut lock(&self.waiting), line);
    }

    /// Waits until everything is written; with a `timeout` not for ever.
    pub(super) fn flush(&self, timeout: Option<Duration>) {
        let (done, flushed) = mpsc::channel();
        self.send(QueueItem::Flush(done));
        let _ = match timeout {
            Some(timeout) => flushed.recv_timeout(timeout).ok(),
            None => flushed.recv().ok(),
        };
    }

    fn append(&self, waiting: &mut Waiting, line: String) {
        waiting.bytes += line.len();
        self.send(QueueItem::Line(line));
    }

    fn send(&self, item: QueueItem) {
        self.items.send(item).expect("the thread that writes has the other end for ever");
    }

    fn write(&self, items: &mpsc::Receiver<QueueItem>, mut stream: impl Write) {
        for item in items {
            let line = match item {
                QueueItem::Line(line) => line,
                // A notice may have come behind it.
                QueueItem::Flush(done) if lock(&self.waiting).bytes > 0 => {
                    self.send(QueueItem::Flush(done));
                    continue;
                }
                QueueItem::Flush(done) => {
                    let _ = done.send(());
                    continue;
                }
            };
            if write_whole(&mut stream, line.as_bytes()).is_err() {
                self.dropped.inc();
            }
            let mut waiting = lock(&self.waiting);
            waiting.bytes -= line.len();
            if waiting.lost > 0 && waiting.bytes <= self.limit / 2 {
                let notice = (self.notice)(std::mem::take(&mut waiting.lost));
                self.append(&mut waiting, notice);
            }
        }
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
    fn what_does_not_fit_is_counted_and_its_number_is_written_where_it_is_missing() {
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
    fn everything_is_written_at_the_end_if_it_is_read() {
        let (queue, read, _) = start(1_000_000);
        (0..1_000).for_each(|number| queue.push(line(number)));
        queue.push_last("the reason\n".to_owned());
        let reader = std::thread::spawn(move || read.iter().take(1_001).collect::<Vec<_>>());
        queue.flush(Some(FOREVER));
        let lines = reader.join().unwrap();
        assert_eq!((lines.len(), &*lines[1_000]), (1_001, "the reason\n"));
        queue.flush(None);
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_a_stream_that_is_not_read() {
        let (queue, read, _) = start(1_000);
        queue.push(line(0));
        queue.push(line(1));
        queue.flush(Some(Duration::from_millis(20)));
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
    fn a_line_that_is_longer_than_the_queue_is_written_alone() {
        let (queue, read, dropped) = start(10);
        let long = "x".repeat(20);
        queue.push(long.clone());
        queue.push(line(0));
        assert_eq!(dropped.get(), 1);
        let written: Vec<_> = (0..2).map(|_| read.recv_timeout(FOREVER).unwrap()).collect();
        assert_eq!(written, [long, "lost 1\n".to_owned()]);
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
