//! Reading any text as a statement: what the fuzz target runs without end and the tests for a
//! moment.

use oms_schema::{DdlStatement, Flavor, StatementContext};

/// Reads the text as the log of several servers would be read. Gives how often it was understood.
///
/// # Panics
/// Where the parser panics, names no place of the text, or does not read again what it printed.
pub(crate) fn read(text: &str) -> usize {
    let mut understood = 0;
    for (flavor, version) in [
        (Flavor::MySql, 50_651),
        (Flavor::MySql, 90_700),
        (Flavor::MariaDb, 101_106),
    ] {
        let plain = StatementContext::new(flavor, version).in_database("d");
        for context in [plain.clone(), plain.clone().with_sql_mode(1 << 2 | 1 << 20)] {
            match DdlStatement::parse(text, &context) {
                Ok(statement) => {
                    understood += 1;
                    again(&statement, &StatementContext::new(flavor, version));
                }
                Err(error) => place(&error, text),
            }
        }
    }
    understood
}

fn again(statement: &DdlStatement, context: &StatementContext) {
    if let DdlStatement::Other(_) = statement {
        return;
    }
    let printed = statement.to_string();
    let again = DdlStatement::parse(&printed, context);
    assert_eq!(again.as_ref(), Ok(statement), "{printed}");
}

fn place(error: &oms_schema::SchemaError, text: &str) {
    if let oms_schema::SchemaError::NotUnderstood { construct, offset } = error {
        assert!(!construct.is_empty() && *offset <= text.len(), "{error}");
    }
}
