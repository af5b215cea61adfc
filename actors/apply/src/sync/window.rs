//! Which transactions are skipped, applied in safe mode, or no longer wanted.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use oms_core::{ApplyMode, Position, TablePair};

use super::SyncPlan;
use crate::ApplyError;

/// The bounds of the plan that the log has not passed yet.
#[derive(Debug)]
pub(super) struct Window {
    keyless: Vec<bool>,
    always_safe: BTreeSet<u32>,
    skip: BTreeMap<u32, Position>,
    safe: Option<Position>,
    stop: Option<Position>,
}

/// What to do with the rows of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Treatment {
    skipped: Vec<u32>,
    safe: bool,
}

/// Where a position lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Before the stop position, or there is none.
    Before,
    /// At it.
    At,
    /// Behind it.
    Behind,
}

fn compare(reached: &Position, what: &'static str, bound: &Position) -> Result<Ordering, ApplyError> {
    reached
        .partial_cmp(bound)
        .ok_or_else(|| ApplyError::PositionsNotComparable {
            reached: Box::new(reached.clone()),
            what,
            bound: Box::new(bound.clone()),
        })
}

const SAFE: &str = "the end of full import";
const SKIP: &str = "the snapshot of a table";
const STOP: &str = "the stop position";

impl Window {
    pub(super) fn new(plan: &SyncPlan) -> Self {
        Self {
            keyless: plan
                .tables
                .iter()
                .map(|pair: &TablePair| pair.key.is_none())
                .collect(),
            always_safe: plan.always_safe.clone(),
            skip: plan.skip_until.clone(),
            safe: plan.safe_until.clone(),
            stop: plan.stop_at.clone(),
        }
    }

    pub(super) fn stop(&self, reached: &Position) -> Result<Stop, ApplyError> {
        let Some(bound) = &self.stop else {
            return Ok(Stop::Before);
        };
        Ok(match compare(reached, STOP, bound)? {
            Ordering::Less => Stop::Before,
            Ordering::Equal => Stop::At,
            Ordering::Greater => Stop::Behind,
        })
    }

    /// How the rows of a transaction are treated that ends at the position. Positions come in log
    /// order; bounds that were passed are forgotten and never compared again.
    pub(super) fn treatment(&mut self, end: &Position) -> Result<Treatment, ApplyError> {
        let mut treatment = Treatment::default();
        if let Some(bound) = &self.safe {
            if compare(end, SAFE, bound)? == Ordering::Greater {
                self.safe = None;
            } else {
                treatment.safe = true;
            }
        }
        if !self.skip.is_empty() {
            let mut passed = Vec::new();
            for (table, bound) in &self.skip {
                if compare(end, SKIP, bound)? == Ordering::Greater {
                    passed.push(*table);
                } else {
                    treatment.skipped.push(*table);
                }
            }
            for table in passed {
                self.skip.remove(&table);
            }
        }
        Ok(treatment)
    }

    /// How the rows of a transaction are treated whose end is not known yet and that begins at the
    /// position. `None`: its end must be known first.
    pub(super) fn treatment_before_end(&mut self, begin: &Position) -> Result<Option<Treatment>, ApplyError> {
        if let Some(bound) = &self.stop
            && compare(begin, STOP, bound)? == Ordering::Less
        {
            return Ok(None);
        }
        for bound in self.skip.values() {
            if compare(begin, SKIP, bound)? == Ordering::Less {
                return Ok(None);
            }
        }
        // One that begins before the bound may always be applied in safe mode.
        let safe = match &self.safe {
            Some(bound) => compare(begin, SAFE, bound)? == Ordering::Less,
            None => false,
        };
        Ok(Some(Treatment {
            skipped: Vec::new(),
            safe,
        }))
    }

    /// The mode for a row of a table under a treatment; `None`: it is skipped.
    pub(super) fn mode(&self, treatment: &Treatment, table: u32) -> Option<ApplyMode> {
        if treatment.skipped.contains(&table) {
            return None;
        }
        let keyless = self.keyless.get(table as usize).copied().unwrap_or(true);
        Some(
            if (treatment.safe || self.always_safe.contains(&table)) && !keyless {
                ApplyMode::Safe
            } else {
                ApplyMode::Strict
            },
        )
    }
}
