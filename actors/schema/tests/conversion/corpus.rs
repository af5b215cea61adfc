//! The corpus is understood wholly, survives being written and read again, and converts to what the
//! snapshots say.

use std::fmt::Write as _;

use oms_core::TableName;
use oms_schema::{ConvertOptions, TableDefinition, ViewDefinition};

use crate::support;

#[test]
fn every_definition_is_understood_and_survives_writing() {
    for (source, flavor) in support::SOURCES {
        let definitions = support::definitions(source);
        assert!(definitions.len() > 40, "{source}");
        for (file, text) in definitions {
            if text.contains(" VIEW `") {
                let view = ViewDefinition::parse(&text).unwrap_or_else(|e| panic!("{source}/{file}: {e}"));
                assert!(!view.references("corpus").unwrap().is_empty(), "{source}/{file}");
                continue;
            }
            let table = TableDefinition::parse(&text).unwrap_or_else(|e| panic!("{source}/{file}: {e}"));
            let written = table.to_sql(&TableName::new("d", &table.name), flavor);
            let again = TableDefinition::parse(&written)
                .unwrap_or_else(|e| panic!("{source}/{file}: {e}\n{written}"));
            assert_eq!(table, again, "{source}/{file}");
        }
    }
}

#[test]
fn conversions() {
    for (source, _) in support::SOURCES {
        for destination in support::DESTINATIONS {
            let plan = support::plan_corpus(source, destination, &ConvertOptions::default());
            let mut out = String::new();
            for object in &plan.objects {
                let record = &object.record;
                let name = format!(
                    "{:?} {}.{} {}",
                    record.name.kind, record.name.database, record.name.table, record.name.part
                );
                writeln!(out, "-- {}: {:?}", name.trim_end(), record.state).unwrap();
                if let Some(error) = &record.error {
                    writeln!(out, "--   {} {}", error.code, error.text).unwrap();
                }
                for note in &record.notes {
                    let lossy = if note.lossy { " (!)" } else { "" };
                    writeln!(
                        out,
                        "--   {}: {}: {:?} -> {:?}{lossy}",
                        note.object, note.what, note.from, note.to
                    )
                    .unwrap();
                }
                for statement in &record.statements {
                    writeln!(out, "{statement};").unwrap();
                }
            }
            if let Ok(folder) = std::env::var("OMS_SCHEMA_DUMP") {
                std::fs::write(format!("{folder}/{source}-to-{destination}.sql"), &out).unwrap();
            }
            insta::assert_snapshot!(format!("{source}-to-{destination}"), out);
        }
    }
}
