//! The contract of sources holds for the source that the other tests use.

use std::sync::Arc;

use async_trait::async_trait;
use oms_apply::testing::MemorySource;
use oms_core::{
    RowChange, Source,
    testing::{
        SourceChange, SourceTable,
        source::{self, SourceBed},
    },
};
use tokio::sync::Mutex;

struct Bed {
    source: MemorySource,
    /// The tables in the order of their numbers.
    tables: Mutex<Vec<SourceTable>>,
}

impl Bed {
    async fn changes(&self, changes: &[SourceChange]) -> Vec<RowChange> {
        let tables = self.tables.lock().await;
        let number = |c: &SourceChange| tables.iter().position(|t| t.name == c.table).expect("a table");
        changes
            .iter()
            .map(|c| RowChange {
                table: number(c) as u32,
                before: c.before.clone(),
                after: c.after.clone(),
            })
            .collect()
    }
}

#[async_trait]
impl SourceBed for Bed {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.source.clone())
    }

    async fn create_table(&self, table: &SourceTable) {
        let mut tables = self.tables.lock().await;
        let number = self.source.create_table(table.schema()) as usize;
        assert_eq!(number, tables.len(), "every table of the suite has its own name");
        tables.push(table.clone());
    }

    async fn commit(&self, changes: &[SourceChange]) {
        let done = self.source.commit(self.changes(changes).await);
        assert_eq!(done.len(), changes.len(), "no change is refused");
    }

    async fn roll_back(&self, changes: &[SourceChange]) {
        self.source.abort(self.changes(changes).await);
    }

    async fn purge(&self) {
        self.source.purge();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let bed = Bed {
        source: MemorySource::new([]),
        tables: Mutex::new(Vec::new()),
    };
    source::run_all(&bed).await;
}
