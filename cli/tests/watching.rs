//! Following projects: lines in a pipe, objects for programs, bars on a terminal, exit codes.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fake;

use std::{fs::File, io::Read as _, process::Stdio};

use fake::{Running, Script};
use oms_proto::v1::*;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

fn snapshot(at_ms: i64, state: ProjectState, full: StepState, rows: u64) -> ProjectSnapshot {
    let steps = [
        (StepKind::TransferPrecheck, StepState::Finished),
        (StepKind::FullTransfer, full),
    ];
    ProjectSnapshot {
        project: Some(Project {
            id: "p1".into(),
            spec: Some(ProjectSpec {
                name: "shop".into(),
                ..Default::default()
            }),
            state: state as i32,
            version: 5,
            steps: steps
                .map(|(k, s)| Step {
                    kind: k as i32,
                    state: s as i32,
                    started_at_ms: 1,
                    ..Default::default()
                })
                .to_vec(),
            ..Default::default()
        }),
        progress: vec![StepProgress {
            kind: StepKind::FullTransfer as i32,
            rows,
            total_rows: 1000,
            rows_per_second: 100,
            bytes_per_second: 2_000_000,
            ..Default::default()
        }],
        at_ms,
    }
}

fn failed() -> ProjectSnapshot {
    let mut s = snapshot(40_000, ProjectState::Failed, StepState::Failed, 700);
    s.project.as_mut().unwrap().error = Some(ErrorInfo {
        code: "OMS-DST-0006".into(),
        message: "refused".into(),
        failed_at_ms: 1,
    });
    s
}

fn verified(consistent: bool) -> ProjectSnapshot {
    let mut s = snapshot(50_000, ProjectState::Running, StepState::Finished, 1000);
    let project = s.project.as_mut().unwrap();
    project.steps.push(Step {
        kind: StepKind::FullVerifier as i32,
        state: StepState::Finished as i32,
        ..Default::default()
    });
    project.verification = Some(VerificationResult {
        run: 2,
        tables: 1,
        rows: 1000,
        consistent,
        ..Default::default()
    });
    s
}

fn running(rows: u64, at_ms: i64) -> ProjectSnapshot {
    snapshot(at_ms, ProjectState::Running, StepState::Running, rows)
}

fn finished() -> ProjectSnapshot {
    snapshot(30_000, ProjectState::Finished, StepState::Finished, 1000)
}

fn daemon(watches: Vec<Vec<ProjectSnapshot>>) -> Running {
    let project = running(0, 0).project.unwrap();
    Running::start(Script {
        projects: vec![project],
        watches: watches.into(),
        ..Script::default()
    })
}

