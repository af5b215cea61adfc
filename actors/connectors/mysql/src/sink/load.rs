//! Rows as the text of LOAD DATA LOCAL INFILE, which servers of the MySQL family read faster than statements.
//!
//! The server treats what is wrong in such a text as with IGNORE: values are adjusted and rows left out, and a count of
//! warnings tells. So a text counts only if the server has stored every row of it without a warning
//! ([`clean`]); otherwise it is undone and the same rows are sent as statements, which have errors. That, and that
//! only columns are written this way whose text means one value and nothing else ([`statement`]), makes it as exact as
//! the statements are.

use bytes::Bytes;
use oms_core::{Column, ColumnType, Failure, Row, TablePair};

use super::{
    form::Field,
    plan::{ColumnPlan, TablePlan, TextPath},
    session::Outcome,
    value,
};

/// The savepoint to which a text is undone.
pub(crate) const SAVEPOINT: &[u8] = b"SAVEPOINT omsnode_load;";
/// Undoes a text.
pub(crate) const UNDO: &[u8] = b"ROLLBACK TO SAVEPOINT omsnode_load";
/// Larger rows go as statements, whose ways with large values are known.
const LARGEST_ROW: usize = 1 << 20;

/// The statement that loads rows of a table, unless one of its columns is better written by statements.
pub(crate) fn statement(pair: &TablePair, target: &[u8], columns: &[ColumnPlan]) -> Option<Vec<u8>> {
    for (at, plan) in pair.columns.iter().zip(columns) {
        let from = pair.source.columns.get(at.source)?;
        let to = pair.destination.columns.get(at.destination)?;
        if !is_plain(from, to, &plan.text) {
            return None;
        }
    }
    let mut sql = b"LOAD DATA LOCAL INFILE 'omsnode' INTO TABLE ".to_vec();
    sql.extend_from_slice(target);
    // Binary: the bytes are neither converted nor searched for characters of several bytes.
    sql.extend_from_slice(
        b" CHARACTER SET binary FIELDS TERMINATED BY '\\t' ENCLOSED BY '' ESCAPED BY '\\\\' LINES STARTING BY '' TERMINATED BY '\\n' (",
    );
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            sql.push(b',');
        }
        sql.extend_from_slice(&column.name);
    }
    sql.push(b')');
    (!columns.is_empty()).then_some(sql)
}

/// Whether every value of the column has a text that this destination column reads as the same value.
fn is_plain(from: &Column, to: &Column, text: &TextPath) -> bool {
    if from.nullable && !to.nullable {
        // Some types have a value of their own instead of NULL.
        return false;
    }
    match &to.ty {
        // Their text and their bytes can be taken for each other; a JSON column does not take bytes.
        ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => false,
        ColumnType::Json | ColumnType::Geometry { .. } => false,
        // Numbers are looked up as labels first.
        ColumnType::Enum { members, .. } | ColumnType::Set { members, .. } => {
            let is_word = |label: &String| label.bytes().any(|b| b.is_ascii_alphabetic());
            members.iter().all(is_word)
        }
        ColumnType::Char { charset, .. }
        | ColumnType::VarChar { charset, .. }
        | ColumnType::Text { charset, .. } => match text {
            TextPath::Utf8 | TextPath::Decode(_) => {
                ["utf8", "utf8mb3", "utf8mb4"].contains(&charset.to_ascii_lowercase().as_str())
            }
            TextPath::Introducer(own, _) => own.eq_ignore_ascii_case(charset),
        },
        _ => true,
    }
}

/// The text of rows; `None` when one of them has to go by a statement (also to be refused there, with a reason).
///
/// # Errors
/// A row that is not of the table's shape.
pub(crate) fn text(plan: &TablePlan, rows: &[Row]) -> Result<Option<Bytes>, Failure> {
    let size: usize = rows.iter().map(Row::size).sum();
    let mut out = Vec::with_capacity(size + size / 8 + rows.len());
    for row in rows {
        plan.check_shape(row)?;
        if row.size() > LARGEST_ROW {
            return Ok(None);
        }
        for (i, column) in plan.columns.iter().enumerate() {
            if i > 0 {
                out.push(b'\t');
            }
            // `true`: the value needs a session without strictness.
            if !matches!(
                value::write_as::<Field>(&mut out, column, row.get(column.source)),
                Ok(false)
            ) {
                return Ok(None);
            }
        }
        out.push(b'\n');
    }
    Ok(Some(out.into()))
}

/// Whether the server has stored that many rows as they were sent.
pub(crate) fn clean(outcome: &Outcome, rows: usize) -> bool {
    let count = |name: &str| -> Option<u64> {
        let (_, rest) = outcome.info.split_once(name)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    outcome.affected == rows as u64
        && outcome.warnings == 0
        && count("Records:") == Some(rows as u64)
        && ["Deleted:", "Skipped:", "Warnings:"].map(count) == [Some(0); 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_success_is_seen() {
        let outcome = |affected, warnings, info: &str| Outcome {
            affected,
            warnings,
            info: info.into(),
        };
        let whole = "Records: 2  Deleted: 0  Skipped: 0  Warnings: 0";
        assert!(clean(&outcome(2, 0, whole), 2));
        assert!(clean(&outcome(2, 0, &format!("&{whole}")), 2));
        for (affected, warnings, info) in [
            (1, 0, whole),
            (2, 1, whole),
            (2, 0, "Records: 2  Deleted: 0  Skipped: 1  Warnings: 0"),
            (2, 0, "Records: 2  Deleted: 1  Skipped: 0  Warnings: 0"),
            (2, 0, "Records: 2  Deleted: 0  Skipped: 0  Warnings: 3"),
            (2, 0, "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0"),
            (2, 0, ""),
        ] {
            assert!(!clean(&outcome(affected, warnings, info), 2), "{info}");
        }
    }
}
