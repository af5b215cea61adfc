//! Statements that write rows. Pure.

use oms_core::{Failure, Row, codes};

use super::{
    plan::{ColumnPlan, TablePlan},
    value::{self, Unfit},
};

/// What an INSERT does about rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsertKind {
    /// Refused.
    Insert,
    /// Replaced.
    Replace,
    /// Left as they are. Only for tables with a key.
    Keep,
}

/// A statement under construction and what has to be true of its outcome.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: Vec<u8>,
    /// Holds a value that strict mode refuses although it is exact.
    pub(crate) relaxed: bool,
}

fn unfit(plan: &TablePlan, column: &ColumnPlan, reason: Unfit) -> Failure {
    let code = if reason.0.starts_with("absent") {
        codes::apply::PARTIAL_IMAGE
    } else {
        codes::dst::VALUE_NOT_REPRESENTABLE
    };
    Failure::new(
        code,
        format!("{}: column {}: {}", plan.name, column.label, reason.0),
    )
}

/// Rows of an INSERT or REPLACE, collected until the statement is large enough.
#[derive(Debug)]
struct RowsStatement {
    kind: InsertKind,
    sql: Vec<u8>,
    rows: usize,
}

impl RowsStatement {
    fn new(plan: &TablePlan, kind: InsertKind) -> Self {
        let mut sql: Vec<u8> = if kind == InsertKind::Replace {
            b"REPLACE INTO ".to_vec()
        } else {
            b"INSERT INTO ".to_vec()
        };
        sql.extend_from_slice(&plan.target);
        sql.push(b'(');
        for (i, column) in plan.columns.iter().enumerate() {
            if i > 0 {
                sql.push(b',');
            }
            sql.extend_from_slice(&column.name);
        }
        sql.extend_from_slice(b")VALUES");
        Self { kind, sql, rows: 0 }
    }

    /// Adds a row. Returns whether strict mode would refuse it; then it was *not* added, unless it
    /// is the statement's first.
    ///
    /// # Errors
    /// `OMS-DST-0008`, `OMS-APPLY-0007`.
    fn push(&mut self, plan: &TablePlan, row: &Row) -> Result<bool, Failure> {
        let start = self.sql.len();
        self.sql
            .extend_from_slice(if self.rows == 0 { b"(" } else { b",(" });
        let mut relaxed = false;
        for (i, column) in plan.columns.iter().enumerate() {
            if i > 0 {
                self.sql.push(b',');
            }
            relaxed |= value::write(&mut self.sql, column, row.get(column.source))
                .map_err(|e| unfit(plan, column, e))?;
        }
        self.sql.push(b')');
        if relaxed && self.rows > 0 {
            self.sql.truncate(start);
        } else {
            self.rows += 1;
        }
        Ok(relaxed)
    }

    fn finish(mut self, plan: &TablePlan, relaxed: bool) -> Statement {
        if self.kind == InsertKind::Keep
            && let Some(column) = plan.key_plans().next().or(plan.columns.first())
        {
            self.sql.extend_from_slice(b" ON DUPLICATE KEY UPDATE ");
            self.sql.extend_from_slice(&column.name);
            self.sql.push(b'=');
            self.sql.extend_from_slice(&column.name);
        }
        Statement {
            sql: self.sql,
            relaxed,
        }
    }
}

/// Builds one statement from the first of the rows, as many as fit, and tells how many.
///
/// # Errors
/// `OMS-DST-0008`, `OMS-APPLY-0007`.
pub(crate) fn insert_rows<'r>(
    plan: &TablePlan,
    kind: InsertKind,
    rows: impl Iterator<Item = &'r Row>,
    most_rows: usize,
    most_bytes: usize,
) -> Result<(Statement, usize), Failure> {
    let mut statement = RowsStatement::new(plan, kind);
    for row in rows {
        let first = statement.rows == 0;
        let relaxed = statement.push(plan, row)?;
        if relaxed && first {
            return Ok((statement.finish(plan, true), 1));
        }
        if relaxed || statement.rows >= most_rows || statement.sql.len() >= most_bytes {
            break;
        }
    }
    let rows = statement.rows;
    Ok((statement.finish(plan, false), rows))
}

