//! The key of a table on both sides.

use std::{cmp::Ordering, sync::Arc};

use oms_core::{ColumnType, Key, KeyPart, Row, RowBuilder, TablePair, TableSchema};

use super::{
    charsets::Charsets,
    column_rule::{ColumnRule, Form, same_charset_family},
    key_order::{self, Order},
};
use crate::{Side, VerifyError};

/// The key of a table pair: its order, and the definitions that readers are asked with.
///
/// Readers take the row key from the definition they are given, so each side gets one whose only
/// key is the pair's, with the columns in the same order. For keys that come from the other side
/// there is a second definition: text that had to be converted is UTF-8, and the reader must write
/// it out as such; the server converts it to the column's character set.
#[derive(Clone, Debug)]
pub(crate) struct KeyRule {
    /// The key's columns.
    pub(crate) columns: Vec<ColumnRule>,
    order: Option<Vec<Order>>,
    scan: [Arc<TableSchema>; 2],
    lookup: [Arc<TableSchema>; 2],
}

fn slot(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Destination => 1,
    }
}

impl KeyRule {
    /// `None`: the key cannot bound a chunk (floats, JSON, geometries), so that the table is
    /// compared as if it had none.
    pub(crate) fn new(
        pair: &TablePair,
        columns: Vec<ColumnRule>,
        both_ways: bool,
    ) -> Result<Option<Self>, VerifyError> {
        let unreliable = |ty: &ColumnType| {
            matches!(
                ty,
                ColumnType::Float | ColumnType::Double | ColumnType::Json | ColumnType::Geometry { .. }
            )
        };
        let unusable =
            |rule: &ColumnRule| unreliable(&rule.source_type) || unreliable(&rule.destination_type);
        if columns.is_empty() || columns.iter().any(unusable) {
            return Ok(None);
        }
        // A unique key lets NULL in several times, and no range of keys holds those rows.
        if both_ways
            && let Some(rule) = columns.iter().find(|r| {
                pair.destination
                    .columns
                    .get(r.destination)
                    .is_some_and(|c| c.nullable)
            })
        {
            return Err(VerifyError::NotComparable {
                table: pair.source.name.clone(),
                detail: format!("key column `{}` may be NULL at the destination", rule.name),
            });
        }
        let order = columns.iter().map(key_order::common).collect();
        let view = |side: Side| {
            let schema = match side {
                Side::Source => &pair.source,
                Side::Destination => &pair.destination,
            };
            with_key(schema, side, &columns)
        };
        let (source, destination) = (view(Side::Source)?, view(Side::Destination)?);
        let (source, destination) = (Arc::new(source), Arc::new(destination));
        let lookup = [
            foreign(&source, Side::Source, &columns),
            foreign(&destination, Side::Destination, &columns),
        ];
        Ok(Some(Self {
            columns,
            order,
            scan: [source, destination],
            lookup,
        }))
    }

    /// Whether both sides order the key alike.
    pub(crate) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Whether a range of keys holds equal rows on both sides, as far as their rows are equal: by our order, or by
    /// collations of the same name, which servers of one kind order alike. A wrong guess costs time only.
    pub(crate) fn has_common_ranges(&self) -> bool {
        let common = |rule: &ColumnRule| {
            let by_name = || {
                rule.form == Form::Same
                    && rule.source_type.collation().is_some()
                    && rule.source_type.collation() == rule.destination_type.collation()
            };
            key_order::common(rule).is_some() || by_name()
        };
        self.columns.iter().all(common)
    }

    /// The definition for reading chunks and for keys of this side.
    pub(crate) fn scan_view(&self, side: Side) -> &Arc<TableSchema> {
        &self.scan[slot(side)]
    }

    /// The definition for reading by converted keys of the other side.
    pub(crate) fn lookup_view(&self, side: Side) -> &Arc<TableSchema> {
        &self.lookup[slot(side)]
    }

    /// The key of a row.
    pub(crate) fn key_of(&self, side: Side, row: &Row) -> Result<Row, VerifyError> {
        let mut builder = self.begin()?;
        for rule in &self.columns {
            builder.push_cell(row.cell(rule.index(side)));
        }
        Ok(builder.finish()?)
    }

