//! A source seen through what is chosen of its tables.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use oms_core::{
    Capture, Failure, Key, KeyPart, LogDecoder, Position, SnapshotReader, Source, TableMap, TableName,
    TableSchema, codes,
};

use super::{LeftOut, Shape, TableShape, decoder::ShapedDecoder, reader::ShapedReader};
use crate::condition::TextDecoder;

/// Most definitions of one table that are remembered: as it is, and as statements of the log changed it.
const REMEMBERED: usize = 64;

/// A source of which only chosen rows, columns and changes are seen.
///
/// It remembers the definitions that it gave out ([`Source::load_tables`], [`Source::seen`]) and takes them back:
/// tables of another making are refused where something of them is chosen.
#[derive(Clone)]
pub struct ShapedSource {
    inner: Arc<dyn Source>,
    seen: Arc<SeenTables>,
}

pub(super) struct SeenTables {
    choice: BTreeMap<TableName, TableShape>,
    texts: Arc<dyn TextDecoder>,
    /// The latest last.
    known: Mutex<BTreeMap<TableName, Vec<Arc<Shape>>>>,
    pub(super) left_out: Arc<LeftOut>,
}

impl fmt::Debug for ShapedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShapedSource")
            .field("inner", &self.inner)
            .field("choice", &self.seen.choice)
            .finish_non_exhaustive()
    }
}

impl ShapedSource {
    /// Sees a source through what is chosen; tables that are not named are seen as they are.
    pub fn new(
        inner: Arc<dyn Source>,
        choice: BTreeMap<TableName, TableShape>,
        texts: Arc<dyn TextDecoder>,
    ) -> Self {
        Self {
            inner,
            seen: Arc::new(SeenTables {
                choice,
                texts,
                known: Mutex::default(),
                left_out: Arc::default(),
            }),
        }
    }

    /// What it leaves out, counted.
    pub fn left_out(&self) -> Arc<LeftOut> {
        self.seen.left_out.clone()
    }
}

impl SeenTables {
    fn known(&self) -> MutexGuard<'_, BTreeMap<TableName, Vec<Arc<Shape>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, plain: TableSchema) -> Result<TableSchema, Failure> {
        let Some(choice) = self.choice.get(&plain.name) else {
            return Ok(plain);
        };
        let name = plain.name.clone();
        let shape = Shape::new(choice, Arc::new(plain), &self.texts).map_err(|problems| {
            Failure::new(codes::filter::NOT_USABLE, problems.join("; ")).context(&name)
        })?;
        let seen = TableSchema::clone(shape.seen());
        let mut known = self.known();
        let list = known.entry(name).or_default();
        list.retain(|old| !(is_alike(old.seen(), &seen) && is_alike(old.plain(), shape.plain())));
        if list.len() >= REMEMBERED {
            list.remove(0);
        }
        list.push(Arc::new(shape));
        Ok(seen)
    }

    /// What is chosen of a table that was given out; `None`: all of it.
    pub(super) fn find(&self, table: &TableSchema) -> Result<Option<Arc<Shape>>, Failure> {
        if !self.choice.contains_key(&table.name) {
            return Ok(None);
        }
        let known = self.known();
        let shape = known
            .get(&table.name)
            .and_then(|list| list.iter().rev().find(|s| is_alike(s.seen(), table)));
        shape.cloned().map(Some).ok_or_else(|| {
            let words = format!(
                "{} is defined otherwise than when its filter was checked",
                table.name
            );
            Failure::new(codes::schema::DEFINITION_DIFFERS, words)
        })
    }
}

/// What is chosen of a table, and how that is read.
type Viewed = (Arc<Shape>, Arc<TableSchema>);

