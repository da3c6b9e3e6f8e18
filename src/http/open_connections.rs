//! The open connections of a listener, and which of them gives way when there are too many.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};

use super::connection::Connection;
use crate::blocking::lock;
use crate::net::client_network;

/// The open connections of a listener, and some that have ended, in the order of their networks.
#[derive(Debug, Default)]
pub(super) struct OpenConnections(Mutex<Vec<(IpAddr, Weak<Connection>)>>);

impl OpenConnections {
    /// Adds a connection; it is open until it is dropped.
    pub(super) fn add(&self, peer: SocketAddr) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(peer));
        let network = client_network(peer.ip());
        let mut open = lock(&self.0);
        if open.len() == open.capacity() {
            open.retain(|(_, one)| one.strong_count() > 0);
        }
        let place = open.partition_point(|(other, _)| *other <= network);
        open.insert(place, (network, Arc::downgrade(&connection)));
        connection
    }

    /// Aborts the longest silent connection of the network that holds most, so that a crowd takes its
    /// own places and no others. Where there is a crowd, each connection that is accepted waits for it.
    pub(super) fn abort_one(&self) {
        let mut open = lock(&self.0);
        open.retain(|(_, one)| one.strong_count() > 0);
        let networks = || open.chunk_by(|(one, _), (other, _)| one == other);
        let most = networks().map(<[_]>::len).max();
        let largest = networks().filter(|network| Some(network.len()) == most).flatten();
        let connections = largest.filter_map(|(_, one)| one.upgrade());
        let Some(chosen) = connections.min_by_key(|one| one.silence()) else { return };
        chosen.abort();
        open.retain(|(_, one)| !std::ptr::eq(one.as_ptr(), &raw const *chosen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;

    /// Aborts one after another; returns the numbers of those that were aborted, in that order.
    async fn aborted(peers: &[&str], times: usize) -> Vec<usize> {
        let open = OpenConnections::default();
        let mut connections = Vec::new();
        for peer in peers {
            connections.push(open.add(peer.parse().unwrap()));
            advance(Duration::from_secs(1)).await;
        }
        let mut order = Vec::new();
        for _ in 0..times {
            let before: Vec<_> = connections.iter().map(|one| one.is_aborted()).collect();
            open.abort_one();
            let now = connections.iter().zip(before).position(|(one, was)| one.is_aborted() != was);
            order.push(now.unwrap());
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn the_network_with_most_connections_gives_way_the_longest_silent_first() {
        let peers = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.2:2", "192.0.2.2:3", "192.0.2.1:2"];
        assert_eq!(aborted(&peers, 3).await, [1, 0, 2]);
        let peers =
            ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:1::2]:1"];
        assert_eq!(aborted(&peers, 1).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_ended_is_forgotten() {
        let open = OpenConnections::default();
        for number in 0..1000 {
            drop(open.add(format!("192.0.2.{}:1", number % 250).parse().unwrap()));
        }
        assert!(lock(&open.0).len() < 10, "{}", lock(&open.0).len());
        let last = open.add("192.0.2.2:1".parse().unwrap());
        open.abort_one();
        assert!(last.is_aborted());
    }
}
