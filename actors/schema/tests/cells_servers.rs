//! Every cell that is promised to be converted runs on a real server of the destination, and leaves
//! there what was meant.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod cells;

use std::collections::{BTreeMap, BTreeSet};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::TableName;
use oms_schema::{
    CheckDefinition, ColumnDefinition, DataType, DdlOutcome, DdlRequest, DdlStatement, DestinationTraits,
    Flavor, ForeignKeyDefinition, IndexDefinition, IndexKind, IndexPart, PartitionDefinition,
    PartitionMethod, PartitionValues, Partitioning, SchemaTracker, TableDefinition, convert_ddl,
    layout_differences,
};

async fn run(client: &mut Client, sql: &str) {
    client
        .query_drop(sql)
        .await
        .unwrap_or_else(|e| panic!("{sql}\n{e}"));
}

async fn traits(client: &mut Client, flavor: Flavor) -> DestinationTraits {
    let charsets = "SELECT character_set_name, default_collate_name FROM information_schema.character_sets";
    let charsets: BTreeMap<String, String> = client
        .query_strings(charsets)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let sql = match flavor {
        Flavor::MariaDb => {
            "SELECT full_collation_name FROM information_schema.collation_character_set_applicability"
        }
        _ => "SELECT collation_name FROM information_schema.collations",
    };
    let rows = client.query_strings(sql).await.unwrap();
    let collations: BTreeSet<String> = rows.into_iter().map(|row| row[0].clone()).collect();
    DestinationTraits::new(flavor, charsets, collations)
}

/// What the destination says about a table, as far as facts need it.
async fn catalogue(client: &mut Client, name: &TableName) -> Option<TableDefinition> {
    let (d, t) = (&name.database, &name.table);
    let mut query = async |what: &str| client.query_strings(what).await.unwrap();
    let of = |from: &str| {
        format!("FROM information_schema.{from} WHERE table_schema = '{d}' AND table_name = '{t}'")
    };
    query(&format!("SELECT 1 {}", of("tables"))).await.first()?;
    let mut table = TableDefinition {
        name: t.clone(),
        ..TableDefinition::default()
    };
    for row in query(&format!(
        "SELECT column_name, is_nullable {} ORDER BY ordinal_position",
        of("columns")
    ))
    .await
    {
        let mut column = ColumnDefinition::new(&row[0], DataType::Date);
        column.nullable = row[1] == "YES";
        table.columns.push(column);
    }
    let rows = query(&format!(
        "SELECT index_name, non_unique, COALESCE(column_name, '') {} ORDER BY index_name, seq_in_index",
        of("statistics")
    ))
    .await;
    for row in rows {
        let part = IndexPart::column(&row[2]);
        match table.indexes.iter_mut().find(|i| i.name == row[0]) {
            Some(index) => index.parts.push(part),
            None => table.indexes.push(IndexDefinition {
                kind: match (row[0].as_str(), row[1].as_str()) {
                    ("PRIMARY", _) => IndexKind::Primary,
                    (_, "0") => IndexKind::Unique,
                    _ => IndexKind::Plain,
                },
                name: row[0].clone(),
                parts: vec![part],
                algorithm: None,
                key_block_size: None,
                parser: None,
                comment: String::new(),
                invisible: false,
            }),
        }
    }
    let rows = query(&format!(
        "SELECT constraint_name, constraint_type {}",
        of("table_constraints")
    ))
    .await;
    for row in rows {
        match row[1].as_str() {
            "FOREIGN KEY" => table.foreign_keys.push(ForeignKeyDefinition {
                name: row[0].clone(),
                columns: Vec::new(),
                database: None,
                table: String::new(),
                referenced: Vec::new(),
                on_delete: None,
                on_update: None,
            }),
            "CHECK" => table.checks.push(CheckDefinition {
                name: Some(row[0].clone()),
                expression: String::new(),
                enforced: true,
            }),
            _ => {}
        }
    }
    let rows = query(&format!(
        "SELECT DISTINCT partition_name {} AND partition_name IS NOT NULL",
        of("partitions")
    ))
    .await;
    if !rows.is_empty() {
        table.partitioning = Some(Partitioning {
            method: PartitionMethod::Key(Vec::new()),
            linear: false,
            algorithm: None,
            count: None,
            sub: None,
            definitions: rows
                .iter()
                .map(|row| PartitionDefinition {
                    name: row[0].clone(),
                    values: PartitionValues::None,
                    options: Vec::new(),
                    subpartitions: Vec::new(),
                })
                .collect(),
        });
    }
    Some(table)
}

/// Columns with NULL, keys with columns: what must be the same on any server.
fn outline(table: &TableDefinition) -> Vec<String> {
    let mut list: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.nullable))
        .collect();
    let mut keys: Vec<String> = table
        .indexes
        .iter()
        .map(|i| {
            let name = if i.kind == IndexKind::Primary {
                "PRIMARY"
            } else {
                &i.name
            };
            format!("key {name} unique {}", i.is_unique())
        })
        .collect();
    keys.extend(
        table
            .foreign_keys
            .iter()
            .map(|k| format!("foreign key {}", k.name)),
    );
    keys.sort();
    list.extend(keys);
    list.push(format!("partitioned {}", table.partitioning.is_some()));
    list
}

