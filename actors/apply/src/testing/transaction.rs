//! A destination transaction: what it locked and how to undo it.

use oms_core::{ApplyMode, ExistingRows, Failure, Row, RowOp, TableName, TablePair, Value, codes};

use super::{sink::State, table::Touched};

/// An open transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    id: u64,
    locks: Vec<(TableName, Touched)>,
    undo: Vec<(TableName, Undo)>,
}

#[derive(Debug)]
enum Undo {
    Remove(u64),
    Put(u64, Row),
}

/// Another transaction holds a lock.
pub(super) struct Busy;

/// A row of the source as a row of the destination.
pub(super) fn convert(pair: &TablePair, row: &Row) -> Result<Row, Failure> {
    let width = pair.destination.columns.len();
    let values: Vec<Value<'_>> = (0..width)
        .map(|d| {
            let from = pair.columns.iter().find(|c| c.destination == d);
            from.map_or(Value::Null, |c| row.get(c.source))
        })
        .collect();
    oms_core::RowBuilder::build(values.into_iter())
        .map_err(|e| Failure::new(codes::apply::INTERNAL, e.to_string()))
}

impl Transaction {
    pub(super) fn begin(state: &mut State) -> Self {
        Self {
            id: state.next_transaction(),
            locks: Vec::new(),
            undo: Vec::new(),
        }
    }

    fn lock(&mut self, state: &mut State, table: &TableName, rows: &[Row]) -> Result<(), Busy> {
        let wanted: Vec<Touched> = rows
            .iter()
            .flat_map(|row| {
                state
                    .tables
                    .get(table)
                    .map(|t| t.touched(row))
                    .unwrap_or_default()
            })
            .collect();
        let free = |touched: &Touched| {
            let holder = state.locks.get(&(table.clone(), touched.clone()));
            holder.is_none_or(|h| *h == self.id)
        };
        if !wanted.iter().all(free) {
            return Err(Busy);
        }
        for touched in wanted {
            let lock = (table.clone(), touched);
            if state.locks.insert(lock.clone(), self.id).is_none() {
                self.locks.push(lock);
            }
        }
        Ok(())
    }

    fn remove(&mut self, state: &mut State, name: &TableName, id: u64) {
        if let Some(row) = state.tables.get_mut(name).and_then(|t| t.remove(id)) {
            self.undo.push((name.clone(), Undo::Put(id, row)));
        }
    }

    fn add(&mut self, state: &mut State, name: &TableName, row: Row) {
        if let Some(table) = state.tables.get_mut(name) {
            let id = table.add(row);
            self.undo.push((name.clone(), Undo::Remove(id)));
        }
    }

    /// Removes every row that has one of the row's keys, and adds it.
    fn replace(&mut self, state: &mut State, name: &TableName, row: Row) -> Result<(), Busy> {
        let (ids, rivals) = rivals(state, name, &row);
        self.lock(state, name, &rivals)?;
        for id in ids {
            self.remove(state, name, id);
        }
        self.add(state, name, row);
        Ok(())
    }

    /// Executes one change. `Busy` before anything was changed means: wait and call again.
    pub(super) fn execute(
        &mut self,
        state: &mut State,
        pair: &TablePair,
        op: &RowOp,
    ) -> Result<Result<(), Busy>, Failure> {
        let name = &pair.destination.name;
        let before = op.before.as_ref().map(|r| convert(pair, r)).transpose()?;
        let after = op.after.as_ref().map(|r| convert(pair, r)).transpose()?;
        let mut images: Vec<Row> = before.iter().chain(&after).cloned().collect();
        if let (ApplyMode::Safe, Some(row)) = (op.mode, &after) {
            images.extend(rivals(state, name, row).1);
        }
        if let Some(row) = &before {
            let found = state.tables.get(name).and_then(|t| t.row(t.find(row)?).cloned());
            images.extend(found);
        }
        if self.lock(state, name, &images).is_err() {
            return Ok(Err(Busy));
        }
        if op.mode == ApplyMode::Safe && pair.key.is_none() {
            let text = format!("{name} has no key and is written in safe mode");
            return Err(Failure::new(codes::apply::INTERNAL, text));
        }
        if let Some(row) = &before {
            let found = state.tables.get(name).and_then(|t| t.find(row));
            match found {
                Some(id) => self.remove(state, name, id),
                None if op.mode == ApplyMode::Strict => {
                    return Err(Failure::new(codes::apply::ROW_MISSING, name.to_string()));
                }
                None => {}
            }
        }
        if let Some(row) = after {
            if op.mode == ApplyMode::Safe {
                return Ok(self.replace(state, name, row));
            }
            if !rivals(state, name, &row).0.is_empty() {
                return Err(Failure::new(codes::apply::ROW_EXISTS, name.to_string()));
            }
            self.add(state, name, row);
        }
        Ok(Ok(()))
    }

    /// Inserts a row of a chunk; says whether it was written.
    pub(super) fn insert(
        &mut self,
        state: &mut State,
        pair: &TablePair,
        row: &Row,
        existing: ExistingRows,
    ) -> Result<Result<bool, Busy>, Failure> {
        let name = &pair.destination.name;
        let row = convert(pair, row)?;
        let (ids, others) = rivals(state, name, &row);
        let mut images = others;
        images.push(row.clone());
        if self.lock(state, name, &images).is_err() {
            return Ok(Err(Busy));
        }
        if existing == ExistingRows::Ignore && !ids.is_empty() {
            return Ok(Ok(false));
        }
        Ok(self.replace(state, name, row).map(|()| true))
    }

    /// Ends it and keeps its changes.
    pub(super) fn commit(self, state: &mut State) {
        for lock in &self.locks {
            state.locks.remove(lock);
        }
    }

    /// Ends it and takes its changes back.
    pub(super) fn roll_back(mut self, state: &mut State) {
        while let Some((name, undo)) = self.undo.pop() {
            if let Some(table) = state.tables.get_mut(&name) {
                match undo {
                    Undo::Remove(id) => {
                        table.remove(id);
                    }
                    Undo::Put(id, row) => table.put(id, row),
                }
            }
        }
        self.commit(state);
    }
}

fn rivals(state: &State, name: &TableName, row: &Row) -> (Vec<u64>, Vec<Row>) {
    let Some(table) = state.tables.get(name) else {
        return (Vec::new(), Vec::new());
    };
    let ids = table.rivals(row);
    let rows = ids.iter().filter_map(|id| table.row(*id).cloned()).collect();
    (ids, rows)
}
