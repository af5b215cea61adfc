//! One construct, converted for one destination.

use oms_schema::{ConvertOptions, Converted, Flavor, Outcome, TableDefinition, convert_table};

use crate::support;

pub(crate) fn converted(
    source: Flavor,
    destination: &str,
    body: &str,
    options: &ConvertOptions,
) -> Converted {
    let definition = TableDefinition::parse(&format!("CREATE TABLE `t` ({body}"))
        .unwrap_or_else(|e| panic!("{body}: {e}"));
    let source = support::source_traits("mysql-9.7", source);
    convert_table(
        &definition,
        "d",
        &source,
        &support::destination_traits(destination),
        options,
    )
}

pub(crate) fn sql(converted: &Converted) -> String {
    let mut text = String::new();
    for statement in converted
        .statements
        .iter()
        .chain(&converted.foreign_keys)
        .chain(&converted.deferred)
    {
        text.push_str(
            &statement
                .sql
                .replace("\n  ", "")
                .replace("\n)", ")")
                .replace('\n', " "),
        );
        text.push(';');
    }
    text
}

/// Source family, destination, definition behind `CREATE TABLE t (`, what must be in the statement,
/// what must not be there, whether a note says that something is lost (`None`: no change at all).
pub(crate) type Case = (
    Flavor,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<bool>,
);

pub(crate) const MY: Flavor = Flavor::MySql;
pub(crate) const MA: Flavor = Flavor::MariaDb;
pub(crate) const TAIL: &str = ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci";

/// Converts each and reports all that are wrong.
#[track_caller]
pub(crate) fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (source, destination, body, present, absent, lossy) in cases {
        let result = converted(
            *source,
            destination,
            &format!("{body}{TAIL}"),
            &ConvertOptions::default(),
        );
        let text = sql(&result);
        let expected = if lossy.is_some() {
            Outcome::Converted
        } else {
            Outcome::Compatible
        };
        let is_right = text.contains(present)
            && !text.contains(absent)
            && result.outcome == expected
            && result.notes.iter().any(|n| n.lossy) == lossy.unwrap_or(false);
        if !is_right {
            wrong.push(format!(
                "{destination}: {body}\n  {text}\n  {:?} {:?}",
                result.outcome, result.notes
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
