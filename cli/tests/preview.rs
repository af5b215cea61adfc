//! `project preview`, lists of objects and `project export` against a scripted daemon.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fake;

use fake::{Running, Script};
use oms_proto::v1::*;

fn object(kind: ObjectKind, table: &str, state: ObjectState) -> PreviewItem {
    PreviewItem {
        object: Some(SchemaObject {
            kind: kind as i32,
            database: "shop".into(),
            table: table.into(),
            destination_database: "new, shop".into(),
            destination_table: table.into(),
            state: state as i32,
            statements: vec![format!("CREATE TABLE `{table}` (a INT)")],
            notes: vec!["column `a`: type: x → y (loses something)".into()],
            conversions: vec![Conversion {
                part: "column `a`".into(),
                what: "type".into(),
                from: "x".into(),
                to: "y".into(),
                severity: ConversionSeverity::Lossy as i32,
            }],
            ..Default::default()
        }),
        estimated_rows: 1_200,
        ..Default::default()
    }
}

fn scripted() -> Running {
    let stays = UnselectedObject {
        kind: "trigger".into(),
        database: "shop".into(),
        name: "tr".into(),
        reason: "triggers are not created".into(),
    };
    Running::start(Script {
        preview: vec![
            object(ObjectKind::Database, "", ObjectState::Ready),
            object(ObjectKind::Table, "orders", ObjectState::Ready),
            object(ObjectKind::Table, "odd\"one", ObjectState::Completed),
            PreviewItem {
                unselected: Some(stays),
                ..Default::default()
            },
        ],
        projects: vec![Project {
            id: "p9".into(),
            spec: Some(ProjectSpec {
                name: "kept".into(),
                source: "a".into(),
                rules: Some(MatchRules {
                    include: vec!["shop.*".into()],
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Script::default()
    })
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const SPEC: &str = "name: x\nsource: a\ndestination: b\nrules: {include: [shop.*]}\n";

#[test]
fn a_preview_shows_what_moves_and_what_stays() {
    let daemon = scripted();
    let folder = tempfile::tempdir().unwrap();
    let spec = file(&folder, "p.yaml", SPEC);
    let shown = daemon.run(&["project", "preview", "-f", &spec]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for part in [
        "shop.orders",
        "new, shop.orders",
        "loses something",
        "is at the destination already",
        "shop.tr",
    ] {
        assert!(shown.out.contains(part), "{part}: {shown:?}");
    }
    assert!(
        shown
            .err
            .contains("2 tables with about 2,400 rows; 1 object stay"),
        "{shown:?}"
    );
    let statements = daemon.run(&["project", "preview", "-f", &spec, "--statements"]);
    assert!(
        statements.out.contains("CREATE TABLE `orders` (a INT);\n"),
        "{statements:?}"
    );
    assert!(
        statements.out.contains("-- trigger shop.tr stays at the source"),
        "{statements:?}"
    );
    let json = daemon.run(&["project", "preview", "-f", &spec, "-o", "json"]);
    let lines: Vec<serde_json::Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["unselected"]["kind"], "trigger");
}

#[test]
fn changes_are_listed_with_how_much_they_matter() {
    let daemon = scripted();
    let summary = ConversionSummary {
        exact: 1,
        lossy: 2,
        at_switchover: 3,
        ..Default::default()
    };
    daemon.script().preview.push(PreviewItem {
        summary: Some(summary),
        ..Default::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let spec = file(&folder, "p.yaml", SPEC);
    let ran = daemon.run(&["project", "preview", "-f", &spec, "--changes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.out.lines().find(|l| l.contains("orders")).unwrap();
    for part in ["lossy", "shop.orders", "column `a`", "type", "x", "y"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(
        ran.err
            .contains("objects: 1 as they are, 0 with equivalent changes, 2 that lose something")
            && ran.err.contains("3 that wait for the switchover"),
        "{ran:?}"
    );
}

#[test]
fn what_cannot_be_created_is_a_failure() {
    let daemon = scripted();
    daemon
        .script()
        .preview
        .push(object(ObjectKind::Table, "bad", ObjectState::NotSupported));
    let folder = tempfile::tempdir().unwrap();
    let ran = daemon.run(&["project", "preview", "-f", &file(&folder, "p.yaml", SPEC)]);
    assert!(
        ran.code == 1 && ran.err.contains("1 object cannot be created as planned"),
        "{ran:?}"
    );
}

#[test]
fn a_list_of_objects_takes_the_place_of_the_selection() {
    let daemon = scripted();
    let folder = tempfile::tempdir().unwrap();
    let spec = file(&folder, "p.yaml", SPEC);
    let list = daemon.run(&["project", "preview", "-f", &spec, "--csv"]);
    assert_eq!(
        list.out,
        "source_database,source_table,destination_database,destination_table,column_mapping,filter\n\
         shop,orders,\"new, shop\",orders,,\nshop,\"odd\"\"one\",\"new, shop\",\"odd\"\"one\",,\n"
    );
    let csv = file(&folder, "list.csv", &list.out);
    let again = daemon.run(&["project", "preview", "-f", &spec, "--objects", &csv]);
    assert_eq!(again.code, 0, "{again:?}");
    let asked = daemon.script().calls.last().cloned().unwrap();
    assert_eq!(
        asked,
        "preview `shop`.`orders`=`new, shop`.`orders` `shop`.`odd\"one`=`new, shop`.`odd\"one`"
    );
    let bad = file(&folder, "bad.csv", "source_database,source_table\nshop\n,x\n");
    let refused = daemon.run(&["project", "create", "-f", &spec, "--objects", &bad]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.err.contains("bad.csv:2: 1 fields") && refused.err.contains("bad.csv:3: source_database"),
        "{refused:?}"
    );
}

#[test]
fn an_exported_spec_can_be_used_again() {
    let daemon = scripted();
    let exported = daemon.run(&["project", "export", "kept"]);
    assert_eq!(
        exported.out,
        "name: kept\nsource: a\nrules:\n  include:\n  - shop.*\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let spec = file(&folder, "kept.yaml", &exported.out);
    assert_eq!(daemon.run(&["project", "preview", "-f", &spec]).code, 0);
    assert_eq!(daemon.script().calls.last().unwrap(), "preview shop.*");
}
