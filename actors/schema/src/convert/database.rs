//! Databases.

use oms_core::{ObjectKind, ObjectName};

use super::{ConvertOptions, Converted, Statement, report::Report};
use crate::{DatabaseDefinition, DestinationTraits, SourceTraits};

/// Converts a database. Its statement does nothing where the database exists.
pub fn convert_database(
    definition: &DatabaseDefinition,
    source: &SourceTraits,
    destination: &DestinationTraits,
    options: &ConvertOptions,
) -> Converted {
    let mut report = Report::default();
    let mut new = definition.clone();
    new.name = options.renames.database(&definition.name);
    let charset = definition.charset.clone().unwrap_or_else(|| "utf8mb4".to_owned());
    let collation = definition
        .collation
        .clone()
        .unwrap_or_else(|| source.default_collation(&charset));
    let mapped = options.charsets.map(&charset, &collation, destination);
    let is_alias = |a: &str, b: &str| a.replace("utf8mb3", "utf8") == b.replace("utf8mb3", "utf8");
    if !is_alias(&charset, &mapped.charset) || !is_alias(&collation, &mapped.collation) {
        let to = format!("{} {}", mapped.charset, mapped.collation);
        report.changed(
            "database",
            "default character set and collation",
            format!("{charset} {collation}"),
            to,
        );
    }
    (new.charset, new.collation) = (Some(mapped.charset), Some(mapped.collation));
    if !new.comment.is_empty() && !destination.supports.database_comments {
        report.dropped("database", "comment", std::mem::take(&mut new.comment));
    }
    if std::mem::take(&mut new.encrypted) {
        report.dropped("database", "encryption by default", "Y");
    }
    let object = ObjectName {
        kind: ObjectKind::Database,
        database: new.name.clone(),
        table: String::new(),
        part: String::new(),
    };
    let (notes, outcome) = report.finish();
    Converted {
        statements: vec![Statement {
            object,
            sql: new.to_sql(),
        }],
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        deferred: Vec::new(),
        notes,
        outcome,
        definition: None,
    }
}
