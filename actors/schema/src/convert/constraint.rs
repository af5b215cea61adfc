//! Checks and foreign keys.

use super::{expression, report::Report, table::Work};
use crate::{CheckDefinition, Flavor, ForeignKeyDefinition, ReferenceAction, TableName, syntax};

/// `None` if it is left out.
pub(super) fn check(
    work: &Work<'_>,
    check: &CheckDefinition,
    report: &mut Report,
) -> Option<CheckDefinition> {
    let supports = &work.destination.supports;
    let label = match &check.name {
        Some(name) => format!("check {}", syntax::identifier(name)),
        None => "check".to_owned(),
    };
    let mut new = check.clone();
    if !check.enforced && !supports.unenforced_checks {
        report.dropped(&label, "a check that is not enforced", &check.expression);
        return None;
    }
    match expression::adapt(&check.expression, work.destination) {
        Some(adapted) => new.expression = adapted,
        None => {
            report.lost(
                &label,
                "a text in a character set the destination lacks",
                &check.expression,
            );
            return None;
        }
    }
    let is_generated_name = check.name.as_deref().is_some_and(|name| {
        name.strip_prefix("CONSTRAINT_")
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    });
    if work.source.flavor == Flavor::MariaDb && is_generated_name && !supports.check_names_per_table {
        // The server's own name, which every table has; the destination makes one up again.
        new.name = None;
    }
    Some(new)
}

/// `None` if it is left out. The referenced table has its destination name in the result.
pub(super) fn foreign_key(
    work: &Work<'_>,
    key: &ForeignKeyDefinition,
    report: &mut Report,
) -> Option<ForeignKeyDefinition> {
    let label = format!("foreign key {}", syntax::identifier(&key.name));
    let uses_default = [key.on_delete, key.on_update].contains(&Some(ReferenceAction::SetDefault));
    if uses_default && !work.destination.supports.foreign_key_set_default {
        report.lost(
            &label,
            "foreign key with SET DEFAULT",
            crate::definition::foreign_key_clause(key),
        );
        return None;
    }
    let database = key.database.as_deref().unwrap_or(work.database);
    let parent = work.options.renames.table(&TableName::new(database, &key.table));
    let mut new = key.clone();
    new.database = Some(parent.database);
    new.table = parent.table;
    Some(new)
}
