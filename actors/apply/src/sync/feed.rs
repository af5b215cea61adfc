//! Where log events come from.

use async_trait::async_trait;
use oms_core::{Failure, LogEvent, Position};

/// Opens feeds of one source's decoded log.
#[async_trait]
pub trait EventSource: Send + Sync {
    /// A feed of the events behind a position, which lies between transactions. Opening twice at
    /// one position gives the same transactions in the same order.
    async fn open(&self, from: &Position) -> Result<Box<dyn EventFeed>, Failure>;
}

/// A running feed.
#[async_trait]
pub trait EventFeed: Send {
    /// The next events in the order of the log: at least one, rows of about `max_bytes` at most
    /// (one row may be larger). Waits while there are none. `None`: the feed has ended for good,
    /// which only feeds with an end do. A [`LogEvent::Ddl`] is the last of those given at once: what follows it is decoded
    /// only when it was dealt with, by which the tables may have become others.
    ///
    /// Need not be cancel safe: a feed is dropped after a cancelled call.
    async fn next(&mut self, max_bytes: usize) -> Result<Option<Vec<LogEvent>>, Failure>;
}
