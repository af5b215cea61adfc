//! Which transactions of a log were written by the other direction of a link.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use oms_core::{Column, ColumnType, ProjectId, Row, TableName, TableSchema, Value, codes};

use super::{error::EventError, table_map::TableMapEvent, table_plan::TablePlan};
use crate::sink::{FENCE_TABLE, META_DATABASE};

/// Tells the transactions that projects of one family wrote, by the row of the fence table that each of them changes before
/// anything else. Cheap to clone; clones count together.
///
/// A project reads one of two databases, and its family writes there only in the other direction: what the family wrote is an echo.
#[derive(Clone, Debug)]
pub struct OwnWrites {
    family: Arc<str>,
    transactions: Arc<AtomicU64>,
    marks: Arc<AtomicU64>,
}

impl OwnWrites {
    /// Those of a project's family ([`ProjectId::family`]).
    pub fn of(project: &ProjectId) -> Self {
        Self {
            family: project.family().into(),
            transactions: Arc::default(),
            marks: Arc::default(),
        }
    }

    /// Transactions with changes of the followed tables that were left out since this was made, those twice that were read twice.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Transactions that carried a mark of the family, with changes of the followed tables or without.
    pub fn marks(&self) -> u64 {
        self.marks.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, left_out: bool) {
        self.marks.fetch_add(1, Ordering::Relaxed);
        if left_out {
            self.transactions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How rows of the fence table are read, if it is that.
    ///
    /// # Errors
    /// `OMS-SCHEMA-0005` when it is a table of that name with other columns.
    pub(super) fn plan(&self, map: &TableMapEvent<'_>) -> Result<Option<TablePlan>, EventError> {
        let is = |bytes: &[u8], name: &str| bytes.eq_ignore_ascii_case(name.as_bytes());
        if is(map.database, META_DATABASE) && is(map.table, FENCE_TABLE) {
            TablePlan::new(u32::MAX, &fence_table(), map).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whether a change of the fence table's row was made by the family. The component is part of the row's key, which every
    /// image has.
    ///
    /// # Errors
    /// `OMS-SRC-0015` when the log leaves it out all the same.
    pub(super) fn made(&self, before: Option<&Row>, after: Option<&Row>) -> Result<bool, EventError> {
        let component = [before, after]
            .into_iter()
            .flatten()
            .find_map(|row| match row.get(0) {
                Value::Bytes(component) => Some(component),
                _ => None,
            });
        let Some(component) = component else {
            return Err(EventError::of(
                codes::src::ROW_IMAGE,
                format!("`{META_DATABASE}`.`{FENCE_TABLE}`: the log holds a row without its key"),
            ));
        };
        let project = component.split(|b| *b == b'.').next().unwrap_or_default();
        let project = std::str::from_utf8(project).ok();
        // What is no id of ours was not written by us.
        let project = project.and_then(|p| p.parse::<ProjectId>().ok());
        Ok(project.is_some_and(|p| p.family() == &*self.family))
    }
}

/// The fence table as sinks create it; the layout's version is part of its name.
fn fence_table() -> TableSchema {
    let column = |name: &str, ty: ColumnType, nullable: bool| Column {
        name: name.to_owned(),
        ty,
        nullable,
        generated: None,
        invisible: false,
    };
    let number = || ColumnType::Integer {
        bytes: 8,
        unsigned: true,
    };
    let lane = ColumnType::Integer {
        bytes: 4,
        unsigned: false,
    };
    TableSchema {
        name: TableName::new(META_DATABASE, FENCE_TABLE),
        engine: "InnoDB".to_owned(),
        columns: vec![
            column("component", ColumnType::VarBinary { length: 96 }, false),
            column("lane", lane, false),
            column("epoch", number(), false),
            column("claim", number(), false),
            column("turn", number(), false),
            column("connection", number(), false),
            column("state", ColumnType::Blob { tier: 4 }, true),
        ],
        keys: Vec::new(),
        estimated_rows: 0,
        estimated_bytes: 0,
    }
}
