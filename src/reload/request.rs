//! The wish that the configuration be read anew.

use tokio::sync::{mpsc, oneshot};

/// Wishes that wait for their turn; more wait to be sent.
const QUEUE: usize = 8;

/// Asks for the configuration to be read anew. Clones ask the same.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<Request>);

/// Where the wishes arrive.
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<Request>);

/// One wish, to be answered.
#[derive(Debug)]
pub struct Request(oneshot::Sender<Result<(), Unloaded>>);

/// Why the configuration was not taken into use; the earlier one still is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unloaded {
    /// It is broken, or something stands against it.
    #[error("{0}")]
    Refused(String),
    /// The process is about to end.
    #[error("the exporter is shutting down")]
    Ending,
}

/// The two ends of the way that the wishes take.
pub fn reloads() -> (Reloads, Requests) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Reloads(sender), Requests(receiver))
}

impl Reloads {
    /// Has the configuration read anew, and returns once it is in use.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn reload(&self) -> Result<(), Unloaded> {
        let (reply, replied) = oneshot::channel();
        self.0.send(Request(reply)).await.map_err(|_| Unloaded::Ending)?;
        replied.await.unwrap_or(Err(Unloaded::Ending))
    }
}

impl Requests {
    /// The next wish. Waits for ever once nobody is left who could have one.
    pub async fn next(&mut self) -> Request {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl Request {
    /// Tells what became of it, if somebody still wants to know.
    pub fn answer(self, result: Result<(), Unloaded>) {
        let _ = self.0.send(result);
    }
}
