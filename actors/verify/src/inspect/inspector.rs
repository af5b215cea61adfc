//! Reads recorded differences again.

use std::{collections::HashMap, sync::Arc};

use oms_core::{Failure, Row, SnapshotReader, TablePair};

use super::{literal::literal, statement::Correction};
use crate::{
    Charsets, Difference, DifferenceKey, DifferenceKind, Side, Sides, VerifyError,
    compare::{ColumnRule, KeyRule, RowDigest, TableRule},
};

const BATCH_BYTES: usize = 1 << 20;

/// A key column's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Name at the destination.
    pub column: String,
    /// SQL literal.
    pub value: String,
}

/// The values of a column that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnValues {
    /// Name at the destination.
    pub column: String,
    /// SQL literal of the source's value; `None`: the row is not there.
    pub source: Option<String>,
    /// SQL literal of the destination's value.
    pub destination: Option<String>,
}

/// A recorded difference as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedDifference {
    /// As it was recorded.
    pub recorded: Difference,
    /// The row's key; empty in a table without one.
    pub key: Vec<KeyValue>,
    /// How the sides differ now; `None`: they no longer do.
    pub now: Option<DifferenceKind>,
    /// The columns that differ, or all columns when one side has no such row.
    pub columns: Vec<ColumnValues>,
    /// Statement for the destination, if one was asked for and is needed. Execute [`super::PREAMBLE`]
    /// before it.
    pub correction: Option<String>,
    /// Why there is no statement although one is needed.
    pub no_correction: Option<String>,
    /// How often the row is at the source now.
    pub source_count: u64,
    /// How often the row is at the destination now.
    pub destination_count: u64,
}

/// Reads both rows of recorded differences as they are now. What it returns holds row values: it is
/// for the user who asked, and must not be logged.
pub struct Inspector {
    sides: Arc<dyn Sides>,
    charsets: Arc<dyn Charsets>,
}

impl Inspector {
    /// An inspector of the project's databases.
    pub fn new(sides: Arc<dyn Sides>, charsets: Arc<dyn Charsets>) -> Self {
        Self { sides, charsets }
    }

    /// The differences' keys as literals, without reading anything. Digests have none.
    ///
    /// # Errors
    /// `OMS-VERIFY-0003` when the table cannot be compared by its present definitions.
    pub fn keys(&self, pair: &TablePair, differences: &[Difference]) -> Result<Vec<Vec<KeyValue>>, Failure> {
        let rule = TableRule::new(pair.clone(), self.charsets.clone(), false)?;
        differences
            .iter()
            .map(|d| self.key_values(&rule, d).map_err(Failure::from))
            .collect()
    }

    /// Reads the rows of the differences. Keyed rows are read one by one; of a table without a key
    /// both sides are read completely, once for the whole call. Memory: the rows of the result, so
    /// pass at most some hundred differences at a time.
    ///
    /// # Errors
    /// As the databases'; `OMS-VERIFY-0003`, `-0005` when the definitions are not those that the
    /// differences were recorded by.
    pub async fn inspect(
        &self,
        pair: &TablePair,
        differences: &[Difference],
        with_correction: bool,
    ) -> Result<Vec<InspectedDifference>, Failure> {
        let rule = TableRule::new(pair.clone(), self.charsets.clone(), false)?;
        let (mut source, mut destination) =
            futures::try_join!(self.sides.open(Side::Source), self.sides.open(Side::Destination))?;
        let result = match &rule.key {
            Some(key) => {
                let mut out = Vec::with_capacity(differences.len());
                for difference in differences {
                    let DifferenceKey::Key { side, key: row } = &difference.key else {
                        return Err(VerifyError::Internal("a digest in a table with a key").into());
                    };
                    let at_source = one(&rule, key, source.as_mut(), Side::Source, *side, row).await?;
                    let at_destination =
                        one(&rule, key, destination.as_mut(), Side::Destination, *side, row).await?;
                    out.push(self.keyed(&rule, difference, at_source, at_destination, with_correction)?);
                }
                out
            }
            None => {
                let at_source = counted(&rule, source.as_mut(), Side::Source, differences).await?;
                let at_destination =
                    counted(&rule, destination.as_mut(), Side::Destination, differences).await?;
                let each = |d| self.keyless(&rule, d, &at_source, &at_destination, with_correction);
                differences
                    .iter()
                    .map(each)
                    .collect::<Result<Vec<_>, VerifyError>>()?
            }
        };
        Ok(result)
    }

    fn key_values(&self, rule: &TableRule, difference: &Difference) -> Result<Vec<KeyValue>, VerifyError> {
        let (DifferenceKey::Key { side, key }, Some(key_rule)) = (&difference.key, &rule.key) else {
            return Ok(Vec::new());
        };
        if key.len() != key_rule.columns.len() {
            return Err(VerifyError::Internal("a recorded key is of another definition"));
        }
        let value = |(column, value): (&ColumnRule, _)| {
            let ty = column.ty(*side);
            let shown = literal(ty, ty, value, self.charsets.as_ref());
            KeyValue {
                column: column.name.clone(),
                value: shown.unwrap_or_else(|why| format!("({why})")),
            }
        };
        Ok(key_rule.columns.iter().zip(key.iter()).map(value).collect())
    }

    fn shown(&self, column: &ColumnRule, side: Side, row: Option<&Row>) -> Option<String> {
        let ty = column.ty(side);
        let value = row?.get(column.index(side));
        Some(literal(ty, ty, value, self.charsets.as_ref()).unwrap_or_else(|why| format!("({why})")))
    }

