//! What is locked for a row of each table.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{ColumnType, Generated, Key, TableName, TablePair};

use super::{fold::Fold, hash::KeyHash};

/// A foreign key between two tables of the component, by source columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyEdge {
    /// Number of the referencing table.
    pub child: u32,
    /// Its columns.
    pub child_columns: Vec<usize>,
    /// Number of the referenced table.
    pub parent: u32,
    /// The referenced columns, in the order of `child_columns`.
    pub parent_columns: Vec<usize>,
}

/// A column of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The source column; `None` where the value is not in the row at all.
    pub(super) column: Option<usize>,
    pub(super) prefix: Option<u32>,
    pub(super) fold: Fold,
}

impl Part {
    pub(super) fn has_wild_values(&self) -> bool {
        self.fold.has_wild_values(self.prefix)
    }
}

/// What gives locks.
#[derive(Clone, Debug)]
pub(super) struct LockSpec {
    pub(super) seed: u64,
    pub(super) parts: Vec<Part>,
    /// Whether some part may hold a value that can be equal to any other.
    pub(super) wildcard: bool,
    /// Whether an update that leaves the values as they are needs the lock all the same.
    pub(super) always: bool,
    /// Whether the lock itself is shared (referencing rows of a foreign key).
    pub(super) shared: bool,
}

impl LockSpec {
    fn new(seed: u64, parts: Vec<Part>) -> Self {
        Self {
            seed,
            wildcard: parts.iter().any(Part::has_wild_values),
            parts,
            always: false,
            shared: false,
        }
    }
}

/// The lock specifications of all tables, by table number.
pub(super) fn build(tables: &[TablePair], edges: &[ForeignKeyEdge]) -> Vec<Vec<LockSpec>> {
    let folds = common_folds(tables);
    let mut specs: Vec<Vec<LockSpec>> = tables.iter().map(|pair| of_table(pair, &folds)).collect();
    for (number, edge) in edges.iter().enumerate() {
        let (child, parent) = edge_specs(number, edge, tables);
        for (table, spec) in [(edge.child, child), (edge.parent, parent)] {
            if let Some(list) = specs.get_mut(table as usize) {
                list.push(spec);
            }
        }
    }
    specs
}

type Folds = BTreeMap<(TableName, usize), Fold>;

/// The fold of every destination column. Where several source tables go to one destination table
/// and their rules differ, nothing is known.
fn common_folds(tables: &[TablePair]) -> Folds {
    let mut folds = Folds::new();
    for pair in tables {
        for destination in 0..pair.destination.columns.len() {
            let fold = fold_of(pair, destination);
            folds
                .entry((pair.destination.name.clone(), destination))
                .and_modify(|known| {
                    if *known != fold {
                        *known = Fold::Constant;
                    }
                })
                .or_insert(fold);
        }
    }
    folds
}

/// The source column of a destination column: the one that is written to it, or, where the
/// destination computes it, the source's column of the same name.
fn source_of(pair: &TablePair, destination: usize) -> Option<usize> {
    let mapped = pair.columns.iter().find(|c| c.destination == destination);
    mapped.map(|c| c.source).or_else(|| {
        let column = pair.destination.columns.get(destination)?;
        pair.source.column_index(&column.name)
    })
}

fn fold_of(pair: &TablePair, destination: usize) -> Fold {
    let source = source_of(pair, destination).and_then(|i| pair.source.columns.get(i));
    match (source, pair.destination.columns.get(destination)) {
        // A virtual column need not be in the log.
        (Some(from), Some(to)) if from.generated != Some(Generated::Virtual) => {
            Fold::between(&from.ty, &to.ty)
        }
        _ => Fold::Constant,
    }
}

