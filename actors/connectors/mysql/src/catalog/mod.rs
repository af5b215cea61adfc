//! Reading definitions: tables as row movers need them, and the texts that schema migration
//! converts.

mod column_type;
mod definitions;
mod objects;
mod outline;
mod programs;
mod tables;

pub use definitions::ViewDefinition;
pub use objects::{Database, ForeignKey, ForeignKeyRule, Object, ObjectType, Partitioning, Trigger};
pub use outline::{Outline, OutlineIndex, outline};
pub use programs::Program;

use mysql_async::{Conn, Params, Row, prelude::Queryable};
use oms_core::Failure;

use crate::connection::{Flavor, Side, failure};

/// Definitions of one server, read over a borrowed connection.
///
/// Every method is a handful of statements however many objects there are, reads only, and sees
/// the definitions as they are now. Objects that the account may not see do not exist here.
#[derive(Debug)]
pub struct Catalog<'c> {
    conn: &'c mut Conn,
    flavor: Flavor,
    side: Side,
}

impl<'c> Catalog<'c> {
    /// A catalog over a connection that [`crate::connection::connect`] opened.
    pub fn new(conn: &'c mut Conn, flavor: Flavor, side: Side) -> Self {
        Self { conn, flavor, side }
    }

    async fn rows(&mut self, query: &str, params: impl Into<Params>) -> Result<Vec<Row>, Failure> {
        let side = self.side;
        // Rows are taken as they come: `Vec<Row>` cannot fail to convert.
        self.conn
            .exec::<Row, _, _>(query, params.into())
            .await
            .map_err(|e| failure(e, side).context("reading definitions"))
    }
}

/// A text column of a result row; empty where NULL.
fn text(row: &Row, index: usize) -> String {
    optional_text(row, index).unwrap_or_default()
}

/// A text column of a result row. Identifiers are UTF-8; anything else would be a server's mistake
/// and is shown with replacement characters, under which no object is found.
fn optional_text(row: &Row, index: usize) -> Option<String> {
    match row.as_ref(index)? {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        mysql_async::Value::Int(n) => Some(n.to_string()),
        mysql_async::Value::UInt(n) => Some(n.to_string()),
        mysql_async::Value::Double(n) => Some(n.to_string()),
        mysql_async::Value::Float(n) => Some(n.to_string()),
        mysql_async::Value::Date(..) | mysql_async::Value::Time(..) => None,
    }
}

/// An unsigned number of a result row.
fn number(row: &Row, index: usize) -> Option<u64> {
    optional_text(row, index)?.parse().ok()
}

/// Quotes an identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
