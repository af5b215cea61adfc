//! Both servers, as following definitions asks them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use mysql_async::{Conn, prelude::Queryable as _};
use oms_actors::{
    DdlDecision, DefinitionPorts, FollowSettings, FollowedSelection, SourceDefinitions, SourceFacts,
};
use oms_core::{Failure, Source, TableName};
use oms_mysql::{
    catalog::{Catalog, ObjectType, outline},
    connection::{Flavor, ServerInfo, Side, connect, failure},
};
use oms_proto::{
    meta::{ProjectRecord, QualifiedName},
    v1::{DataSourceKind, ObjectKind, ObjectState, ProjectSpec},
};
use oms_schema::{
    CheckDefinition, ColumnDefinition, ConvertOptions, DataType, DatabaseDefinition, DestinationTraits,
    ForeignKeyDefinition, IndexDefinition, IndexKind, IndexPart, PartitionDefinition, PartitionMethod,
    PartitionValues, Partitioning, SchemaTracker, TableDefinition, TrackerRules,
};

use super::{
    schema::SchemaPlanning,
    table_name,
    traits::{destination_traits, dialect, source_traits},
};
use crate::{connectors::Connector, selection::NewTables};

/// Reads definitions of both ends of a project.
pub(super) struct Definitions {
    pub(super) source: Connector,
    pub(super) destination: Connector,
    /// The log's end is asked of it.
    pub(super) log: Arc<dyn Source>,
    pub(super) options: ConvertOptions,
}

/// How definitions of a project are followed.
pub(super) fn follow_settings(
    project: &ProjectRecord,
    spec: &ProjectSpec,
    source: &Connector,
    destination: &Connector,
    log: Arc<dyn Source>,
) -> Result<FollowSettings, Failure> {
    let planning = SchemaPlanning {
        source: source.clone(),
        destination: destination.clone(),
        spec: spec.clone(),
        selection: project.selection.clone(),
    };
    let named: BTreeMap<TableName, TableName> = project
        .selection
        .iter()
        .filter_map(|o| {
            Some((
                table_name(o.source.as_ref()?),
                table_name(o.destination.as_ref()?),
            ))
        })
        .collect();
    let removed: BTreeSet<TableName> = project
        .objects
        .iter()
        .filter(|o| {
            o.state() == ObjectState::Removed && matches!(o.kind(), ObjectKind::Table | ObjectKind::View)
        })
        .map(|o| {
            table_name(&QualifiedName {
                database: o.database.clone(),
                table: o.table.clone(),
            })
        })
        .collect();
    let new = NewTables::of(spec)?;
    let mut databases: BTreeMap<String, String> = new.databases();
    for (from, to) in &named {
        databases.insert(from.database.clone(), to.database.clone());
    }
    let decisions = project.ddl_decisions.iter().map(|d| DdlDecision {
        number: d.number,
        decided_at_ms: d.decided_at_ms,
        statements: d.statements.clone(),
    });
    let mut options = planning.options();
    for (from, to) in &databases {
        options
            .renames
            .databases
            .entry(from.clone())
            .or_insert_with(|| to.clone());
    }
    Ok(FollowSettings {
        ports: Arc::new(Definitions {
            source: source.clone(),
            destination: destination.clone(),
            log,
            options,
        }),
        selection: FollowedSelection {
            named,
            removed,
            new_tables: Arc::new(move |table| new.destination(table)),
            databases,
        },
        decisions: decisions.collect(),
    })
}

/// A version as versioned comments say it: 5.6.51 is 50651, 10.11.6 is 101106.
fn comment_version(text: &str) -> u32 {
    let mut parts = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse::<u32>().ok());
    let mut next = || parts.next().unwrap_or(0).min(999);
    next() * 10_000 + next() * 100 + next().min(99)
}

impl Definitions {
    async fn at_source(&self) -> Result<(Conn, ServerInfo), Failure> {
        let mut conn = connect(&self.source.endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut conn, Side::Source).await?;
        Ok((conn, info))
    }

    async fn rules(&self, conn: &mut Conn, info: &ServerInfo) -> Result<TrackerRules, Failure> {
        let traits = source_traits(conn, info).await?;
        Ok(TrackerRules::new(
            dialect(info.flavor),
            comment_version(&info.version),
            traits.default_collations,
        ))
    }
}

#[async_trait]
impl DefinitionPorts for Definitions {
    async fn facts(&self) -> Result<SourceFacts, Failure> {
        let (mut conn, info) = self.at_source().await?;
        let traits = source_traits(&mut conn, &info).await?;
        let of_source = |e| failure(e, Side::Source).context("settings of the source");
        let query = if info.flavor == Flavor::MariaDb {
            "SELECT id, full_collation_name, character_set_name FROM \
             information_schema.collation_character_set_applicability"
        } else {
            "SELECT id, collation_name, character_set_name FROM information_schema.collations"
        };
        let rows: Vec<(Option<u64>, String, Option<String>)> = match conn.query(query).await {
            Ok(rows) => rows,
            // Older MariaDB has no numbers there.
            Err(_) => conn
                .query("SELECT id, collation_name, character_set_name FROM information_schema.collations")
                .await
                .map_err(of_source)?,
        };
        let collations = rows
            .into_iter()
            .filter_map(|(id, collation, charset)| {
                let number = u16::try_from(id?).ok()?;
                Some((number, (charset?.to_lowercase(), collation.to_lowercase())))
            })
            .collect();
        let explicit: Option<i64> = conn
            .query_first("SELECT @@global.explicit_defaults_for_timestamp + 0")
            .await
            .map_err(of_source)?;
        Ok(SourceFacts {
            flavor: dialect(info.flavor),
            version: comment_version(&info.version),
            traits,
            collations,
            explicit_timestamps: explicit == Some(1),
            lower_case_names: info.lower_case_table_names == 1,
        })
    }

