//! Indexes.

use super::{expression, report::Report, table::Work};
use crate::{
    DataType, IndexAlgorithm, IndexDefinition, IndexKind, IndexPart, IndexPartKey, TableDefinition, syntax,
};

/// `None` if it is left out.
pub(super) fn convert(
    work: &Work<'_>,
    index: &IndexDefinition,
    converted: &TableDefinition,
    report: &mut Report,
) -> Option<IndexDefinition> {
    let supports = &work.destination.supports;
    let label = match index.kind {
        IndexKind::Primary => "primary key".to_owned(),
        _ => format!("key {}", syntax::identifier(&index.name)),
    };
    let mut new = index.clone();
    if let Some(size) = new.key_block_size.take() {
        report.dropped(&label, "KEY_BLOCK_SIZE", size.to_string());
    }
    match new.algorithm.take() {
        Some(IndexAlgorithm::Hash) if !over_large(work, index) => {
            report.changed(&label, "algorithm", "HASH", "BTREE");
        }
        // The only algorithm of its kind: saying it changes nothing.
        _ => {}
    }
    parser(work, &mut new, &label, report);
    for part in &mut new.parts {
        if part.without_overlaps && !supports.periods {
            report.refuse_construct(format!("{label} forbids overlapping periods"));
        }
        if part.descending && !supports.descending_keys {
            part.descending = false;
            report.changed(&label, "order of a part", "DESC", "ASC");
        }
        note_float(work, part, &label, index, report);
    }
    if !expressions(work, &mut new, &label, report) {
        return None;
    }
    if index.is_unique() && over_large(work, index) && !supports.unique_over_large {
        return unique_over_large(work, index, &label, report);
    }
    if index.kind == IndexKind::Spatial && spatial_is_nullable(work, index) {
        report.lost(
            &label,
            "spatial key over a column that may be NULL",
            clause(work, index),
        );
        return None;
    }
    if index.kind == IndexKind::Primary {
        primary(work, &mut new, converted, report);
    }
    Some(new)
}

fn clause(work: &Work<'_>, index: &IndexDefinition) -> String {
    crate::definition::index_clause(index, work.source.flavor)
}

fn parser(work: &Work<'_>, new: &mut IndexDefinition, label: &str, report: &mut Report) {
    if let Some(parser) = new.parser.clone()
        && !work
            .destination
            .supports
            .fulltext_parsers
            .contains(&parser.to_ascii_lowercase())
    {
        new.parser = None;
        report.weakened(label, "parser", parser, "the destination's default parser");
    }
}

fn column_type<'a>(work: &'a Work<'_>, part: &IndexPart) -> Option<&'a DataType> {
    match &part.key {
        IndexPartKey::Column(name) => work.table.column(name).map(|c| &c.ty),
        IndexPartKey::Expression(_) => None,
    }
}

fn note_float(work: &Work<'_>, part: &IndexPart, label: &str, index: &IndexDefinition, report: &mut Report) {
    if index.is_unique()
        && let Some(ty @ DataType::Real { .. }) = column_type(work, part)
    {
        report.remark(label, "a key over an approximate number", ty.to_string());
    }
}

/// Whether a part is a whole TEXT or BLOB.
fn over_large(work: &Work<'_>, index: &IndexDefinition) -> bool {
    index.parts.iter().any(|part| {
        part.prefix.is_none()
            && matches!(
                column_type(work, part),
                Some(DataType::Text(_) | DataType::Blob(_))
            )
    })
}

fn unique_over_large(
    work: &Work<'_>,
    index: &IndexDefinition,
    label: &str,
    report: &mut Report,
) -> Option<IndexDefinition> {
    let all_not_null = index.whole_columns().is_some_and(|columns| {
        columns
            .iter()
            .all(|name| work.table.column(name).is_some_and(|c| !c.nullable))
    });
    if all_not_null && work.table.primary_key().is_none() {
        report.refuse_construct(format!(
            "{label} over whole TEXT or BLOB columns is what identifies the rows"
        ));
    } else {
        report.lost(
            label,
            "unique key over whole TEXT or BLOB columns",
            clause(work, index),
        );
    }
    None
}

fn spatial_is_nullable(work: &Work<'_>, index: &IndexDefinition) -> bool {
    index.parts.iter().any(|part| match &part.key {
        IndexPartKey::Column(name) => work.table.column(name).is_none_or(|c| c.nullable),
        IndexPartKey::Expression(_) => true,
    })
}

/// Whether an expression is `cast(… as … array)`, over the elements of a JSON array.
pub(super) fn is_multivalued(expression: &str) -> bool {
    let lower = expression.to_ascii_lowercase();
    lower.starts_with("cast(") && lower.trim_end_matches(')').ends_with(" array")
}

/// Adapts expressions; false if the index is left out.
fn expressions(work: &Work<'_>, new: &mut IndexDefinition, label: &str, report: &mut Report) -> bool {
    let supports = &work.destination.supports;
    let original = clause(work, new);
    for part in &mut new.parts {
        let IndexPartKey::Expression(text) = &mut part.key else {
            continue;
        };
        let multivalued = is_multivalued(text);
        let known = if multivalued {
            supports.multivalued_indexes
        } else {
            supports.functional_indexes
        };
        if !known {
            report.lost(label, "key over an expression", original);
            return false;
        }
        match expression::adapt(text, work.destination) {
            Some(adapted) => *text = adapted,
            None => {
                report.lost(
                    label,
                    "key over a text in a character set the destination lacks",
                    original,
                );
                return false;
            }
        }
    }
    true
}

/// A primary key that the destination refuses becomes a unique key over the same columns.
fn primary(work: &Work<'_>, new: &mut IndexDefinition, converted: &TableDefinition, report: &mut Report) {
    let supports = &work.destination.supports;
    let has_prefix = new.parts.iter().any(|part| part.prefix.is_some());
    let has_generated = new.parts.iter().any(|part| match &part.key {
        IndexPartKey::Column(name) => work.table.column(name).is_some_and(|c| c.generated.is_some()),
        IndexPartKey::Expression(_) => false,
    });
    let what = match (
        has_prefix && !supports.primary_key_prefix,
        has_generated && !supports.generated_primary_key,
    ) {
        (true, _) => "primary key with a prefix length",
        (_, true) => "primary key with a generated column",
        _ => return,
    };
    let from = clause(work, new);
    new.kind = IndexKind::Unique;
    new.name = free_name(work.table, converted);
    report.changed(
        "primary key",
        what,
        from,
        crate::definition::index_clause(new, work.destination.flavor),
    );
}

fn free_name(table: &TableDefinition, converted: &TableDefinition) -> String {
    let taken = |name: &str| {
        table
            .indexes
            .iter()
            .chain(&converted.indexes)
            .any(|index| index.name.eq_ignore_ascii_case(name))
    };
    let mut name = "primary_unique".to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}
