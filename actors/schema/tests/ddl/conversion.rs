//! What becomes of each cell at each destination. The snapshots are the table of what is promised.

use std::fmt::Write;

use oms_schema::{DdlOutcome, Flavor};

use crate::cells;

fn table(flavor: Flavor) -> String {
    let traits = cells::destination(flavor);
    let mut text = String::new();
    let mut section = "";
    for (title, statements) in cells::CELLS {
        if *title != section {
            section = title;
            writeln!(text, "# {section}").unwrap();
        }
        let (converted, ..) = cells::convert(statements, &traits);
        writeln!(text, "{}", statements.join("; ")).unwrap();
        match &converted.outcome {
            DdlOutcome::Nothing(why) => writeln!(text, "  nothing: {why}"),
            DdlOutcome::Ignored(why) => writeln!(text, "  ignored: {why}"),
            DdlOutcome::Unsupported(refusal) => {
                writeln!(text, "  unsupported {}: {}", refusal.code, refusal.reason)
            }
            DdlOutcome::Converted => writeln!(text, "  converted"),
        }
        .unwrap();
        for step in &converted.steps {
            let again = if step.repeatable { " (repeatable)" } else { "" };
            writeln!(text, "  > {}{again}", step.sql.replace('\n', " ")).unwrap();
        }
        for note in converted.notes.iter().filter(|note| note.is_change()) {
            let lossy = if note.lossy { "lossy " } else { "" };
            writeln!(
                text,
                "  {lossy}note: {}: {}: {:?} -> {:?}",
                note.object, note.what, note.from, note.to
            )
            .unwrap();
        }
        // Steps that may not run twice say how one tells that they ran.
        for step in &converted.steps {
            assert!(step.repeatable || !step.facts.is_empty(), "{}", step.sql);
        }
        if converted.outcome != DdlOutcome::Converted {
            assert!(converted.steps.is_empty(), "{}", statements.join("; "));
        }
    }
    text
}

#[test]
fn oceanbase() {
    insta::assert_snapshot!(table(Flavor::OceanBase));
}

#[test]
fn mysql() {
    insta::assert_snapshot!(table(Flavor::MySql));
}

#[test]
fn mariadb() {
    insta::assert_snapshot!(table(Flavor::MariaDb));
}
