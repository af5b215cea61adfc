//! What schema migration would do, from the definitions of both sides.

use std::collections::{BTreeMap, BTreeSet};

use oms_apply::{TableShape, added_column_type};
use oms_core::{ColumnType, Failure, ObjectKind, ObjectName, TableName, TableSchema};
use oms_mysql::{
    catalog::{Catalog, Trigger},
    connection::{ServerInfo, Side, connect},
};
use oms_proto::{
    meta::{QualifiedName, SelectedObject},
    v1::{self, ConstraintMoment, LossyConversions, ProjectSpec, SchemaObject},
};
use oms_schema::{
    CharsetRules, CheckPolicy, ColumnChoice, ColumnDefinition, ConvertOptions, DataType, ForeignKeyPolicy,
    IndexPolicy, IntegerKind, MigrationPlan, ObjectError, PlanRequest, Renames, SourceObject, plan,
};

use super::super::traits::{destination_traits, source_traits};
use crate::{connectors::Connector, selection::choices};

/// Plans the objects of a spec. Reads both sides, changes neither.
pub(crate) struct SchemaPlanning {
    pub(crate) source: Connector,
    pub(crate) destination: Connector,
    pub(crate) spec: ProjectSpec,
    pub(crate) selection: Vec<SelectedObject>,
}

impl SchemaPlanning {
    pub(crate) fn options(&self) -> ConvertOptions {
        let schema = self.spec.schema.clone().unwrap_or_default();
        let rules = |list: &[v1::NameRule]| list.iter().map(|r| (r.from.clone(), r.to.clone())).collect();
        let mut renames = Renames::default();
        for object in &self.selection {
            if let (Some(s), Some(d)) = (&object.source, &object.destination) {
                renames.databases.insert(s.database.clone(), d.database.clone());
                renames.tables.push((
                    TableName::new(&s.database, &s.table),
                    TableName::new(&d.database, &d.table),
                ));
            }
        }
        ConvertOptions {
            renames,
            charsets: CharsetRules {
                charsets: rules(&schema.charsets),
                collations: rules(&schema.collations),
            },
            indexes: if schema.postpone_indexes {
                IndexPolicy::AfterData
            } else {
                IndexPolicy::WithTable
            },
            foreign_keys: match schema.foreign_keys() {
                _ if schema.omit_foreign_keys => ForeignKeyPolicy::Omit,
                ConstraintMoment::Switchover => ForeignKeyPolicy::AtSwitchover,
                ConstraintMoment::Schema | ConstraintMoment::Unspecified => ForeignKeyPolicy::AfterTables,
            },
            checks: match schema.checks() {
                ConstraintMoment::Switchover => CheckPolicy::AtSwitchover,
                ConstraintMoment::Schema | ConstraintMoment::Unspecified => CheckPolicy::WithTable,
            },
            columns: choices(&self.spec, &self.selection)
                .into_iter()
                .filter(|(_, shape)| shape.changes_columns())
                .map(|(name, shape)| (name, column_choice(shape)))
                .collect(),
        }
    }

    /// Whether an object waits for the user when its conversion loses something.
    pub(crate) fn stops_at_losses(&self) -> bool {
        let lossy = self.spec.schema.as_ref().map(|s| s.lossy());
        lossy == Some(LossyConversions::Stop)
    }

    /// The triggers on tables that move, as far as the account sees them. They are never created: what they write at the
    /// source arrives as rows, and at the destination they would write it again.
    pub(crate) async fn triggers(&self) -> Result<Vec<SchemaObject>, Failure> {
        let mut source = connect(&self.source.endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut source, Side::Source).await?;
        let mut catalog = Catalog::new(&mut source, info.flavor, Side::Source);
        let tables: BTreeMap<(&str, &str), _> = self
            .selection
            .iter()
            .filter(|o| !o.view)
            .filter_map(|o| Some((o.source.as_ref()?, o.destination.as_ref()?)))
            .map(|(s, d)| ((s.database.as_str(), s.table.as_str()), d))
            .collect();
        let databases: BTreeSet<&str> = tables.keys().map(|(database, _)| *database).collect();
        let mut list = Vec::new();
        for database in databases {
            for trigger in catalog.triggers(database).await? {
                let Some(to) = tables.get(&(database, trigger.table.table.as_str())) else {
                    continue;
                };
                let definition = match catalog.create_trigger(database, &trigger.name).await {
                    Err(f) if f.is_transient() => return Err(f),
                    // The definition is for reading only.
                    read => read.unwrap_or_default(),
                };
                list.push(never_created(&trigger, definition, to));
            }
        }
        Ok(list)
    }