fn of_table(pair: &TablePair, folds: &Folds) -> Vec<LockSpec> {
    let mut known: BTreeSet<Vec<(Option<usize>, Option<u32>)>> = BTreeSet::new();
    let mut specs = Vec::new();
    let mut add = |mut parts: Vec<(Option<usize>, Option<u32>)>, always: bool| {
        parts.sort_unstable();
        if known.insert(parts.clone()) {
            let mut spec = key_spec(pair, folds, &parts);
            spec.always = always;
            specs.push(spec);
        }
    };
    match &pair.key {
        Some(key) => {
            let row_key = key
                .iter()
                .filter_map(|i| pair.columns.get(*i))
                .map(|c| (Some(c.destination), None));
            add(row_key.collect(), true);
        }
        None => {
            // One lock for the whole table: a row without a key is found by reading others, and a
            // server that locks the rows it reads makes two such changes wait for each other.
            let mut spec = key_spec(pair, folds, &[]);
            spec.always = true;
            specs.push(spec);
        }
    }
    with_unique_keys(pair, folds, specs, known)
}

fn with_unique_keys(
    pair: &TablePair,
    folds: &Folds,
    mut specs: Vec<LockSpec>,
    mut known: BTreeSet<Vec<(Option<usize>, Option<u32>)>>,
) -> Vec<LockSpec> {
    let of_destination = |key: &Key| -> Option<Vec<(Option<usize>, Option<u32>)>> {
        Some(key.parts.iter().map(|p| (p.column, p.prefix)).collect())
    };
    // A key of the source counts even if the destination does not have it (yet), as long as all
    // of its columns are written.
    let of_source = |key: &Key| -> Option<Vec<(Option<usize>, Option<u32>)>> {
        key.parts
            .iter()
            .map(|part| {
                let column = part.column?;
                let to = pair.columns.iter().find(|c| c.source == column)?;
                Some((Some(to.destination), part.prefix))
            })
            .collect()
    };
    let keys = pair
        .destination
        .keys
        .iter()
        .map(of_destination)
        .chain(pair.source.keys.iter().map(of_source));
    for mut parts in keys.flatten() {
        parts.sort_unstable();
        if known.insert(parts.clone()) {
            specs.push(key_spec(pair, folds, &parts));
        }
    }
    specs
}

fn key_spec(pair: &TablePair, folds: &Folds, parts: &[(Option<usize>, Option<u32>)]) -> LockSpec {
    let name = &pair.destination.name;
    let mut seed = KeyHash::new(1);
    seed.bytes(name.database.as_bytes());
    seed.bytes(name.table.as_bytes());
    for (column, prefix) in parts {
        seed.number(column.map_or(u64::MAX, |c| c as u64));
        seed.number(prefix.map_or(u64::MAX, u64::from));
    }
    let parts = parts
        .iter()
        .map(|(column, prefix)| Part {
            column: column.and_then(|c| source_of(pair, c)),
            prefix: *prefix,
            fold: column
                .and_then(|c| folds.get(&(name.clone(), c)).copied())
                .unwrap_or(Fold::Constant),
        })
        .collect();
    LockSpec::new(seed.finish(), parts)
}

/// The specifications of the referencing and of the referenced side.
fn edge_specs(number: usize, edge: &ForeignKeyEdge, tables: &[TablePair]) -> (LockSpec, LockSpec) {
    let ty = |table: u32, column: usize| -> Option<&ColumnType> {
        let pair = tables.get(table as usize)?;
        pair.source.columns.get(column).map(|c| &c.ty)
    };
    let mut seed = KeyHash::new(2);
    seed.number(number as u64);
    let (mut child, mut parent) = (Vec::new(), Vec::new());
    for (from, to) in edge.child_columns.iter().zip(&edge.parent_columns) {
        let fold = match (ty(edge.child, *from), ty(edge.parent, *to)) {
            (Some(a), Some(b)) if Fold::between(a, b) == Fold::between(b, a) => Fold::between(a, b),
            _ => Fold::Constant,
        };
        for (list, column) in [(&mut child, *from), (&mut parent, *to)] {
            list.push(Part {
                column: Some(column),
                prefix: None,
                fold,
            });
        }
    }
    let mut child = LockSpec::new(seed.finish(), child);
    child.shared = true;
    (child, LockSpec::new(seed.finish(), parent))
}
