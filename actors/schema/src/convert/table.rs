//! Tables.

use oms_core::{ObjectKind, ObjectName, codes};

use super::{
    CheckPolicy, ConvertOptions, Converted, ForeignKeyPolicy, IndexPolicy, Outcome, Statement,
    charset::Mapped, column, constraint, index, partition, report::Report,
};
use crate::{
    CheckDefinition, DestinationTraits, Flavor, IndexDefinition, IndexKind, IndexPartKey, SourceTraits,
    TableDefinition, TableName, TableOptions,
    definition::{check_clause, foreign_key_clause, index_clause},
};

/// What the parts of a conversion look at.
pub(super) struct Work<'a> {
    pub(super) table: &'a TableDefinition,
    pub(super) database: &'a str,
    pub(super) source: &'a SourceTraits,
    pub(super) destination: &'a DestinationTraits,
    pub(super) options: &'a ConvertOptions,
    /// Of the table at the destination.
    pub(super) charset: Mapped,
}

impl Work<'_> {
    pub(super) fn source_default(&self) -> impl Fn(&str) -> String {
        |charset| self.source.default_collation(charset)
    }

    pub(super) fn is_in_unique_key(&self, column: &str) -> bool {
        self.table.indexes.iter().filter(|index| index.is_unique()).any(|index| {
            index
                .parts
                .iter()
                .any(|part| matches!(&part.key, IndexPartKey::Column(name) if name.eq_ignore_ascii_case(column)))
        })
    }
}

/// Converts a table of a source database. The same input always gives the same result.
pub fn convert_table(
    definition: &TableDefinition,
    database: &str,
    source: &SourceTraits,
    destination: &DestinationTraits,
    options: &ConvertOptions,
) -> Converted {
    let mut report = Report::default();
    let (charset, collation) = definition.effective_charset(&|charset| source.default_collation(charset));
    let charset = options.charsets.map(&charset, &collation, destination);
    let work = Work {
        table: definition,
        database,
        source,
        destination,
        options,
        charset,
    };
    let name = options.renames.table(&TableName::new(database, &definition.name));
    let mut new = TableDefinition {
        name: name.table.clone(),
        ..TableDefinition::default()
    };

    table_options(&work, &mut new, &mut report);
    for old in &definition.columns {
        column::convert(&work, old, &mut new, &mut report);
    }
    for old in &definition.indexes {
        if let Some(index) = index::convert(&work, old, &new, &mut report) {
            new.indexes.push(index);
        }
    }
    let of_columns = std::mem::take(&mut new.checks);
    for old in definition.checks.iter().chain(&of_columns) {
        if let Some(check) = constraint::check(&work, old, &mut report) {
            new.checks.push(check);
        }
    }
    for old in &definition.foreign_keys {
        if options.foreign_keys == ForeignKeyPolicy::Omit {
            report.lost(
                &format!("foreign key `{}`", old.name),
                "left out as configured",
                foreign_key_clause(old),
            );
        } else if let Some(key) = constraint::foreign_key(&work, old, &mut report) {
            new.foreign_keys.push(key);
        }
    }
    if definition.system_versioned {
        report.refuse_construct("the table is system-versioned");
    }
    if destination.supports.periods {
        new.periods.clone_from(&definition.periods);
    } else if let Some(period) = definition.periods.first() {
        report.refuse_construct(format!("the table has the period `{}`", period.name));
    }
    if let Some(old) = &definition.partitioning {
        new.partitioning = partition::convert(&work, old, &mut report);
    }
    let (notes, outcome) = report.finish();
    finish(&work, name, new, notes, outcome)
}

fn table_options(work: &Work<'_>, new: &mut TableDefinition, report: &mut Report) {
    let old = &work.table.options;
    match old.engine.as_deref() {
        Some(engine) if !engine.eq_ignore_ascii_case("InnoDB") => {
            report.refuse(
                codes::schema::ENGINE_NOT_SUPPORTED,
                format!("the engine is {engine}"),
            );
        }
        _ => {}
    }
    for (name, value) in &old.storage {
        report.dropped("table", &format!("option {name}"), value);
    }
    new.options = TableOptions {
        // OceanBase has engines of its own and reads the word as a comment.
        engine: (work.destination.flavor != Flavor::OceanBase).then(|| "InnoDB".to_owned()),
        charset: Some(work.charset.charset.clone()),
        collation: Some(work.charset.collation.clone()),
        auto_increment: old.auto_increment,
        comment: old.comment.clone(),
        storage: Vec::new(),
    };
    let (charset, collation) = work.table.effective_charset(&work.source_default());
    let is_alias = |a: &str, b: &str| a.replace("utf8mb3", "utf8") == b.replace("utf8mb3", "utf8");
    if !is_alias(&charset, &work.charset.charset) || !is_alias(&collation, &work.charset.collation) {
        let to = format!("{} {}", work.charset.charset, work.charset.collation);
        report.changed(
            "table",
            "default character set and collation",
            format!("{charset} {collation}"),
            to,
        );
    }
}

