//! The objects of the project at both ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use oms_core::{ColumnType, Failure, PrecheckSide, TableName, TablePair, TableSchema, codes};

use super::{
    ledger::{Ledger, listed},
    plan::PrecheckPlan,
};
use crate::{
    catalog::{Catalog, Database, ForeignKeyRule, Object, ObjectType},
    connection::{Flavor, ServerInfo},
};

/// Columns that one destination table may have (OceanBase: 4096 minus its hidden ones).
const COLUMN_LIMIT: usize = 4_092;

/// What the objects' checks found, for later ones.
#[derive(Debug, Default)]
pub(super) struct SourceObjects {
    pub(super) tables: Vec<TableSchema>,
}

/// Adds the items about source objects.
pub(super) async fn source(
    catalog: &mut Catalog<'_>,
    info: &ServerInfo,
    plan: &PrecheckPlan,
    cascades_are_logged: bool,
    ledger: &mut Ledger,
) -> Result<SourceObjects, Failure> {
    let side = PrecheckSide::Source;
    let existing = existing(catalog, plan.source_databases(), side, ledger).await?;
    let fold = info.lower_case_table_names != 0;
    let find = |name: &TableName| find(&existing, name, fold);

    let missing: Vec<String> = plan
        .tables
        .iter()
        .chain(&plan.views)
        .filter(|(s, _)| find(s).is_none())
        .map(|(s, _)| s.to_string())
        .collect();
    let code = codes::src::TABLE_MISSING;
    ledger.none_of(
        "RDB_TABLE_EXIST",
        side,
        code,
        &missing,
        "missing objects",
        code.action(),
    );

    let mut wrong_type = Vec::new();
    let mut engines = Vec::new();
    let mut readable = Vec::new();
    for (name, _) in &plan.tables {
        let Some(object) = find(name) else { continue };
        match &object.object_type {
            ObjectType::Table => {
                readable.push(object.name.clone());
                if !object.engine.eq_ignore_ascii_case("InnoDB") {
                    engines.push(format!("{name} ({})", object.engine));
                }
            }
            ObjectType::View => wrong_type.push(format!("{name} (a view)")),
            ObjectType::Other(kind) => wrong_type.push(format!("{name} ({kind})")),
        }
    }
    ledger.none_of(
        "DB_TABLE_TYPE",
        side,
        codes::src::TYPE_NOT_SUPPORTED,
        &wrong_type,
        "objects that are not base tables",
        "Leave them out of the tables; list views as views.",
    );
    if engines.is_empty() {
        ledger.passed("DB_ENGINE", side, "all tables are InnoDB");
    } else {
        ledger.failed_skippable(
            "DB_ENGINE",
            side,
            Some(codes::schema::ENGINE_NOT_SUPPORTED),
            format!("tables without transactions: {}", listed(&engines)),
            "Convert them to InnoDB or leave them out: their changes can reach the log in part, and they cannot be \
             read in a snapshot.",
        );
    }

    let unreadable = catalog.unreadable_columns(&readable).await?;
    let code = codes::src::TYPE_NOT_SUPPORTED;
    ledger.none_of(
        "DB_DATA_TYPE",
        side,
        code,
        &unreadable,
        "columns of unsupported types",
        code.action(),
    );
    let is_readable = |name: &&TableName| !unreadable.iter().any(|c| c.starts_with(&format!("{name}.")));
    let readable: Vec<TableName> = readable.iter().filter(is_readable).cloned().collect();
    let tables = catalog.load_tables(&readable).await?;
    keys(&tables, info, plan, ledger);

    foreign_keys(catalog, plan, fold, cascades_are_logged, ledger).await?;
    views(catalog, plan, &existing, fold, ledger).await?;
    Ok(SourceObjects { tables })
}

