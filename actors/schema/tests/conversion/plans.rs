//! What a plan makes of objects that depend on each other or are there already.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{ObjectKind, ObjectName, TableName, TableSchema, codes};
use oms_schema::{
    CheckPolicy, ConvertOptions, Flavor, ForeignKeyPolicy, IndexPolicy, MigrationPlan, ObjectError,
    ObjectState, PlanRequest, PlannedObject, Renames, Severity, SourceObject, TableDefinition, plan,
};

use crate::support::{self, object};

fn table(name: &str, body: &str) -> SourceObject {
    object(&format!(
        "CREATE TABLE `{name}` (\n{body}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
    ))
}

fn view(name: &str, body: &str) -> SourceObject {
    object(&format!(
        "CREATE ALGORITHM=UNDEFINED DEFINER=`u`@`h` SQL SECURITY DEFINER VIEW `{name}` AS {body}"
    ))
}

fn planned(
    objects: Vec<SourceObject>,
    options: &ConvertOptions,
    existing_tables: &BTreeMap<TableName, TableSchema>,
    existing_objects: &BTreeSet<ObjectName>,
) -> MigrationPlan {
    plan(PlanRequest {
        objects,
        source: &support::source_traits("mariadb-10.11", Flavor::MariaDb),
        destination: &support::destination_traits("seekdb"),
        options,
        existing_tables,
        existing_objects,
    })
}

fn fresh(objects: Vec<SourceObject>, options: &ConvertOptions) -> MigrationPlan {
    planned(objects, options, &BTreeMap::new(), &BTreeSet::new())
}

fn get<'a>(plan: &'a MigrationPlan, kind: ObjectKind, name: &str) -> &'a PlannedObject {
    plan.objects
        .iter()
        .find(|o| {
            o.record.name.kind == kind
                && (o.record.name.part == name
                    || o.record.name.part.is_empty() && o.record.name.table == name)
        })
        .unwrap_or_else(|| panic!("no {name}"))
}

fn code(object: &PlannedObject) -> &str {
    &object.record.error.as_ref().unwrap().code
}

#[test]
fn views_come_behind_what_they_read_and_circles_are_named() {
    let objects = vec![
        view("v2", "select `v1`.`a` AS `a` from `v1`"),
        view("c1", "select 1 AS `1` from `c2`"),
        view("c2", "select 1 AS `1` from `c1`"),
        view("v1", "select `t`.`a` AS `a` from `t`"),
        table("t", "`a` int"),
    ];
    let plan = fresh(objects, &ConvertOptions::default());
    let names: Vec<_> = plan
        .objects
        .iter()
        .map(|o| o.record.name.table.as_str())
        .collect();
    assert_eq!(names, ["t", "v1", "v2", "c1", "c2"]);
    for name in ["c1", "c2"] {
        let object = get(&plan, ObjectKind::View, name);
        assert_eq!(object.record.state, ObjectState::NotSupported);
        assert!(object.record.error.as_ref().unwrap().text.contains("circle"));
    }
}

#[test]
fn a_foreign_key_needs_its_table_and_on_oceanbase_the_same_type() {
    let fk = |name: &str, column: &str, to: &str| {
        format!("`{column}` int, CONSTRAINT `{name}` FOREIGN KEY (`{column}`) REFERENCES `{to}` (`x`)")
    };
    let objects = vec![
        table("a", &fk("good", "y", "p")),
        table("b", &fk("nowhere", "y", "gone")),
        table("c", &fk("wider", "y", "w")),
        table("p", "`x` int(5) NOT NULL, PRIMARY KEY (`x`)"),
        table("w", "`x` bigint NOT NULL, PRIMARY KEY (`x`)"),
    ];
    let plan = fresh(objects, &ConvertOptions::default());
    assert_eq!(
        get(&plan, ObjectKind::ForeignKey, "good").record.state,
        ObjectState::Ready
    );
    assert_eq!(get(&plan, ObjectKind::ForeignKey, "good").after.len(), 2);
    for name in ["nowhere", "wider"] {
        assert_eq!(
            code(get(&plan, ObjectKind::ForeignKey, name)),
            codes::schema::CONSTRUCT_NOT_SUPPORTED.as_str()
        );
    }
    let of_a = &get(&plan, ObjectKind::Table, "a").record.name;
    assert_eq!(plan.parts_of(of_a).count(), 1);
}