impl SeenTables {
    /// What is chosen of a table that is to be read, and how that is to be read; `None`: all of it.
    ///
    /// Verification reads by views of what was given out: with one key only, whose values may come in another character
    /// set. The columns of the key move as they are, so the view is one of the table itself, too.
    pub(super) fn view(&self, table: &TableSchema) -> Result<Option<Viewed>, Failure> {
        if !self.choice.contains_key(&table.name) {
            return Ok(None);
        }
        let viewed = {
            let known = self.known();
            let mut shapes = known.get(&table.name).into_iter().flatten().rev();
            shapes.find(|s| is_view(s.seen(), table)).cloned()
        };
        let Some(shape) = viewed.filter(|s| !is_alike(s.seen(), table)) else {
            return Ok(self.find(table)?.map(|shape| {
                let layout = shape.snapshot().layout.clone();
                (shape, layout)
            }));
        };
        let program = shape.snapshot();
        let mut layout = TableSchema::clone(&program.layout);
        for key in &table.keys {
            for column in key.parts.iter().filter_map(|p| p.column) {
                let from = program
                    .copied_from(column)
                    .and_then(|i| layout.columns.get_mut(i));
                if let (Some(there), Some(here)) = (from, table.columns.get(column)) {
                    there.ty.clone_from(&here.ty);
                    there.nullable = here.nullable;
                }
            }
        }
        let part = |p: &KeyPart| {
            Some(KeyPart {
                column: Some(program.copied_from(p.column?)?),
                prefix: p.prefix,
            })
        };
        let key = |k: &Key| {
            Some(Key {
                parts: k.parts.iter().map(part).collect::<Option<_>>()?,
                ..k.clone()
            })
        };
        let keys: Option<Vec<Key>> = table.keys.iter().map(key).collect();
        layout.keys = keys.ok_or_else(|| {
            let words = format!("{}: a column of the key does not move as it is", table.name);
            Failure::new(codes::schema::DEFINITION_DIFFERS, words)
        })?;
        Ok(Some((shape, Arc::new(layout))))
    }
}

/// Whether `view` says of the table what it is, but for its keys and the types of their columns.
fn is_view(table: &TableSchema, view: &TableSchema) -> bool {
    let in_key = |index: usize| {
        let mut parts = view.keys.iter().flat_map(|k| &k.parts);
        parts.any(|p| p.column == Some(index))
    };
    table.columns.len() == view.columns.len()
        && table
            .columns
            .iter()
            .zip(&view.columns)
            .enumerate()
            .all(|(i, (a, b))| a == b || (a.name == b.name && in_key(i)))
}

/// Whether two definitions say the same, but for estimates.
fn is_alike(a: &TableSchema, b: &TableSchema) -> bool {
    a.columns == b.columns && a.keys == b.keys
}

#[async_trait]
impl Source for ShapedSource {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let tables = self.inner.load_tables(names).await?;
        let mut seen = Vec::with_capacity(tables.len());
        let mut problems = Vec::new();
        for table in tables {
            match self.seen.make(table) {
                Ok(table) => seen.push(table),
                Err(failure) => problems.push(failure),
            }
        }
        match problems.len() {
            0 => Ok(seen),
            _ => {
                let words: Vec<_> = problems.iter().map(Failure::detail).collect();
                Err(Failure::new(codes::filter::NOT_USABLE, words.join("; ")))
            }
        }
    }

    fn seen(&self, table: TableSchema) -> Result<TableSchema, Failure> {
        self.seen.make(self.inner.seen(table)?)
    }

    async fn current_position(&self) -> Result<Position, Failure> {
        self.inner.current_position().await
    }

    async fn start_position(&self) -> Result<Position, Failure> {
        self.inner.start_position().await
    }

    async fn check_position(&self, position: &Position) -> Result<(), Failure> {
        self.inner.check_position(position).await
    }

    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure> {
        self.inner.open_capture(from).await
    }

    fn decoder(&self, tables: Arc<TableMap>, from: &Position) -> Result<Box<dyn LogDecoder>, Failure> {
        let mut shapes = Vec::with_capacity(tables.len());
        let mut plain = Vec::with_capacity(tables.len());
        for table in tables.iter() {
            let shape = self.seen.find(table)?;
            plain.push(
                shape
                    .as_ref()
                    .map_or_else(|| table.clone(), |s| s.plain().clone()),
            );
            shapes.push(shape);
        }
        let inner = self.inner.decoder(Arc::new(TableMap::new(plain)), from)?;
        Ok(Box::new(ShapedDecoder::new(
            inner,
            shapes,
            self.seen.left_out.clone(),
        )))
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let inner = self.inner.open_snapshot().await?;
        Ok(Box::new(ShapedReader::new(inner, self.seen.clone())))
    }
}
