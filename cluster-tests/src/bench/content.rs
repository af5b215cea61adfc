//! What a table holds, added up by the server that holds it: for tables of millions of rows.

use anyhow::{bail, ensure};

use crate::checksum::identifier;
use crate::client::Client;

/// A table's content in short: equal for equal rows in any order, on servers of different kinds too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableContent {
    /// Number of rows.
    pub rows: u64,
    /// Exclusive-or of the rows' CRC-32.
    pub xor: u64,
    /// Sum of the CRC-32 of the rows read the other way round.
    pub sum: u64,
}

/// Reads it. Nothing of the product takes part: one statement over all columns of all rows, made from
/// `information_schema`. Types whose text differs between servers (floating point, JSON, geometry) are refused: benches
/// do not use them, and [`crate::compare_tables`] judges them.
pub async fn content(client: &mut Client, database: &str, table: &str) -> anyhow::Result<TableContent> {
    let sql = format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}' ORDER BY COLUMN_NAME"
    );
    let (mut values, mut nulls) = (Vec::new(), Vec::new());
    for row in client.query_strings(&sql).await? {
        let [name, kind] = row.as_slice() else {
            continue;
        };
        let column = identifier(name);
        values.push(match kind.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" | "date"
            | "datetime" | "timestamp" | "time" => format!("COALESCE({column}, '')"),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
                format!("COALESCE(CONVERT({column} USING utf8mb4), '')")
            }
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                format!("HEX(COALESCE({column}, ''))")
            }
            other => bail!("{database}.{table}.{name}: {other} is not added up"),
        });
        nulls.push(format!("ISNULL({column})"));
    }
    ensure!(!values.is_empty(), "{database}.{table} does not exist");
    client.query_drop("SET NAMES utf8mb4").await?;
    client.query_drop("SET SESSION time_zone = '+00:00'").await?;
    // seekdb ends queries after ten seconds; the others do not know the variable.
    match client
        .query_drop("SET SESSION ob_query_timeout = 3600000000")
        .await
    {
        Err(error) if error.server_code() != Some(1193) => return Err(error.into()),
        _ => {}
    }
    let nulls = nulls.join(", ");
    let forward = values.join(", ");
    values.reverse();
    let backward = values.join(", ");
    let sql = format!(
        "SELECT COUNT(*), COALESCE(BIT_XOR(CRC32(CONCAT_WS('#', {forward}, {nulls}))), 0), \
         COALESCE(SUM(CRC32(CONCAT_WS('/', {nulls}, {backward}))), 0) FROM {}.{}",
        identifier(database),
        identifier(table)
    );
    let rows = client.query_strings(&sql).await?;
    let Some([rows, xor, sum]) = rows.first().map(Vec::as_slice) else {
        bail!("{database}.{table}: no sum came back");
    };
    Ok(TableContent {
        rows: rows.parse()?,
        xor: xor.parse()?,
        sum: sum.parse()?,
    })
}

/// Adds up the same tables of two servers and fails when one differs; the number of rows of all of them.
pub async fn ensure_same_content(
    (source, destination): (&mut Client, &mut Client),
    database: &str,
    tables: &[&str],
) -> anyhow::Result<u64> {
    let mut rows = 0;
    for table in tables {
        let left = content(source, database, table).await?;
        let right = content(destination, database, table).await?;
        ensure!(
            left == right,
            "{database}.{table} differs: {left:?} and {right:?}"
        );
        rows += left.rows;
    }
    Ok(rows)
}