/// The condition that finds a row: by its key, or by all of its columns.
fn condition(sql: &mut Vec<u8>, plan: &TablePlan, before: &Row) -> Result<(), Failure> {
    let mut first = true;
    let mut and = |sql: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            sql.extend_from_slice(b" AND ");
        }
    };
    if plan.key.is_some() {
        for column in plan.key_plans() {
            and(sql);
            value::equals(sql, column, before.get(column.source)).map_err(|e| unfit(plan, column, e))?;
        }
    } else {
        for column in &plan.columns {
            and(sql);
            value::identical(sql, column, before.get(column.source)).map_err(|e| unfit(plan, column, e))?;
        }
    }
    Ok(())
}

/// `DELETE` of rows by key.
pub(crate) fn delete_keys<'r>(
    plan: &TablePlan,
    rows: impl Iterator<Item = &'r Row>,
    row_constructors: bool,
) -> Result<Statement, Failure> {
    let mut sql = b"DELETE FROM ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" WHERE ");
    let keys: Vec<&ColumnPlan> = plan.key_plans().collect();
    let list = keys.len() == 1 || row_constructors;
    if list {
        let open = keys.len() > 1;
        if open {
            sql.push(b'(');
        }
        for (i, column) in keys.iter().enumerate() {
            if i > 0 {
                sql.push(b',');
            }
            sql.extend_from_slice(&column.name);
        }
        if open {
            sql.push(b')');
        }
        sql.extend_from_slice(b" IN(");
        for (n, row) in rows.enumerate() {
            if n > 0 {
                sql.push(b',');
            }
            if open {
                sql.push(b'(');
            }
            for (i, column) in keys.iter().enumerate() {
                if i > 0 {
                    sql.push(b',');
                }
                value::key_literal(&mut sql, column, row.get(column.source))
                    .map_err(|e| unfit(plan, column, e))?;
            }
            if open {
                sql.push(b')');
            }
        }
        sql.push(b')');
    } else {
        for (n, row) in rows.enumerate() {
            if n > 0 {
                sql.extend_from_slice(b" OR ");
            }
            sql.push(b'(');
            condition(&mut sql, plan, row)?;
            sql.push(b')');
        }
    }
    Ok(Statement { sql, relaxed: false })
}

/// `DELETE` of one row of a table without a key.
pub(crate) fn delete_identical(plan: &TablePlan, before: &Row) -> Result<Statement, Failure> {
    let mut sql = b"DELETE FROM ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" WHERE ");
    condition(&mut sql, plan, before)?;
    sql.extend_from_slice(b" LIMIT 1");
    Ok(Statement { sql, relaxed: false })
}

/// `UPDATE` of one row: the columns that differ, and every time column, so that ON UPDATE
/// CURRENT_TIMESTAMP does not fire.
pub(crate) fn update(plan: &TablePlan, before: &Row, after: &Row) -> Result<Statement, Failure> {
    let mut sql = b"UPDATE ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" SET ");
    let mut relaxed = false;
    let mut set = 0usize;
    for column in &plan.columns {
        let new = after.get(column.source);
        let changed = !new.is_absent() && before.cell(column.source) != after.cell(column.source);
        if !changed && !column.is_time() {
            continue;
        }
        if set > 0 {
            sql.push(b',');
        }
        set += 1;
        sql.extend_from_slice(&column.name);
        sql.push(b'=');
        if changed {
            relaxed |= value::write(&mut sql, column, new).map_err(|e| unfit(plan, column, e))?;
        } else {
            sql.extend_from_slice(&column.name);
        }
    }
    if set == 0 {
        // Nothing of the row is written here; that it exists is still checked.
        let Some(column) = plan.columns.first() else {
            return Err(Failure::new(
                codes::apply::INTERNAL,
                format!("{}: no column to write", plan.name),
            ));
        };
        sql.extend_from_slice(&column.name);
        sql.push(b'=');
        sql.extend_from_slice(&column.name);
    }
    sql.extend_from_slice(b" WHERE ");
    condition(&mut sql, plan, before)?;
    if plan.key.is_none() {
        sql.extend_from_slice(b" LIMIT 1");
    }
    Ok(Statement { sql, relaxed })
}
