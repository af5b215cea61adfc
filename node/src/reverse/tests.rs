use oms_core::ScnPosition;
use oms_proto::v1::{AddedColumn, DmlSelection, KafkaOptions};
use proptest::prelude::*;

use super::*;
use crate::selection::check_spec;

const ID: &str = "p_0191d0c0a0b07e3c8f00000000000001";
const KINDS: (DataSourceKind, DataSourceKind) = (DataSourceKind::Mariadb, DataSourceKind::Mysql);

fn name(database: &str, table: &str) -> QualifiedName {
    QualifiedName {
        database: database.into(),
        table: table.into(),
    }
}

fn object(from: (&str, &str), to: (&str, &str)) -> SelectedObject {
    SelectedObject {
        source: Some(name(from.0, from.1)),
        destination: Some(name(to.0, to.1)),
        ..Default::default()
    }
}

fn forward(spec: ProjectSpec, selection: Vec<SelectedObject>) -> ProjectRecord {
    ProjectRecord {
        public: Some(Project {
            id: ID.into(),
            spec: Some(ProjectSpec {
                name: "move".into(),
                source: "left".into(),
                destination: "right".into(),
                ..spec
            }),
            ..Default::default()
        }),
        source_id: "e_1".into(),
        destination_id: "e_2".into(),
        selection,
        ..Default::default()
    }
}

fn wanted(start: ReverseStart) -> WantedReverse {
    WantedReverse {
        name: String::new(),
        labels: Vec::new(),
        own: "1".into(),
        incremental: None,
        precheck: None,
        start,
    }
}

fn at() -> ReverseStart {
    ReverseStart::At(Position::Scn(ScnPosition {
        server: "s".into(),
        scn: 7,
        shape: "0f".into(),
    }))
}

fn now(record: &ProjectRecord) -> Result<ProjectRecord, Vec<String>> {
    reverse_record(record, KINDS, wanted(ReverseStart::Now))
}

fn refused(record: &ProjectRecord, kinds: (DataSourceKind, DataSourceKind)) -> String {
    reverse_record(record, kinds, wanted(ReverseStart::Now))
        .unwrap_err()
        .join("; ")
}