    fn values(
        &self,
        columns: &[&ColumnRule],
        source: Option<&Row>,
        destination: Option<&Row>,
    ) -> Vec<ColumnValues> {
        let value = |column: &&ColumnRule| ColumnValues {
            column: column.name.clone(),
            source: self.shown(column, Side::Source, source),
            destination: self.shown(column, Side::Destination, destination),
        };
        columns.iter().map(value).collect()
    }

    fn keyed(
        &self,
        rule: &TableRule,
        difference: &Difference,
        source: Option<Row>,
        destination: Option<Row>,
        with_correction: bool,
    ) -> Result<InspectedDifference, VerifyError> {
        let write = Correction { rule };
        let all: Vec<&ColumnRule> = rule.columns.iter().collect();
        let (now, columns, statement) = match (&source, &destination) {
            (None, None) => (None, Vec::new(), None),
            (Some(s), Some(d)) if rule.equal(s, d) => (None, Vec::new(), None),
            (Some(s), Some(d)) => (
                Some(DifferenceKind::Mismatched),
                rule.differing(s, d),
                Some(write.update(s, d)),
            ),
            (Some(s), None) => (Some(DifferenceKind::SourceOnly), all, Some(write.insert(s, 1))),
            (None, Some(d)) => (Some(DifferenceKind::DestinationOnly), all, Some(write.delete(d))),
        };
        let (correction, no_correction) = wanted(statement, with_correction);
        Ok(InspectedDifference {
            recorded: difference.clone(),
            key: self.key_values(rule, difference)?,
            now,
            columns: self.values(&columns, source.as_ref(), destination.as_ref()),
            correction,
            no_correction,
            source_count: u64::from(source.is_some()),
            destination_count: u64::from(destination.is_some()),
        })
    }

    fn keyless(
        &self,
        rule: &TableRule,
        difference: &Difference,
        source: &HashMap<RowDigest, (u64, Row)>,
        destination: &HashMap<RowDigest, (u64, Row)>,
        with_correction: bool,
    ) -> Result<InspectedDifference, VerifyError> {
        let DifferenceKey::Digest(digest) = &difference.key else {
            return Err(VerifyError::Internal("a key in a table without one"));
        };
        let write = Correction { rule };
        let (s, d) = (source.get(digest), destination.get(digest));
        let (s_count, d_count) = (s.map_or(0, |(n, _)| *n), d.map_or(0, |(n, _)| *n));
        let (now, statement) = match (s, d) {
            (Some((_, row)), _) if s_count > d_count => (
                Some(DifferenceKind::SourceOnly),
                Some(write.insert(row, s_count - d_count)),
            ),
            (_, Some((_, row))) if d_count > s_count => (
                Some(DifferenceKind::DestinationOnly),
                Some(write.delete_some(row, d_count - s_count)),
            ),
            _ => (None, None),
        };
        let all: Vec<&ColumnRule> = rule.columns.iter().collect();
        let (correction, no_correction) = wanted(statement, with_correction);
        Ok(InspectedDifference {
            recorded: difference.clone(),
            key: Vec::new(),
            now,
            columns: self.values(&all, s.map(|(_, row)| row), d.map(|(_, row)| row)),
            correction,
            no_correction,
            source_count: s_count,
            destination_count: d_count,
        })
    }
}

fn wanted(
    statement: Option<Result<String, String>>,
    with_correction: bool,
) -> (Option<String>, Option<String>) {
    match statement.filter(|_| with_correction) {
        Some(Ok(statement)) => (Some(statement), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    }
}

/// The row that the side has for a recorded key.
async fn one(
    rule: &TableRule,
    key: &KeyRule,
    reader: &mut dyn SnapshotReader,
    side: Side,
    of: Side,
    row: &Row,
) -> Result<Option<Row>, VerifyError> {
    let (view, wanted) = if of == side {
        (key.scan_view(side), Some(row.clone()))
    } else {
        (
            key.lookup_view(side),
            key.convert(of, row, rule.charsets.as_ref())?,
        )
    };
    let Some(wanted) = wanted else { return Ok(None) };
    reader.read_keys(view.clone(), &[wanted]).await?;
    let mut found = None;
    while let Some(batch) = reader.next_batch(BATCH_BYTES).await? {
        found = batch.rows.into_iter().next().or(found);
    }
    if let Some(row) = &found {
        rule.check_shape(side, row)?;
    }
    Ok(found)
}

/// How often the side has the rows, and one of each.
async fn counted(
    rule: &TableRule,
    reader: &mut dyn SnapshotReader,
    side: Side,
    differences: &[Difference],
) -> Result<HashMap<RowDigest, (u64, Row)>, VerifyError> {
    let digest = |d: &Difference| match &d.key {
        DifferenceKey::Digest(digest) => Some(*digest),
        DifferenceKey::Key { .. } => None,
    };
    let wanted: std::collections::HashSet<RowDigest> = differences.iter().filter_map(digest).collect();
    let table = match side {
        Side::Source => rule.pair.source.clone(),
        Side::Destination => rule.pair.destination.clone(),
    };
    reader.read_all(table).await?;
    let mut out: HashMap<RowDigest, (u64, Row)> = HashMap::new();
    let mut scratch = Vec::new();
    while let Some(batch) = reader.next_batch(BATCH_BYTES).await? {
        for row in batch.rows {
            rule.check_shape(side, &row)?;
            let digest = rule.digest(side, &row, &mut scratch);
            if wanted.contains(&digest) {
                out.entry(digest).or_insert_with(|| (0, row)).0 += 1;
            }
        }
    }
    Ok(out)
}
