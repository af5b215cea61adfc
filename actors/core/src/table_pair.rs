//! A source table and where its rows go.

use std::sync::Arc;

use oms_types::codes;

use crate::{Failure, TableSchema};

/// A source table, its destination table, and which column goes where.
///
/// Generated columns of the destination are not among the pairs: the server computes them.
#[derive(Clone, Debug)]
pub struct TablePair {
    /// Definition at the source.
    pub source: Arc<TableSchema>,
    /// Definition at the destination.
    pub destination: Arc<TableSchema>,
    /// The columns that are written, in the order of the destination.
    pub columns: Vec<ColumnPair>,
    /// Pairs that identify a row on both sides, as indexes into `columns`. `None`: the table has no
    /// key; rows are a multiset and are found by all of their columns.
    pub key: Option<Vec<usize>>,
}

/// A source column and its destination column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnPair {
    /// Index into the source's columns.
    pub source: usize,
    /// Index into the destination's columns.
    pub destination: usize,
}

impl TablePair {
    /// Pairs columns by name.
    ///
    /// Every source column that is not generated must exist at the destination; a source column
    /// that is generated is written only if the destination's is not generated. The key is the
    /// source's row key if the destination has a unique key over the same columns; a source table
    /// without a key has none.
    ///
    /// # Errors
    /// `OMS-DST-0010` names the missing columns; `OMS-SCHEMA-0005` a source key that the
    /// destination does not have.
    pub fn by_name(source: Arc<TableSchema>, destination: Arc<TableSchema>) -> Result<Self, Failure> {
        Self::by_name_without(source, destination, &[])
    }

    /// The same, but source columns of these names may be missing at the destination. Their values go nowhere.
    ///
    /// # Errors
    /// As [`TablePair::by_name`].
    pub fn by_name_without(
        source: Arc<TableSchema>,
        destination: Arc<TableSchema>,
        left_out: &[String],
    ) -> Result<Self, Failure> {
        let mut columns = Vec::new();
        for (index, column) in destination.columns.iter().enumerate() {
            if column.generated.is_some() {
                continue;
            }
            if let Some(from) = source.column_index(&column.name) {
                columns.push(ColumnPair {
                    source: from,
                    destination: index,
                });
            }
        }
        let missing: Vec<_> = source
            .columns
            .iter()
            .filter(|c| c.generated.is_none() && destination.column_index(&c.name).is_none())
            .filter(|c| !left_out.contains(&c.name))
            .map(|c| c.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Failure::new(
                codes::dst::COLUMN_MISSING,
                format!("{} has no column {}", destination.name, missing.join(", ")),
            ));
        }
        let key = match source.row_key_columns() {
            None => None,
            Some(wanted) => {
                let in_pairs: Option<Vec<usize>> = wanted
                    .iter()
                    .map(|w| columns.iter().position(|p| p.source == *w))
                    .collect();
                let in_destination: Option<Vec<usize>> = in_pairs.as_ref().map(|positions| {
                    let mut d: Vec<_> = positions
                        .iter()
                        .filter_map(|p| columns.get(*p))
                        .map(|p| p.destination)
                        .collect();
                    d.sort_unstable();
                    d
                });
                let has_key = in_destination.is_some_and(|wanted| {
                    destination.keys.iter().any(|key| {
                        let mut parts: Vec<_> = key
                            .parts
                            .iter()
                            .filter_map(|p| p.column.filter(|_| p.prefix.is_none()))
                            .collect();
                        parts.sort_unstable();
                        parts.len() == key.parts.len() && parts == wanted
                    })
                });
                if !has_key {
                    return Err(Failure::new(
                        codes::schema::DEFINITION_DIFFERS,
                        format!(
                            "{} has no unique key over the columns of the key of {}",
                            destination.name, source.name
                        ),
                    ));
                }
                in_pairs
            }
        };
        Ok(Self {
            source,
            destination,
            columns,
            key,
        })
    }

    /// Source column indexes of the key.
    pub fn source_key(&self) -> Option<Vec<usize>> {
        self.key.as_ref().map(|key| {
            key.iter()
                .filter_map(|i| self.columns.get(*i))
                .map(|pair| pair.source)
                .collect()
        })
    }
}