    async fn read_source(&self, databases: &[String]) -> Result<SourceDefinitions, Failure> {
        let (mut conn, info) = self.at_source().await?;
        let rules = self.rules(&mut conn, &info).await?;
        let mut tracker = SchemaTracker::new(rules);
        let mut unreadable = Vec::new();
        let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
        for database in databases {
            let shown = catalog.create_database(database).await?;
            let definition = DatabaseDefinition::parse(&shown).map_err(|e| e.into_failure(database))?;
            tracker.load_database(&definition);
            for object in catalog.objects(database).await? {
                match object.object_type {
                    ObjectType::Table => {}
                    ObjectType::View => {
                        tracker.load_view(&object.name);
                        continue;
                    }
                    ObjectType::Other(_) => continue,
                }
                let shown = match catalog.create_table(&object.name).await {
                    Ok(shown) => shown,
                    Err(failure) if failure.is_transient() => return Err(failure),
                    // Dropped meanwhile: the log says so. Or it cannot be shown.
                    Err(failure) => {
                        unreadable.push((object.name, failure.text()));
                        continue;
                    }
                };
                let read = TableDefinition::parse(&shown)
                    .and_then(|definition| tracker.load_table(database, &definition));
                if let Err(error) = read {
                    unreadable.push((object.name, error.to_string()));
                }
            }
        }
        Ok(SourceDefinitions {
            tracker,
            unreadable,
            read_at: self.log.current_position().await?,
        })
    }

    /// Of a queue of messages, that of the source: it takes every definition as it is.
    async fn destination(&self) -> Result<DestinationTraits, Failure> {
        if self.destination.kind() == DataSourceKind::Kafka {
            let (mut conn, info) = self.at_source().await?;
            return destination_traits(&mut conn, &info).await;
        }
        let mut conn = connect(&self.destination.endpoint, Side::Destination).await?;
        let info = ServerInfo::probe(&mut conn, Side::Destination).await?;
        destination_traits(&mut conn, &info).await
    }

    async fn look_up(
        &self,
        tables: &[TableName],
    ) -> Result<BTreeMap<TableName, Option<TableDefinition>>, Failure> {
        let mut conn = connect(&self.destination.endpoint, Side::Destination).await?;
        let mut found = BTreeMap::new();
        for name in tables {
            let outline = outline(&mut conn, Side::Destination, name).await?;
            found.insert(name.clone(), outline.map(|o| definition(name, o)));
        }
        Ok(found)
    }

    fn options(&self) -> ConvertOptions {
        self.options.clone()
    }
}

/// A definition with names only.
fn definition(name: &TableName, outline: oms_mysql::catalog::Outline) -> TableDefinition {
    let mut table = TableDefinition {
        name: name.table.clone(),
        ..TableDefinition::default()
    };
    table.columns = outline
        .columns
        .iter()
        .map(|column| ColumnDefinition::new(column, DataType::Date))
        .collect();
    for index in outline.indexes {
        table.indexes.push(IndexDefinition {
            kind: match (index.name.as_str(), index.unique) {
                ("PRIMARY", _) => IndexKind::Primary,
                (_, true) => IndexKind::Unique,
                (_, false) => IndexKind::Plain,
            },
            parts: index
                .columns
                .iter()
                .map(String::as_str)
                .map(IndexPart::column)
                .collect(),
            name: index.name,
            algorithm: None,
            key_block_size: None,
            parser: None,
            comment: String::new(),
            invisible: false,
        });
    }
    for name in outline.foreign_keys {
        table.foreign_keys.push(ForeignKeyDefinition {
            name,
            columns: Vec::new(),
            database: None,
            table: String::new(),
            referenced: Vec::new(),
            on_delete: None,
            on_update: None,
        });
    }
    for (name, expression) in outline.checks {
        table.checks.push(CheckDefinition {
            name: Some(name),
            expression,
            enforced: true,
        });
    }
    if !outline.partitions.is_empty() {
        let definitions = outline.partitions.into_iter().map(|name| PartitionDefinition {
            name,
            values: PartitionValues::None,
            options: Vec::new(),
            subpartitions: Vec::new(),
        });
        table.partitioning = Some(Partitioning {
            method: PartitionMethod::Key(Vec::new()),
            linear: false,
            algorithm: None,
            count: None,
            sub: None,
            definitions: definitions.collect(),
        });
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_comments() {
        assert_eq!(comment_version("10.11.6-MariaDB-0+deb12u1"), 101_106);
        assert_eq!(comment_version("5.6.51-log"), 50_651);
        assert_eq!(comment_version("9.7.0 MySQL"), 90_700);
    }
}
