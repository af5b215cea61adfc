//! Receipts of imported chunks.

use bytes::Bytes;
use oms_core::{ChunkRange, ChunkReceipt, Failure, Position, Row, TableName, codes};

use super::{fence::Holder, literal, session::Session};

/// A row of the receipt table as it is read.
type Stored = (u64, Option<Vec<u8>>, Option<Vec<u8>>, u64, u64, Option<Vec<u8>>);

fn text_literal(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    literal::bytes(&mut out, value.as_bytes());
    out
}

/// The condition on a table's receipts.
pub(crate) fn of_table(holder: &Holder, table: &TableName) -> Vec<u8> {
    let mut sql = format!("component={} AND source_database=", holder.component_literal()).into_bytes();
    sql.extend_from_slice(&text_literal(&table.database));
    sql.extend_from_slice(b" AND source_table=");
    sql.extend_from_slice(&text_literal(&table.table));
    sql
}

/// The statement that writes a receipt. A chunk written again replaces its own.
pub(crate) fn write(session: &Session, holder: &Holder, receipt: &ChunkReceipt) -> Vec<u8> {
    let mut sql = format!(
        "REPLACE INTO {} (component, source_database, source_table, chunk, epoch, range_after, range_through, \
         row_total, byte_total, snapshot) VALUES ({},",
        session.meta().receipt(),
        holder.component_literal()
    )
    .into_bytes();
    sql.extend_from_slice(&text_literal(&receipt.table.database));
    sql.push(b',');
    sql.extend_from_slice(&text_literal(&receipt.table.table));
    sql.extend_from_slice(format!(",{},{}", receipt.number, holder.epoch).as_bytes());
    for bound in [&receipt.range.after, &receipt.range.through] {
        sql.push(b',');
        match bound {
            Some(row) => literal::hexadecimal(&mut sql, row.as_bytes()),
            None => sql.extend_from_slice(b"NULL"),
        }
    }
    sql.extend_from_slice(format!(",{},{},", receipt.rows, receipt.bytes).as_bytes());
    match &receipt.snapshot {
        Some(position) => sql.extend_from_slice(&text_literal(&position.encode())),
        None => sql.extend_from_slice(b"NULL"),
    }
    sql.push(b')');
    sql
}

/// The receipts of a table, by number.
pub(crate) async fn read(
    session: &mut Session,
    holder: &Holder,
    table: &TableName,
) -> Result<Vec<ChunkReceipt>, Failure> {
    let sql = format!(
        "SELECT chunk, range_after, range_through, row_total, byte_total, snapshot FROM {} WHERE {} ORDER BY chunk",
        session.meta().receipt(),
        String::from_utf8_lossy(&of_table(holder, table))
    );
    let stored: Vec<Stored> = session.rows(sql).await?;
    stored.into_iter().map(|row| decode(table, row)).collect()
}

fn decode(table: &TableName, stored: Stored) -> Result<ChunkReceipt, Failure> {
    let (number, after, through, rows, bytes, snapshot) = stored;
    let damaged = || {
        Failure::new(
            codes::apply::INTERNAL,
            format!("{table}: receipt {number} cannot be read"),
        )
    };
    let bound = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => Row::from_bytes(Bytes::from(bytes))
            .map(Some)
            .map_err(|e| damaged().with_source(e)),
        None => Ok(None),
    };
    let snapshot = match snapshot {
        Some(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| damaged())?;
            Some(Position::decode(&text).map_err(|e| damaged().with_source(e))?)
        }
        None => None,
    };
    Ok(ChunkReceipt {
        table: table.clone(),
        number,
        range: ChunkRange {
            after: bound(after)?,
            through: bound(through)?,
        },
        rows,
        bytes,
        snapshot,
    })
}
