//! What is chosen of a table, checked against its definition.

use std::sync::Arc;

use oms_core::{Column, Failure, Key, KeyPart, Row, RowBuilder, RowCondition, TableName, TableSchema, codes};

use super::{TableShape, column_type::added_column_type, spec::ChangeKinds};
use crate::condition::{Computed, Condition, NoValue, TextDecoder};

/// What is chosen of one table as it is defined at one moment.
#[derive(Debug)]
pub struct Shape {
    /// The table as it is at the source.
    plain: Arc<TableSchema>,
    /// The table as it is seen from here: chosen columns under their names at the destination, then the added ones.
    seen: Arc<TableSchema>,
    changes: ChangeKinds,
    /// For rows of the log, which have all columns.
    log: Program,
    /// For rows of the snapshot, of which only the columns are read that are needed.
    snapshot: Program,
    push_down: Option<RowCondition>,
}

/// Filters and converts rows of one layout.
#[derive(Debug)]
pub(super) struct Program {
    /// The layout of the rows that go in.
    pub(super) layout: Arc<TableSchema>,
    pub(super) filter: Option<Condition>,
    /// What a row that comes out has; `None`: the same as the one that went in.
    cells: Option<Vec<Cell>>,
}

#[derive(Debug)]
enum Cell {
    /// A column of the row that goes in.
    Copied(usize),
    /// An added column: its name and value.
    Computed(String, Box<Computed>),
}