/// The table and those that it refers to.
fn needed(tracker: &SchemaTracker, statement: &DdlStatement, first: &[&str]) -> Vec<TableName> {
    let mut names: Vec<TableName> = ["p", "t", "k"].map(|t| TableName::new("d", t)).to_vec();
    names.retain(|name| name.table == "p" || statement.objects().contains(&name) || !first.is_empty());
    for object in statement.objects() {
        if tracker.table(object).is_some() && !names.contains(object) {
            names.push(object.clone());
        }
    }
    names.retain(|name| name.database == "d" && !name.table.starts_with('_'));
    names
}

/// Creates the table at the destination by the same conversion.
async fn create(client: &mut Client, traits: &DestinationTraits, tracker: &SchemaTracker, name: &TableName) {
    let statement =
        DdlStatement::parse(&format!("CREATE TABLE {name} LIKE {name}"), &cells::context()).unwrap();
    let empty = SchemaTracker::new(tracker.rules().clone());
    let converted = convert_ddl(&DdlRequest {
        statement: &statement,
        context: &cells::context(),
        before: &empty,
        after: tracker,
        source: &cells::source(),
        destination: traits,
        options: &cells::options(),
        selection: &cells::Everything,
    });
    assert_eq!(converted.outcome, DdlOutcome::Converted, "{name}");
    for step in &converted.steps {
        run(client, &step.sql).await;
    }
}

async fn destination(kind: ServerKind, flavor: Flavor) {
    let server = Server::start(kind, ServerOptions::destination()).await.unwrap();
    let mut client = server.client().await.unwrap();
    let traits = traits(&mut client, flavor).await;
    for sql in traits.session_statements() {
        run(&mut client, sql).await;
    }
    let (mut ran, mut failures) = (0, Vec::new());
    for cell in cells::all() {
        let cells::Cell {
            section, statements, ..
        } = &cell;
        let (converted, before, statement) = cells::convert_cell(&cell, &traits);
        if converted.outcome != DdlOutcome::Converted {
            continue;
        }
        for database in ["dest", "moved2"] {
            run(&mut client, &format!("DROP DATABASE IF EXISTS {database}")).await;
        }
        run(&mut client, "CREATE DATABASE dest CHARACTER SET utf8mb4").await;
        let first = &statements[..statements.len() - 1];
        for name in needed(&before, &statement, first) {
            create(&mut client, &traits, &before, &name).await;
        }
        let label = format!("{section}: {}", statements.join("; "));
        for step in &converted.steps {
            let mut tables = BTreeMap::new();
            for fact in &step.facts {
                tables.insert(fact.table.clone(), catalogue(&mut client, &fact.table).await);
            }
            if step.has_run(&|name| tables.get(name).cloned().flatten()) {
                failures.push(format!("{label}\nseems to have run: {}", step.sql));
            }
            if let Err(error) = client.query_drop(&step.sql).await {
                failures.push(format!("{label}\n{error}"));
                continue;
            }
            ran += 1;
            for fact in &step.facts {
                tables.insert(fact.table.clone(), catalogue(&mut client, &fact.table).await);
            }
            let holds = step
                .facts
                .iter()
                .all(|fact| fact.holds(&|name| tables.get(name).cloned().flatten()));
            if !holds {
                failures.push(format!("{label}\nseems not to have run: {}", step.sql));
            }
            if step.repeatable
                && let Err(error) = client.query_drop(&step.sql).await
            {
                failures.push(format!("{label}\ncannot run twice: {error}"));
            }
        }
        for (name, expected) in &converted.expected {
            let there = catalogue(&mut client, name).await;
            match (expected, there) {
                (None, None) => {}
                (Some(expected), Some(there)) if flavor == Flavor::OceanBase => {
                    if outline(expected) != outline(&there) {
                        failures.push(format!("{label}\n{:?}\n{:?}", outline(expected), outline(&there)));
                    }
                }
                (Some(expected), Some(_)) => {
                    let shown = client
                        .query_strings(&format!("SHOW CREATE TABLE {name}"))
                        .await
                        .unwrap();
                    let mut definition = TableDefinition::parse(&shown[0][1]).unwrap();
                    for key in &mut definition.foreign_keys {
                        key.database.get_or_insert_with(|| name.database.clone());
                    }
                    let list: Vec<_> = layout_differences(expected, &definition)
                        .iter()
                        .map(ToString::to_string)
                        .collect();
                    if !list.is_empty() {
                        failures.push(format!("{label}\n{}\n{}", list.join("\n"), shown[0][1]));
                    }
                }
                (expected, there) => failures.push(format!(
                    "{label}\n{name}: expected {}, there {}",
                    expected.is_some(),
                    there.is_some()
                )),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(ran > 170, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oceanbase_does_what_is_promised() {
    destination(ServerKind::SeekDb, Flavor::OceanBase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_does_what_is_promised() {
    destination(ServerKind::Mysql97, Flavor::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_does_what_is_promised() {
    destination(ServerKind::MariaDb, Flavor::MariaDb).await;
}
