//! Making a plan.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{ObjectKind, ObjectName, TableName, codes};

use super::{MigrationPlan, ObjectError, ObjectRecord, PlanRequest, PlannedObject, SourceObject, order};
use crate::{
    ColumnDefinition, ConversionNote, Converted, DatabaseDefinition, ForeignKeyDefinition, ForeignKeyPolicy,
    IndexDefinition, Outcome, SchemaError, TableDefinition, ViewDefinition, choose::choose_columns,
    convert::write_statements, convert_database, convert_table, convert_view, differences,
};

/// Converts all objects and puts them in order. The same request always gives the same plan.
///
/// An object whose definition could not be read or understood is in the plan as `FailedToObtain`,
/// one that the destination cannot have as `NotSupported`; neither stops the others. A table that
/// exists already is `Completed` if it is the wanted one, else `Failed` with the differences. Where
/// several source tables go to one destination table, the first creates it and the others must have
/// the same shape.
pub fn plan(request: PlanRequest<'_>) -> MigrationPlan {
    let mut builder = Builder {
        request: &request,
        check_names: BTreeSet::new(),
        tables: BTreeMap::new(),
        deferred: BTreeSet::new(),
    };
    let (mut databases, mut tables, mut views) = (Vec::new(), Vec::new(), Vec::new());
    for object in &request.objects {
        match object.name.kind {
            ObjectKind::Database => databases.push(object),
            ObjectKind::Table => tables.push(object),
            ObjectKind::View => views.push(object),
            ObjectKind::Index | ObjectKind::ForeignKey | ObjectKind::Check | ObjectKind::Trigger => {}
        }
    }
    let mut objects = builder.databases(&databases, &tables, &views);
    let mut parts = Parts::default();
    for object in tables {
        let planned = builder.table(object, &mut parts);
        objects.push(planned);
    }
    let keys: Vec<PlannedObject> = parts
        .keys
        .into_iter()
        .map(|key| builder.foreign_key(key))
        .collect();
    let (last, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.at_switchover);
    let (later, now): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.after_data);
    objects.extend(now);
    objects.extend(builder.views(&views));
    objects.extend(parts.indexes);
    objects.extend(later);
    objects.extend(parts.checks);
    objects.extend(last);
    MigrationPlan { objects }
}

struct Builder<'a> {
    request: &'a PlanRequest<'a>,
    /// Names of checks that are taken, as (database, name), where they must be unique in a database.
    check_names: BTreeSet<(String, String)>,
    /// Planned tables by their destination names.
    tables: BTreeMap<TableName, TableDefinition>,
    /// Indexes that wait for the rows.
    deferred: BTreeSet<ObjectName>,
}

/// A foreign key whose referenced table may not be planned yet.
struct PendingKey {
    record: ObjectRecord,
    table: TableName,
    key: ForeignKeyDefinition,
    sql: String,
}

/// What tables bring along that is created on its own.
#[derive(Default)]
struct Parts {
    keys: Vec<PendingKey>,
    indexes: Vec<PlannedObject>,
    checks: Vec<PlannedObject>,
}

fn named(kind: ObjectKind, database: &str, table: &str, part: &str) -> ObjectName {
    ObjectName {
        kind,
        database: database.to_owned(),
        table: table.to_owned(),
        part: part.to_owned(),
    }
}

fn object_of(name: &TableName, kind: ObjectKind) -> ObjectName {
    named(kind, &name.database, &name.table, "")
}

fn not_understood(error: &SchemaError) -> ObjectError {
    ObjectError::new(error.code(), error.to_string())
}

fn planned(record: ObjectRecord, after: Vec<ObjectName>) -> PlannedObject {
    PlannedObject {
        record,
        after,
        after_data: false,
        at_switchover: false,
        definition: None,
    }
}

