//! Turns for work of which little may be done at once, taken in turn by the networks of clients: one that
//! asks for much waits for itself, not the others for it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::blocking::lock;

/// Requests that may wait for a turn.
const WAITING_MAX: usize = 64;

/// Hands out turns.
pub(super) struct Turns(Arc<Mutex<TurnQueue>>);

struct TurnQueue {
    free: usize,
    /// Requests that wait, each with its round and network. A network has one turn per round, so the rounds of
    /// one that asks for much are late.
    waiting: VecDeque<(u64, IpAddr, oneshot::Sender<Turn>)>,
    /// The round of the last one that had its turn.
    round: u64,
}

/// A turn, until it is dropped: the work holds it to its end.
pub(super) struct Turn(Arc<Mutex<TurnQueue>>);

impl Turns {
    /// As many turns at the same time as `free`.
    pub(super) fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(TurnQueue { free, waiting: VecDeque::new(), round: 0 })))
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        lock(&self.0).free
    }

    /// Waits for a turn; `None` if too many wait, and most of them in this network.
    pub(super) async fn take(&self, network: IpAddr) -> Option<Turn> {
        let receiver = {
            let mut queue = lock(&self.0);
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Some(Turn(Arc::clone(&self.0)));
            }
            queue.add(network)
        };
        receiver.await.ok()
    }
}

impl TurnQueue {
    fn add(&mut self, network: IpAddr) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let last = self.waiting.iter().rfind(|(_, one, _)| *one == network);
        // Not in the present round, which would never end while others come.
        let round = last.map_or(self.round, |(last, ..)| *last) + 1;
        let place = self.waiting.partition_point(|(other, ..)| *other <= round);
        self.waiting.insert(place, (round, network, sender));
        // The last one is of the network that waits for most turns.
        self.waiting.truncate(WAITING_MAX);
        receiver
    }

    /// The next one that still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let (round, _, next) = self.waiting.pop_front()?;
            self.round = round;
            if !next.is_closed() {
                return Some(next);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        let Some(next) = queue.next() else {
            queue.free += 1;
            return;
        };
        drop(queue);
        // A request that is gone by now passes the turn on by dropping it.
        let _ = next.send(Self(Arc::clone(&self.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;
    use tokio_util::sync::CancellationToken;

    fn network(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// Queues requests of these networks behind one that holds the only turn; returns the order in which
    /// they have their turns, and who is refused.
    async fn order(networks: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(network(0)).await.unwrap();
        let (done, begun) =
            (Arc::new(Mutex::new((Vec::new(), Vec::new()))), CancellationToken::new());
        let mut tasks = tokio::task::JoinSet::new();
        for number in networks.iter().copied() {
            let (turns, done, begun) = (Arc::clone(&turns), Arc::clone(&done), begun.clone());
            tasks.spawn(async move {
                let turn = turns.take(network(number)).await;
                begun.cancelled().await;
                let mut done = lock(&done);
                if turn.is_some() { done.0.push(number) } else { done.1.push(number) }
            });
            tokio::task::yield_now().await;
        }
        begun.cancel();
        drop(held);
        tasks.join_all().await;
        let done = lock(&done);
        (done.0.clone(), done.1.clone())
    }

    #[tokio::test]
    async fn networks_take_turns() {
        assert_eq!(order(&[1, 1, 1, 2, 2, 3]).await, (vec![1, 2, 3, 1, 2, 1], vec![]));
    }

    #[tokio::test]
    async fn steady_newcomers_keep_no_request_waiting() {
        let turns = Turns::new(1);
        let mut held = turns.take(network(0)).await;
        let (mut waiting, mut served) = (Vec::new(), Vec::new());
        for newcomer in [1, 1, 1, 2, 3, 4, 5, 6, 7] {
            let mut request = Box::pin(turns.take(network(newcomer)));
            assert!(futures_util::poll!(request.as_mut()).is_pending());
            waiting.push((newcomer, request));
            if waiting.len() == 3 {
                drop(held.take());
                for place in 0..3 {
                    if let Poll::Ready(turn) = futures_util::poll!(waiting[place].1.as_mut()) {
                        held = turn;
                        served.push(waiting.remove(place).0);
                        break;
                    }
                }
            }
        }
        assert_eq!(served, [1, 1, 2, 1, 3, 4, 5]);
    }

    #[tokio::test]
    async fn of_a_crowd_the_network_that_holds_most_is_refused() {
        let mut networks = [1; WAITING_MAX + 10].to_vec();
        networks.push(2);
        let (taken, refused) = order(&networks).await;
        assert_eq!(taken.get(..3), Some(&[1, 2, 1][..]));
        assert_eq!((taken.len(), refused), (WAITING_MAX, vec![1; 11]));
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_passes_the_turn_on() {
        let turns = Turns::new(1);
        let held = turns.take(network(1)).await.unwrap();
        let mut last = pin!(turns.take(network(3)));
        {
            let mut gone = pin!(turns.take(network(2)));
            assert!(futures_util::poll!(gone.as_mut()).is_pending());
            assert!(futures_util::poll!(last.as_mut()).is_pending());
            drop(held);
        }
        // The turn was handed to the one that is gone.
        drop(last.await.unwrap());
        assert!(turns.take(network(1)).await.is_some());
    }
}
