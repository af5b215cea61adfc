//! The corpus is created on real sources, read back, converted, executed on real destinations, and
//! what is there then is what was meant.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{ObjectKind, ObjectName};
use oms_schema::{
    ConvertOptions, DataType, DestinationTraits, Flavor, IndexDefinition, IndexKind, IndexPartKey,
    IndexPolicy, MigrationPlan, ObjectState, PlanRequest, Renames, SourceObject, SourceTraits,
    TableDefinition, plan,
};

fn folder(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::MariaDb => "mariadb-10.11",
        ServerKind::Mysql56 => "mysql-5.6",
        ServerKind::Mysql97 => "mysql-9.7",
        ServerKind::SeekDb => "seekdb",
    }
}

fn flavor(kind: ServerKind) -> Flavor {
    match kind {
        ServerKind::MariaDb => Flavor::MariaDb,
        ServerKind::Mysql56 | ServerKind::Mysql97 => Flavor::MySql,
        ServerKind::SeekDb => Flavor::OceanBase,
    }
}

fn statements(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    text.split(";\n")
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}

async fn run(client: &mut Client, sql: &str) {
    client
        .query_drop(sql)
        .await
        .unwrap_or_else(|e| panic!("{sql}\n{e}"));
}

async fn load(client: &mut Client, kind: ServerKind) {
    let mut setup = vec!["SET sql_mode = ''", "SET default_storage_engine = InnoDB"];
    match kind {
        ServerKind::Mysql56 => setup.extend([
            "SET GLOBAL innodb_file_format = Barracuda",
            "SET GLOBAL innodb_large_prefix = 1",
        ]),
        ServerKind::Mysql97 => setup.push("SET restrict_fk_on_non_standard_key = OFF"),
        _ => {}
    }
    setup.extend([
        "CREATE DATABASE corpus DEFAULT CHARACTER SET utf8mb4",
        "CREATE DATABASE corpus_other DEFAULT CHARACTER SET latin1",
        "CREATE TABLE corpus_other.far (x int PRIMARY KEY)",
        "USE corpus",
    ]);
    for sql in setup {
        run(client, sql).await;
    }
    for file in ["common.sql".to_owned(), format!("{}.sql", folder(kind))] {
        for sql in statements(&file) {
            // A folder of another machine.
            if !sql.contains("data directory") {
                run(client, &sql).await;
            }
        }
    }
}

fn named(kind: ObjectKind, database: &str, table: &str) -> ObjectName {
    ObjectName {
        kind,
        database: database.into(),
        table: table.into(),
        part: String::new(),
    }
}

async fn read(client: &mut Client) -> Vec<SourceObject> {
    let mut objects = Vec::new();
    for database in ["corpus", "corpus_other"] {
        let text = client
            .query_strings(&format!("SHOW CREATE DATABASE {database}"))
            .await
            .unwrap()[0][1]
            .clone();
        objects.push(SourceObject {
            name: named(ObjectKind::Database, database, ""),
            definition: Ok(text),
        });
        let sql = format!(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '{database}' \
             AND table_type <> 'SEQUENCE' ORDER BY 1"
        );
        run(client, &format!("USE {database}")).await;
        for row in client.query_strings(&sql).await.unwrap() {
            let kind = if row[1] == "VIEW" {
                ObjectKind::View
            } else {
                ObjectKind::Table
            };
            let sql = format!("SHOW CREATE TABLE `{}`", row[0].replace('`', "``"));
            let text = client.query_strings(&sql).await.unwrap()[0][1].clone();
            objects.push(SourceObject {
                name: named(kind, database, &row[0]),
                definition: Ok(text),
            });
        }
    }
    objects
}