    /// Reads both sides and plans. Also gives the tables that the destination has.
    pub(crate) async fn plan(&self) -> Result<(MigrationPlan, BTreeSet<TableName>), Failure> {
        let mut source = connect(&self.source.endpoint, Side::Source).await?;
        let mut destination = connect(&self.destination.endpoint, Side::Destination).await?;
        let info = ServerInfo::probe(&mut source, Side::Source).await?;
        let to_info = ServerInfo::probe(&mut destination, Side::Destination).await?;
        let from = source_traits(&mut source, &info).await?;
        let to = destination_traits(&mut destination, &to_info).await?;
        let mut options = self.options();
        options.renames.lower_case = to.lower_case_names;

        let mut catalog = Catalog::new(&mut source, info.flavor, Side::Source);
        let mut objects = Vec::new();
        let mut databases = BTreeSet::new();
        let omit_views = self.spec.schema.as_ref().is_some_and(|s| s.omit_views);
        for selected in &self.selection {
            let Some(name) = &selected.source else { continue };
            let table = TableName::new(&name.database, &name.table);
            if databases.insert(name.database.clone()) {
                let definition = catalog.create_database(&name.database).await;
                objects.push(source_object(
                    ObjectKind::Database,
                    &TableName::new(&name.database, ""),
                    definition,
                )?);
            }
            if selected.view {
                if !omit_views {
                    let definition = catalog.create_view(&table).await.map(|v| v.statement);
                    objects.push(source_object(ObjectKind::View, &table, definition)?);
                }
            } else {
                let definition = catalog.create_table(&table).await;
                objects.push(source_object(ObjectKind::Table, &table, definition)?);
            }
        }
        let mut catalog = Catalog::new(&mut destination, to_info.flavor, Side::Destination);
        let (existing_tables, existing_objects) =
            existing(&mut catalog, &self.selection, &options.renames).await?;
        let request = PlanRequest {
            objects,
            source: &from,
            destination: &to,
            options: &options,
            existing_tables: &existing_tables,
            existing_objects: &existing_objects,
        };
        let plan = plan(request);
        for statement in to.session_statements() {
            tracing::debug!(statement, "session of schema migration");
        }
        Ok((plan, existing_tables.into_keys().collect()))
    }
}

/// The columns that move, as schema migration needs them. Types were checked with the spec.
fn column_choice(shape: TableShape) -> ColumnChoice {
    let added = shape.added.into_iter().filter_map(|added| {
        let ty = added_column_type(&added.ty).ok()?;
        let charset = ty.charset().map(str::to_owned);
        Some(ColumnDefinition {
            charset,
            ..ColumnDefinition::new(added.name, data_type(&ty)?)
        })
    });
    ColumnChoice {
        only: shape.columns,
        omitted: shape.omitted,
        added: added.collect(),
        renamed: shape.renamed,
    }
}

