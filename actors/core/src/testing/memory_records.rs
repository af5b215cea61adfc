//! Records in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ComponentId, Failure, Record, RecordReader, RecordWriter, codes};

/// The records of any number of components, fenced as a destination does it. Clones are the same records.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    owners: BTreeMap<ComponentId, u64>,
    records: BTreeMap<(ComponentId, String, u64), Bytes>,
    fail_in: Option<u64>,
    calls: u64,
}

impl MemoryRecords {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of a component's records.
    pub fn reader(&self, component: &ComponentId) -> Arc<dyn RecordReader> {
        Arc::new(Side {
            records: self.clone(),
            component: component.clone(),
            owner: 0,
        })
    }

    /// The writer of a new owner; earlier ones are fenced from now on.
    pub fn claim(&self, component: &ComponentId) -> Arc<dyn RecordWriter> {
        let mut inner = self.lock();
        let owner = inner.owners.entry(component.clone()).or_default();
        *owner += 1;
        Arc::new(Side {
            records: self.clone(),
            component: component.clone(),
            owner: *owner,
        })
    }

    /// Removes all of a component's records and fences its writers.
    pub fn forget(&self, component: &ComponentId) {
        let mut inner = self.lock();
        *inner.owners.entry(component.clone()).or_default() += 1;
        inner.records.retain(|(of, ..), _| of != component);
    }

    /// Writers fail, as if the connection broke, after so many calls: every second time behind the effect.
    /// `None`: never.
    pub fn fail_after(&self, calls: Option<u64>) {
        self.lock().fail_in = calls;
    }

    /// Calls of writers so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug)]
struct Side {
    records: MemoryRecords,
    component: ComponentId,
    owner: u64,
}

impl Side {
    fn write(&self, effect: impl FnOnce(&mut Inner)) -> Result<(), Failure> {
        let broken = || Failure::new(codes::dst::UNREACHABLE, "the test breaks connections");
        let mut inner = self.records.lock();
        inner.calls += 1;
        if inner.owners.get(&self.component) != Some(&self.owner) {
            return Err(Failure::new(codes::apply::FENCED, self.component.to_string()));
        }
        let fails = inner.fail_in == Some(0);
        inner.fail_in = inner.fail_in.map(|left| left.saturating_sub(1));
        if fails && inner.calls.is_multiple_of(2) {
            return Err(broken());
        }
        effect(&mut inner);
        if fails { Err(broken()) } else { Ok(()) }
    }
}

#[async_trait]
impl RecordReader for Side {
    async fn read(&self, list: &str, from: u64, limit: u32) -> Result<Vec<Record>, Failure> {
        let inner = self.records.lock();
        let first = (self.component.clone(), list.to_owned(), from);
        let found = inner
            .records
            .range(first..)
            .take_while(|((component, name, _), _)| *component == self.component && name == list);
        let record = |((_, list, number), content): (&(ComponentId, String, u64), &Bytes)| Record {
            list: list.clone(),
            number: *number,
            content: content.clone(),
        };
        Ok(found.take(limit as usize).map(record).collect())
    }
}

#[async_trait]
impl RecordWriter for Side {
    async fn put(&self, records: &[Record]) -> Result<(), Failure> {
        tokio::task::yield_now().await;
        self.write(|inner| {
            for record in records {
                let key = (self.component.clone(), record.list.clone(), record.number);
                inner.records.insert(key, record.content.clone());
            }
        })
    }

    async fn remove_below(&self, list: &str, below: u64) -> Result<(), Failure> {
        self.write(|inner| {
            inner.records.retain(|(component, name, number), _| {
                *component != self.component || name != list || *number >= below
            });
        })
    }

    async fn remove_group(&self, group: &str) -> Result<(), Failure> {
        self.write(|inner| {
            let inside = |name: &str| name.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'));
            inner
                .records
                .retain(|(component, name, _), _| *component != self.component || !inside(name));
        })
    }
}