async fn default_collations(client: &mut Client) -> BTreeMap<String, String> {
    let sql = "SELECT character_set_name, default_collate_name FROM information_schema.character_sets";
    let rows = client.query_strings(sql).await.unwrap();
    rows.into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

async fn destination_traits(client: &mut Client, kind: ServerKind) -> DestinationTraits {
    let sql = match kind {
        ServerKind::MariaDb => {
            "SELECT full_collation_name FROM information_schema.collation_character_set_applicability"
        }
        _ => "SELECT collation_name FROM information_schema.collations",
    };
    let rows = client.query_strings(sql).await.unwrap();
    let collations = rows.into_iter().map(|row| row[0].clone()).collect();
    DestinationTraits::new(flavor(kind), default_collations(client).await, collations)
}

/// Executes in the plan's order. Every statement must be accepted.
async fn execute(client: &mut Client, plan: &mut MigrationPlan, traits: &DestinationTraits) -> usize {
    for sql in traits.session_statements() {
        run(client, sql).await;
    }
    let mut settled: BTreeSet<ObjectName> = BTreeSet::new();
    let mut count = 0;
    for object in &mut plan.objects {
        let record = &mut object.record;
        for need in &object.after {
            assert!(settled.contains(need), "{:?} comes before {need:?}", record.name);
        }
        if record.start() {
            for sql in record.to_execute() {
                run(client, sql).await;
                count += 1;
            }
            record.succeeded();
        }
        settled.insert(record.name.clone());
    }
    count
}

/// A type without what servers print in different ways and what means nothing.
fn plain_type(text: &str) -> String {
    let lower = text
        .to_lowercase()
        .replace("geomcollection", "geometrycollection")
        .replace("year(4)", "year");
    let lower: String = lower.chars().filter(|c| !matches!(c, '\'' | '\\')).collect();
    let is_integer = ["tinyint", "smallint", "mediumint", "int", "bigint"]
        .iter()
        .any(|t| lower.starts_with(&format!("{t}(")));
    match (lower.find('('), lower.find(')')) {
        (Some(open), Some(close)) if is_integer => format!("{}{}", &lower[..open], &lower[close + 1..]),
        _ => lower,
    }
}

async fn check_columns(
    client: &mut Client,
    traits: &DestinationTraits,
    database: &str,
    table: &TableDefinition,
) {
    let sql = format!(
        "SELECT column_name, column_type, is_nullable, character_set_name, collation_name, column_comment, extra \
         FROM information_schema.columns WHERE table_schema = '{database}' AND table_name = '{}' \
         ORDER BY ordinal_position",
        table.name
    );
    let rows = client.query_strings(&sql).await.unwrap();
    assert_eq!(rows.len(), table.columns.len(), "{}", table.name);
    for (row, column) in rows.iter().zip(&table.columns) {
        let label = format!("{}.{}", table.name, column.name);
        assert_eq!(row[0], column.name, "{label}");
        assert_eq!(plain_type(&row[1]), plain_type(&column.ty.to_string()), "{label}");
        assert_eq!(row[2] == "YES", column.nullable, "{label}");
        if column.ty.is_character() {
            let default = |charset: &str| traits.default_collations[charset].clone();
            let (charset, collation) = table.column_charset(column, &default);
            assert_eq!((&row[3], &row[4]), (&charset, &collation), "{label}");
        }
        assert_eq!(row[5], column.comment, "{label}");
        let extra = row[6].to_lowercase();
        assert_eq!(
            extra.contains("auto_increment"),
            column.auto_increment,
            "{label}: {extra}"
        );
        let is_generated = extra.contains("virtual generated") || extra.contains("stored generated");
        assert_eq!(is_generated, column.generated.is_some(), "{label}: {extra}");
        if traits.flavor != Flavor::OceanBase {
            assert_eq!(extra.contains("invisible"), column.invisible, "{label}: {extra}");
            assert_eq!(
                extra.contains("on update"),
                column.on_update_now.is_some(),
                "{label}: {extra}"
            );
        }
        assert_ne!(column.ty, DataType::Vector(8), "no row carries it");
    }
}

/// A period in a key is its two columns.
fn columns(index: &IndexDefinition) -> usize {
    index
        .parts
        .iter()
        .map(|part| 1 + usize::from(part.without_overlaps))
        .sum()
}

async fn check_indexes(client: &mut Client, database: &str, table: &TableDefinition) {
    let sql = format!(
        "SELECT index_name, MIN(non_unique), COUNT(*) FROM information_schema.statistics \
         WHERE table_schema = '{database}' AND table_name = '{}' GROUP BY index_name ORDER BY index_name",
        table.name
    );
    let mut found: Vec<_> = client.query_strings(&sql).await.unwrap();
    for row in &mut found {
        // OceanBase shows the hidden columns that such an index is made of.
        let is_special = |i: &IndexDefinition| {
            matches!(i.kind, IndexKind::Spatial | IndexKind::FullText)
                || i.parts
                    .iter()
                    .any(|p| matches!(p.key, IndexPartKey::Expression(_)))
        };
        let is_special = table.indexes.iter().any(|i| is_special(i) && i.name == row[0]);
        if is_special {
            row[2] = table
                .indexes
                .iter()
                .find(|i| i.name == row[0])
                .map_or(0, columns)
                .to_string();
        }
    }
    found.sort();
    let mut wanted: Vec<Vec<String>> = table
        .indexes
        .iter()
        .map(|index| {
            let name = if index.name.is_empty() {
                "PRIMARY".to_owned()
            } else {
                index.name.clone()
            };
            vec![
                name,
                u8::from(!index.is_unique()).to_string(),
                columns(index).to_string(),
            ]
        })
        .collect();
    wanted.sort();
    assert_eq!(found, wanted, "{}", table.name);
}

async fn check_rest(client: &mut Client, database: &str, table: &TableDefinition) {
    let name = &table.name;
    let sql = format!(
        "SELECT constraint_type, COUNT(*) FROM information_schema.table_constraints \
         WHERE table_schema = '{database}' AND table_name = '{name}' GROUP BY constraint_type"
    );
    let counts: BTreeMap<String, usize> = client
        .query_strings(&sql)
        .await
        .unwrap()
        .into_iter()
        .map(|r| (r[0].clone(), r[1].parse().unwrap()))
        .collect();
    // A period brings a check of its own.
    let of_columns = table.columns.iter().filter(|c| c.check.is_some()).count() + table.periods.len();
    assert_eq!(
        counts.get("CHECK").copied().unwrap_or(0),
        table.checks.len() + of_columns,
        "{name}"
    );
    assert_eq!(
        counts.get("FOREIGN KEY").copied().unwrap_or(0),
        table.foreign_keys.len(),
        "{name}"
    );

    let sql = format!(
        "SELECT COUNT(DISTINCT partition_name), COUNT(DISTINCT subpartition_name) FROM information_schema.partitions \
         WHERE table_schema = '{database}' AND table_name = '{name}'"
    );
    let row = client.query_strings(&sql).await.unwrap().remove(0);
    let (partitions, is_sub) = match &table.partitioning {
        None => (0, false),
        Some(p) => (
            p.count.map_or(p.definitions.len().max(1), |n| n as usize),
            p.sub.is_some(),
        ),
    };
    assert_eq!(row[0], partitions.to_string(), "{name}");
    assert_eq!(row[1] != "0", is_sub, "{name}");

    let sql = format!(
        "SELECT table_comment, table_collation FROM information_schema.tables \
         WHERE table_schema = '{database}' AND table_name = '{name}'"
    );
    let row = client.query_strings(&sql).await.unwrap().remove(0);
    assert_eq!(
        (Some(&row[0]), Some(&row[1])),
        (Some(&table.options.comment), table.options.collation.as_ref()),
        "{name}"
    );
}

async fn check(client: &mut Client, plan: &MigrationPlan, traits: &DestinationTraits) {
    for object in &plan.objects {
        let record = &object.record;
        if !matches!(
            record.state,
            ObjectState::Completed | ObjectState::CompletedWithConversion
        ) {
            continue;
        }
        if record.name.kind == ObjectKind::View {
            let name = format!("`{}`.`{}`", record.name.database, record.name.table);
            run(client, &format!("SELECT * FROM {name}")).await;
        }
        if let Some(table) = &object.definition {
            check_columns(client, traits, &record.name.database, table).await;
            check_indexes(client, &record.name.database, table).await;
            check_rest(client, &record.name.database, table).await;
        }
    }
}

async fn migrate(
    source: &mut Client,
    from: ServerKind,
    destination: &mut Client,
    to: ServerKind,
    later: bool,
) {
    let objects = read(source).await;
    assert!(objects.len() > 45);
    let source_traits = SourceTraits {
        flavor: flavor(from),
        default_collations: default_collations(source).await,
    };
    let traits = destination_traits(destination, to).await;
    let suffix = format!("{}{}", from.name(), if later { "_later" } else { "" });
    let options = ConvertOptions {
        renames: Renames {
            databases: [
                ("corpus".to_owned(), format!("of_{suffix}")),
                ("corpus_other".to_owned(), format!("of_{suffix}_other")),
            ]
            .into(),
            ..Renames::default()
        },
        indexes: if later {
            IndexPolicy::AfterData
        } else {
            IndexPolicy::WithTable
        },
        ..ConvertOptions::default()
    };
    let mut plan = plan(PlanRequest {
        objects,
        source: &source_traits,
        destination: &traits,
        options: &options,
        existing_tables: &BTreeMap::new(),
        existing_objects: &BTreeSet::new(),
    });
    for object in &plan.objects {
        let (state, error) = (object.record.state, &object.record.error);
        assert!(
            matches!(state, ObjectState::Ready | ObjectState::NotSupported),
            "{:?}: {error:?}",
            object.record.name
        );
    }
    let executed = execute(destination, &mut plan, &traits).await;
    assert!(executed > 45, "{executed}");
    check(destination, &plan, &traits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_creates_what_was_meant() {
    let mut servers = BTreeMap::new();
    for kind in ServerKind::ALL {
        servers.insert(
            kind,
            Server::start(kind, ServerOptions::destination()).await.unwrap(),
        );
    }
    for from in ServerKind::SOURCES {
        let mut source = servers[&from].client().await.unwrap();
        load(&mut source, from).await;
        for to in ServerKind::DESTINATIONS {
            for later in [false, true] {
                let mut destination = servers[&to].client().await.unwrap();
                migrate(&mut source, from, &mut destination, to, later).await;
            }
        }
    }
}
