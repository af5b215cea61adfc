//! The page of what converts how says what the cells say, and the cells run on real servers (`cells_servers.rs`).
//!
//! `WRITE_PAGES=1 cargo test -p oms-schema --test conversions_page` writes it anew.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod cells;

use std::{fmt::Write as _, fs, path::Path};

use cells::Cell;
use oms_schema::{ConvertedDdl, DdlOutcome, Flavor};

const DESTINATIONS: [(&str, Flavor); 3] = [
    ("OceanBase", Flavor::OceanBase),
    ("MySQL", Flavor::MySql),
    ("MariaDB", Flavor::MariaDb),
];

const HEAD: &str = "# What converts how

This page is generated from the cells that the tests of `actors/schema` run on real servers of each destination: every
statement that is converted was accepted there, and left there what was meant. `WRITE_PAGES=1 cargo test -p oms-schema
--test conversions_page` writes it anew; a test fails while page and cells differ. The rules behind it are in
[schema-conversion.md](schema-conversion.md).

The first part is about tables as schema migration creates them, the second about statements of the log. Tables of the
source are in the database `d`, which becomes `dest`; `outside` is a database that is not selected. The destination that
is called OceanBase here knows no character set but utf8mb4. *as it is* stands for the same meaning, if not the same words;
a change is *equivalent*, *lossy* or *not moved*.
";

/// Code in Markdown, whatever it holds.
fn code(text: &str) -> String {
    let text = text
        .replace('\n', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let fence = if text.contains("``") {
        "```"
    } else if text.contains('`') {
        "``"
    } else {
        "`"
    };
    if fence == "`" {
        format!("`{text}`")
    } else {
        format!("{fence} {text} {fence}")
    }
}

fn answer(converted: &ConvertedDdl) -> String {
    let mut text = match &converted.outcome {
        DdlOutcome::Nothing(why) => return format!("nothing to do: {why}"),
        DdlOutcome::Ignored(why) => return format!("ignored: {why}"),
        DdlOutcome::Unsupported(refusal) => {
            return format!("**refused** ({}): {}", refusal.code, code(&refusal.reason));
        }
        DdlOutcome::Converted => String::new(),
    };
    let changes: Vec<String> = converted
        .notes
        .iter()
        .filter(|note| note.is_change())
        .map(|note| {
            let to = if note.to.is_empty() {
                "left out".to_owned()
            } else {
                code(&note.to)
            };
            let from = if note.from.is_empty() {
                String::new()
            } else {
                format!("{} → ", code(&note.from))
            };
            format!(
                "*{}* {}: {}: {from}{to}",
                note.severity().name(),
                code(&note.object),
                note.what
            )
        })
        .collect();
    text.push_str(if changes.is_empty() { "as it is" } else { "changed" });
    for step in &converted.steps {
        write!(text, "\n    - {}", code(&step.sql)).unwrap();
    }
    for change in changes {
        write!(text, "\n    - {change}").unwrap();
    }
    text
}

fn section(page: &mut String, all: &[Cell]) {
    let mut section = "";
    for cell in all {
        if cell.section != section {
            section = cell.section;
            write!(page, "\n### {section}\n").unwrap();
        }
        let shown: Vec<String> = cell.statements.iter().map(|s| code(s)).collect();
        write!(page, "\n- {}\n", shown.join("; ")).unwrap();
        let mut answers: Vec<(Vec<&str>, String)> = Vec::new();
        for (name, flavor) in DESTINATIONS {
            let (converted, ..) = cells::convert_cell(cell, &cells::destination(flavor));
            let text = answer(&converted);
            match answers.iter_mut().find(|(_, known)| *known == text) {
                Some((names, _)) => names.push(name),
                None => answers.push((vec![name], text)),
            }
        }
        for (names, text) in answers {
            writeln!(page, "  - {}: {text}", names.join(", ")).unwrap();
        }
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, group) in [
        ("Tables of MySQL", cells::tables_of(Flavor::MySql)),
        ("Tables of MariaDB", cells::tables_of(Flavor::MariaDb)),
        ("Statements of the log", cells::statements()),
    ] {
        write!(page, "\n## {title}\n").unwrap();
        section(&mut page, &group);
    }
    page
}

#[test]
fn the_page_says_what_the_cells_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node/docs/conversions.md");
    let page = page();
    if std::env::var_os("WRITE_PAGES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).position(|(a, b)| a != b);
    assert!(
        there == page,
        "node/docs/conversions.md is not what the cells say (first at line {:?}); write it anew with \
         WRITE_PAGES=1 cargo test -p oms-schema --test conversions_page",
        differs.map(|n| n + 1)
    );
    // Every destination and every kind of answer is there.
    for part in [
        "OceanBase",
        "MariaDB:",
        "**refused**",
        "*lossy*",
        "*not moved*",
        "*equivalent*",
        "as it is",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(cells::all().len() > 200, "{} cells", cells::all().len());
}