#[test]
fn what_waits_for_the_rows_comes_last() {
    let objects = vec![
        table(
            "a",
            "`y` int, `z` int, KEY `kz` (`z`), CONSTRAINT `f` FOREIGN KEY (`y`) REFERENCES `p` (`x`)",
        ),
        table("p", "`x` int, KEY `kx` (`x`)"),
    ];
    let mut options = ConvertOptions {
        indexes: IndexPolicy::AfterData,
        ..ConvertOptions::default()
    };
    let later = fresh(objects.clone(), &options);
    // The key refers to an index that waits.
    let parts: Vec<_> = later
        .objects
        .iter()
        .filter(|o| o.after_data)
        .map(|o| o.record.name.part.as_str())
        .collect();
    assert_eq!(parts, ["kz", "kx", "f"]);
    options.indexes = IndexPolicy::WithTable;
    assert!(
        fresh(objects.clone(), &options)
            .objects
            .iter()
            .all(|o| !o.after_data)
    );
    options.foreign_keys = ForeignKeyPolicy::AfterData;
    assert!(get(&fresh(objects, &options), ObjectKind::ForeignKey, "f").after_data);
}

#[test]
fn an_existing_table_is_completed_or_named_as_different() {
    let same = "CREATE TABLE `t` (`a` int NOT NULL, `s` varchar(9), PRIMARY KEY (`a`)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci";
    let other = same.replace("varchar(9)", "varchar(8)");
    for (existing, state) in [
        (same, ObjectState::Completed),
        (other.as_str(), ObjectState::Failed),
    ] {
        let name = TableName::new("corpus", "t");
        let default = |charset: &str| format!("{charset}_general_ci");
        let schema = TableDefinition::parse(existing)
            .unwrap()
            .to_schema(name.clone(), &default)
            .unwrap();
        let objects = vec![table("t", "`a` int NOT NULL, `s` varchar(9), PRIMARY KEY (`a`)")];
        let tables = BTreeMap::from([(name, schema)]);
        let plan = planned(objects, &ConvertOptions::default(), &tables, &BTreeSet::new());
        let object = get(&plan, ObjectKind::Table, "t");
        assert_eq!(object.record.state, state);
        if state == ObjectState::Failed {
            assert_eq!(code(object), codes::schema::DESTINATION_DIFFERS.as_str());
            assert!(object.record.error.as_ref().unwrap().text.contains("s: "));
        }
    }
}

#[test]
fn several_tables_go_to_one_if_they_are_alike() {
    let objects = vec![
        table("o1", "`a` int"),
        table("o2", "`a` int"),
        table("o3", "`a` bigint"),
    ];
    let to = TableName::new("all", "orders");
    let renames = ["o1", "o2", "o3"]
        .map(|name| (TableName::new("corpus", name), to.clone()))
        .to_vec();
    let options = ConvertOptions {
        renames: Renames {
            tables: renames,
            ..Renames::default()
        },
        ..ConvertOptions::default()
    };
    let states: Vec<_> = fresh(objects, &options)
        .objects
        .iter()
        .map(|o| o.record.state)
        .collect();
    assert_eq!(
        states,
        [
            ObjectState::Ready,
            ObjectState::CompletedWithConversion,
            ObjectState::Failed
        ]
    );
}

#[test]
fn check_names_become_unique_in_the_database() {
    let check = |name: &str| format!("`a` int, CONSTRAINT `{name}` CHECK (`a` > 0)");
    let objects = vec![table("t1", &check("positive")), table("t2", &check("Positive"))];
    let plan = fresh(objects, &ConvertOptions::default());
    assert!(plan.objects[0].record.statements[0].contains("CONSTRAINT `positive`"));
    assert!(plan.objects[1].record.statements[0].contains("CONSTRAINT `t2_Positive`"));
    assert_eq!(plan.objects[1].record.notes.len(), 1);
}

