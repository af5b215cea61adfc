//! Views.

use oms_core::{ObjectKind, ObjectName};

use super::{ConvertOptions, Converted, Statement, expression, report::Report};
use crate::{DestinationTraits, SchemaError, TableName, ViewCheck, ViewDefinition, syntax};

/// Converts a view of a source database. All tables in it are named in full.
///
/// # Errors
/// When the query cannot be said safely with the destination's names.
pub fn convert_view(
    definition: &ViewDefinition,
    database: &str,
    destination: &DestinationTraits,
    options: &ConvertOptions,
) -> Result<Converted, SchemaError> {
    let mut report = Report::default();
    let name = options.renames.table(&TableName::new(database, &definition.name));
    let mut body = definition.renamed_body(database, &options.renames)?;
    match expression::adapt(&body, destination) {
        Some(adapted) => body = adapted,
        None => report.refuse_construct("the query holds a text in a character set the destination lacks"),
    }
    let mut sql = "CREATE".to_owned();
    if let Some(algorithm) = definition.algorithm.as_deref().filter(|a| *a != "UNDEFINED") {
        if destination.supports.view_attributes {
            sql.push_str(&format!(" ALGORITHM={algorithm}"));
        } else {
            report.dropped("view", "algorithm", algorithm);
        }
    }
    if let Some(definer) = &definition.definer {
        report.changed("view", "definer", definer, "the account that migrates");
    }
    if definition.invoker {
        if destination.supports.view_attributes {
            // With a definer's rights, anyone who may read the view would read with the migrating account's.
            sql.push_str(" SQL SECURITY INVOKER");
        } else {
            report.weakened("view", "whose rights it reads with", "INVOKER", "DEFINER");
        }
    }
    sql.push_str(&format!(" VIEW {name}"));
    if !definition.columns.is_empty() {
        let list: Vec<_> = definition.columns.iter().map(|c| syntax::identifier(c)).collect();
        sql.push_str(&format!(" ({})", list.join(",")));
    }
    sql.push_str(&format!(" AS {body}"));
    match definition.check {
        Some(ViewCheck::Cascaded) => sql.push_str(" WITH CASCADED CHECK OPTION"),
        Some(ViewCheck::Local) => sql.push_str(" WITH LOCAL CHECK OPTION"),
        None => {}
    }
    let object = ObjectName {
        kind: ObjectKind::View,
        database: name.database,
        table: name.table,
        part: String::new(),
    };
    let (notes, outcome) = report.finish();
    let refused = matches!(outcome, super::Outcome::NotSupported(_));
    let statements = if refused {
        Vec::new()
    } else {
        vec![Statement { object, sql }]
    };
    Ok(Converted {
        statements,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        deferred: Vec::new(),
        notes,
        outcome,
        definition: None,
    })
}