/// The type of an added column as it is written.
fn data_type(ty: &ColumnType) -> Option<DataType> {
    Some(match ty {
        ColumnType::Integer { bytes, unsigned } => DataType::Integer {
            kind: match bytes {
                1 => IntegerKind::TinyInt,
                2 => IntegerKind::SmallInt,
                3 => IntegerKind::MediumInt,
                4 => IntegerKind::Int,
                _ => IntegerKind::BigInt,
            },
            width: None,
            unsigned: *unsigned,
            zerofill: false,
        },
        ColumnType::Decimal {
            precision,
            scale,
            unsigned,
        } => DataType::Decimal {
            precision: *precision,
            scale: *scale,
            unsigned: *unsigned,
            zerofill: false,
        },
        ColumnType::Char { length, .. } => DataType::Char(*length),
        ColumnType::VarChar { length, .. } => DataType::VarChar(*length),
        ColumnType::Text { tier, .. } => DataType::Text(*tier),
        ColumnType::Date => DataType::Date,
        ColumnType::Time { fraction } => DataType::Time(*fraction),
        ColumnType::DateTime { fraction } => DataType::DateTime(*fraction),
        ColumnType::Timestamp { fraction } => DataType::Timestamp(*fraction),
        _ => return None,
    })
}

/// A trigger as the list of objects shows it.
fn never_created(trigger: &Trigger, definition: String, to: &QualifiedName) -> SchemaObject {
    let what = "triggers are not created; what they write at the source arrives as rows";
    let part = format!("trigger `{}`", trigger.name);
    SchemaObject {
        kind: v1::ObjectKind::Trigger as i32,
        database: trigger.table.database.clone(),
        table: trigger.table.table.clone(),
        part: trigger.name.clone(),
        state: v1::ObjectState::Skipped as i32,
        source_definition: definition,
        notes: vec![format!(
            "{what}: create it by hand when the project has switched over"
        )],
        conversions: vec![v1::Conversion {
            part,
            what: what.to_owned(),
            from: trigger.event.clone(),
            to: String::new(),
            severity: v1::ConversionSeverity::NotMoved as i32,
        }],
        at_switchover: true,
        destination_database: to.database.clone(),
        destination_table: to.table.clone(),
        ..Default::default()
    }
}

/// A definition that cannot be read belongs to its object; a connection that breaks ends the run.
fn source_object(
    kind: ObjectKind,
    name: &TableName,
    read: Result<String, Failure>,
) -> Result<SourceObject, Failure> {
    let definition = match read {
        Ok(text) => Ok(text),
        Err(f) if f.is_transient() => return Err(f),
        Err(f) => Err(ObjectError::from(&f)),
    };
    let name = ObjectName {
        kind,
        database: name.database.clone(),
        table: name.table.clone(),
        part: String::new(),
    };
    Ok(SourceObject { name, definition })
}

/// What is at the destination already of what the plan may want.
async fn existing(
    catalog: &mut Catalog<'_>,
    selection: &[SelectedObject],
    renames: &Renames,
) -> Result<(BTreeMap<TableName, TableSchema>, BTreeSet<ObjectName>), Failure> {
    let there: BTreeSet<String> = catalog.databases().await?.into_iter().map(|d| d.name).collect();
    let wanted: BTreeSet<String> = selection
        .iter()
        .filter_map(|o| o.source.as_ref())
        .map(|s| renames.database(&s.database))
        .collect();
    let (mut tables, mut objects) = (BTreeMap::new(), BTreeSet::new());
    for database in wanted.intersection(&there) {
        let named = |kind, table: &str, part: &str| ObjectName {
            kind,
            database: database.clone(),
            table: table.to_owned(),
            part: part.to_owned(),
        };
        let found = catalog.objects(database).await?;
        let names: Vec<TableName> = found
            .iter()
            .filter(|o| o.object_type == oms_mysql::catalog::ObjectType::Table)
            .map(|o| o.name.clone())
            .collect();
        for object in &found {
            if object.object_type == oms_mysql::catalog::ObjectType::View {
                objects.insert(named(ObjectKind::View, &object.name.table, ""));
            }
        }
        for schema in catalog.load_tables(&names).await? {
            tables.insert(schema.name.clone(), schema);
        }
        for key in catalog.foreign_keys(database).await? {
            objects.insert(named(ObjectKind::ForeignKey, &key.table.table, &key.name));
        }
        for (table, index) in catalog.indexes(database).await? {
            objects.insert(named(ObjectKind::Index, &table, &index));
        }
        for (table, check) in catalog.checks(database).await? {
            objects.insert(named(ObjectKind::Check, &table, &check));
        }
    }
    Ok((tables, objects))
}