    fn begin(&self) -> Result<RowBuilder, VerifyError> {
        let mut builder = RowBuilder::new();
        let count = u16::try_from(self.columns.len())
            .map_err(|_| VerifyError::Internal("a key of too many columns"))?;
        builder.begin(count);
        Ok(builder)
    }

    /// The key as the other side has it; `None` when it cannot have it.
    pub(crate) fn convert(
        &self,
        from: Side,
        key: &Row,
        charsets: &dyn Charsets,
    ) -> Result<Option<Row>, VerifyError> {
        let mut builder = self.begin()?;
        for (rule, value) in self.columns.iter().zip(key.iter()) {
            if !rule.convert(from, value, charsets, &mut builder) {
                return Ok(None);
            }
        }
        Ok(Some(builder.finish()?))
    }

    /// Equal for keys of equal values, of either side. Finer than the servers' collations.
    pub(crate) fn identity(&self, side: Side, key: &Row, charsets: &dyn Charsets) -> Vec<u8> {
        let mut out = Vec::with_capacity(key.size());
        for (rule, value) in self.columns.iter().zip(key.iter()) {
            let at = out.len();
            out.extend_from_slice(&[0; 8]);
            rule.normal(side, value, charsets, &mut out);
            let length = (out.len() - at - 8) as u64;
            if let Some(head) = out.get_mut(at..at + 8) {
                head.copy_from_slice(&length.to_be_bytes());
            }
        }
        out
    }

    /// The order of two keys, each of either side. `None`: they have none.
    pub(crate) fn compare(&self, a: &Row, b: &Row) -> Option<Ordering> {
        let orders = self.order.as_ref()?;
        for ((order, x), y) in orders.iter().zip(a.iter()).zip(b.iter()) {
            match key_order::compare(*order, x, y)? {
                Ordering::Equal => {}
                unequal => return Some(unequal),
            }
        }
        Some(Ordering::Equal)
    }
}

/// The definition with the pair's key as its only key.
fn with_key(schema: &TableSchema, side: Side, columns: &[ColumnRule]) -> Result<TableSchema, VerifyError> {
    let wanted: Vec<usize> = columns.iter().map(|r| r.index(side)).collect();
    let mut sorted = wanted.clone();
    sorted.sort_unstable();
    let parts_of = |key: &Key| -> Option<Vec<usize>> {
        key.parts
            .iter()
            .map(|p| p.column.filter(|_| p.prefix.is_none()))
            .collect()
    };
    let same_set = |key: &&Key| {
        parts_of(key).is_some_and(|mut parts| {
            parts.sort_unstable();
            parts == sorted
        })
    };
    let same_order = schema
        .keys
        .iter()
        .find(|k| parts_of(k).is_some_and(|p| p == wanted));
    let key = same_order
        .or_else(|| schema.keys.iter().find(same_set))
        .ok_or_else(|| VerifyError::NotComparable {
            table: schema.name.clone(),
            detail: "no unique key over the columns that identify a row".into(),
        })?;
    let mut view = schema.clone();
    for index in &wanted {
        if let Some(column) = view.columns.get_mut(*index) {
            column.nullable = false;
        }
    }
    view.keys = vec![Key {
        name: key.name.clone(),
        primary: key.primary,
        parts: wanted
            .iter()
            .map(|i| KeyPart {
                column: Some(*i),
                prefix: None,
            })
            .collect(),
    }];
    Ok(view)
}

/// The definition with UTF-8 in the key columns whose values are converted for it.
fn foreign(view: &Arc<TableSchema>, side: Side, columns: &[ColumnRule]) -> Arc<TableSchema> {
    if columns.iter().all(|r| r.form != Form::Text) {
        return view.clone();
    }
    let mut foreign = TableSchema::clone(view);
    for rule in columns.iter().filter(|r| r.form == Form::Text) {
        let other = rule.ty(side.other()).charset();
        let Some(column) = foreign.columns.get_mut(rule.index(side)) else {
            continue;
        };
        if let ColumnType::Char { charset, .. }
        | ColumnType::VarChar { charset, .. }
        | ColumnType::Text { charset, .. } = &mut column.ty
        {
            let unchanged = matches!(
                rule.ty(side.other()),
                ColumnType::Enum { .. } | ColumnType::Set { .. }
            );
            if unchanged || !other.is_some_and(|o| same_charset_family(o, charset)) {
                *charset = "utf8mb4".into();
            }
        }
    }
    Arc::new(foreign)
}
