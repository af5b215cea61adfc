//! The built command against a scripted daemon: output, exit codes, confirmations.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fake;

use std::io::Write as _;

use fake::{Ran, Running, Script, omsnode};
use oms_proto::v1::*;
use oms_types::codes;
use serde_json::Value;

fn spec(name: &str) -> ProjectSpec {
    ProjectSpec {
        name: name.into(),
        source: "a".into(),
        destination: "b".into(),
        labels: vec!["x".into()],
        databases: vec![DatabaseSelection {
            name: "shop".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn project(name: &str, state: ProjectState, steps: &[(StepKind, StepState)]) -> Project {
    Project {
        id: format!("id-{name}"),
        spec: Some(spec(name)),
        state: state as i32,
        steps: steps
            .iter()
            .map(|(k, s)| Step {
                kind: *k as i32,
                state: *s as i32,
                started_at_ms: 1000,
                ..Default::default()
            })
            .collect(),
        created_at_ms: 1_700_000_000_000,
        version: 1,
        ..Default::default()
    }
}

fn full() -> Script {
    Script {
        data_sources: vec![DataSource {
            name: "shop-db".into(),
            connection: Some(Connection {
                kind: DataSourceKind::Mariadb as i32,
                host: "db".into(),
                port: 3306,
                user: "root".into(),
                ..Default::default()
            }),
            ..Default::default()
        }],
        projects: vec![project(
            "shop",
            ProjectState::Running,
            &[
                (StepKind::TransferPrecheck, StepState::Finished),
                (StepKind::FullTransfer, StepState::Running),
            ],
        )],
        components: vec![Component {
            id: "p1.Store".into(),
            project_name: "shop".into(),
            kind: "Store".into(),
            state: ComponentState::Running as i32,
            node: 1,
            epoch: 3,
            progress: Some(StepProgress {
                lag_ms: Some(250),
                ..Default::default()
            }),
            ..Default::default()
        }],
        nodes: vec![Node {
            id: 1,
            address: "127.0.0.1:7070".into(),
            region: "r1".into(),
            leader: true,
            state: NodeState::Active as i32,
            role: NodeRole::Leader as i32,
            health: NodeHealth::Online as i32,
            ..Default::default()
        }],
        items: vec![PrecheckItem {
            key: "DB_TIME_SYNC".into(),
            side: Side::Both as i32,
            status: PrecheckStatus::Failed as i32,
            skippable: true,
            message: "clocks differ".into(),
            action: "set the clock".into(),
        }],
        objects: vec![SchemaObject {
            kind: ObjectKind::Table as i32,
            database: "shop".into(),
            table: "t".into(),
            state: ObjectState::Failed as i32,
            statements: vec!["CREATE TABLE t (a INT)".into()],
            source_definition: "CREATE TABLE t (a INT) ENGINE=x".into(),
            error: Some(ErrorInfo {
                code: "OMS-SCHEMA-0001".into(),
                message: "no such type".into(),
                failed_at_ms: 1,
            }),
            ..Default::default()
        }],
        tables: vec![VerifiedTable {
            database: "shop".into(),
            table: "t".into(),
            rows: 1234,
            mismatched: 2,
            ..Default::default()
        }],
        differences: vec![Difference {
            database: "shop".into(),
            table: "t".into(),
            kind: DifferenceKind::SourceOnly as i32,
            key: vec![ColumnValue {
                column: "a".into(),
                value: "1".into(),
            }],
            correction: "INSERT INTO `shop`.`t` VALUES (1);".into(),
            ..Default::default()
        }],
        lines: vec![LogLine {
            at_ms: 0,
            level: "info".into(),
            message: "started\x1b[2J".into(),
        }],
        ..Script::default()
    }
}

#[test]
fn every_list_has_a_table_and_a_document() {
    let daemon = Running::start(full());
    for (arguments, words, key) in [
        (
            "datasource list",
            &["NAME", "shop-db", "mariadb", "db:3306"][..],
            "data_sources",
        ),
        (
            "project list",
            &["STATE", "shop", "RUNNING", "full import"],
            "projects",
        ),
        (
            "component list",
            &["p1.Store", "running", "lag 250ms"],
            "components",
        ),
        (
            "node list",
            &["127.0.0.1:7070", "leader", "active", "online"],
            "nodes",
        ),
        (
            "project prechecks shop",
            &["DB_TIME_SYNC", "failed", "set the clock", "precheck.skip"],
            "items",
        ),
        (
            "project objects shop",
            &["shop.t", "failed", "OMS-SCHEMA-0001 no such type"],
            "objects",
        ),
        ("project verified-tables shop", &["shop.t", "1,234"], "tables"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let table = daemon.run(&arguments);
        assert_eq!(table.code, 0, "{table:?}");
        for word in words {
            assert!(table.out.contains(word), "{word} is missing: {}", table.out);
        }
        assert!(!table.out.contains('\x1b') && table.err.is_empty(), "{table:?}");
        let json = daemon.run(&[&arguments[..], &["--output", "json"]].concat());
        let value: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(value[key].as_array().unwrap().len(), 1, "{}", json.out);
    }
}

#[test]
fn an_empty_list_says_so_beside_the_data() {
    let daemon = Running::start(Script::default());
    for noun in ["datasource", "project", "component"] {
        let ran = daemon.run(&[noun, "list"]);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
        assert!(ran.err.starts_with("there are no"), "{ran:?}");
    }
}

#[test]
fn single_objects_are_shown() {
    let daemon = Running::start(full());
    for (arguments, words) in [
        (
            "project show shop",
            &["Name", "shop (all tables)", "full import", "RUNNING"][..],
        ),
        ("datasource show shop-db", &["Kind", "mariadb"]),
        ("component show p1.Store", &["Epoch", "3", "lag 250ms"]),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let ran = daemon.run(&arguments);
        assert!(
            ran.code == 0 && words.iter().all(|w| ran.out.contains(w)),
            "{ran:?}"
        );
        let json = daemon.run(&[&arguments[..], &["-o", "json"]].concat());
        assert!(serde_json::from_str::<Value>(&json.out).unwrap().is_object());
    }
    let log = daemon.run(&["component", "logs", "p1.Store"]);
    assert_eq!(log.out, "1970-01-01T00:00:00Z info  started\u{fffd}[2J\n");
}

#[test]
fn errors_carry_code_action_and_exit_code() {
    let daemon = Running::start(full());
    let ran = daemon.run(&["project", "show", "nothing"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.starts_with("error[OMS-API-0002]: project \"nothing\""),
        "{ran:?}"
    );
    assert!(
        ran.err
            .contains(&format!("what to do: {}", codes::api::NOT_FOUND.action())),
        "{ran:?}"
    );
    let ran = daemon.run(&["datasource", "test", "locked", "-o", "json"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (ran.code, error["error"]["code"].as_str()),
        (1, Some("OMS-SRC-0002")),
        "{ran:?}"
    );
    assert_eq!(error["error"]["action"], codes::src::ACCESS_DENIED.action());
    let ran = Ran::from(
        omsnode(&["project", "list", "--server", "127.0.0.1:1"])
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("127.0.0.1:1") && ran.err.contains("omsnode start"),
        "{ran:?}"
    );
    for wrong in [
        &["project", "lst"][..],
        &["project", "list", "--server", "nowhere"],
        &["project", "list", "--state", "x"],
    ] {
        assert_eq!(daemon.run(wrong).code, 2);
    }
}

#[test]
fn a_server_of_another_kind_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let ran = Ran::from(
        omsnode(&["project", "list", "--server", &address])
            .output()
            .unwrap(),
    );
    thread.join().unwrap();
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains(&format!("no omsnode answers on {address}")),
        "{ran:?}"
    );
}

#[test]
fn a_password_never_needs_the_command_line() {
    let daemon = Running::start(Script::default());
    let create = ["datasource", "create", "x", "--kind", "mysql", "--host", "h"];
    let with = |rest: &[&str]| daemon.command(&[&create[..], rest].concat());
    let mut child = with(&["--password-stdin"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from stdin\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        with(&["--password-env", "SECRET"])
            .env("SECRET", "from variable")
            .status()
            .unwrap()
            .success()
    );
    assert!(
        with(&[])
            .env("OMSNODE_PASSWORD", "from ours")
            .status()
            .unwrap()
            .success()
    );
    assert!(with(&["--no-password"]).status().unwrap().success());
    let plain = Ran::from(with(&["--password", "seen"]).output().unwrap());
    assert!(plain.code == 0 && plain.err.contains("can be seen"), "{plain:?}");
    assert_eq!(
        daemon.script().passwords,
        ["from stdin", "from variable", "from ours", "", "seen"]
    );
    let none = Ran::from(with(&[]).output().unwrap());
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.err.contains("--password-stdin"), "{none:?}");
    assert_eq!(daemon.run(&["datasource", "update", "x"]).code, 2);
    assert_eq!(daemon.run(&["datasource", "update", "x", "--host", "y"]).code, 0);
    assert_eq!(daemon.script().calls.last().unwrap(), "update x password=false");
}

#[test]
fn what_cannot_be_undone_needs_a_confirmation() {
    let daemon = Running::start(full());
    {
        let mut script = daemon.script();
        script.projects[0].error = Some(ErrorInfo {
            code: codes::import::DESTINATION_NOT_EMPTY.as_str().into(),
            ..Default::default()
        });
    }
    for (arguments, call) in [
        ("datasource delete shop-db", "delete shop-db"),
        ("project delete shop", "delete-project shop"),
        ("project release shop", "release shop"),
        ("project skip-verification shop", "skip shop"),
        ("project resume shop", "resume shop"),
        (
            "project object remove shop --database shop --table t",
            "remove shop t  ",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let refused = daemon.run(&arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains("--yes"), "{refused:?}");
        assert!(
            !daemon.script().calls.iter().any(|c| c == call),
            "{call} was called"
        );
        let done = daemon.run(&[&arguments[..], &["--yes"]].concat());
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(daemon.script().calls.last().unwrap(), call);
    }
    daemon.script().projects[0].error = None;
    assert_eq!(daemon.run(&["project", "resume", "shop"]).code, 0);
}

#[test]
fn spec_files_are_refused_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, "name: x\nsorce: y\n").unwrap();
    let path = path.to_str().unwrap();
    let ran = Ran::from(omsnode(&["project", "create", "-f", path]).output().unwrap());
    assert_eq!(ran.code, 1);
    let expected = format!("error[OMS-API-0005]: {path}:2:1: sorce: unknown field `sorce`");
    assert!(
        ran.err.starts_with(&expected) && ran.err.contains("did you mean `source`?"),
        "{ran:?}"
    );
    let missing = Ran::from(
        omsnode(&["project", "validate", "-f", "/nonexistent.yaml"])
            .output()
            .unwrap(),
    );
    assert!(
        missing.code == 1 && missing.err.contains("/nonexistent.yaml"),
        "{missing:?}"
    );
}

#[test]
fn a_project_is_created_started_and_validated() {
    let daemon = Running::start(Script {
        items: full().items,
        ..Script::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(
        &path,
        "name: x\nsource: a\ndestination: b\ndatabases: [{name: d}]\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let ran = daemon.run(&["project", "create", "-f", path, "--start"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "project x is RUNNING\n"));
    assert_eq!(daemon.run(&["project", "create", "-f", path, "--watch"]).code, 2);
    let invalid = daemon.run(&["project", "validate", "-f", path]);
    assert!(
        invalid.code == 1 && invalid.err.contains("1 precheck failed"),
        "{invalid:?}"
    );
    daemon.script().items.clear();
    let valid = daemon.run(&["project", "validate", "-f", path]);
    assert!(valid.code == 0 && valid.out.contains("2 tables"), "{valid:?}");
    let labelled = daemon.run(&["project", "label", "x", "--add", "l1"]);
    assert_eq!(labelled.out, "project x: l1\n");
}

#[test]
fn limits_and_concurrency_are_changed() {
    let daemon = Running::start(full());
    let nothing = daemon.run(&["project", "tune", "shop"]);
    assert_eq!(nothing.code, 2);
    let limited = daemon.run(&["project", "tune", "shop", "--full-rows-per-second", "5000"]);
    assert_eq!(
        (limited.code, limited.out.as_str()),
        (0, "project shop: full import auto, at most 5000 rows/s\n")
    );
    let both = ["--full-rows-per-second", "0", "--full-workers", "3"];
    let free = daemon.run(&[&["project", "tune", "shop"], both.as_slice()].concat());
    assert_eq!(free.out, "project shop: full import 3 workers\n");
    let unknown = daemon.run(&["project", "tune", "shop", "--full-concurrency", "slow"]);
    assert!(
        unknown.code == 2 && unknown.err.contains("custom"),
        "{}",
        unknown.err
    );
}

#[test]
fn correction_statements_can_be_piped() {
    let daemon = Running::start(full());
    let sql = daemon.run(&["project", "diff", "shop", "--sql"]);
    assert_eq!(
        (sql.code, sql.out.as_str(), sql.err.as_str()),
        (0, "INSERT INTO `shop`.`t` VALUES (1);\n", "")
    );
    let human = daemon.run(&["project", "diff", "shop", "--database", "shop", "--table", "t"]);
    assert_eq!(human.out, "shop.t  a = 1  only at the source\n");
    let json = daemon.run(&["project", "diff", "shop", "-o", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&json.out).unwrap()["kind"],
        "source_only"
    );
    assert_eq!(daemon.run(&["project", "diff", "shop", "--table", "t"]).code, 2);
}

#[test]
fn objects_are_decided_and_edited() {
    let daemon = Running::start(full());
    let shown = daemon.run(&["project", "objects", "shop", "--statements"]);
    assert!(
        shown
            .out
            .contains("-- CREATE TABLE t (a INT) ENGINE=x\nCREATE TABLE t (a INT);\n"),
        "{}",
        shown.out
    );
    assert_eq!(
        daemon.run(&["project", "object", "retry", "shop", "--all"]).code,
        0
    );
    assert_eq!(daemon.script().calls.last().unwrap(), "retry    ");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.sql");
    std::fs::write(&path, "CREATE TABLE t (a BIGINT);\nCREATE INDEX i ON t (a);\n").unwrap();
    let edit = [
        "project",
        "object",
        "edit",
        "shop",
        "--database",
        "shop",
        "--table",
        "t",
    ];
    assert_eq!(
        daemon
            .run(&[&edit[..], &["-f", path.to_str().unwrap()]].concat())
            .code,
        0
    );
    assert_eq!(
        daemon.script().calls.last().unwrap(),
        "edit shop t  CREATE TABLE t (a BIGINT)|CREATE INDEX i ON t (a)"
    );
    std::fs::write(&path, "CREATE TABLE 't").unwrap();
    let open = daemon.run(&[&edit[..], &["-f", path.to_str().unwrap()]].concat());
    assert!(
        open.code == 1 && open.err.contains("line 1: a quote is not closed"),
        "{open:?}"
    );
    assert_eq!(daemon.run(&edit).code, 2);
    assert_eq!(
        daemon
            .run(&["project", "object", "skip", "shop", "--database", "shop"])
            .code,
        2
    );
    assert_eq!(daemon.run(&["project", "object", "skip", "shop"]).code, 2);
}

#[test]
fn every_code_is_explained() {
    let all = Ran::from(omsnode(&["explain", "--all", "-o", "json"]).output().unwrap());
    let list: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(list.as_array().unwrap().len(), oms_types::catalogue().count());
    for code in oms_types::catalogue().step_by(9) {
        let ran = Ran::from(omsnode(&["explain", code.as_str()]).output().unwrap());
        assert!(
            ran.code == 0 && ran.out.contains(code.cause()) && ran.out.contains(code.action()),
            "{ran:?}"
        );
    }
    let ran = Ran::from(omsnode(&["explain", "OMS-SCR-0001"]).output().unwrap());
    assert!(
        ran.code == 2 && ran.err.contains("did you mean OMS-SRC-"),
        "{ran:?}"
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Ran::from(omsnode(&["completion", shell]).output().unwrap());
        assert!(ran.code == 0 && ran.out.contains("skip-verification"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let daemon = Running::start(full());
    let mut child = daemon
        .command(&["explain", "--all"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn configuration_is_checked_and_dumped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("omsnode.toml");
    std::fs::write(&path, "region = \"a\"\n").unwrap();
    let path = path.to_str().unwrap();
    let dump = Ran::from(
        omsnode(&["config", "dump", "-c", path, "--zone", "z"])
            .output()
            .unwrap(),
    );
    assert!(
        dump.code == 0 && dump.out.contains("region = \"a\"") && dump.out.contains("zone = \"z\""),
        "{dump:?}"
    );
    std::fs::write(path, &dump.out).unwrap();
    let check = Ran::from(
        omsnode(&["config", "check", "-c", path])
            .env("OMSNODE_SERVER", "h:1")
            .output()
            .unwrap(),
    );
    assert_eq!(
        (check.code, check.out.as_str()),
        (0, "the configuration is valid\n"),
        "{check:?}"
    );
    std::fs::write(path, "reigon = \"a\"\n").unwrap();
    let wrong = Ran::from(omsnode(&["config", "check", "-c", path]).output().unwrap());
    assert!(
        wrong.code == 1 && wrong.err.contains("OMS-CONFIG-0002") && wrong.err.contains("reigon"),
        "{wrong:?}"
    );
}