#[test]
fn a_pipe_gets_state_changes_and_a_line_now_and_then() {
    let daemon = daemon(vec![vec![
        running(0, 10_000),
        running(100, 11_000),
        running(200, 12_000),
        running(500, 15_000),
        finished(),
    ]]);
    let ran = daemon.run(&["project", "watch", "shop"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines,
        [
            "1970-01-01T00:00:10Z  project       RUNNING",
            "1970-01-01T00:00:10Z  precheck      FINISHED  (9.9s)",
            "1970-01-01T00:00:10Z  full import   RUNNING  0%  0/1,000 rows  100 rows/s  2.0 MB/s  (9.9s)",
            "1970-01-01T00:00:15Z  full import   RUNNING  50%  500/1,000 rows  100 rows/s  2.0 MB/s  (14s)",
            "1970-01-01T00:00:30Z  project       FINISHED",
            "1970-01-01T00:00:30Z  full import   FINISHED  (29s)",
            "project shop: FINISHED",
        ]
    );
    assert!(ran.err.is_empty(), "{ran:?}");
}

#[test]
fn programs_get_one_object_per_line() {
    let daemon = daemon(vec![vec![running(0, 1), running(9, 2), failed()]]);
    let ran = daemon.run(&["project", "watch", "shop", "-o", "json"]);
    assert_eq!(ran.code, 1);
    let objects: Vec<ProjectSnapshot> = ran
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(objects, [running(0, 1), running(9, 2), failed()]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["code"], "OMS-DST-0006");
}

#[test]
fn a_failure_is_explained() {
    let mut after = failed();
    after.project.as_mut().unwrap().version = 7;
    let daemon = daemon(vec![vec![after]]);
    let ran = daemon.run(&["project", "resume", "shop", "--watch"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .starts_with("error[OMS-DST-0006]: project \"shop\" failed: refused"),
        "{ran:?}"
    );
    assert!(ran.err.contains("omsnode explain OMS-DST-0006"), "{ran:?}");
}

#[test]
fn what_was_true_before_a_change_does_not_end_the_watch() {
    let mut stale = failed();
    stale.project.as_mut().unwrap().version = 2;
    let mut fresh = finished();
    fresh.project.as_mut().unwrap().version = 7;
    let daemon = daemon(vec![vec![stale, fresh]]);
    let ran = daemon.run(&["project", "resume", "shop", "--watch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains("FAILED"), "{ran:?}");
}

#[test]
fn a_verification_answers_by_exit_code() {
    for (consistent, code) in [(true, 0), (false, 3)] {
        let mut result = verified(consistent);
        result.project.as_mut().unwrap().version = 6;
        let daemon = daemon(vec![vec![result]]);
        let ran = daemon.run(&["project", "verify", "shop", "--scope", "differences", "--wait"]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(
            daemon
                .script()
                .calls
                .contains(&"verify differences shop".to_owned())
        );
        assert!(
            if consistent {
                ran.out.contains("1,000 rows")
            } else {
                ran.err.contains("project diff shop")
            },
            "{ran:?}"
        );
    }
}

#[test]
fn a_lost_daemon_is_asked_again() {
    let daemon = daemon(vec![vec![running(1, 1)], vec![], vec![finished()]]);
    let ran = daemon.run(&["project", "watch", "shop"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(daemon.script().calls.len(), 3);
}

#[test]
fn a_deleted_project_ends_the_watch() {
    let daemon = daemon(vec![vec![running(1, 1)], vec![]]);
    let mut child = daemon
        .command(&["project", "watch", "shop"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line shows that the project has been seen.
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    daemon.script().projects.clear();
    let ran = fake::Ran::from(child.wait_with_output().unwrap());
    assert!(
        ran.code == 1 && ran.err.contains("project shop was deleted"),
        "{ran:?}"
    );
}

#[test]
fn waiting_ends_when_caught_up_or_when_the_time_is_over() {
    let progress = |applied: &str, done| CaughtUpProgress {
        target: "f:9".into(),
        applied: applied.into(),
        lag_ms: 1,
        done,
    };
    let daemon = daemon(vec![]);
    daemon.script().caught_up = vec![progress("f:1", false)];
    let late = daemon.run(&["project", "wait", "shop", "--caught-up", "--timeout", "200ms"]);
    assert!(
        late.code == 4 && late.err.contains("applied f:1, wanted f:9"),
        "{late:?}"
    );
    daemon.script().caught_up.push(progress("f:9", true));
    let done = daemon.run(&["project", "wait", "shop", "--caught-up", "--timeout", "1m"]);
    assert!(done.code == 0 && done.out.contains("up to f:9"), "{done:?}");
    let json = daemon.run(&["project", "wait", "shop", "-o", "json"]);
    assert_eq!(json.out.lines().count(), 2);
    assert_eq!(daemon.run(&["project", "wait", "nothing"]).code, 1);
}

/// Runs a command on a terminal of its own, types a text, and answers what the terminal showed.
fn on_terminal(daemon: &Running, arguments: &[&str], typed: &str, wait_for: &str) -> (i32, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let end = || File::options().read(true).write(true).open(&name).unwrap();
    let mut child = daemon
        .command(arguments)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let mut terminal = File::from(master);
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    let mut typed = Some(typed).filter(|t| !t.is_empty());
    // Reading fails when the command, the last one to hold the other end, has gone.
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
        if String::from_utf8_lossy(&shown).contains(wait_for)
            && let Some(text) = typed.take()
        {
            std::io::Write::write_all(&mut terminal, text.as_bytes()).unwrap();
        }
    }
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn a_terminal_gets_bars() {
    let daemon = daemon(vec![vec![running(0, 1000), running(500, 2000), finished()]]);
    let (code, shown) = on_terminal(&daemon, &["project", "watch", "shop"], "", "never");
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("full import") && shown.contains("====") && shown.contains("FINISHED"),
        "{shown}"
    );
    assert!(shown.contains("\x1b["), "{shown}");
}

#[test]
fn a_terminal_is_asked_to_confirm() {
    let daemon = daemon(vec![]);
    let delete = ["project", "delete", "shop"];
    let (code, shown) = on_terminal(&daemon, &delete, "shopp\n", "to go on");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("nothing was changed"), "{shown}");
    assert!(daemon.script().calls.is_empty());
    let (code, shown) = on_terminal(&daemon, &delete, "shop\n", "to go on");
    assert_eq!(code, 0, "{shown}");
    assert_eq!(daemon.script().calls, ["delete-project shop"]);
}

#[test]
fn a_password_is_asked_for_without_showing_it() {
    let daemon = daemon(vec![]);
    let create = ["datasource", "create", "x", "--kind", "mysql", "--host", "h"];
    let (code, shown) = on_terminal(&daemon, &create, "geheim\n", "Password: ");
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("geheim"), "{shown}");
    assert_eq!(daemon.script().passwords, ["geheim"]);
}

#[test]
fn control_c_ends_with_130() {
    let daemon = daemon(vec![vec![running(0, 1000)]]);
    let mut child = daemon
        .command(&["project", "watch", "shop"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
