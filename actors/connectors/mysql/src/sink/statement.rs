//! Statements that write rows. Pure.

use bytes::Bytes;
use oms_core::{ColumnType, Failure, Row, codes};

use super::{
    batch::Change,
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
    /// Statements to execute behind it, each on the same one row: the rest of long values.
    pub(crate) tail: Vec<Vec<u8>>,
    /// Long values, one for each question mark of `sql`.
    pub(crate) values: Vec<Bytes>,
}

impl Statement {
    /// Whether it cannot be sent together with others.
    pub(crate) fn is_alone(&self) -> bool {
        self.relaxed || !self.tail.is_empty() || !self.values.is_empty()
    }
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
    /// Set when the only row must stay alone.
    relaxed: bool,
    tail: Vec<Vec<u8>>,
    values: Vec<Bytes>,
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
        Self {
            kind,
            sql,
            rows: 0,
            relaxed: false,
            tail: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a row. `false`: it was not added, because it needs a statement of its own.
    ///
    /// # Errors
    /// `OMS-DST-0008`, `OMS-APPLY-0007`.
    fn push(&mut self, plan: &TablePlan, row: &Row) -> Result<bool, Failure> {
        let start = self.sql.len();
        self.sql
            .extend_from_slice(if self.rows == 0 { b"(" } else { b",(" });
        let mut relaxed = false;
        let mut appends = Vec::new();
        let mut values = Vec::new();
        for (i, column) in plan.columns.iter().enumerate() {
            if i > 0 {
                self.sql.push(b',');
            }
            let value = row.get(column.source);
            if plan.longest_literal.is_none()
                && let Some(long) = value::long(column, value).map_err(|e| unfit(plan, column, e))?
            {
                self.sql.push(b'?');
                values.push(row.as_bytes().slice_ref(long));
                continue;
            }
            let (lax, pieces) = value::write_beginning(&mut self.sql, column, value, plan.longest_literal)
                .map_err(|e| unfit(plan, column, e))?;
            relaxed |= lax;
            appends.extend(pieces.into_iter().map(|piece| (column, piece)));
        }
        self.sql.push(b')');
        if self.rows > 0 && (relaxed || !appends.is_empty() || !values.is_empty()) {
            self.sql.truncate(start);
            return Ok(false);
        }
        self.rows += 1;
        self.relaxed = relaxed;
        self.values = values;
        self.tail = tail(plan, appends, row)?;
        Ok(true)
    }

    /// Whether no other row may follow.
    fn is_closed(&self) -> bool {
        self.relaxed || !self.tail.is_empty() || !self.values.is_empty()
    }

    fn finish(mut self, plan: &TablePlan) -> Statement {
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
            relaxed: self.relaxed,
            tail: self.tail,
            values: self.values,
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
        // A large row goes alone: together with others it could exceed the server's limit.
        if statement.rows > 0 && row.size() > most_bytes / 2 {
            break;
        }
        if !statement.push(plan, row)? {
            break;
        }
        if statement.is_closed() || statement.rows >= most_rows || statement.sql.len() >= most_bytes {
            break;
        }
    }
    let rows = statement.rows;
    Ok((statement.finish(plan), rows))
}

/// The statements that append pieces to values of a row.
fn tail(plan: &TablePlan, appends: Vec<(&ColumnPlan, Vec<u8>)>, row: &Row) -> Result<Vec<Vec<u8>>, Failure> {
    let mut statements = Vec::with_capacity(appends.len());
    for (column, piece) in appends {
        let mut sql = b"UPDATE ".to_vec();
        sql.extend_from_slice(&plan.target);
        sql.extend_from_slice(b" SET ");
        for time in plan.columns.iter().filter(|c| c.is_time()) {
            sql.extend_from_slice(&time.name);
            sql.push(b'=');
            sql.extend_from_slice(&time.name);
            sql.push(b',');
        }
        sql.extend_from_slice(&column.name);
        sql.extend_from_slice(b"=CONCAT(");
        sql.extend_from_slice(&column.name);
        sql.push(b',');
        sql.extend_from_slice(&piece);
        sql.extend_from_slice(b") WHERE ");
        condition(&mut sql, plan, row)?;
        statements.push(sql);
    }
    Ok(statements)
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

/// The condition that finds rows by their keys.
fn keys<'r>(
    sql: &mut Vec<u8>,
    plan: &TablePlan,
    rows: impl Iterator<Item = &'r Row>,
    row_constructors: bool,
) -> Result<(), Failure> {
    let columns: Vec<&ColumnPlan> = plan.key_plans().collect();
    let list = columns.len() == 1 || row_constructors;
    if list {
        let open = columns.len() > 1;
        if open {
            sql.push(b'(');
        }
        for (i, column) in columns.iter().enumerate() {
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
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    sql.push(b',');
                }
                value::key_literal(sql, column, row.get(column.source))
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
            condition(sql, plan, row)?;
            sql.push(b')');
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
    keys(&mut sql, plan, rows, row_constructors)?;
    Ok(Statement {
        sql,
        relaxed: false,
        tail: Vec::new(),
        values: Vec::new(),
    })
}

/// `DELETE` of one row of a table without a key.
pub(crate) fn delete_identical(plan: &TablePlan, before: &Row) -> Result<Statement, Failure> {
    let mut sql = b"DELETE FROM ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" WHERE ");
    condition(&mut sql, plan, before)?;
    sql.extend_from_slice(b" LIMIT 1");
    Ok(Statement {
        sql,
        relaxed: false,
        tail: Vec::new(),
        values: Vec::new(),
    })
}

/// `UPDATE` of one row: the columns that differ, and every time column, so that ON UPDATE
/// CURRENT_TIMESTAMP does not fire.
pub(crate) fn update(plan: &TablePlan, before: &Row, after: &Row) -> Result<Statement, Failure> {
    let mut sql = b"UPDATE ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" SET ");
    let mut relaxed = false;
    let mut appends = Vec::new();
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
            let (lax, pieces) = value::write_beginning(&mut sql, column, new, plan.longest_literal)
                .map_err(|e| unfit(plan, column, e))?;
            relaxed |= lax;
            appends.extend(pieces.into_iter().map(|piece| (column, piece)));
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
    let tail = if appends.is_empty() {
        Vec::new()
    } else {
        tail(plan, appends, &plan.overlay(before, after)?)?
    };
    Ok(Statement {
        sql,
        relaxed,
        tail,
        values: Vec::new(),
    })
}

/// Longest values, in bytes, of a row that is changed together with others.
const MOST_BYTES_TOGETHER: usize = 2_048;

/// Notes which columns an update changes, as indexes into the plan's.
pub(crate) fn changed_columns(plan: &TablePlan, change: &Change, out: &mut Vec<usize>) {
    out.clear();
    for (at, column) in plan.columns.iter().enumerate() {
        let new = change.after.cell(column.source);
        if new != change.before.cell(column.source) && !change.after.get(column.source).is_absent() {
            out.push(at);
        }
    }
}

/// Whether an update of these columns may be put into [`update_together`].
pub(crate) fn fits_together(plan: &TablePlan, columns: &[usize], change: &Change) -> bool {
    let mut bytes = 0;
    let uniform = columns.iter().all(|at| {
        plan.columns.get(*at).is_some_and(|column| {
            bytes += change.after.cell(column.source).len();
            column.uniform
        })
    });
    plan.listed_key && uniform && bytes <= MOST_BYTES_TOGETHER
}

/// One `UPDATE` of several rows in which the same columns change; keys do not. It finds as many rows as there are
/// changes if each finds one, because keys are unique. `None`: some value needs a statement of its own.
///
/// # Errors
/// `OMS-DST-0008`.
pub(crate) fn update_together<'c>(
    plan: &TablePlan,
    columns: &[usize],
    changes: impl Iterator<Item = &'c Change> + Clone,
    row_constructors: bool,
) -> Result<Option<Statement>, Failure> {
    let mut sql = b"UPDATE ".to_vec();
    sql.extend_from_slice(&plan.target);
    sql.extend_from_slice(b" SET ");
    let mut set = 0usize;
    // Which number can be compared without its column's name in front of each.
    let number = match plan.key.as_deref() {
        Some([only]) => plan
            .columns
            .get(*only)
            .filter(|c| matches!(c.to, ColumnType::Integer { .. })),
        _ => None,
    };
    for (at, column) in plan.columns.iter().enumerate() {
        let changes_here = columns.binary_search(&at).is_ok();
        if !changes_here && !column.is_time() {
            continue;
        }
        if set > 0 {
            sql.push(b',');
        }
        set += 1;
        sql.extend_from_slice(&column.name);
        sql.push(b'=');
        if !changes_here {
            sql.extend_from_slice(&column.name);
            continue;
        }
        sql.extend_from_slice(b"CASE");
        if let Some(key) = number {
            sql.push(b' ');
            sql.extend_from_slice(&key.name);
        }
        for change in changes.clone() {
            sql.extend_from_slice(b" WHEN ");
            match number {
                Some(key) => value::key_literal(&mut sql, key, change.before.get(key.source))
                    .map_err(|e| unfit(plan, key, e))?,
                None => condition(&mut sql, plan, &change.before)?,
            }
            sql.extend_from_slice(b" THEN ");
            let relaxed = value::write(&mut sql, column, change.after.get(column.source))
                .map_err(|e| unfit(plan, column, e))?;
            if relaxed {
                return Ok(None);
            }
        }
        sql.extend_from_slice(b" END");
    }
    if set == 0
        && let Some(column) = plan.columns.first()
    {
        sql.extend_from_slice(&column.name);
        sql.push(b'=');
        sql.extend_from_slice(&column.name);
    }
    sql.extend_from_slice(b" WHERE ");
    keys(&mut sql, plan, changes.map(|c| &c.before), row_constructors)?;
    Ok(Some(Statement {
        sql,
        relaxed: false,
        tail: Vec::new(),
        values: Vec::new(),
    }))
}
