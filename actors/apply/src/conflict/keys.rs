//! The locks of a transaction.

use oms_core::{Row, RowOp, TableName, TablePair, Value};
use smallvec::SmallVec;

use super::{
    fold::Folded,
    hash::KeyHash,
    specs::{self, ForeignKeyEdge, LockSpec},
};
use crate::ApplyError;

/// A value that a transaction touches, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLock {
    /// Equal for values that the destination may treat as equal.
    pub hash: u64,
    /// Two shared locks do not conflict.
    pub shared: bool,
}

/// The locks of one transaction: by hash, each once, exclusive where both kinds were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionKeys {
    locks: Vec<KeyLock>,
}

impl TransactionKeys {
    /// From locks in any order.
    pub fn new(mut locks: Vec<KeyLock>) -> Self {
        // Exclusive sorts first, and of one hash the first stays.
        locks.sort_unstable();
        locks.dedup_by_key(|lock| lock.hash);
        Self { locks }
    }

    /// The locks, ascending by hash.
    pub fn locks(&self) -> &[KeyLock] {
        &self.locks
    }
}

/// Finds the locks of changed rows. Pure; one for all transactions.
#[derive(Debug)]
pub struct KeyExtractor {
    tables: Vec<TableLocks>,
}

#[derive(Debug)]
struct TableLocks {
    name: TableName,
    specs: Vec<LockSpec>,
}

impl KeyExtractor {
    /// For the tables of a component in the order of their numbers, and the foreign keys between
    /// them that the destination checks.
    pub fn new(tables: &[TablePair], edges: &[ForeignKeyEdge]) -> Self {
        let specs = specs::build(tables, edges);
        let tables = tables
            .iter()
            .zip(specs)
            .map(|(pair, specs)| TableLocks {
                name: pair.source.name.clone(),
                specs,
            })
            .collect();
        Self { tables }
    }

    /// The locks of a transaction.
    ///
    /// # Errors
    /// [`ApplyError::PartialImage`] when an image does not carry a column of a key,
    /// [`ApplyError::Protocol`] for a table number that does not exist.
    pub fn extract(&self, ops: &[RowOp]) -> Result<TransactionKeys, ApplyError> {
        let mut locks = Vec::with_capacity(ops.len() * 2);
        for op in ops {
            let table = self
                .tables
                .get(op.table as usize)
                .ok_or_else(|| ApplyError::Protocol(format!("a change of table number {}", op.table)))?;
            for spec in &table.specs {
                table.locks_of(spec, op, &mut locks)?;
            }
        }
        Ok(TransactionKeys::new(locks))
    }
}

impl TableLocks {
    fn locks_of(&self, spec: &LockSpec, op: &RowOp, locks: &mut Vec<KeyLock>) -> Result<(), ApplyError> {
        match (&op.before, &op.after) {
            (Some(before), Some(after)) => {
                let same = spec.parts.iter().all(|part| {
                    part.column.is_some_and(|c| {
                        matches!(after.get(c), Value::Absent) && !matches!(before.get(c), Value::Absent)
                            || before.cell(c) == after.cell(c) && !matches!(after.get(c), Value::Absent)
                    })
                });
                if !same || spec.always {
                    self.lock(spec, before, None, locks)?;
                }
                if !same {
                    self.lock(spec, after, Some(before), locks)?;
                }
                Ok(())
            }
            (Some(row), None) | (None, Some(row)) => self.lock(spec, row, None, locks),
            (None, None) => Err(ApplyError::Protocol(format!(
                "a change of {} without images",
                self.name
            ))),
        }
    }

    /// The locks of one image. Columns that it lacks are those of `fallback`: an update's after
    /// image carries what changed.
    fn lock(
        &self,
        spec: &LockSpec,
        row: &Row,
        fallback: Option<&Row>,
        locks: &mut Vec<KeyLock>,
    ) -> Result<(), ApplyError> {
        let mut fixed = KeyHash::new(spec.seed);
        let mut later: SmallVec<[usize; 4]> = SmallVec::new();
        for (number, part) in spec.parts.iter().enumerate() {
            if part.has_wild_values() {
                later.push(number);
                continue;
            }
            match self.add(part, row, fallback, &mut fixed)? {
                Folded::Null => return Ok(()),
                // Left out: equal keys stay equal without it.
                Folded::Hashed | Folded::Wild | Folded::Absent => {}
            }
        }
        let mut exact = fixed;
        let mut wild = false;
        for part in later.iter().filter_map(|n| spec.parts.get(*n)) {
            match self.add(part, row, fallback, &mut exact)? {
                Folded::Null => return Ok(()),
                Folded::Hashed => {}
                Folded::Wild | Folded::Absent => wild = true,
            }
        }
        if spec.wildcard {
            let mut any = fixed;
            any.number(u64::MAX - 1);
            locks.push(KeyLock {
                hash: any.finish(),
                // Also a referencing row excludes everybody when its value is wild: the referenced
                // one may hold the wildcard shared.
                shared: !wild,
            });
        }
        if !wild {
            locks.push(KeyLock {
                hash: exact.finish(),
                shared: spec.shared,
            });
        }
        Ok(())
    }

    fn add(
        &self,
        part: &specs::Part,
        row: &Row,
        fallback: Option<&Row>,
        hash: &mut KeyHash,
    ) -> Result<Folded, ApplyError> {
        let Some(column) = part.column else {
            return Ok(Folded::Wild);
        };
        let mut from = row;
        if let (Value::Absent, Some(other)) = (row.get(column), fallback) {
            from = other;
        }
        let folded = part
            .fold
            .add(from.cell(column), from.get(column), part.prefix, hash);
        match folded {
            Folded::Absent if part.fold != super::fold::Fold::Constant => Err(ApplyError::PartialImage {
                table: self.name.clone(),
                column,
            }),
            other => Ok(other),
        }
    }
}