fn keys(tables: &[TableSchema], info: &ServerInfo, plan: &PrecheckPlan, ledger: &mut Ledger) {
    let side = PrecheckSide::Source;
    let mut float = Vec::new();
    let mut generated = Vec::new();
    let mut keyless = Vec::new();
    let mut functional = Vec::new();
    let mut wide = Vec::new();
    let mut large = 0usize;
    let mut doubtful = Vec::new();
    for table in tables {
        for column in table.columns.iter().filter(|c| lost_member(&c.ty)) {
            doubtful.push(format!("{}.`{}`", table.name, column.name));
        }
        match table.row_key_columns() {
            None => keyless.push(table.name.to_string()),
            Some(columns) => {
                let bad = |i: &usize| {
                    let ty = table.columns.get(*i).map(|c| &c.ty);
                    matches!(ty, Some(ColumnType::Float | ColumnType::Double))
                };
                if columns.iter().any(bad) {
                    float.push(table.name.to_string());
                }
                let made = |i: &usize| table.columns.get(*i).is_some_and(|c| c.generated.is_some());
                if columns.iter().any(made) {
                    generated.push(table.name.to_string());
                }
            }
        }
        if table
            .keys
            .iter()
            .any(|k| k.parts.iter().any(|p| p.column.is_none()))
        {
            functional.push(table.name.to_string());
        }
        if table.columns.len() > COLUMN_LIMIT {
            wide.push(format!("{} ({})", table.name, table.columns.len()));
        }
        let lob = |ty: &ColumnType| {
            matches!(
                ty,
                ColumnType::Text { tier: 4, .. } | ColumnType::Blob { tier: 4 }
            )
        };
        large += table.columns.iter().filter(|c| lob(&c.ty)).count();
    }
    if !doubtful.is_empty() {
        ledger.warning(
            "DB_DATA_TYPE",
            side,
            format!("ENUM or SET columns with members that contain `?`: {}", listed(&doubtful)),
            "MySQL and MariaDB show characters beyond U+FFFF in definitions as `?`. If these members have such \
             characters, create the destination tables by hand; rows carry numbers and are not affected.",
        );
    }
    let code = codes::import::KEY_NOT_USABLE;
    ledger.none_of(
        "DB_DATA_TYPE_INDEX",
        side,
        code,
        &float,
        "tables whose key is on FLOAT or DOUBLE",
        code.action(),
    );
    if !generated.is_empty() && (plan.steps.full || plan.steps.incr) {
        ledger.failed_skippable(
            "DB_GENERATED_KEY",
            side,
            Some(codes::import::KEY_NOT_USABLE),
            format!("tables whose key holds a generated column: {}", listed(&generated)),
            "Rows are found by their keys, and what the destination generates is not written. Give them another key or leave \
             them out. Skip this if the destination tables exist with ordinary columns in their place.",
        );
    } else {
        ledger.passed("DB_GENERATED_KEY", side, "no key holds a generated column");
    }
    if keyless.is_empty() {
        ledger.passed("DB_UK_INDEX", side, "every table has a key");
    } else if info.flavor == Flavor::Mysql && info.server.contains('@') && plan.steps.full {
        ledger.warning(
            "DB_UK_INDEX",
            side,
            format!("tables without a key: {}", listed(&keyless)),
            "They are read in one snapshot, whose position may not be known without GTID mode.",
        );
    } else {
        ledger.warning(
            "DB_UK_INDEX",
            side,
            format!("tables without a key: {}", listed(&keyless)),
            "They are read in one consistent snapshot, by one connection, and start over after an interruption. A key \
             makes them faster.",
        );
    }
    if functional.is_empty() {
        ledger.passed("DB_FUNCTION_BASED", side, "no unique key is on an expression");
    } else {
        ledger.warning(
            "DB_FUNCTION_BASED",
            side,
            format!("unique keys on expressions: {}", listed(&functional)),
            "Changes of these tables are applied one after the other, because conflicts cannot be foreseen.",
        );
    }
    ledger.none_of(
        "DB_COLUMN_COUNT",
        side,
        codes::schema::DEFINITION_DIFFERS,
        &wide,
        "tables with too many columns",
        "Leave them out.",
    );
    ledger.passed(
        "DB_TABLE_LOB_SIZE",
        side,
        format!("{large} columns may hold values above 48 MB; they are carried up to 1 GB"),
    );
}

/// Whether a member may have lost characters: definitions are shown in UTF-8 of up to three bytes.
fn lost_member(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Enum { members, charset, .. } | ColumnType::Set { members, charset, .. } => {
            matches!(
                charset.as_str(),
                "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030"
            ) && members.iter().any(|m| m.contains('?'))
        }
        _ => false,
    }
}