impl Shape {
    /// Checks what is chosen against a table.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub fn new(
        shape: &TableShape,
        plain: Arc<TableSchema>,
        texts: &Arc<dyn TextDecoder>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let chosen = chosen(shape, &plain, &mut problems);
        let mut seen = subset(&plain, &chosen);
        for (from, to) in &shape.renamed {
            match plain.column_index(from) {
                None => problems.push(format!("rename_columns: {} has no column `{from}`", plain.name)),
                Some(index) => match chosen.iter().position(|c| *c == index) {
                    None => problems.push(format!("rename_columns: column `{from}` does not move")),
                    Some(_) if to.is_empty() => {
                        problems.push(format!("rename_columns: column `{from}` gets no name"));
                    }
                    Some(place) => {
                        if let Some(column) = seen.columns.get_mut(place) {
                            column.name.clone_from(to);
                        }
                    }
                },
            }
        }
        for (i, (from, _)) in shape.renamed.iter().enumerate() {
            let again = shape
                .renamed
                .iter()
                .skip(i + 1)
                .any(|(other, _)| same(other, from));
            if again {
                problems.push(format!("rename_columns: column `{from}` is there twice"));
            }
        }
        for added in &shape.added {
            if added.name.is_empty() {
                problems.push("add_columns: a column has no name".to_owned());
            }
            match added_column_type(&added.ty) {
                Err(why) => problems.push(format!("add_columns: column `{}`: {why}", added.name)),
                Ok(ty) => seen.columns.push(Column {
                    name: added.name.clone(),
                    ty,
                    nullable: true,
                    generated: None,
                    invisible: false,
                }),
            }
        }
        for (i, column) in seen.columns.iter().enumerate() {
            let others = seen.columns.iter().skip(i + 1);
            if others.clone().any(|other| same(&other.name, &column.name)) {
                problems.push(format!("two columns would be named `{}`", column.name));
            }
        }
        let log = Program::new(shape, plain.clone(), &chosen, &seen, texts, &mut problems);
        let (Some(log), true) = (log, problems.is_empty()) else {
            problems.dedup();
            return Err(problems);
        };
        for (column, cell) in seen.columns.iter_mut().zip(log.cells.iter().flatten()) {
            if let Cell::Computed(_, computed) = cell {
                column.nullable = !computed.is_never_null();
            }
        }
        // What the snapshot reads: what moves, what the filter looks at, what is computed from.
        let mut read: Vec<usize> = chosen.clone();
        read.extend(log.inputs());
        read.sort_unstable();
        read.dedup();
        let snapshot = if read.len() == plain.columns.len() {
            Program::new(shape, plain.clone(), &chosen, &seen, texts, &mut problems)
        } else {
            let layout = Arc::new(subset(&plain, &read));
            let places: Vec<usize> = chosen
                .iter()
                .filter_map(|c| read.iter().position(|r| r == c))
                .collect();
            Program::new(shape, layout, &places, &seen, texts, &mut problems)
        };
        let Some(snapshot) = snapshot else {
            return Err(problems);
        };
        let push_down = log.filter.as_ref().and_then(Condition::push_down);
        Ok(Self {
            plain,
            seen: Arc::new(seen),
            changes: shape.changes,
            log,
            snapshot,
            push_down,
        })
    }

    /// The table as it is at the source.
    pub fn plain(&self) -> &Arc<TableSchema> {
        &self.plain
    }

    /// The table as it is seen through the choice: chosen columns under their names at the destination, then the added
    /// ones; keys all of whose columns move.
    pub fn seen(&self) -> &Arc<TableSchema> {
        &self.seen
    }

    /// What of the filter the source is told.
    pub fn push_down(&self) -> Option<&RowCondition> {
        self.push_down.as_ref()
    }

    pub(super) fn changes(&self) -> ChangeKinds {
        self.changes
    }

    pub(super) fn log(&self) -> &Program {
        &self.log
    }

    pub(super) fn snapshot(&self) -> &Program {
        &self.snapshot
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Indexes of the columns that move, in the order of the table.
fn chosen(shape: &TableShape, plain: &TableSchema, problems: &mut Vec<String>) -> Vec<usize> {
    if !shape.columns.is_empty() && !shape.omitted.is_empty() {
        problems
            .push("columns: name those that move here, or those that do not in `omit_columns`".to_owned());
    }
    let mut find = |field: &str, names: &[String]| {
        let mut found: Vec<usize> = Vec::new();
        for name in names {
            match plain.column_index(name) {
                None => problems.push(format!("{field}: {} has no column `{name}`", plain.name)),
                Some(index) if found.contains(&index) => {
                    problems.push(format!("{field}: column `{name}` is there twice"));
                }
                Some(index) => found.push(index),
            }
        }
        found
    };
    let (listed, omitted) = (
        find("columns", &shape.columns),
        find("omit_columns", &shape.omitted),
    );
    let chosen: Vec<usize> = (0..plain.columns.len())
        .filter(|i| shape.columns.is_empty() || listed.contains(i))
        .filter(|i| !omitted.contains(i))
        .collect();
    for index in plain.row_key_columns().unwrap_or_default() {
        if !chosen.contains(&index)
            && let Some(column) = plain.columns.get(index)
        {
            problems.push(format!(
                "columns: `{}` must move, because it belongs to the key by which rows of {} are found",
                column.name, plain.name
            ));
        }
    }
    if chosen.is_empty() {
        problems.push(format!("columns: no column of {} moves", plain.name));
    }
    chosen
}

/// The table with only these columns, and the keys all of whose columns are among them.
fn subset(plain: &TableSchema, chosen: &[usize]) -> TableSchema {
    let part = |part: &KeyPart| match part.column {
        None => Some(part.clone()),
        Some(old) => Some(KeyPart {
            column: Some(chosen.iter().position(|c| *c == old)?),
            prefix: part.prefix,
        }),
    };
    let keys = plain.keys.iter().filter_map(|key| {
        Some(Key {
            name: key.name.clone(),
            primary: key.primary,
            parts: key.parts.iter().map(part).collect::<Option<_>>()?,
        })
    });
    TableSchema {
        name: plain.name.clone(),
        engine: plain.engine.clone(),
        columns: chosen
            .iter()
            .filter_map(|i| plain.columns.get(*i).cloned())
            .collect(),
        keys: keys.collect(),
        estimated_rows: plain.estimated_rows,
        estimated_bytes: plain.estimated_bytes,
    }
}

impl Program {
    /// `places` are the chosen columns within the layout.
    fn new(
        shape: &TableShape,
        layout: Arc<TableSchema>,
        places: &[usize],
        seen: &TableSchema,
        texts: &Arc<dyn TextDecoder>,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let before = problems.len();
        let filter = shape.filter.as_ref().and_then(|text| {
            let condition = Condition::new(text, &layout, texts.clone());
            condition
                .map_err(|mistakes| problems.extend(mistakes.iter().map(|m| format!("filter: {m}"))))
                .ok()
        });
        let mut cells: Vec<Cell> = places.iter().map(|i| Cell::Copied(*i)).collect();
        for added in &shape.added {
            let Some(column) = seen.columns.iter().find(|c| c.name == added.name) else {
                continue;
            };
            match Computed::new(&added.value, &column.ty, &layout, texts.clone()) {
                Ok(computed) => cells.push(Cell::Computed(added.name.clone(), Box::new(computed))),
                Err(mistakes) => problems.extend(
                    mistakes
                        .iter()
                        .map(|m| format!("add_columns: column `{}`: {m}", added.name)),
                ),
            }
        }
        if problems.len() > before {
            return None;
        }
        let all = layout.columns.len();
        let same = places.len() == all && cells.len() == all;
        Some(Self {
            layout,
            filter,
            cells: (!same).then_some(cells),
        })
    }

    /// Columns of the layout that the filter and added columns read.
    fn inputs(&self) -> Vec<usize> {
        let mut columns = self.filter.as_ref().map(Condition::columns).unwrap_or_default();
        for cell in self.cells.iter().flatten() {
            if let Cell::Computed(_, computed) = cell {
                columns.extend(computed.columns());
            }
        }
        columns
    }

    /// Whether a row moves.
    pub(super) fn takes(&self, row: &Row) -> Result<bool, Failure> {
        match &self.filter {
            None => Ok(true),
            Some(filter) => filter
                .holds(row)
                .map_err(|e| failure(&self.layout.name, "the filter", e)),
        }
    }

    /// The row as it is seen from here.
    pub(super) fn convert(&self, row: Row, builder: &mut RowBuilder) -> Result<Row, Failure> {
        let Some(cells) = &self.cells else {
            return Ok(row);
        };
        builder.begin(u16::try_from(cells.len()).unwrap_or(u16::MAX));
        for cell in cells {
            match cell {
                Cell::Copied(index) => builder.push_cell(row.cell(*index)),
                Cell::Computed(name, computed) => computed
                    .push(&row, builder)
                    .map_err(|e| failure(&self.layout.name, &format!("the value of column `{name}`"), e))?,
            }
        }
        builder
            .finish()
            .map_err(|e| Failure::new(codes::apply::INTERNAL, format!("{}: {e}", self.layout.name)))
    }

    /// Column of the layout from which a column is copied that is seen.
    pub(super) fn copied_from(&self, seen: usize) -> Option<usize> {
        match &self.cells {
            None => Some(seen),
            Some(cells) => match cells.get(seen) {
                Some(Cell::Copied(index)) => Some(*index),
                _ => None,
            },
        }
    }
}

fn failure(table: &TableName, what: &str, e: NoValue) -> Failure {
    let code = if e.absent {
        codes::apply::PARTIAL_IMAGE
    } else {
        codes::filter::NO_VALUE
    };
    Failure::new(code, format!("{table}: {what}, character {}: {}", e.at, e.why))
}