fn finish(
    work: &Work<'_>,
    name: TableName,
    definition: TableDefinition,
    notes: Vec<super::ConversionNote>,
    outcome: Outcome,
) -> Converted {
    let mut converted = Converted {
        statements: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        deferred: Vec::new(),
        notes,
        outcome,
        definition: None,
    };
    if !matches!(converted.outcome, Outcome::NotSupported(_)) {
        write_statements(&mut converted, &definition, &name, work.destination, work.options);
    }
    converted.definition = Some(definition);
    converted
}

/// Writes the statements of a definition under its destination name.
pub(crate) fn write_statements(
    converted: &mut Converted,
    definition: &TableDefinition,
    name: &TableName,
    destination: &DestinationTraits,
    options: &ConvertOptions,
) {
    let flavor = destination.flavor;
    let object = |kind, part: &str| ObjectName {
        kind,
        database: name.database.clone(),
        table: name.table.clone(),
        part: part.to_owned(),
    };
    let mut body = definition.clone();
    let keys = std::mem::take(&mut body.foreign_keys);
    converted.checks.clear();
    if options.checks == CheckPolicy::AtSwitchover {
        let checks = std::mem::take(&mut body.checks);
        converted.checks = named_checks(&checks, &name.table)
            .into_iter()
            .map(|check| Statement {
                sql: format!("ALTER TABLE {name} ADD {}", check_clause(&check)),
                object: object(ObjectKind::Check, check.name.as_deref().unwrap_or_default()),
            })
            .collect();
    }
    if options.indexes == IndexPolicy::AfterData {
        let (now, later) = body.indexes.into_iter().partition(|index| {
            index.is_unique()
                || needed_by_auto_increment(definition, index)
                || (!destination.supports.multivalued_indexes_later && has_multivalued(index))
                || (options.foreign_keys == ForeignKeyPolicy::AfterTables
                    && needed_by_foreign_key(definition, index))
        });
        body.indexes = now;
        let later: Vec<IndexDefinition> = later;
        converted.deferred = later
            .iter()
            .map(|index| Statement {
                object: object(ObjectKind::Index, &index.name),
                sql: format!("ALTER TABLE {name} ADD {}", index_clause(index, flavor)),
            })
            .collect();
    }
    converted.statements = vec![Statement {
        object: object(ObjectKind::Table, ""),
        sql: body.to_sql(name, flavor),
    }];
    converted.foreign_keys = keys
        .iter()
        .map(|key| Statement {
            object: object(ObjectKind::ForeignKey, &key.name),
            sql: format!("ALTER TABLE {name} ADD {}", foreign_key_clause(key)),
        })
        .collect();
}

/// Checks that are created on their own need names by which they can be found again.
fn named_checks(checks: &[CheckDefinition], table: &str) -> Vec<CheckDefinition> {
    let mut taken: Vec<String> = checks
        .iter()
        .filter_map(|c| c.name.as_ref().map(|n| n.to_lowercase()))
        .collect();
    let mut list = Vec::with_capacity(checks.len());
    for check in checks {
        let mut check = check.clone();
        let mut number = 0;
        while check.name.is_none() {
            number += 1;
            // Names have 64 characters, and the table's may have as many.
            let stem: String = table.chars().take(48).collect();
            let name = format!("{stem}_check_{number}");
            if !taken.contains(&name.to_lowercase()) {
                taken.push(name.to_lowercase());
                check.name = Some(name);
            }
        }
        list.push(check);
    }
    list
}

fn has_multivalued(index: &IndexDefinition) -> bool {
    index
        .parts
        .iter()
        .any(|part| matches!(&part.key, IndexPartKey::Expression(text) if index::is_multivalued(text)))
}

/// Whether the index is what its table's AUTO_INCREMENT column must be first in.
fn needed_by_auto_increment(table: &TableDefinition, index: &IndexDefinition) -> bool {
    matches!(
        index.parts.first().map(|part| &part.key),
        Some(IndexPartKey::Column(name)) if table.column(name).is_some_and(|c| c.auto_increment)
    )
}

/// Whether a foreign key of the table would otherwise bring an index of its own.
fn needed_by_foreign_key(table: &TableDefinition, index: &IndexDefinition) -> bool {
    index.kind == IndexKind::Plain
        && table.foreign_keys.iter().any(|key| {
            key.columns.len() <= index.parts.len()
                && key.columns.iter().zip(&index.parts).all(|(column, part)| {
                    matches!(&part.key, IndexPartKey::Column(name) if name.eq_ignore_ascii_case(column))
                })
        })
}