async fn foreign_keys(
    catalog: &mut Catalog<'_>,
    plan: &PrecheckPlan,
    fold: bool,
    cascades_are_logged: bool,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let side = PrecheckSide::Source;
    let selected: BTreeSet<TableName> = plan.tables.iter().map(|(s, _)| folded(s, fold)).collect();
    let mut open = Vec::new();
    let mut cascading = Vec::new();
    for database in plan.source_databases() {
        for key in catalog.foreign_keys(database).await? {
            if !selected.contains(&folded(&key.table, fold)) {
                continue;
            }
            if !selected.contains(&folded(&key.referenced, fold)) {
                open.push(format!(
                    "{} of {} refers to {}",
                    key.name, key.table, key.referenced
                ));
            }
            if key.on_delete == ForeignKeyRule::Changes || key.on_update == ForeignKeyRule::Changes {
                cascading.push(format!("{} of {}", key.name, key.table));
            }
        }
    }
    if open.is_empty() {
        ledger.passed(
            "DB_FOREIGN_REFERENCE",
            side,
            "foreign keys refer to selected tables only",
        );
    } else {
        ledger.failed_skippable(
            "DB_FOREIGN_REFERENCE",
            side,
            None,
            format!("foreign keys that leave the selection: {}", listed(&open)),
            "Select the tables referred to as well. Skip this if they exist at the destination already.",
        );
    }
    if cascading.is_empty() || !plan.steps.incr {
        ledger.passed("DB_NO_FOREIGN_KEY", side, "no foreign key changes rows by itself");
    } else if cascades_are_logged {
        ledger.passed(
            "DB_NO_FOREIGN_KEY",
            side,
            "changes made by foreign keys are logged by this source",
        );
    } else {
        ledger.failed_skippable(
            "DB_NO_FOREIGN_KEY",
            side,
            None,
            format!(
                "foreign keys with CASCADE or SET NULL, whose effects this source does not log: {}",
                listed(&cascading)
            ),
            "Avoid deletes and key updates of referred rows during the migration, or drop the rules. Skip this only if \
             no such change happens; full verification would show it.",
        );
    }
    Ok(())
}

async fn views(
    catalog: &mut Catalog<'_>,
    plan: &PrecheckPlan,
    existing: &BTreeMap<TableName, Object>,
    fold: bool,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let (key, side) = ("RDB_OBJECT_DEPENDENCY_INTEGRITY", PrecheckSide::Source);
    if plan.views.is_empty() {
        ledger.passed(key, side, "no views are selected");
        return Ok(());
    }
    let names: BTreeSet<TableName> = existing.keys().cloned().collect();
    let selected: BTreeSet<TableName> = plan
        .tables
        .iter()
        .chain(&plan.views)
        .map(|(s, _)| folded(s, fold))
        .collect();
    let mut open = Vec::new();
    for (view, _) in &plan.views {
        if find(existing, view, fold).is_none() {
            continue;
        }
        match catalog.view_dependencies(view, &names).await {
            Ok(needs) => {
                let unselected = needs.iter().filter(|n| !selected.contains(&folded(n, fold)));
                open.extend(unselected.map(|n| format!("{view} reads {n}")));
            }
            Err(e) if e.code() == codes::src::PRIVILEGE_MISSING => {
                ledger.not_checked(key, side, format!("the definition of {view} may not be read"));
                return Ok(());
            }
            Err(e) => return Err(e),
        }
    }
    if open.is_empty() {
        ledger.passed(key, side, "views read selected objects only");
    } else {
        ledger.failed_skippable(
            key,
            side,
            None,
            format!("views that read what is not selected: {}", listed(&open)),
            "Select those objects too. Skip this if they exist at the destination already.",
        );
    }
    Ok(())
}