#[test]
fn both_ends_and_all_names_are_exchanged() {
    let chosen = TableSelection {
        name: "orders".into(),
        rename_to: "auftrag".into(),
        rename_columns: vec![NameRule {
            from: "total".into(),
            to: "summe".into(),
        }],
        add_columns: vec![AddedColumn {
            name: "region".into(),
            r#type: "VARCHAR(2)".into(),
            value: "'eu'".into(),
        }],
        dml: Some(DmlSelection {
            insert: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    let spec = ProjectSpec {
        databases: vec![DatabaseSelection {
            name: "shop".into(),
            rename_to: "laden".into(),
            tables: vec![chosen],
            ..Default::default()
        }],
        incremental: Some(IncrementalOptions {
            lanes: 3,
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut view = object(("shop", "v"), ("laden", "v"));
    view.view = true;
    let mut gone = object(("shop", "old"), ("laden", "old"));
    gone.gone = true;
    let record = forward(
        spec,
        vec![object(("shop", "orders"), ("laden", "auftrag")), view, gone],
    );
    let reverse = now(&record).unwrap();
    assert_eq!(
        reverse.selection,
        [object(("laden", "auftrag"), ("shop", "orders"))]
    );
    assert_eq!(
        (reverse.source_id.as_str(), reverse.destination_id.as_str()),
        ("e_2", "e_1")
    );
    let public = reverse.public.unwrap();
    assert_eq!((public.id, public.reverse_of), (format!("{ID}r1"), ID.to_owned()));
    let spec = public.spec.unwrap();
    assert_eq!(
        (spec.name.as_str(), spec.reverse_of.as_str()),
        ("move (reverse)", "move")
    );
    assert_eq!(
        (spec.source.as_str(), spec.destination.as_str()),
        ("right", "left")
    );
    assert_eq!(spec.incremental.unwrap().lanes, 3);
    let database = &spec.databases[0];
    assert_eq!(
        (database.name.as_str(), database.rename_to.as_str()),
        ("laden", "shop")
    );
    let table = &database.tables[0];
    assert_eq!(
        (table.name.as_str(), table.rename_to.as_str()),
        ("auftrag", "orders")
    );
    assert_eq!(table.omit_columns, ["region"]);
    assert_eq!(
        (
            table.rename_columns[0].from.as_str(),
            table.rename_columns[0].to.as_str()
        ),
        ("summe", "total")
    );
    assert!(table.dml.unwrap().insert && table.add_columns.is_empty());
    check_spec(&spec).unwrap();
}

#[test]
fn what_has_no_way_back_is_named_all_at_once() {
    let table = |name: &str| TableSelection {
        name: name.into(),
        ..Default::default()
    };
    let spec = ProjectSpec {
        databases: vec![DatabaseSelection {
            name: "a".into(),
            tables: vec![
                TableSelection {
                    filter: "x = 1".into(),
                    ..table("f")
                },
                TableSelection {
                    omit_columns: vec!["c".into()],
                    ..table("o")
                },
                TableSelection {
                    columns: vec!["c".into()],
                    ..table("c")
                },
            ],
            ..Default::default()
        }],
        steps: Some(Steps {
            full: true,
            ..Default::default()
        }),
        kafka: Some(KafkaOptions::default()),
        incremental: Some(IncrementalOptions {
            ddl: DdlSynchronization::Follow as i32,
            ..Default::default()
        }),
        ..Default::default()
    };
    let selection = vec![
        object(("a", "f"), ("a", "f")),
        object(("a", "o"), ("a", "o")),
        object(("a", "c"), ("a", "c")),
        object(("a", "m1"), ("a", "m")),
        object(("a", "m2"), ("a", "m")),
    ];
    let words = refused(
        &forward(spec, selection),
        (DataSourceKind::Oceanbase, DataSourceKind::Oceanbase),
    );
    for part in [
        "messages do not come back",
        "no step `incremental`",
        "executes statements that define tables",
        "source is oceanbase",
        "destination is oceanbase",
        "`a`.`f` moves by a filter",
        "`a`.`o` moves without some",
        "`a`.`c` moves without some",
        "`a`.`m` is made of `a`.`m1`, `a`.`m2`",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn behind_a_stop_more_goes_back_than_beside_a_running_project() {
    let spec = ProjectSpec {
        incremental: Some(IncrementalOptions {
            ddl: DdlSynchronization::Follow as i32,
            ..Default::default()
        }),
        ..Default::default()
    };
    let record = forward(spec, vec![object(("a", "t"), ("a", "t"))]);
    let kinds = (DataSourceKind::Mariadb, DataSourceKind::Oceanbase);
    let reverse = reverse_record(&record, kinds, wanted(at())).unwrap();
    assert_eq!(
        Position::decode(&reverse.log_start).unwrap().encode(),
        reverse.log_start
    );
    let spec = reverse.public.unwrap().spec.unwrap();
    assert_eq!(spec.incremental.unwrap().ddl(), DdlSynchronization::Unspecified);
    assert!(refused(&record, kinds).contains("oceanbase"));
    let mut follows = wanted(at());
    follows.incremental = record.public.as_ref().unwrap().spec.as_ref().unwrap().incremental;
    let words = reverse_record(&record, kinds, follows).unwrap_err().join("; ");
    assert!(words.contains("in one direction only"), "{words}");
}

#[test]
fn an_id_that_no_node_gave_and_a_project_without_tables_are_refused() {
    let mut record = forward(ProjectSpec::default(), Vec::new());
    record.public.as_mut().unwrap().id = "p_1".into();
    let words = refused(&record, KINDS);
    assert!(
        words.contains("p_1r1") && words.contains("no table whose changes"),
        "{words}"
    );
}

/// Distinct tables, each to a name of its own.
fn tables() -> impl Strategy<Value = Vec<SelectedObject>> {
    let name = || "[a-c`.=*\\\\]{1,3}";
    let one = (name(), name(), name(), name());
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let mut from = std::collections::BTreeSet::new();
        let mut to = std::collections::BTreeSet::new();
        all.iter()
            .filter(|(a, b, c, d)| from.insert((a, b)) && to.insert((c, d)))
            .map(|(a, b, c, d)| object((a, b), (c, d)))
            .collect()
    })
}

proptest! {
    #[test]
    fn the_way_back_of_the_way_back_is_the_way(
        selection in tables(),
        renamed in prop::collection::vec(("[a-d]", "[e-h]"), 0..3),
    ) {
        // By name where that can be said, as a user would have written it.
        let mut databases: Vec<DatabaseSelection> = Vec::new();
        for o in &selection {
            let (s, d) = (o.source.as_ref().unwrap(), o.destination.as_ref().unwrap());
            let rename_columns = renamed.iter().map(|(from, to)| NameRule { from: from.clone(), to: to.clone() }).collect();
            let table = TableSelection { rename_columns, ..named(s, d) };
            match databases.iter_mut().find(|known| known.name == s.database) {
                Some(known) => known.tables.push(table),
                None => databases.push(DatabaseSelection { name: s.database.clone(), tables: vec![table], ..Default::default() }),
            }
        }
        let record = forward(ProjectSpec { databases, ..Default::default() }, selection.clone());
        let back = match now(&record) {
            Ok(back) => back,
            // Only this is refused of such a project.
            Err(problems) => {
                prop_assert!(!renamed.is_empty(), "{problems:?}");
                for p in problems {
                    prop_assert!(p.contains("selected one by one"), "{p}");
                }
                return Ok(());
            }
        };
        let spec = back.public.as_ref().unwrap().spec.clone().unwrap();
        // What the spec selects is what the record holds.
        let existing = catalog(&back.selection);
        let resolved = crate::selection::resolve(&spec, &existing).unwrap().selected;
        let sorted = |mut all: Vec<SelectedObject>| {
            all.sort_by_key(|o| o.source.as_ref().map(|n| (n.database.clone(), n.table.clone())));
            all
        };
        prop_assert_eq!(sorted(resolved), sorted(back.selection.clone()));
        let mut again = wanted(ReverseStart::Now);
        again.own = "2".into();
        let there = match reverse_record(&back, (KINDS.1, KINDS.0), again) {
            Ok(there) => there,
            // By name the way back can be said, and the way cannot: several databases come from one.
            Err(problems) => {
                prop_assert!(!renamed.is_empty() && problems[0].contains("selected one by one"), "{problems:?}");
                return Ok(());
            }
        };
        prop_assert_eq!(&there.selection, &selection);
        let public = there.public.unwrap();
        prop_assert_eq!(public.id, format!("{ID}r2"));
        prop_assert_eq!(&there.source_id, &record.source_id);
        for d in &public.spec.unwrap().databases {
            for t in &d.tables {
                let columns: Vec<_> = t.rename_columns.iter().map(|r| (r.from.clone(), r.to.clone())).collect();
                prop_assert_eq!(&columns, &renamed);
            }
        }
    }
}

fn catalog(selection: &[SelectedObject]) -> BTreeMap<String, Vec<oms_mysql::catalog::Object>> {
    let mut all: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for name in selection.iter().filter_map(|o| o.source.as_ref()) {
        all.entry(name.database.clone())
            .or_default()
            .push(oms_mysql::catalog::Object {
                name: oms_core::TableName::new(&name.database, &name.table),
                object_type: oms_mysql::catalog::ObjectType::Table,
                engine: "InnoDB".into(),
                estimated_rows: 0,
                estimated_bytes: 0,
                collation: String::new(),
                options: String::new(),
                comment: String::new(),
            });
    }
    all
}
