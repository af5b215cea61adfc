//! Records of a component as its notes.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{ComponentId, Failure, MessageSink, Record, RecordReader, RecordWriter};
use parking_lot::Mutex;

use crate::notebook::{Notebook, Notes};

/// What names of these notes begin with.
const PREFIX: &str = "record/";

/// Numbers have as many digits as the largest, so that names are in the order of numbers.
fn name(list: &str, number: u64) -> String {
    format!("{PREFIX}{list}/{number:020}")
}

/// The number of a note of this list.
fn number(list: &str, name: &str) -> Option<u64> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(list)?.strip_prefix('/')?;
    (rest.len() == 20).then(|| rest.parse().ok()).flatten()
}

/// Reads a component's records in a queue of messages: under a claim what was written under it, too; without one what was
/// committed when this was used first.
#[derive(Debug)]
pub struct NoteRecords {
    queue: Arc<dyn MessageSink>,
    component: ComponentId,
    notes: Mutex<Option<Notes>>,
}

impl NoteRecords {
    /// Of a component, from any node.
    pub fn new(queue: Arc<dyn MessageSink>, component: ComponentId) -> Self {
        Self {
            queue,
            component,
            notes: Mutex::default(),
        }
    }

    /// Under a claim, whose notes these are.
    pub(crate) fn claimed(queue: Arc<dyn MessageSink>, component: ComponentId, notes: Notes) -> Self {
        Self {
            queue,
            component,
            notes: Mutex::new(Some(notes)),
        }
    }

    async fn notes(&self) -> Result<Notes, Failure> {
        if let Some(notes) = &*self.notes.lock() {
            return Ok(notes.clone());
        }
        let read = Arc::new(Mutex::new(self.queue.notes(&self.component).await?));
        Ok(self.notes.lock().get_or_insert(read).clone())
    }
}

#[async_trait]
impl RecordReader for NoteRecords {
    async fn read(&self, list: &str, from: u64, limit: u32) -> Result<Vec<Record>, Failure> {
        let notes = self.notes().await?;
        let notes = notes.lock();
        let found = notes
            .range(name(list, from)..)
            .take_while(|(name, _)| name.starts_with(PREFIX))
            .filter_map(|(name, content)| {
                Some(Record {
                    list: list.to_owned(),
                    number: number(list, name)?,
                    content: content.clone(),
                })
            });
        Ok(found.take(limit as usize).collect())
    }
}

/// Writes records as notes.
#[derive(Debug)]
pub(crate) struct NoteRecordWriter(pub(crate) Arc<Notebook>);

impl NoteRecordWriter {
    async fn remove(&self, is_gone: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let gone: Vec<_> = self
            .0
            .notes()
            .lock()
            .keys()
            .filter(|name| is_gone(name))
            .map(|name| (name.clone(), None))
            .collect();
        for some in gone.chunks(1_000) {
            self.0.write(Vec::new(), some.to_vec()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl RecordWriter for NoteRecordWriter {
    async fn put(&self, records: &[Record]) -> Result<(), Failure> {
        let notes = records
            .iter()
            .map(|r| (name(&r.list, r.number), Some(r.content.clone())));
        self.0.write(Vec::new(), notes.collect()).await
    }

    async fn remove_below(&self, list: &str, below: u64) -> Result<(), Failure> {
        self.remove(|name| number(list, name).is_some_and(|n| n < below))
            .await
    }

    async fn remove_group(&self, group: &str) -> Result<(), Failure> {
        let prefix = format!("{PREFIX}{group}/");
        self.remove(|name| name.strip_prefix(&prefix).is_some_and(|rest| rest.contains('/')))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_numbers_and_lists_do_not_meet() {
        assert!(name("ddl", 9) < name("ddl", 10));
        assert_eq!(number("ddl", &name("ddl", 17)), Some(17));
        assert_eq!(number("ddl", &name("ddl/more", 17)), None);
        assert_eq!(number("ddl/more", &name("ddl/more", 17)), Some(17));
        assert_eq!(number("d", &name("ddl", 17)), None);
    }
}