#[test]
fn names_are_mapped_and_folded_and_missing_databases_created() {
    let database = SourceObject {
        name: ObjectName {
            kind: ObjectKind::Database,
            database: "corpus".into(),
            table: String::new(),
            part: String::new(),
        },
        definition: Ok("CREATE DATABASE `corpus` /*!40100 DEFAULT CHARACTER SET utf8mb4 */".into()),
    };
    let objects = vec![
        database,
        table("Orders", "`a` int"),
        view("V", "select `Orders`.`a` AS `a` from `Orders`"),
    ];
    let renames = Renames {
        databases: [("corpus".into(), "New".into())].into(),
        tables: vec![(
            TableName::new("corpus", "Orders"),
            TableName::new("Else", "Bought"),
        )],
        lower_case: true,
    };
    let plan = fresh(
        objects,
        &ConvertOptions {
            renames,
            ..ConvertOptions::default()
        },
    );
    let statements: Vec<_> = plan
        .objects
        .iter()
        .map(|o| o.record.statements[0].lines().next().unwrap())
        .collect();
    assert_eq!(
        statements,
        [
            "CREATE DATABASE IF NOT EXISTS `new` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            "CREATE DATABASE IF NOT EXISTS `else` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            "CREATE TABLE `else`.`bought` (",
            "CREATE VIEW `new`.`v` AS select `Orders`.`a` AS `a` from `else`.`bought` `Orders`",
        ]
    );
}

#[test]
fn one_bad_definition_does_not_stop_the_others() {
    let mut lost = table("lost", "`a` int");
    lost.definition = Err(ObjectError::new(codes::schema::OBJECT_FAILED, "1146"));
    let objects = vec![table("odd", "`a` money"), lost, table("good", "`a` int")];
    let plan = fresh(objects, &ConvertOptions::default());
    let states: Vec<_> = plan.objects.iter().map(|o| o.record.state).collect();
    assert_eq!(
        states,
        [
            ObjectState::FailedToObtain,
            ObjectState::FailedToObtain,
            ObjectState::Ready
        ]
    );
    assert_eq!(
        code(&plan.objects[0]),
        codes::schema::STATEMENT_NOT_UNDERSTOOD.as_str()
    );
}

#[test]
fn constraints_wait_for_the_switchover_with_their_statements() {
    let options = ConvertOptions {
        foreign_keys: ForeignKeyPolicy::AtSwitchover,
        checks: CheckPolicy::AtSwitchover,
        indexes: IndexPolicy::AfterData,
        ..ConvertOptions::default()
    };
    let objects = vec![
        table("p", "`x` int NOT NULL,\nPRIMARY KEY (`x`)"),
        table(
            "c",
            "`a` int DEFAULT NULL CHECK (`a` > 1),\n`j` longtext DEFAULT NULL CHECK (json_valid(`j`)),\nKEY `k` (`a`),\n\
             CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`x`),\nCONSTRAINT `ck` CHECK (`a` < 9)",
        ),
    ];
    let plan = fresh(objects, &options);
    let statement = |kind, name: &str| {
        let object = get(&plan, kind, name);
        assert!(object.at_switchover && !object.after_data, "{name}");
        assert_eq!(object.record.state, ObjectState::Ready, "{name}");
        object.record.statements.join(";")
    };
    assert_eq!(
        statement(ObjectKind::Check, "ck"),
        "ALTER TABLE `corpus`.`c` ADD CONSTRAINT `ck` CHECK (`a` < 9)"
    );
    assert_eq!(
        statement(ObjectKind::Check, "c_check_1"),
        "ALTER TABLE `corpus`.`c` ADD CONSTRAINT `c_check_1` CHECK (`a` > 1)"
    );
    assert!(
        statement(ObjectKind::ForeignKey, "f").starts_with("ALTER TABLE `corpus`.`c` ADD CONSTRAINT `f`")
    );
    // Nothing needs the index before the rows, and no constraint is in the table.
    assert!(get(&plan, ObjectKind::Index, "k").after_data);
    let created = get(&plan, ObjectKind::Table, "c").record.statements.join(";");
    assert!(
        !created.contains("CHECK") && !created.contains("FOREIGN"),
        "{created}"
    );
    // They come last.
    let first = plan.objects.iter().position(|o| o.at_switchover).unwrap();
    assert!(plan.objects[first..].iter().all(|o| o.at_switchover));
    let worst = get(&plan, ObjectKind::Table, "c")
        .record
        .notes
        .iter()
        .map(|n| n.severity())
        .max();
    assert_eq!(worst, Some(Severity::NotMoved), "the check of JSON is left out");
}
