//! The loop test: a mark of a project's family is written and must be seen again in the log.
//! The argument is in `node/docs/reverse-and-loops.md`.

use std::{sync::Arc, time::Duration};

use oms_core::{
    ClaimToken, ComponentId, Epoch, Failure, PrecheckItem, PrecheckSide, PrecheckStatus, RecordFlags,
    SinkOptions, TableMap, TableName, codes,
};
use oms_mysql::binlog::OwnWrites;
use oms_proto::v1::{DataSourceKind, PartialRows};
use tokio::time::timeout;

use super::{precheck::listed, server_id};
use crate::connectors::Connector;

const KEY: &str = "LOOP_TEST";
/// How long a mark may take to come out of the log.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a mark at one end under a name of the component's family, and looks for it in the log with the code that incremental
/// synchronization uses. Nothing of it stays but what the log keeps.
///
/// `tables` are those of this end. Idempotent: a later run under the same or a higher epoch begins anew.
pub(super) async fn item(
    component: &ComponentId,
    epoch: Epoch,
    end: &Connector,
    side: PrecheckSide,
    tables: &[TableName],
) -> PrecheckItem {
    let item = |status, code, message: String, action: &str| PrecheckItem {
        key: KEY,
        side,
        status,
        skippable: false,
        code,
        message,
        action: action.to_owned(),
    };
    if end.kind() == DataSourceKind::Oceanbase {
        let words = "this end is read by comparing rows, from a moment behind everything that the other direction wrote";
        return item(PrecheckStatus::Passed, None, words.to_owned(), "");
    }
    let name = side.name();
    let number = server_id(&format!("{component}.{name}"));
    let own_writes = OwnWrites::of(component.project());
    let looked = async {
        let plain = plain_tables(end, tables).await?;
        if !plain.is_empty() {
            return Ok(Seen::Unmarked(plain));
        }
        timeout(PATIENCE, comes_back(component, epoch, end, number, &own_writes))
            .await
            .unwrap_or(Ok(Seen::Nothing))
    };
    match looked.await {
        Ok(Seen::Mark) => {
            let words = "what this link writes here is told from what applications write";
            item(PrecheckStatus::Passed, None, words.to_owned(), "")
        }
        Ok(Seen::Nothing) => item(
            PrecheckStatus::Failed,
            Some(codes::src::LOG_FORMAT),
            "the log does not show the rows of `omsnode_meta` that mark what this link writes here, so that changes would go \
             round in a circle"
                .to_owned(),
            "Let the server log the database omsnode_meta: it must not be left out by binlog_ignore_db, binlog_do_db or, at a \
             replica, by replicate-ignore-db.",
        ),
        Ok(Seen::Unmarked(tables)) => item(
            PrecheckStatus::Failed,
            Some(codes::schema::ENGINE_NOT_SUPPORTED),
            format!(
                "changes of tables without transactions bear no mark: {}",
                listed(&tables)
            ),
            "Convert them to InnoDB, or remove them from the project before it is turned round.",
        ),
        Err(failure) => item(
            PrecheckStatus::Failed,
            Some(failure.code()),
            failure.text(),
            failure.code().action(),
        ),
    }
}

/// What came of it.
enum Seen {
    Mark,
    /// The log went on behind the mark and did not show it, or did not go on at all.
    Nothing,
    /// Tables whose changes are logged outside of transactions.
    Unmarked(Vec<String>),
}

/// The tables that are not InnoDB.
async fn plain_tables(end: &Connector, tables: &[TableName]) -> Result<Vec<String>, Failure> {
    let loaded = end.source(0, PartialRows::Apply)?.load_tables(tables).await?;
    let plain = loaded.iter().filter(|t| !t.engine.eq_ignore_ascii_case("InnoDB"));
    Ok(plain.map(|t| format!("{} ({})", t.name, t.engine)).collect())
}

async fn comes_back(
    component: &ComponentId,
    epoch: Epoch,
    end: &Connector,
    number: u32,
    own_writes: &OwnWrites,
) -> Result<Seen, Failure> {
    let source = end.without_echoes(number, PartialRows::Apply, own_writes)?;
    let sink = end.sink()?;
    let from = source.start_position().await?;
    let token = ClaimToken {
        component: component.clone(),
        epoch,
    };
    let options = SinkOptions {
        tables: Arc::default(),
        lanes: 1,
    };
    sink.claim(token, options).await?;
    let until = source.current_position().await?;
    let mut capture = source.open_capture(&from).await?;
    let mut decoder = source.decoder(Arc::new(TableMap::default()), &from)?;
    let mut events = Vec::new();
    let seen = loop {
        let record = capture.next().await?;
        if !record.flags.has(RecordFlags::CONTEXT) {
            decoder.decode(&record, &mut events)?;
            events.clear();
        }
        if own_writes.marks() > 0 {
            break Seen::Mark;
        }
        if record.position.is_some_and(|p| p >= until) {
            break Seen::Nothing;
        }
    };
    drop(capture);
    sink.forget(component).await?;
    Ok(seen)
}
