//! A lane is opened while others work: what happens to those counts all the same.
#![allow(clippy::unwrap_used)]

mod model;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{options, pairs, row, shapes, token};
use oms_apply::{
    ClimbConfig, SyncConfig, SyncEnd, SyncPlan, Synchronizer, resume_or_initialize,
    testing::{MemorySink, MemorySource},
};
use oms_core::{
    Applier, ApplyCheckpoint, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, Failure, LaneId, LaneState,
    RowChange, Sink, TableName, TablePair, codes,
};
use tokio_util::sync::CancellationToken;

/// What happens while the destination lets nobody in.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// Somebody else claims: the lane that works is refused.
    Takeover,
    Cancel,
}

/// A claim of a destination that accepts the first lane's connection and answers no other.
#[derive(Debug)]
struct OneDoor {
    claim: Arc<dyn Claim>,
    sink: MemorySink,
    pairs: Arc<Vec<TablePair>>,
    meanwhile: Meanwhile,
    cancel: CancellationToken,
}

#[async_trait]
impl Claim for OneDoor {
    fn number(&self) -> ClaimNumber {
        self.claim.number()
    }

    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        self.claim.checkpoint().await
    }

    async fn initialize(&self, state: &LaneState) -> Result<(), Failure> {
        self.claim.initialize(state).await
    }

    async fn applier(&self, lane: LaneId) -> Result<Box<dyn Applier>, Failure> {
        if lane.0 == 0 {
            return self.claim.applier(lane).await;
        }
        match self.meanwhile {
            Meanwhile::Takeover => {
                let lanes = options(&self.pairs, 4);
                self.sink.claim(token("incr-sync", 2), lanes).await?;
            }
            Meanwhile::Cancel => self.cancel.cancel(),
        }
        std::future::pending().await
    }

    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        self.claim.chunk_writer().await
    }

    async fn receipts(&self, table: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        self.claim.receipts(table).await
    }

    async fn clear_table(&self, table: u32) -> Result<(), Failure> {
        self.claim.clear_table(table).await
    }
}

/// The end of a run whose second lane is never let in.
async fn end_of(meanwhile: Meanwhile) -> Result<SyncEnd, Failure> {
    let tables = shapes();
    let (source, pairs) = (MemorySource::new(tables.iter().cloned()), pairs(&tables));
    let sink = MemorySink::new(tables.iter().cloned(), 1, 300);
    for a in 0..2_000 {
        source.commit(vec![RowChange {
            table: 0,
            before: None,
            after: Some(row(&tables[0], a, 0, 0)),
        }]);
    }
    source.close();
    let config = SyncConfig {
        lanes: 4,
        climb: Some(ClimbConfig {
            start: 1,
            settle: 0,
            window: 1,
            rest: 1,
            ..ClimbConfig::default()
        }),
        climb_interval: Duration::from_millis(2),
        batch_rows: 1,
        window: 500,
        ..SyncConfig::default()
    };
    let cancel = CancellationToken::new();
    let claim = sink
        .claim(token("incr-sync", 1), options(&pairs, 4))
        .await
        .unwrap();
    let claim = OneDoor {
        claim,
        sink,
        pairs: pairs.clone(),
        meanwhile,
        cancel: cancel.clone(),
    };
    let checkpoint = resume_or_initialize(&claim, &source.start()).await.unwrap();
    let plan = SyncPlan {
        tables: pairs,
        foreign_keys: Vec::new(),
        skip_until: Default::default(),
        safe_until: None,
        always_safe: Default::default(),
        stop_at: None,
    };
    let engine = Synchronizer::new(plan, config);
    let run = engine.run(&claim, &source, checkpoint, &cancel);
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    ended.expect("a run that ends although nobody lets its next lane in")
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_ends_the_run_while_another_is_opened() {
    let failure = end_of(Meanwhile::Takeover).await.unwrap_err();
    assert_eq!(failure.code(), codes::apply::FENCED);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_cancelled_while_a_lane_is_opened() {
    assert_eq!(end_of(Meanwhile::Cancel).await.unwrap(), SyncEnd::Cancelled);
}
