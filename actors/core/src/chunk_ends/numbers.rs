//! Keys of one integer column, as numbers.

use super::{LOOKS, MOST, PROOFS, SLACK, WRONG};
use crate::{ChunkRange, ColumnType, Failure, Row, RowBuilder, TableSchema, Value};

/// A key that is one integer column.
#[derive(Debug)]
pub(super) struct Numbers {
    unsigned: bool,
    /// Least and greatest key when it was last asked for.
    pub(super) span: Option<(i128, i128)>,
    /// Rows per number.
    pub(super) density: Option<f64>,
    /// Empty chunks seen since the last one with rows.
    pub(super) empty: u32,
    /// The rows last wanted in a chunk.
    pub(super) wanted: u64,
    /// Chunks of more numbers than rows that held about as many rows as estimated.
    proofs: u32,
    /// The server's estimates are wrong: keys are read instead.
    pub(super) reads: bool,
}

impl Numbers {
    /// The key of such a table; `None`: it is something else.
    pub(super) fn new(table: &TableSchema) -> Option<Self> {
        key_is_unsigned(table).map(Self::of)
    }

    pub(super) fn of(unsigned: bool) -> Self {
        Self {
            unsigned,
            span: None,
            density: None,
            empty: 0,
            wanted: 0,
            proofs: 0,
            reads: false,
        }
    }

    /// So many keys have to be there for an estimate that calls so many numbers one chunk to be wrong. `None`: it is
    /// believed. Of an estimate that is near the greatest that the server can give nothing is believed.
    pub(super) fn doubt(&self, rows: u64, taken: i128, greatest: bool) -> Option<u64> {
        let told = taken > i128::from(rows) * i128::from(MOST);
        let proven = self.proofs >= PROOFS && !greatest;
        (told && !proven).then(|| rows.saturating_mul(2 * MOST).saturating_add(2 * SLACK))
    }

    pub(super) fn key(&self, n: i128) -> Result<Row, Failure> {
        let value = match self.unsigned {
            true => Value::UInt(u64::try_from(n).unwrap_or(if n < 0 { 0 } else { u64::MAX })),
            false => Value::Int(i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })),
        };
        RowBuilder::build([value].into_iter()).map_err(|e| {
            Failure::new(crate::codes::import::KEY_NOT_USABLE, "a key cannot be held").with_source(e)
        })
    }

    pub(super) fn saw(&mut self, range: &ChunkRange, rows: u64) {
        let least = self.span.map(|(least, _)| least - 1);
        let after = range.after.as_ref().map_or(least, number);
        let (Some(after), Some(through)) = (after, range.through.as_ref().and_then(number)) else {
            return;
        };
        if through <= after {
            return;
        }
        self.empty = if rows == 0 { self.empty + 1 } else { 0 };
        if rows > self.wanted.saturating_mul(WRONG).saturating_add(SLACK) {
            self.reads |= self.wanted > 0;
        } else if rows >= self.wanted / 4 && through - after > i128::from(self.wanted) * i128::from(MOST) {
            self.proofs = self.proofs.saturating_add(1);
        }
        let seen = match rows {
            // Nothing says how empty it is.
            0 => self.density.unwrap_or(1.0) / 8.0,
            _ => ratio(rows, through - after),
        };
        self.density = Some(match self.density {
            // Of numbers that are more and more used it may be true of those to come, too.
            Some(density) if seen > density => (density + seen) / 2.0,
            Some(density) => (density * seen).sqrt(),
            None => seen,
        });
    }
}

/// The search for a width that holds about as many rows as wanted. Pure.
#[derive(Debug)]
pub(super) struct Search {
    /// What to look at.
    pub(super) width: i128,
    /// The greatest width that held too few rows, the least that held too many.
    few: Option<i128>,
    many: Option<i128>,
    looks: u32,
}

impl Search {
    pub(super) fn new(width: i128) -> Self {
        Self {
            width,
            few: None,
            many: None,
            looks: 0,
        }
    }

    /// Whether the width is to be taken as it is.
    pub(super) fn is_over(&mut self) -> bool {
        if self.looks < LOOKS {
            return false;
        }
        // Too few rows at once is better than too many.
        self.width = self.few.unwrap_or(self.width);
        true
    }

    /// Whether a range of `taken` numbers in which about `estimate` rows lie is what is wanted. If not, another width is.
    pub(super) fn is_fine(&mut self, rows: u64, taken: i128, estimate: u64, is_all: bool) -> bool {
        self.looks += 1;
        let by_density = (taken as f64 * (rows as f64 / estimate.max(1) as f64)) as i128;
        if estimate > rows.saturating_mul(MOST) + SLACK {
            self.many = Some(taken);
            // Faster and faster, for most rows may lie at the very beginning.
            self.width = by_density.min(taken - taken / 8).min(taken >> (self.looks / 2));
        } else if estimate < rows.div_ceil(2) && !is_all {
            self.few = Some(taken);
            self.width = by_density.clamp(taken * 2, taken * 1024);
        } else {
            return true;
        }
        if let (Some(few), Some(many)) = (self.few, self.many) {
            self.width = match many / few.max(1) {
                0..4 => few + (many - few) / 2,
                _ => (few as f64 * many as f64).sqrt() as i128,
            };
            // A server that contradicts itself leaves nothing between.
            if many - few <= 1 {
                return true;
            }
        }
        // So many numbers hold no more rows than that.
        self.width = self.width.max(rows.into());
        false
    }
}

/// Rows per number, never more than one.
pub(super) fn ratio(rows: u64, numbers: i128) -> f64 {
    (rows as f64 / numbers.max(1) as f64).clamp(f64::MIN_POSITIVE, 1.0)
}

pub(super) fn density_of(estimated_rows: u64, least: i128, greatest: i128) -> f64 {
    match estimated_rows {
        0 => 1.0,
        rows => ratio(rows, greatest - least + 1),
    }
}

/// Numbers that hold so many rows, of 64-bit numbers at most.
pub(super) fn width_of(rows: u64, density: f64) -> i128 {
    // A conversion of a float saturates.
    let width = (rows as f64 / density).ceil().min(2f64.powi(65)) as i128;
    width.max(1)
}

pub(super) fn number(key: &Row) -> Option<i128> {
    if key.len() != 1 {
        return None;
    }
    match key.get(0) {
        Value::Int(n) => Some(n.into()),
        Value::UInt(n) => Some(n.into()),
        _ => None,
    }
}

/// Whether the integer column that is the key has no negative numbers; `None`: the key is something else.
fn key_is_unsigned(table: &TableSchema) -> Option<bool> {
    let columns = table.row_key_columns()?;
    let [column] = columns.as_slice() else {
        return None;
    };
    match table.columns.get(*column)?.ty {
        ColumnType::Integer { unsigned, .. } => Some(unsigned),
        _ => None,
    }
}
