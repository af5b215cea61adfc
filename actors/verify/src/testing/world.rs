//! Both databases and the writes between them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use oms_core::{Failure, Row, SnapshotReader, TableName, codes};

use super::{database::MemoryTable, reader::MemoryReader};
use crate::{Barrier, Pause, Side, Sides};

/// What the next write at the source is: table, row before, row after. Called at each access of a
/// reader, with the source's table contents; `None`: no write now.
pub type Writer =
    Box<dyn FnMut(&BTreeMap<TableName, MemoryTable>) -> Option<(TableName, Option<Row>, Option<Row>)> + Send>;

/// Both databases. A write of the [`Writer`] is at the source at once and reaches the destination
/// in order, `lag` accesses later.
#[derive(Clone)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    source: BTreeMap<TableName, MemoryTable>,
    destination: BTreeMap<TableName, MemoryTable>,
    names: BTreeMap<TableName, TableName>,
    writer: Option<Writer>,
    lag: u64,
    now: u64,
    /// Due time, source table, row before, row after.
    queue: VecDeque<(u64, TableName, Option<Row>, Option<Row>)>,
    /// Accesses until readers begin to fail.
    fail_in: Option<u64>,
    accesses: u64,
    digests: bool,
}

impl World {
    /// Table pairs with their contents.
    pub fn new(tables: Vec<(MemoryTable, MemoryTable)>) -> Self {
        let names = tables
            .iter()
            .map(|(s, d)| (s.schema.name.clone(), d.schema.name.clone()))
            .collect();
        let (source, destination): (Vec<_>, Vec<_>) = tables.into_iter().unzip();
        let map = |tables: Vec<MemoryTable>| tables.into_iter().map(|t| (t.schema.name.clone(), t)).collect();
        let inner = Inner {
            source: map(source),
            destination: map(destination),
            names,
            writer: None,
            lag: 0,
            now: 0,
            queue: VecDeque::new(),
            fail_in: None,
            accesses: 0,
            digests: true,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes while reading, with a lag in accesses. Rows reach the destination as they are.
    pub fn write_with(&self, writer: Writer, lag: u64) {
        let mut inner = self.lock();
        inner.writer = Some(writer);
        inner.lag = lag;
    }

    /// Readers fail, as if the connection broke, after so many accesses; `None`: never.
    pub fn fail_after(&self, accesses: Option<u64>) {
        self.lock().fail_in = accesses;
    }

    /// Whether the servers can digest; they can unless told otherwise.
    pub fn set_digests(&self, able: bool) {
        self.lock().digests = able;
    }

    pub(super) fn can_digest(&self) -> bool {
        self.lock().digests
    }

    /// Accesses of all readers so far.
    pub fn accesses(&self) -> u64 {
        self.lock().accesses
    }

    /// Changes a table directly.
    pub fn change(&self, side: Side, table: &TableName, change: impl FnOnce(&mut MemoryTable)) {
        let mut inner = self.lock();
        let tables = match side {
            Side::Source => &mut inner.source,
            Side::Destination => &mut inner.destination,
        };
        if let Some(table) = tables.get_mut(table) {
            change(table);
        }
    }

    pub(super) fn tick(&self) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.accesses += 1;
        if let Some(left) = &mut inner.fail_in {
            if *left == 0 {
                return Err(Failure::new(
                    codes::src::UNREACHABLE,
                    "the test breaks connections",
                ));
            }
            *left -= 1;
        }
        inner.step();
        Ok(())
    }

    pub(super) fn with<T>(
        &self,
        side: Side,
        table: &TableName,
        read: impl FnOnce(&MemoryTable) -> T,
    ) -> Result<T, Failure> {
        let inner = self.lock();
        let tables = match side {
            Side::Source => &inner.source,
            Side::Destination => &inner.destination,
        };
        let found = tables.get(table);
        found
            .map(read)
            .ok_or_else(|| Failure::new(codes::src::TABLE_MISSING, table.to_string()))
    }
}

impl Inner {
    /// Time passes: a write at the source, and what is due at the destination.
    fn step(&mut self) {
        self.now += 1;
        if let Some(writer) = &mut self.writer
            && let Some((table, before, after)) = writer(&self.source)
        {
            apply(self.source.get_mut(&table), before.as_ref(), after.as_ref());
            self.queue.push_back((self.now + self.lag, table, before, after));
        }
        while self.queue.front().is_some_and(|(due, ..)| *due <= self.now) {
            let Some((_, table, before, after)) = self.queue.pop_front() else {
                break;
            };
            let name = self.names.get(&table).cloned().unwrap_or(table);
            apply(self.destination.get_mut(&name), before.as_ref(), after.as_ref());
        }
    }
}

fn apply(table: Option<&mut MemoryTable>, before: Option<&Row>, after: Option<&Row>) {
    let Some(table) = table else { return };
    if let Some(row) = before {
        table.remove(row);
    }
    if let Some(row) = after {
        table.put(row.clone());
    }
}

#[async_trait]
impl Sides for World {
    async fn open(&self, side: Side) -> Result<Box<dyn SnapshotReader>, Failure> {
        Ok(Box::new(MemoryReader {
            world: self.clone(),
            side,
            rows: VecDeque::new(),
        }))
    }
}

#[async_trait]
impl Barrier for World {
    /// Lets time pass until what was written before the call is at the destination.
    async fn settled(&self) -> Result<(), Failure> {
        let until = {
            let inner = self.lock();
            inner.now + inner.lag
        };
        loop {
            {
                let mut inner = self.lock();
                if inner.now >= until {
                    return Ok(());
                }
                inner.step();
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Pause for World {
    /// Lets as much time pass as half of the lag, at once.
    async fn pause(&self, _time: Duration) {
        let mut inner = self.lock();
        for _ in 0..inner.lag / 2 + 1 {
            inner.step();
        }
    }
}
