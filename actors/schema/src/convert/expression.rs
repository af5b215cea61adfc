//! Expressions for another server.

use crate::{DestinationTraits, Flavor, syntax};

/// The expression as the destination can read it. `None` if a text in it is in a character set
/// that the destination does not have and cannot be said without it.
pub(super) fn adapt(expression: &str, destination: &DestinationTraits) -> Option<String> {
    match destination.flavor {
        Flavor::OceanBase => syntax::strip_introducers(expression),
        // MariaDB stores `_utf8mb4'it\\'s'` in a form that it cannot read again.
        Flavor::MariaDb => {
            Some(syntax::strip_introducers(expression).unwrap_or_else(|| expression.to_owned()))
        }
        Flavor::MySql => Some(expression.to_owned()),
    }
}

/// Whether the expression takes a number from a sequence.
pub(super) fn uses_sequence(expression: &str) -> bool {
    ["nextval", "lastval", "setval"]
        .iter()
        .any(|f| syntax::has_function(expression, f))
}

/// If the expression is the current time and nothing else, the digits of its fraction.
pub(super) fn as_now(expression: &str) -> Option<u8> {
    if expression.eq_ignore_ascii_case("current_timestamp") {
        return Some(0);
    }
    let (name, arguments) = syntax::call_name(expression)?;
    let is_now = matches!(
        name.as_str(),
        "now" | "current_timestamp" | "localtimestamp" | "localtime"
    );
    match arguments.as_str() {
        "" if is_now => Some(0),
        digits if is_now => digits.parse().ok(),
        _ => None,
    }
}

/// If the expression is `json_valid` of one column, that column.
pub(super) fn as_json_valid(expression: &str) -> Option<String> {
    let (name, arguments) = syntax::call_name(expression)?;
    let column = arguments.strip_prefix('`')?.strip_suffix('`')?;
    (name == "json_valid").then(|| column.replace("``", "`"))
}
