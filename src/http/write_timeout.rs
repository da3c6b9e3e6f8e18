//! A stream with a deadline for writes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Until when a response has to be written; shared by a connection's service and its stream.
#[derive(Debug)]
pub(super) struct WriteDeadline {
    origin: Instant,
    allowed: Duration,
    millis: AtomicU64,
}

impl WriteDeadline {
    pub(super) fn new(allowed: Duration) -> Self {
        Self { origin: Instant::now(), allowed, millis: AtomicU64::new(allowed.as_millis() as u64) }
    }

    /// Starts the time for the next response.
    pub(super) fn restart(&self) {
        let until = self.origin.elapsed() + self.allowed;
        self.millis.store(until.as_millis() as u64, Relaxed);
    }

    fn at(&self) -> Instant {
        self.origin + Duration::from_millis(self.millis.load(Relaxed))
    }
}

/// A stream whose writes fail once the deadline has passed and the client still reads nothing.
#[derive(Debug)]
pub(super) struct WriteTimeout<S> {
    stream: S,
    deadline: Arc<WriteDeadline>,
    timer: Pin<Box<Sleep>>,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(stream: S, deadline: Arc<WriteDeadline>) -> Self {
        let timer = Box::pin(sleep_until(deadline.at()));
        Self { stream, deadline, timer }
    }

    /// Called when a write is pending: fails after the deadline.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let at = self.deadline.at();
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            done @ Poll::Ready(_) => done,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Pending => self.wait(context),
            done @ Poll::Ready(_) => done,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_disconnected_at_the_deadline() {
        let (stream, mut client) = duplex(8);
        let deadline = Arc::new(WriteDeadline::new(WRITE_TIMEOUT));
        let mut bounded = WriteTimeout::new(stream, Arc::clone(&deadline));
        sleep(WRITE_TIMEOUT * 2).await;
        deadline.restart();
        let started = Instant::now();
        let mut first = [0; 8];
        let (written, read) =
            tokio::join!(bounded.write_all(&[7; 32]), client.read_exact(&mut first));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read.unwrap(), 8);
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    }
}
