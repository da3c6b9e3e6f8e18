//! Samples the accounts for the charts of the status page.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::blocking;
use crate::clock::Stamp;
use crate::shutdown::Shutdown;
use crate::snapshot::{Directory, Point};

/// Time between two samples of a daemon. With the points that a
/// [`History`](crate::snapshot::History) keeps, the charts show six hours.
pub const SAMPLING_PERIOD: Duration = Duration::from_mins(1);

/// Takes a sample of every account now and then at each `period`, until `shutdown`.
pub(super) async fn sample(directory: Arc<Directory>, period: Duration, shutdown: Shutdown) {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.wait() => return,
        }
        let slots = directory.slots();
        blocking::run(move || {
            for slot in slots.iter() {
                let now = Stamp::now();
                slot.history.record(Point::of(&slot.view().totals(now)), now, period);
            }
        })
        .await;
    }
}
