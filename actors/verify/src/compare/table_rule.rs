//! How two tables are compared.

use std::sync::Arc;

use oms_core::{Row, TablePair};
use ring::digest;

use super::{
    charsets::Charsets,
    column_rule::{ColumnRule, Form, form, text_charset},
    digest_plan::DigestPlan,
    key_rule::KeyRule,
};
use crate::{Side, VerifyError};

/// A digest of a row's values in the form that both sides share.
pub(crate) type RowDigest = [u8; 32];

/// A table pair, prepared for comparing.
#[derive(Clone)]
pub(crate) struct TableRule {
    pub(crate) pair: TablePair,
    pub(crate) columns: Vec<ColumnRule>,
    /// `None`: rows are a multiset.
    pub(crate) key: Option<KeyRule>,
    /// `None`: rows must be read to be compared.
    pub(crate) digests: Option<DigestPlan>,
    pub(crate) charsets: Arc<dyn Charsets>,
}

impl TableRule {
    /// Prepares a pair. Besides the pair's columns those are compared that the destination computes
    /// and the source has, too.
    pub(crate) fn new(
        pair: TablePair,
        charsets: Arc<dyn Charsets>,
        both_ways: bool,
    ) -> Result<Self, VerifyError> {
        let table = pair.source.name.clone();
        let refuse = |detail: String| VerifyError::NotComparable {
            table: table.clone(),
            detail,
        };
        let mut indexes: Vec<(usize, usize)> =
            pair.columns.iter().map(|c| (c.source, c.destination)).collect();
        let written = indexes.len();
        for (index, column) in pair.destination.columns.iter().enumerate() {
            let paired = indexes.iter().any(|(_, d)| *d == index);
            if column.generated.is_some()
                && !paired
                && let Some(from) = pair.source.column_index(&column.name)
            {
                indexes.push((from, index));
            }
        }
        let mut columns = Vec::with_capacity(indexes.len());
        for (number, (source, destination)) in indexes.into_iter().enumerate() {
            let (Some(from), Some(to)) = (
                pair.source.columns.get(source),
                pair.destination.columns.get(destination),
            ) else {
                return Err(refuse("a column pair points outside of the definitions".into()));
            };
            let form = form(&from.ty, &to.ty).ok_or_else(|| {
                refuse(format!(
                    "the types of column `{}` have no common meaning",
                    to.name
                ))
            })?;
            if matches!(form, Form::Text | Form::Json) {
                for ty in [&from.ty, &to.ty] {
                    let charset = text_charset(ty);
                    if !super::column_rule::is_utf8_family(charset) && !charsets.is_known(charset) {
                        let words = format!("character set {charset} of column `{}` is unknown", to.name);
                        return Err(refuse(words));
                    }
                }
            }
            columns.push(ColumnRule {
                name: to.name.clone(),
                source,
                destination,
                computed: number >= written,
                source_type: from.ty.clone(),
                destination_type: to.ty.clone(),
                form,
            });
        }
        let missing = pair.source.columns.iter().enumerate().find(|(index, column)| {
            column.generated.is_none() && !columns.iter().any(|c| c.source == *index)
        });
        if let Some((_, column)) = missing {
            return Err(refuse(format!(
                "column `{}` has no column at the destination",
                column.name
            )));
        }
        let key = match &pair.key {
            None => None,
            Some(key) => {
                let rules: Option<Vec<ColumnRule>> = key.iter().map(|i| columns.get(*i).cloned()).collect();
                let rules = rules.ok_or(VerifyError::Internal("a key points outside of the column pairs"))?;
                KeyRule::new(&pair, rules, both_ways)?
            }
        };
        let digests = DigestPlan::new(&pair, &columns);
        Ok(Self {
            pair,
            columns,
            key,
            digests,
            charsets,
        })
    }

    /// Stops on a row that is not as the definition says.
    pub(crate) fn check_shape(&self, side: Side, row: &Row) -> Result<(), VerifyError> {
        let schema = match side {
            Side::Source => &self.pair.source,
            Side::Destination => &self.pair.destination,
        };
        if row.len() == schema.columns.len() {
            return Ok(());
        }
        Err(VerifyError::Shape {
            table: schema.name.clone(),
            detail: format!(
                "a row of {} columns where {} are defined",
                row.len(),
                schema.columns.len()
            ),
        })
    }

    /// Whether two rows are equal in all columns.
    pub(crate) fn equal(&self, source: &Row, destination: &Row) -> bool {
        self.columns
            .iter()
            .all(|c| c.equal(source, destination, self.charsets.as_ref()))
    }

    /// The columns in which two rows differ.
    pub(crate) fn differing(&self, source: &Row, destination: &Row) -> Vec<&ColumnRule> {
        let differs = |c: &&ColumnRule| !c.equal(source, destination, self.charsets.as_ref());
        self.columns.iter().filter(differs).collect()
    }

    /// Equal for equal rows of either side, different for different ones.
    pub(crate) fn digest(&self, side: Side, row: &Row, scratch: &mut Vec<u8>) -> RowDigest {
        let mut context = digest::Context::new(&digest::SHA256);
        for rule in &self.columns {
            scratch.clear();
            let index = rule.index(side);
            let cell = match rule.form {
                Form::Same => row.cell(index),
                _ => {
                    rule.normal(side, row.get(index), self.charsets.as_ref(), scratch);
                    scratch.as_slice()
                }
            };
            context.update(&(cell.len() as u64).to_le_bytes());
            context.update(cell);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }

    /// Says which definitions the table was compared by, so that a resumed run notices changes.
    pub(crate) fn fingerprint(&self) -> String {
        let text = serde_json::to_vec(&(
            &self.pair.source.columns,
            &self.pair.source.keys,
            &self.pair.destination.columns,
            &self.pair.destination.keys,
        ))
        .unwrap_or_default();
        let digest = digest::digest(&digest::SHA256, &text);
        digest
            .as_ref()
            .iter()
            .take(16)
            .map(|b| format!("{b:02x}"))
            .collect()
    }
}
