//! Following a source in rounds.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_core::{Capture, CapturedRecord, Failure, Position, ScnPosition, TableName, codes};
use oms_mysql::{
    catalog::Catalog,
    connection::{Endpoint, Flavor, Side},
    snapshot::connect_for_images,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    moment,
    outlet::Outlet,
    round::{Break, Connections, compare},
    shape,
    statement::{Between, scopes},
};

/// Records that may wait to be taken; each has about 256 KiB.
const WAITING: usize = 8;
/// The shortest pause between two rounds.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest: far below what any tenant keeps of the past.
const LONGEST: Duration = Duration::from_secs(60);
/// A pause takes so many times as long as the round before it: rounds take at most a third of one connection's time.
const PAUSE: u32 = 2;

/// Runs rounds in a task of its own, so that a dropped wait interrupts none.
#[derive(Debug)]
pub(super) struct RoundCapture {
    records: mpsc::Receiver<Result<CapturedRecord, Failure>>,
    running: JoinHandle<()>,
}

impl RoundCapture {
    /// Begins behind a position that was checked.
    pub(super) fn start(endpoint: Endpoint, tables: Arc<[TableName]>, from: ScnPosition) -> Self {
        let (sender, records) = mpsc::channel(WAITING);
        let running = tokio::spawn(async move {
            let Err(end) = follow(&endpoint, &tables, from, &sender).await;
            if let Break::Failed(failure) = end {
                // Whoever no longer takes records does not want to know why they end.
                let _ = sender.send(Err(failure)).await;
            }
        });
        Self { records, running }
    }
}

impl Drop for RoundCapture {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[async_trait]
impl Capture for RoundCapture {
    async fn next(&mut self) -> Result<CapturedRecord, Failure> {
        match self.records.recv().await {
            Some(record) => record,
            None => Err(Failure::new(codes::src::UNREACHABLE, "the rounds have ended")),
        }
    }

    /// Nothing is kept at the source for us.
    async fn acknowledge(&mut self, _: &Position) -> Result<(), Failure> {
        Ok(())
    }
}

async fn follow(
    endpoint: &Endpoint,
    tables: &[TableName],
    mut from: ScnPosition,
    records: &mpsc::Sender<Result<CapturedRecord, Failure>>,
) -> Result<Infallible, Break> {
    let mut connections = Connections {
        rows: connect_for_images(endpoint, Side::Source).await?,
        earlier: connect_for_images(endpoint, Side::Source).await?,
        other: connect_for_images(endpoint, Side::Source).await?,
    };
    let known = shape::read(&mut connections.other, tables).await?;
    known.must_be(&from)?;
    let mut all = Vec::new();
    let schemas = Catalog::new(&mut connections.other, Flavor::OceanBase, Side::Source)
        .load_tables(tables)
        .await?;
    for schema in schemas {
        let partitions = known.partitions(&schema.name);
        for scope in scopes(&Arc::new(schema), &partitions)? {
            all.push((scope, None));
        }
    }
    loop {
        let begun = Instant::now();
        let to = moment::current(&mut connections.other).await?;
        if to > from.scn {
            // What the tables are like is asked for behind the round's end and behind its last read: whatever was
            // done to them before either shows.
            shape::read(&mut connections.other, tables)
                .await?
                .must_equal(&known)?;
            let between = Between { from: from.scn, to };
            let mut outlet = Outlet::new(records, to);
            for (scope, count) in &mut all {
                *count = Some(compare(&mut connections, scope, between, *count, &mut outlet).await?);
            }
            shape::read(&mut connections.other, tables)
                .await?
                .must_equal(&known)?;
            from.scn = to;
            outlet.finish(from.clone()).await?;
        }
        sleep((begun.elapsed() * PAUSE).clamp(SHORTEST, LONGEST)).await;
    }
}