/// Adds the items about destination objects.
pub(super) async fn destination(
    catalog: &mut Catalog<'_>,
    info: &ServerInfo,
    plan: &PrecheckPlan,
    source: &SourceObjects,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let side = PrecheckSide::Destination;
    let fold = info.lower_case_table_names != 0;
    collisions(plan, fold, ledger);
    let databases = plan.destination_databases();
    let system: Vec<String> = databases
        .iter()
        .filter(|d| Database::is_system(d))
        .map(|d| (*d).to_owned())
        .collect();
    ledger.none_of(
        "RDB_SCHEMA_EXIST",
        side,
        codes::dst::TABLE_MISSING,
        &system,
        "system databases among the destinations",
        "Map these objects to other databases.",
    );
    let mut objects = BTreeMap::new();
    let mut triggers = Vec::new();
    let destinations: BTreeSet<TableName> = plan.tables.iter().map(|(_, d)| folded(d, fold)).collect();
    for database in databases {
        for object in catalog.objects(database).await? {
            objects.insert(object.name.clone(), object);
        }
        for trigger in catalog.triggers(database).await? {
            if destinations.contains(&folded(&trigger.table, fold)) {
                triggers.push(format!("`{}` on {}", trigger.name, trigger.table));
            }
        }
    }
    if triggers.is_empty() {
        ledger.passed("DB_TRIGGER", side, "no triggers on destination tables");
    } else {
        ledger.failed_skippable(
            "DB_TRIGGER",
            side,
            None,
            format!("triggers on destination tables: {}", listed(&triggers)),
            "Drop them until the migration is over: they would run again for every row that is written.",
        );
    }
    let existing: Vec<&(TableName, TableName)> = plan
        .tables
        .iter()
        .filter(|(_, d)| find(&objects, d, fold).is_some())
        .collect();
    if !plan.steps.schema {
        let missing: Vec<String> = plan
            .tables
            .iter()
            .filter(|(_, d)| find(&objects, d, fold).is_none())
            .map(|(_, d)| d.to_string())
            .collect();
        let code = codes::dst::TABLE_MISSING;
        ledger.none_of(
            "RDB_TABLE_EXIST",
            side,
            code,
            &missing,
            "missing tables",
            code.action(),
        );
    }
    let names: Vec<TableName> = existing.iter().map(|(_, d)| d.clone()).collect();
    let loaded = catalog.load_tables(&names).await?;
    let mut different = Vec::new();
    for ((from, _), definition) in existing.iter().zip(loaded) {
        let Some(table) = source.tables.iter().find(|t| t.name == *from) else {
            continue;
        };
        let pair = (plan.seen)(table.clone())
            .and_then(|seen| TablePair::by_name(Arc::new(seen), Arc::new(definition)));
        if let Err(e) = pair {
            different.push(e.detail().to_owned());
        }
    }
    ledger.none_of(
        "SYNC_SCHEMA_CONSISTENCY",
        side,
        codes::schema::DEFINITION_DIFFERS,
        &different,
        "existing tables that cannot take the source's rows",
        "Change or drop these tables at the destination.",
    );
    Ok(())
}

/// Two sources may not become one destination table, also not by the destination's folding, unless they are merged.
fn collisions(plan: &PrecheckPlan, fold: bool, ledger: &mut Ledger) {
    let mut seen: BTreeMap<TableName, &(TableName, TableName)> = BTreeMap::new();
    let mut same = Vec::new();
    for pair in plan.tables.iter().chain(&plan.views) {
        let (source, destination) = pair;
        if let Some(first) = seen.insert(folded(destination, fold), pair) {
            let merged = plan.merges && plan.tables.contains(first) && plan.tables.contains(pair);
            if !(merged && first.1 == *destination) {
                same.push(format!("{} and {source} become {destination}", first.0));
            }
        }
    }
    ledger.none_of(
        "DB_TABLE_NAME_UNIQUE",
        PrecheckSide::Destination,
        codes::schema::DEFINITION_DIFFERS,
        &same,
        "objects that become one",
        "Rename one of them in the project.",
    );
}

fn folded(name: &TableName, fold: bool) -> TableName {
    if fold {
        TableName::new(name.database.to_lowercase(), name.table.to_lowercase())
    } else {
        name.clone()
    }
}

fn find<'o>(objects: &'o BTreeMap<TableName, Object>, name: &TableName, fold: bool) -> Option<&'o Object> {
    objects.get(name).or_else(|| {
        let wanted = folded(name, fold);
        objects
            .iter()
            .find(|(n, _)| fold && folded(n, fold) == wanted)
            .map(|(_, o)| o)
    })
}

async fn existing(
    catalog: &mut Catalog<'_>,
    databases: Vec<&str>,
    side: PrecheckSide,
    ledger: &mut Ledger,
) -> Result<BTreeMap<TableName, Object>, Failure> {
    let known = catalog.databases().await?;
    let fold = catalog.folds_case().await?;
    let exists = |name: &str| {
        known
            .iter()
            .any(|d| d.name == name || (fold && d.name.to_lowercase() == name.to_lowercase()))
    };
    let mut wrong: Vec<String> = Vec::new();
    for database in &databases {
        if Database::is_system(database) {
            wrong.push(format!("`{database}` belongs to the server"));
        } else if !exists(database) {
            wrong.push(format!("`{database}` does not exist or may not be seen"));
        }
    }
    let code = codes::src::TABLE_MISSING;
    ledger.none_of(
        "RDB_SCHEMA_EXIST",
        side,
        code,
        &wrong,
        "unusable databases",
        code.action(),
    );
    let mut objects = BTreeMap::new();
    for database in databases {
        for object in catalog.objects(database).await? {
            objects.insert(object.name.clone(), object);
        }
    }
    Ok(objects)
}
