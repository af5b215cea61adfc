//! The engine that forgets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use crate::batch::WriteBatch;
use crate::engine::{Durability, KvEngine, Order, Record, ScanLimit};
use crate::error::{KvError, KvResult};
use crate::header::DataHeader;
use crate::space::{KeyRange, SpaceId, prefixed};

/// Buffered batches kept apart from the durable state. An older one is taken as durable, which a power
/// cut is free to do as well.
const MOST_BUFFERED: usize = 1024;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
struct Inner {
    live: Map,
    durable: Map,
    buffered: VecDeque<WriteBatch>,
    failing: Option<String>,
}

/// An engine in memory. Clones share the same data, so a clone kept aside is the "disk" of a process
/// that ends; [`MemoryEngine::after_power_loss`] is what a power cut leaves of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryEngine {
    inner: Arc<RwLock<Inner>>,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new engine with what survives if the power fails now and the first `kept` buffered batches
    /// happen to have reached the disk. This engine is not changed.
    pub fn after_power_loss(&self, kept: usize) -> KvResult<Self> {
        let inner = self.inner.read().map_err(|_| stopped("a writer panicked"))?;
        let mut durable = inner.durable.clone();
        for batch in inner.buffered.iter().take(kept) {
            apply(&mut durable, batch)?;
        }
        Ok(Self {
            inner: Arc::new(RwLock::new(Inner {
                live: durable.clone(),
                durable,
                ..Inner::default()
            })),
        })
    }

    /// Batches that a power cut could lose now.
    #[must_use]
    pub fn buffered_batches(&self) -> usize {
        self.inner
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .buffered
            .len()
    }

    /// From now on every write and sync fails, as on a broken disk.
    pub fn fail_writes(&self, cause: &str) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).failing = Some(cause.to_owned());
    }
}

fn stopped(cause: &str) -> KvError {
    KvError::Stopped {
        cause: cause.to_owned(),
    }
}

fn apply(map: &mut Map, batch: &WriteBatch) -> KvResult<()> {
    let net = batch.net_effect(|space, range| {
        Ok(map
            .range(range.in_space(space))
            .map(|(key, _)| key.clone())
            .collect())
    })?;
    let net: Vec<_> = net
        .into_iter()
        .map(|(key, value)| (key, value.map(<[u8]>::to_vec)))
        .collect();
    for (key, value) in net {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
    Ok(())
}

impl Inner {
    fn harden(&mut self, keep: usize) -> KvResult<()> {
        while self.buffered.len() > keep {
            if let Some(batch) = self.buffered.pop_front() {
                apply(&mut self.durable, &batch)?;
            }
        }
        Ok(())
    }

    fn writable(&self) -> KvResult<()> {
        self.failing
            .as_deref()
            .map_or(Ok(()), |cause| Err(stopped(cause)))
    }
}

impl KvEngine for MemoryEngine {
    fn get(&self, space: SpaceId, key: &[u8]) -> KvResult<Option<Vec<u8>>> {
        let inner = self.inner.read().map_err(|_| stopped("a writer panicked"))?;
        Ok(inner.live.get(&prefixed(space, key)).cloned())
    }

    fn scan(
        &self,
        space: SpaceId,
        range: &KeyRange,
        order: Order,
        limit: ScanLimit,
    ) -> KvResult<Vec<Record>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let inner = self.inner.read().map_err(|_| stopped("a writer panicked"))?;
        let found = inner.live.range(range.in_space(space));
        let found: Box<dyn Iterator<Item = _>> = match order {
            Order::Ascending => Box::new(found),
            Order::Descending => Box::new(found.rev()),
        };
        let mut out = Vec::new();
        let mut bytes = 0usize;
        for (key, value) in found {
            if out.len() >= limit.records || (bytes >= limit.bytes && !out.is_empty()) {
                break;
            }
            bytes = bytes.saturating_add(key.len() + value.len());
            out.push((key.get(1..).unwrap_or_default().to_vec(), value.clone()));
        }
        Ok(out)
    }

    fn write(&self, batch: &WriteBatch, durability: Durability) -> KvResult<()> {
        batch.check()?;
        let mut inner = self.inner.write().map_err(|_| stopped("a writer panicked"))?;
        inner.writable()?;
        apply(&mut inner.live, batch)?;
        inner.buffered.push_back(batch.clone());
        inner.harden(match durability {
            Durability::Durable => 0,
            Durability::Buffered => MOST_BUFFERED,
        })
    }

    fn sync(&self) -> KvResult<()> {
        let mut inner = self.inner.write().map_err(|_| stopped("a writer panicked"))?;
        inner.writable()?;
        inner.harden(0)
    }

    fn header(&self) -> DataHeader {
        DataHeader::CURRENT
    }
}
