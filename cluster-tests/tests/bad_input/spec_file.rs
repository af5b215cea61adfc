//! Spec files that are malformed.

use std::process::Command;

use crate::words::mentions;

/// A malformed spec file is refused by line and field, before anything is asked of the daemon.
#[test]
fn a_malformed_spec_file() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let program = std::env::var_os("OMSNODE_BIN").map_or_else(
        || own.parent().unwrap().parent().unwrap().join("omsnode"),
        Into::into,
    );
    let file = folder.path().join("project.yaml");
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(&program)
            .args(["project", "validate", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let head = "name: p\nsource: a\ndestination: b\n";
    let unknown = validate(&format!("{head}databases:\n  - name: d\n    exlude: [x]\n"));
    mentions(&unknown, &["OMS-API-0005", "exlude", "project.yaml:6:"]);
    let wrong = validate(&format!("{head}databases: 7\n"));
    mentions(&wrong, &["OMS-API-0005", "databases", "project.yaml:4:"]);
    let value = validate(&format!(
        "{head}databases:\n  - name: d\nfull:\n  on_existing_rows: overwrite\n"
    ));
    mentions(
        &value,
        &["OMS-API-0005", "on_existing_rows", "overwrite", "project.yaml:7:"],
    );
}
