//! Rows of statements that others write: where more than one image of a row comes at once.

use mysql_async::Conn;
use oms_core::{Column, Failure, Row, RowBuilder, codes};

use super::{cell, reader::prepare, statement::select_list};
use crate::connection::{Endpoint, Side, connect, failure};

/// A connection whose results come as the bytes that are stored, as [`image`] takes them.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_for_images(endpoint: &Endpoint, side: Side) -> Result<Conn, Failure> {
    let mut conn = connect(endpoint, side).await?;
    prepare(&mut conn).await.map_err(|e| failure(e, side))?;
    Ok(conn)
}

/// What to select so that [`image`] can read it: all columns, of the table of this alias.
pub fn image_list(columns: &[Column], alias: &str) -> String {
    let columns: Vec<&Column> = columns.iter().collect();
    select_list(&columns, Some(alias))
}

/// Reads one image of a row from a row of the binary protocol, beginning at its value number `from`.
///
/// # Errors
/// `OMS-SCHEMA-0005` when a value is not one of its column's type.
pub fn image(
    builder: &mut RowBuilder,
    columns: &[Column],
    wire: &mysql_async::Row,
    from: usize,
    side: Side,
) -> Result<Row, Failure> {
    let differs = |detail: String| Failure::new(codes::schema::DEFINITION_DIFFERS, detail);
    builder.begin(u16::try_from(columns.len()).map_err(|_| differs("too many columns".into()))?);
    for (index, column) in columns.iter().enumerate() {
        let value = wire
            .as_ref(from + index)
            .ok_or_else(|| differs(format!("no value for column `{}`", column.name)))?;
        cell::push(builder, column, value)
            .map_err(|expected| differs(format!("column `{}` is not {expected}", column.name)))?;
    }
    builder.finish().map_err(|e| {
        let code = match side {
            Side::Source => codes::src::STATEMENT_FAILED,
            Side::Destination => codes::dst::STATEMENT_FAILED,
        };
        Failure::new(code, "a row cannot be held").with_source(e)
    })
}
