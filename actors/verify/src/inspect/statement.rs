//! Statements that make the destination equal.

use oms_core::{ColumnType, Row, Value};

use super::literal::{hexadecimal, literal};
use crate::{
    Side,
    compare::{ColumnRule, TableRule},
};

/// What must be executed once on a connection before correction statements: they are UTF-8, their
/// times are in UTC, zero is a value, and nothing may be cut off silently.
pub const PREAMBLE: &str = "SET NAMES utf8mb4;\nSET SESSION time_zone = '+00:00', \
    SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';";

/// A name in backticks.
pub(super) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Writes the correction statements of a table.
pub(super) struct Correction<'c> {
    pub(super) rule: &'c TableRule,
}

impl Correction<'_> {
    fn table(&self) -> String {
        self.rule.pair.destination.name.to_string()
    }

    fn source_literal(&self, column: &ColumnRule, row: &Row) -> Result<String, String> {
        let value = row.get(column.source);
        literal(
            &column.source_type,
            &column.destination_type,
            value,
            self.rule.charsets.as_ref(),
        )
        .map_err(|why| format!("column {}: {why}", name(&column.name)))
    }

    fn destination_literal(&self, column: &ColumnRule, row: &Row) -> Result<String, String> {
        let ty = column.ty(Side::Destination);
        literal(ty, ty, row.get(column.destination), self.rule.charsets.as_ref())
            .map_err(|why| format!("column {}: {why}", name(&column.name)))
    }

    fn by_key(&self, destination: &Row) -> Result<String, String> {
        let key = self.rule.key.as_ref().ok_or("the table has no key")?;
        let part = |c: &ColumnRule| {
            Ok(format!(
                "{} = {}",
                name(&c.name),
                self.destination_literal(c, destination)?
            ))
        };
        let parts: Result<Vec<String>, String> = key.columns.iter().map(part).collect();
        Ok(parts?.join(" AND "))
    }

    /// Inserts a row of the source, `times` times.
    pub(super) fn insert(&self, source: &Row, times: u64) -> Result<String, String> {
        let written: Vec<&ColumnRule> = self.rule.columns.iter().filter(|c| !c.computed).collect();
        let names: Vec<String> = written.iter().map(|c| name(&c.name)).collect();
        let values: Result<Vec<String>, String> =
            written.iter().map(|c| self.source_literal(c, source)).collect();
        let statement = format!(
            "INSERT INTO {} ({}) VALUES ({});",
            self.table(),
            names.join(", "),
            values?.join(", ")
        );
        const MOST: u64 = 1_000;
        if times > MOST {
            return Err(format!(
                "{times} rows are missing, more than a statement is written for"
            ));
        }
        let all: Vec<&str> = (0..times).map(|_| statement.as_str()).collect();
        Ok(all.join("\n"))
    }

    /// Gives the destination's row the source's values in the columns that differ.
    pub(super) fn update(&self, source: &Row, destination: &Row) -> Result<String, String> {
        let differing = self.rule.differing(source, destination);
        let written: Vec<&&ColumnRule> = differing.iter().filter(|c| !c.computed).collect();
        if written.is_empty() {
            return Err(
                "only columns differ that the destination computes: the definitions compute differently"
                    .into(),
            );
        }
        let part = |c: &&&ColumnRule| Ok(format!("{} = {}", name(&c.name), self.source_literal(c, source)?));
        let parts: Result<Vec<String>, String> = written.iter().map(part).collect();
        Ok(format!(
            "UPDATE {} SET {} WHERE {};",
            self.table(),
            parts?.join(", "),
            self.by_key(destination)?
        ))
    }

    /// Removes a row of the destination by key.
    pub(super) fn delete(&self, destination: &Row) -> Result<String, String> {
        Ok(format!(
            "DELETE FROM {} WHERE {};",
            self.table(),
            self.by_key(destination)?
        ))
    }

    /// Removes `times` rows that are equal to this one. The condition compares bytes, because a
    /// collation could hit other rows, too.
    pub(super) fn delete_some(&self, destination: &Row, times: u64) -> Result<String, String> {
        let condition = |column: &ColumnRule| {
            let quoted = name(&column.name);
            let exactly = |bytes: &[u8]| {
                let digits = hexadecimal(bytes);
                format!("HEX({quoted}) = {}", digits.strip_prefix('X').unwrap_or(&digits))
            };
            Ok(match destination.get(column.destination) {
                Value::Null => format!("{quoted} IS NULL"),
                Value::Text(bytes)
                    if matches!(
                        column.destination_type,
                        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. }
                    ) =>
                {
                    exactly(bytes)
                }
                Value::Bytes(bytes) | Value::Geometry(bytes) => exactly(bytes),
                Value::Enum(number) => format!("CAST({quoted} AS UNSIGNED) = {number}"),
                Value::Set(bits) => format!("CAST({quoted} AS UNSIGNED) = {bits}"),
                Value::Json(_) => {
                    format!(
                        "{quoted} = CAST({} AS JSON)",
                        self.destination_literal(column, destination)?
                    )
                }
                _ => format!("{quoted} = {}", self.destination_literal(column, destination)?),
            })
        };
        let parts: Result<Vec<String>, String> = self.rule.columns.iter().map(condition).collect();
        Ok(format!(
            "DELETE FROM {} WHERE {} LIMIT {times};",
            self.table(),
            parts?.join(" AND ")
        ))
    }
}