/// Puts the outcome of a conversion into a record.
fn settle(record: &mut ObjectRecord, converted: &Converted) {
    match &converted.outcome {
        Outcome::NotSupported(refusal) => {
            record.not_supported(
                ObjectError::new(refusal.code, &refusal.reason),
                converted.notes.clone(),
            );
        }
        Outcome::Compatible | Outcome::Converted => {
            let statements = converted.statements.iter().map(|s| s.sql.clone()).collect();
            record.ready(statements, converted.notes.clone());
        }
    }
}

impl Builder<'_> {
    /// The databases, among them those that only a renamed table needs.
    fn databases(
        &self,
        databases: &[&SourceObject],
        tables: &[&SourceObject],
        views: &[&SourceObject],
    ) -> Vec<PlannedObject> {
        let PlanRequest {
            source,
            destination,
            options,
            ..
        } = self.request;
        let mut list: Vec<PlannedObject> = Vec::new();
        let mut definitions: BTreeMap<&str, DatabaseDefinition> = BTreeMap::new();
        for object in databases {
            let name = options.renames.database(&object.name.database);
            let mut record =
                ObjectRecord::new(object.name.clone(), named(ObjectKind::Database, &name, "", ""));
            if list.iter().any(|p| p.record.name == record.name) {
                continue;
            }
            match &object.definition {
                Err(error) => record.not_obtained(error.clone()),
                Ok(text) => {
                    record.obtained(text.clone());
                    match DatabaseDefinition::parse(text) {
                        Err(error) => record.not_obtained(not_understood(&error)),
                        Ok(definition) => {
                            settle(
                                &mut record,
                                &convert_database(&definition, source, destination, options),
                            );
                            definitions.insert(&object.name.database, definition);
                        }
                    }
                }
            }
            list.push(planned(record, Vec::new()));
        }
        for object in tables.iter().chain(views) {
            let from = TableName::new(&object.name.database, &object.name.table);
            let name = options.renames.table(&from).database;
            let wanted = named(ObjectKind::Database, &name, "", "");
            if list.iter().any(|p| p.record.name == wanted) {
                continue;
            }
            let Some(definition) = definitions.get(object.name.database.as_str()) else {
                continue;
            };
            let mut options = (*options).clone();
            options
                .renames
                .databases
                .insert(object.name.database.clone(), name);
            let source_name = named(ObjectKind::Database, &object.name.database, "", "");
            let mut record = ObjectRecord::new(source_name, wanted);
            settle(
                &mut record,
                &convert_database(definition, source, destination, &options),
            );
            list.push(planned(record, Vec::new()));
        }
        list
    }

    fn database_before(&self, name: &TableName) -> Vec<ObjectName> {
        vec![named(ObjectKind::Database, &name.database, "", "")]
    }

    fn table(&mut self, object: &SourceObject, parts_of_it: &mut Parts) -> PlannedObject {
        let PlanRequest {
            source,
            destination,
            options,
            ..
        } = self.request;
        let from = TableName::new(&object.name.database, &object.name.table);
        let name = options.renames.table(&from);
        let mut record = ObjectRecord::new(object.name.clone(), object_of(&name, ObjectKind::Table));
        let after = self.database_before(&name);
        let definition = match &object.definition {
            Err(error) => {
                record.not_obtained(error.clone());
                return planned(record, after);
            }
            Ok(text) => {
                record.obtained(text.clone());
                match TableDefinition::parse(text) {
                    Ok(definition) => definition,
                    Err(error) => {
                        record.not_obtained(not_understood(&error));
                        return planned(record, after);
                    }
                }
            }
        };
        let mut definition = definition;
        let chosen = match choose_columns(&mut definition, &from, options) {
            Ok(notes) => notes,
            Err(why) => {
                record.not_supported(
                    ObjectError::new(codes::schema::CONSTRUCT_NOT_SUPPORTED, why),
                    Vec::new(),
                );
                return planned(record, after);
            }
        };
        let mut converted = convert_table(&definition, &from.database, source, destination, options);
        if !chosen.is_empty() && converted.outcome == Outcome::Compatible {
            converted.outcome = Outcome::Converted;
        }
        converted.notes.splice(0..0, chosen);
        let Some(mut wanted) = converted.definition.take() else {
            return planned(record, after);
        };
        if !destination.supports.check_names_per_table
            && self.rename_checks(&name, &mut wanted, &mut converted.notes)
        {
            write_statements(&mut converted, &wanted, &name, destination, options);
            if converted.outcome == Outcome::Compatible {
                converted.outcome = Outcome::Converted;
            }
        }
        let merged = self.tables.contains_key(&name);
        if merged {
            converted.notes.push(ConversionNote {
                object: format!("table {from}"),
                what: "merged with other tables of the source".to_owned(),
                from: from.to_string(),
                to: name.to_string(),
                lossy: false,
            });
        }
        settle(&mut record, &converted);
        if !matches!(converted.outcome, Outcome::NotSupported(_)) {
            self.judge_existing(&mut record, &name, &wanted);
            if !merged {
                let parts = wanted.foreign_keys.iter().zip(&converted.foreign_keys);
                parts_of_it.keys.extend(parts.map(|(key, statement)| PendingKey {
                    record: self.part(&object.name, &statement.object),
                    table: name.clone(),
                    key: key.clone(),
                    sql: statement.sql.clone(),
                }));
                for statement in &converted.deferred {
                    let mut part = self.part(&object.name, &statement.object);
                    part.ready(vec![statement.sql.clone()], Vec::new());
                    self.complete_if_there(&mut part);
                    self.deferred.insert(part.name.clone());
                    let after = vec![record.name.clone()];
                    parts_of_it.indexes.push(PlannedObject {
                        after_data: true,
                        ..planned(part, after)
                    });
                }
                for statement in &converted.checks {
                    let mut part = self.part(&object.name, &statement.object);
                    part.ready(vec![statement.sql.clone()], Vec::new());
                    self.complete_if_there(&mut part);
                    let after = vec![record.name.clone()];
                    parts_of_it.checks.push(PlannedObject {
                        at_switchover: true,
                        ..planned(part, after)
                    });
                }
                self.tables.insert(name, wanted.clone());
            }
        }
        PlannedObject {
            definition: Some(wanted),
            ..planned(record, after)
        }
    }

    fn part(&self, table: &ObjectName, name: &ObjectName) -> ObjectRecord {
        let source = named(name.kind, &table.database, &table.table, &name.part);
        ObjectRecord::new(source, name.clone())
    }

    fn complete_if_there(&self, record: &mut ObjectRecord) {
        if self.request.existing_objects.contains(&record.name) {
            record.succeeded();
        }
    }

    /// Checks have one name per database here and one per table at the source.
    fn rename_checks(
        &mut self,
        name: &TableName,
        wanted: &mut TableDefinition,
        notes: &mut Vec<ConversionNote>,
    ) -> bool {
        let mut changed = false;
        for check in &mut wanted.checks {
            let Some(old) = check.name.clone() else { continue };
            let mut new = old.clone();
            let mut number = 1;
            while !self
                .check_names
                .insert((name.database.clone(), new.to_lowercase()))
            {
                let suffix = if number == 1 {
                    String::new()
                } else {
                    format!("_{number}")
                };
                new = format!("{}_{old}{suffix}", name.table);
                number += 1;
            }
            if new != old {
                notes.push(ConversionNote {
                    object: format!("check `{old}`"),
                    what: "name, which another table of the database has".to_owned(),
                    from: old,
                    to: new.clone(),
                    lossy: false,
                });
                check.name = Some(new);
                changed = true;
            }
        }
        changed
    }

    /// Compares with a table that is there, or with one of the same name that is planned.
    fn judge_existing(&self, record: &mut ObjectRecord, name: &TableName, wanted: &TableDefinition) {
        let destination = self.request.destination;
        let default = |charset: &str| {
            destination
                .default_collation(charset)
                .map_or_else(|| format!("{charset}_general_ci"), str::to_owned)
        };
        let schema = |definition: &TableDefinition| definition.to_schema(name.clone(), &default);
        let wanted = match schema(wanted) {
            Ok(schema) => schema,
            Err(failure) => return record.not_supported(ObjectError::from(&failure), record.notes.clone()),
        };
        let there = match (self.request.existing_tables.get(name), self.tables.get(name)) {
            (Some(existing), _) => existing.clone(),
            (None, Some(other)) => match schema(other) {
                Ok(schema) => schema,
                Err(failure) => return record.failed(ObjectError::from(&failure)),
            },
            (None, None) => return,
        };
        let found = differences(&wanted, &there);
        if found.is_empty() {
            record.succeeded();
        } else {
            let text: Vec<_> = found.iter().map(ToString::to_string).collect();
            let code = codes::schema::DESTINATION_DIFFERS;
            record.failed(ObjectError::new(code, format!("{name}: {}", text.join("; "))));
        }
    }

    fn foreign_key(&self, pending: PendingKey) -> PlannedObject {
        let PendingKey {
            mut record,
            table,
            key,
            sql,
        } = pending;
        let database = key.database.clone().unwrap_or_else(|| table.database.clone());
        let parent = TableName::new(database, &key.table);
        record.obtained(sql.clone());
        record.ready(vec![sql], Vec::new());
        let mut after = vec![object_of(&table, ObjectKind::Table)];
        let is_planned = self.tables.contains_key(&parent);
        if is_planned && parent != table {
            after.push(object_of(&parent, ObjectKind::Table));
        }
        let reason = if !is_planned && !self.request.existing_tables.contains_key(&parent) {
            Some(format!(
                "it refers to {parent}, which is neither in the project nor at the destination"
            ))
        } else {
            self.type_mismatch(&table, &parent, &key)
        };
        if let Some(reason) = reason {
            record.not_supported(
                ObjectError::new(codes::schema::CONSTRUCT_NOT_SUPPORTED, reason),
                Vec::new(),
            );
        }
        self.complete_if_there(&mut record);
        let mut after_data = self.request.options.foreign_keys == ForeignKeyPolicy::AfterData;
        if let Some(index) = self.deferred_index_of(&parent, &key) {
            // Servers want an index over the referenced columns, and this one waits for the rows.
            after.push(index);
            after_data = true;
        }
        let at_switchover = self.request.options.foreign_keys == ForeignKeyPolicy::AtSwitchover;
        PlannedObject {
            after_data: after_data && !at_switchover,
            at_switchover,
            ..planned(record, after)
        }
    }

    /// The deferred index that a foreign key relies on, if no other covers the referenced columns.
    fn deferred_index_of(&self, parent: &TableName, key: &ForeignKeyDefinition) -> Option<ObjectName> {
        let covers = |columns: Option<Vec<&str>>| {
            columns.is_some_and(|columns| {
                key.referenced.len() <= columns.len()
                    && key
                        .referenced
                        .iter()
                        .zip(columns)
                        .all(|(a, b)| a.eq_ignore_ascii_case(b))
            })
        };
        let covering = |index: &&IndexDefinition| covers(index.whole_columns());
        let mut names = self
            .tables
            .get(parent)?
            .indexes
            .iter()
            .filter(covering)
            .map(|index| named(ObjectKind::Index, &parent.database, &parent.table, &index.name));
        let first = names.next()?;
        let is_deferred = |name: &ObjectName| self.deferred.contains(name);
        (is_deferred(&first) && names.all(|name| is_deferred(&name))).then_some(first)
    }

    /// Where columns of a foreign key must have the very same type.
    fn type_mismatch(
        &self,
        table: &TableName,
        parent: &TableName,
        key: &ForeignKeyDefinition,
    ) -> Option<String> {
        if self.request.destination.supports.foreign_key_lengths_differ {
            return None;
        }
        let (child, parent) = (self.tables.get(table)?, self.tables.get(parent)?);
        for (column, referenced) in key.columns.iter().zip(&key.referenced) {
            let (a, b) = (child.column(column)?, parent.column(referenced)?);
            let charset = |table: &TableDefinition, column: &ColumnDefinition| {
                column
                    .ty
                    .is_character()
                    .then(|| table.column_charset(column, &|charset| charset.to_owned()))
            };
            let plain = |column: &ColumnDefinition| match &column.ty {
                crate::DataType::Integer { kind, unsigned, .. } => format!("{kind:?} {unsigned}"),
                other => other.to_string(),
            };
            if plain(a) != plain(b) || charset(child, a) != charset(parent, b) {
                return Some(format!(
                    "column `{column}` is {} and the referenced `{referenced}` is {}; they must be the same",
                    a.ty, b.ty
                ));
            }
        }
        None
    }

    fn views(&self, views: &[&SourceObject]) -> Vec<PlannedObject> {
        let options = self.request.options;
        let names: Vec<TableName> = views
            .iter()
            .map(|v| TableName::new(&v.name.database, &v.name.table))
            .collect();
        let mut list = Vec::with_capacity(views.len());
        let mut edges: Vec<Vec<usize>> = Vec::with_capacity(views.len());
        for (object, from) in views.iter().zip(&names) {
            let name = options.renames.table(from);
            let mut record = ObjectRecord::new(object.name.clone(), object_of(&name, ObjectKind::View));
            let mut after = self.database_before(&name);
            let mut needs = Vec::new();
            match &object.definition {
                Err(error) => record.not_obtained(error.clone()),
                Ok(text) => {
                    record.obtained(text.clone());
                    match self.view(text, from, &mut record) {
                        Err(error) => record.not_obtained(not_understood(&error)),
                        Ok(references) => {
                            for reference in references {
                                let there = options.renames.table(&reference);
                                if let Some(n) = names.iter().position(|n| *n == reference) {
                                    needs.push(n);
                                    after.push(object_of(&there, ObjectKind::View));
                                } else if self.tables.contains_key(&there) {
                                    after.push(object_of(&there, ObjectKind::Table));
                                }
                            }
                        }
                    }
                }
            }
            if self.request.existing_objects.contains(&record.name)
                && record.state == super::ObjectState::Ready
            {
                let text = format!("a view {name} is there already");
                record.failed(ObjectError::new(codes::schema::DESTINATION_DIFFERS, text));
            }
            edges.push(needs);
            list.push(planned(record, after));
        }
        let (order, circle) = order::topological(&edges);
        let members: Vec<String> = circle
            .iter()
            .filter_map(|n| names.get(*n))
            .map(ToString::to_string)
            .collect();
        let mut slots: Vec<Option<PlannedObject>> = list.into_iter().map(Some).collect();
        let mut ordered = Vec::with_capacity(slots.len());
        for n in order.iter().chain(&circle) {
            let Some(mut object) = slots.get_mut(*n).and_then(Option::take) else {
                continue;
            };
            if circle.contains(n) {
                let text = format!("views need each other in a circle: {}", members.join(", "));
                let error = ObjectError::new(codes::schema::CONSTRUCT_NOT_SUPPORTED, text);
                let notes = std::mem::take(&mut object.record.notes);
                object.record.not_supported(error, notes);
            }
            ordered.push(object);
        }
        ordered
    }

    fn view(
        &self,
        text: &str,
        from: &TableName,
        record: &mut ObjectRecord,
    ) -> Result<Vec<TableName>, SchemaError> {
        let PlanRequest {
            destination, options, ..
        } = self.request;
        let definition = ViewDefinition::parse(text)?;
        let converted = convert_view(&definition, &from.database, destination, options)?;
        settle(record, &converted);
        definition.references(&from.database)
    }
}
