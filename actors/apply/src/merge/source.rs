//! A source whose merged tables are seen as one.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use oms_core::{
    Capture, Failure, LogDecoder, Position, SnapshotReader, Source, TableMap, TableName, TableSchema, codes,
};

use super::{MergedTables, decoder::MergedDecoder, merge_problems, reader::MergedReader};

/// A source of which several tables are seen as one: the first, which has the rows and the changes of all.
///
/// It remembers the definitions that it gave out ([`Source::load_tables`]) and takes them back. It looks whether a key
/// that it reads is in several of the tables (`OMS-SRC-0018`). Rows of merged tables come in no order.
#[derive(Clone)]
pub struct MergedSource {
    inner: Arc<dyn Source>,
    known: Arc<KnownTables>,
}

/// Definitions of tables that are seen as one, the first first.
type Definitions = Arc<Vec<Arc<TableSchema>>>;

/// Tables that are seen as one.
#[derive(Clone)]
pub(super) struct Members {
    /// As they are defined.
    pub(super) own: Definitions,
    /// As they are to be read: verification reads by views, which have one key and maybe take its values in another
    /// character set.
    pub(super) read: Definitions,
}

/// The definitions of tables that stand for others, as they were given out.
pub(super) struct KnownTables {
    tables: MergedTables,
    /// The members' own, the first first.
    known: Mutex<BTreeMap<TableName, Definitions>>,
}

impl fmt::Debug for MergedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedSource")
            .field("inner", &self.inner)
            .field("tables", &self.known.tables)
            .finish()
    }
}

impl MergedSource {
    /// Sees a source with these tables merged.
    pub fn new(inner: Arc<dyn Source>, tables: MergedTables) -> Self {
        Self {
            inner,
            known: Arc::new(KnownTables {
                tables,
                known: Mutex::default(),
            }),
        }
    }
}

impl KnownTables {
    fn known(&self) -> MutexGuard<'_, BTreeMap<TableName, Definitions>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of the inner source the table stands for; `None`: only for itself.
    pub(super) fn find(&self, table: &TableSchema) -> Result<Option<Members>, Failure> {
        if self.tables.members(&table.name).is_none() {
            return Ok(None);
        }
        let members = self.known().get(&table.name).cloned();
        let alike = |first: &Arc<TableSchema>| {
            let names =
                |table: &TableSchema| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
            names(first) == names(table)
        };
        let Some(own) = members.filter(|all| all.first().is_some_and(alike)) else {
            let words = format!(
                "{} is defined otherwise than when its tables were compared",
                table.name
            );
            return Err(Failure::new(codes::schema::DEFINITION_DIFFERS, words));
        };
        let is_plain = own
            .first()
            .is_some_and(|first| first.columns == table.columns && first.keys == table.keys);
        let read = if is_plain {
            own.clone()
        } else {
            let view = |member: &Arc<TableSchema>| TableSchema {
                name: member.name.clone(),
                ..table.clone()
            };
            Arc::new(own.iter().map(|member| Arc::new(view(member))).collect())
        };
        Ok(Some(Members { own, read }))
    }

    /// The table that stands for these, and remembers them.
    fn make(&self, members: Vec<TableSchema>) -> Result<Option<TableSchema>, Vec<String>> {
        let problems = merge_problems(&members);
        if !problems.is_empty() {
            return Err(problems);
        }
        let sum = |of: fn(&TableSchema) -> u64| members.iter().map(of).fold(0, u64::saturating_add);
        let (rows, bytes) = (sum(|t| t.estimated_rows), sum(|t| t.estimated_bytes));
        let Some(mut seen) = members.first().cloned() else {
            return Ok(None);
        };
        (seen.estimated_rows, seen.estimated_bytes) = (rows, bytes);
        let members = members.into_iter().map(Arc::new).collect();
        self.known().insert(seen.name.clone(), Arc::new(members));
        Ok(Some(seen))
    }
}

#[async_trait]
impl Source for MergedSource {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let groups: Vec<&[TableName]> = names
            .iter()
            .map(|name| {
                self.known
                    .tables
                    .members(name)
                    .unwrap_or(std::slice::from_ref(name))
            })
            .collect();
        let all: Vec<TableName> = groups.iter().flat_map(|g| g.iter().cloned()).collect();
        let mut loaded = self.inner.load_tables(&all).await?.into_iter();
        let mut seen = Vec::with_capacity(names.len());
        let mut problems = Vec::new();
        for group in groups {
            let members: Vec<TableSchema> = loaded.by_ref().take(group.len()).collect();
            if group.len() == 1 {
                seen.extend(members);
                continue;
            }
            match self.known.make(members) {
                Ok(table) => seen.extend(table),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(seen)
        } else {
            Err(Failure::new(
                codes::schema::DEFINITION_DIFFERS,
                format!("tables that are merged: {}", problems.join("; ")),
            ))
        }
    }

    fn seen(&self, table: TableSchema) -> Result<TableSchema, Failure> {
        self.inner.seen(table)
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
        let mut all: Vec<Arc<TableSchema>> = Vec::with_capacity(tables.len());
        let mut hidden = Vec::new();
        let mut stands_for = Vec::new();
        for (number, table) in (0u32..).zip(tables.iter()) {
            match self.known.find(table)? {
                None => all.push(table.clone()),
                Some(Members { own, .. }) => {
                    all.extend(own.first().cloned());
                    for member in own.iter().skip(1) {
                        hidden.push(member.clone());
                        stands_for.push(number);
                    }
                }
            }
        }
        let seen = all.len();
        all.extend(hidden);
        let mut map = TableMap::new(all);
        if tables.follows_definitions() {
            map = map.following_definitions();
        }
        let inner = self.inner.decoder(Arc::new(map), from)?;
        Ok(Box::new(MergedDecoder::new(inner, seen, stands_for)))
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let inner = self.inner.open_snapshot().await?;
        Ok(Box::new(MergedReader::new(inner, self.known.clone())))
    }
}
