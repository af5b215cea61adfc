//! The two databases, and what the caller knows about time between them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_core::{Failure, Sink, SnapshotReader, Source};
use serde::{Deserialize, Serialize};

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Rows come from here.
    Source,
    /// Rows go there.
    Destination,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// Opens readers of both sides. Called from many places at once.
#[async_trait]
pub trait Sides: Send + Sync {
    /// A reader of the side's rows, on a connection of its own.
    async fn open(&self, side: Side) -> Result<Box<dyn SnapshotReader>, Failure>;
}

/// The sides of a project.
#[derive(Clone, Debug)]
pub struct SourceAndSink {
    /// The source.
    pub source: Arc<dyn Source>,
    /// The destination.
    pub sink: Arc<dyn Sink>,
}

#[async_trait]
impl Sides for SourceAndSink {
    async fn open(&self, side: Side) -> Result<Box<dyn SnapshotReader>, Failure> {
        match side {
            Side::Source => self.source.open_snapshot().await,
            Side::Destination => self.sink.open_snapshot().await,
        }
    }
}

/// What incremental synchronization can promise.
#[async_trait]
pub trait Barrier: Send + Sync {
    /// Returns when everything that was committed at the source before the call is at the
    /// destination. May be dropped at any time; may be called by several at once.
    ///
    /// # Errors
    /// When that cannot be found out. A transient error makes the round prove nothing; another one
    /// ends the table.
    async fn settled(&self) -> Result<(), Failure>;
}

/// Waits between rounds.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Returns after the time.
    async fn pause(&self, time: Duration);
}

/// Waits by tokio's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioPause;

#[async_trait]
impl Pause for TokioPause {
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
