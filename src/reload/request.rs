//! Requests to reload the configuration.

use tokio::sync::{mpsc, oneshot};

/// Requests that wait in the channel.
const QUEUE: usize = 8;

/// Requests reloads; clones use the same channel.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<ReloadRequest>);

/// Receives the requests.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadRequest>);

/// The problems of broken account files, or why nothing has changed.
pub type Reloaded = Result<Vec<String>, ReloadError>;

/// One request, to be answered.
#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<Reloaded>);

/// Why the configuration was not applied; the earlier one stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It is invalid or cannot be applied.
    #[error("{0}")]
    Refused(String),
    /// The process is about to end.
    #[error("the exporter is shutting down")]
    Ending,
}

/// A channel for requests.
pub fn reloads() -> (Reloads, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Reloads(sender), ReloadRequests(receiver))
}

impl Reloads {
    /// Requests a reload, and returns once the configuration is in use, with what is wrong with
    /// account files.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn reload(&self) -> Reloaded {
        let (reply, replied) = oneshot::channel();
        self.0.send(ReloadRequest(reply)).await.map_err(|_| ReloadError::Ending)?;
        replied.await.unwrap_or(Err(ReloadError::Ending))
    }
}

impl ReloadRequests {
    /// The next request. Waits for ever once there are no senders left.
    pub async fn next(&mut self) -> ReloadRequest {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl ReloadRequest {
    /// Sends the result, if the sender still waits for it.
    pub fn answer(self, result: Reloaded) {
        let _ = self.0.send(result);
    }
}
