//! The rows of a destination, and what must be true of them.

use std::collections::BTreeSet;

use super::{KEYLESS, KEYS, ROWS, Source, Violation};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    keyed: Vec<u64>,
    /// How often each row of the table without a key is there.
    keyless: Vec<u8>,
    /// Behind which transaction the first owner began.
    start: Option<u64>,
    /// Which transactions behind that were applied.
    applied: Vec<bool>,
    /// Everything up to this one was applied.
    low: u64,
    /// Rows that somebody spoiled behind everybody's back.
    damaged: BTreeSet<u64>,
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

impl Rows {
    pub(crate) fn keyed(&self, key: u64) -> u64 {
        self.keyed.get(at(key)).copied().unwrap_or_default()
    }

    fn set(&mut self, key: u64, value: u64) {
        self.keyed.resize(at(ROWS), 0);
        self.keyed[at(key)] = value;
    }

    /// Rows that were copied, and those without a key up to a snapshot.
    pub(crate) fn copy(&mut self, rows: &[(u64, u64)], snapshot: Option<u64>) -> Result<(), Violation> {
        for (key, value) in rows {
            self.set(*key, *value);
        }
        for n in (1..=snapshot.unwrap_or_default()).filter(|n| n.is_multiple_of(KEYLESS)) {
            self.add_row(n)?;
        }
        Ok(())
    }

    /// The first owner applies what follows this one.
    pub(crate) fn begin(&mut self, start: u64) {
        if self.start.is_none() {
            self.start = Some(start);
            self.low = start;
        }
    }

    pub(crate) fn is_applied(&self, n: u64) -> bool {
        n <= self.low || self.applied.get(at(n)).copied().unwrap_or_default()
    }

    /// What is applied without a gap, and the last that is applied.
    pub(crate) fn applied(&self) -> (u64, u64) {
        (
            self.low,
            self.low.max((self.applied.len() as u64).saturating_sub(1)),
        )
    }

    /// Applies a transaction of the source.
    pub(crate) fn apply(&mut self, n: u64, safe_until: u64, snapshot: u64) -> Result<(), Violation> {
        if self.is_applied(n) {
            return Err(format!("transaction {n} was applied twice"));
        }
        let former = [
            Some(n.saturating_sub(KEYS)),
            n.is_multiple_of(KEYLESS).then(|| n - KEYLESS),
        ];
        if let Some(missing) = former.into_iter().flatten().find(|m| !self.is_applied(*m)) {
            return Err(format!("transaction {n} was applied before {missing}"));
        }
        let (before, found) = (Source::value(n % KEYS, n - 1), self.keyed(n % KEYS));
        if n > safe_until && found != before {
            return Err(format!("transaction {n} expected {before} and found {found}"));
        }
        self.set(n % KEYS, n);
        if n > snapshot && n.is_multiple_of(KEYLESS) {
            self.add_row(n)?;
        }
        if self.applied.len() <= at(n) {
            self.applied.resize(at(n) + 1, false);
        }
        self.applied[at(n)] = true;
        while self.applied.get(at(self.low + 1)).copied().unwrap_or_default() {
            self.low += 1;
        }
        Ok(())
    }

    fn add_row(&mut self, n: u64) -> Result<(), Violation> {
        if self.keyless.len() <= at(n) {
            self.keyless.resize(at(n) + 1, 0);
        }
        self.keyless[at(n)] += 1;
        if self.keyless[at(n)] > 1 {
            return Err(format!("row {n} of the table without a key is there twice"));
        }
        Ok(())
    }

    /// Somebody spoils a row that no transaction will mend.
    pub(crate) fn damage(&mut self, key: u64) {
        self.set(key, 7);
        self.damaged.insert(key);
    }

    /// Whether these are the rows that differ.
    pub(crate) fn judge(&self, found: &BTreeSet<u64>) -> Result<(), Violation> {
        if let Some(key) = self.damaged.difference(found).next() {
            return Err(format!("row {key} differs and verification did not find it"));
        }
        if let Some(key) = found.difference(&self.damaged).next() {
            return Err(format!("verification invented a difference in row {key}"));
        }
        Ok(())
    }

    /// Whether everything of the source is here, once.
    pub(crate) fn equals(&self, source: &Source) -> Result<(), Violation> {
        for key in (0..ROWS).filter(|key| !self.damaged.contains(key)) {
            let (found, wanted) = (self.keyed(key), Source::value(key, source.end));
            if found != wanted {
                return Err(format!("row {key} is {found}, not {wanted}"));
            }
        }
        let rows = self.keyless.iter().skip(1).filter(|n| **n == 1).count() as u64;
        if rows != source.end / KEYLESS {
            return Err(format!(
                "{rows} rows of {} are in the table without a key",
                source.end / KEYLESS
            ));
        }
        Ok(())
    }
}
