//! Records of components.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{ComponentId, Failure, Record, RecordReader, RecordWriter};
use tokio::{sync::Mutex, time::Instant};

use super::{
    claim::WriterRow,
    fence::{Fence, Holder, component_literal},
    literal,
    session::{Session, Shared},
};
use crate::connection::ServerInfo;

/// A connection that rested longer is not trusted to be alive: something between may have cut it off.
const REST: Duration = Duration::from_secs(20);

/// Length in bytes at which a statement takes no further record.
const STATEMENT_BYTES: usize = 256 << 10;

/// Records that one transaction removes at most.
const REMOVE_ROWS: u64 = 500;

fn text(value: &str) -> String {
    let mut out = Vec::new();
    literal::bytes(&mut out, value.as_bytes());
    // Names of lists and components are ASCII, so this never replaces anything.
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads the records of a component, on a connection that it keeps while it is used.
#[derive(Debug)]
pub(crate) struct MysqlRecordReader {
    shared: Arc<Shared>,
    component: ComponentId,
    open: Mutex<Option<(Session, Instant)>>,
}

impl MysqlRecordReader {
    pub(crate) fn new(shared: Arc<Shared>, component: ComponentId) -> Self {
        Self {
            shared,
            component,
            open: Mutex::new(None),
        }
    }
}

#[async_trait]
impl RecordReader for MysqlRecordReader {
    async fn read(&self, list: &str, from: u64, limit: u32) -> Result<Vec<Record>, Failure> {
        let mut open = self.open.lock().await;
        // Taken out while it is used: an error or a dropped call leaves none.
        let mut session = match open.take() {
            Some((session, used)) if used.elapsed() < REST => session,
            _ => Session::open(&self.shared).await?,
        };
        let sql = format!(
            "SELECT item, content FROM {} WHERE component={} AND list_name={} AND item>={from} ORDER BY item \
             LIMIT {limit}",
            session.meta().record(),
            component_literal(&self.component),
            text(list),
        );
        let found: Vec<(u64, Vec<u8>)> = match session.rows(sql).await {
            Ok(found) => found,
            // Nothing was ever written here.
            Err(error) if matches!(error.number, Some(1146 | 1049)) => Vec::new(),
            Err(error) => return Err(error.failure.context("reading records")),
        };
        *open = Some((session, Instant::now()));
        let record = |(number, content)| Record {
            list: list.to_owned(),
            number,
            content: Bytes::from(content),
        };
        Ok(found.into_iter().map(record).collect())
    }
}

/// Writes the records of a component, on a connection that it keeps while it is used.
#[derive(Debug)]
pub(crate) struct MysqlRecordWriter {
    shared: Arc<Shared>,
    server: Arc<ServerInfo>,
    holder: Arc<Holder>,
    row: WriterRow,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    session: Session,
    fence: Fence,
    used: Instant,
}

impl MysqlRecordWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        server: Arc<ServerInfo>,
        holder: Arc<Holder>,
        row: WriterRow,
    ) -> Self {
        Self {
            shared,
            server,
            holder,
            row,
            open: Mutex::new(None),
        }
    }

    async fn connect(&self) -> Result<Open, Failure> {
        let mut session = Session::open_known(&self.shared, &self.server).await?;
        let fence = Fence::open(&mut session, &self.holder, self.row.lane()).await?;
        Ok(Open {
            session,
            fence,
            used: Instant::now(),
        })
    }

    /// Executes the statements in one fenced transaction. Returns what the last of them affected.
    async fn transact(&self, statements: &[Vec<u8>]) -> Result<u64, Failure> {
        let mut slot = self.open.lock().await;
        // Taken out while it is used: an error or a dropped call leaves none, and the server rolls back.
        let mut open = match slot.take() {
            Some(open) if open.used.elapsed() < REST => open,
            _ => self.connect().await?,
        };
        let Open { session, fence, .. } = &mut open;
        fence.begin(session).await?;
        let mut affected = 0;
        for statement in statements {
            affected = session
                .run(statement)
                .await
                .map_err(|e| e.failure.context("writing records"))?
                .affected;
        }
        fence.commit(session, None, None).await?;
        open.used = Instant::now();
        *slot = Some(open);
        Ok(affected)
    }

    async fn remove(&self, condition: &str) -> Result<(), Failure> {
        let sql = format!(
            "DELETE FROM {} WHERE component={} AND {condition} ORDER BY list_name, item LIMIT {REMOVE_ROWS}",
            self.shared.meta.record(),
            self.holder.component_literal(),
        );
        let sql = [sql.into_bytes()];
        while self.transact(&sql).await? >= REMOVE_ROWS {}
        Ok(())
    }
}

#[async_trait]
impl RecordWriter for MysqlRecordWriter {
    async fn put(&self, records: &[Record]) -> Result<(), Failure> {
        let component = self.holder.component_literal();
        let mut statements: Vec<Vec<u8>> = Vec::new();
        for record in records {
            let next = match statements.last_mut() {
                Some(last) if last.len() + record.content.len() < STATEMENT_BYTES => {
                    last.push(b',');
                    last
                }
                _ => {
                    let table = self.shared.meta.record();
                    let columns = "component, list_name, item, epoch, content";
                    statements.push(format!("REPLACE INTO {table} ({columns}) VALUES ").into_bytes());
                    let Some(new) = statements.last_mut() else {
                        continue;
                    };
                    new
                }
            };
            let start = format!(
                "({component},{},{},{},",
                text(&record.list),
                record.number,
                self.holder.epoch
            );
            next.extend_from_slice(start.as_bytes());
            literal::bytes(next, &record.content);
            next.push(b')');
        }
        if !statements.is_empty() {
            self.transact(&statements).await?;
        }
        Ok(())
    }

    async fn remove_below(&self, list: &str, below: u64) -> Result<(), Failure> {
        self.remove(&format!("list_name={} AND item<{below}", text(list)))
            .await
    }

    async fn remove_group(&self, group: &str) -> Result<(), Failure> {
        // All names that begin with `<group>/`: '0' is the byte behind '/'.
        let (first, beyond) = (format!("{group}/"), format!("{group}0"));
        self.remove(&format!(
            "list_name>={} AND list_name<{}",
            text(&first),
            text(&beyond)
        ))
        .await
    }
}
