//! Digests that the server computes.
//!
//! Every row becomes one text from which its values can be told again (see [`row_text`]), the text becomes its
//! SHA-256, the concatenation of a chunk's SHA-256 becomes one SHA-256. The functions used are those that all
//! servers have: MySQL 9.6 dropped MD5 and SHA1, and MariaDB's BIT_XOR knows 64 bits only.

use mysql_async::{Conn, Error, prelude::Queryable};
use oms_core::{ChunkDigest, ChunkRange, DigestColumn, DigestForm, Failure, TableSchema};

use super::statement;
use crate::catalog::quoted;
use crate::connection::Flavor;

/// Hexadecimal digits of a SHA-256.
const DIGITS: u64 = 64;

/// An expression whose value is NULL or from which all values of the row can be told.
///
/// It begins with a bit per nullable column, 1 for NULL; NULLs are left out behind it, as CONCAT_WS does. Then
/// each value follows behind a comma: numbers, times and members end at the next comma, which they do not hold;
/// strings have their length before them; floats and SHA-256 have a fixed length.
///
/// Strings are cast to BINARY, which takes their bytes as they are stored: without that the server would convert
/// all to one character set and, on the way, make question marks of what it cannot convert.
fn row_text(table: &TableSchema, columns: &[DigestColumn]) -> Option<String> {
    let mut nulls = Vec::new();
    let mut parts = Vec::new();
    for wanted in columns {
        let name = quoted(&table.columns.get(wanted.column)?.name);
        if wanted.nullable {
            nulls.push(format!("ISNULL({name})"));
        }
        parts.push(match wanted.form {
            // A BIT or YEAR is a number when one calculates with it.
            DigestForm::Number => number(table, wanted.column, &name)?,
            DigestForm::Real => format!("HEX(POINT({name}, 0))"),
            DigestForm::Time => name,
            DigestForm::Bytes => format!("LENGTH({name}), CAST({name} AS BINARY)"),
            DigestForm::LongBytes => format!("SHA2({name}, 256)"),
            DigestForm::Member => format!("CAST({name} AS UNSIGNED)"),
            DigestForm::Characters => format!("SHA2(CAST({name} AS CHAR), 256)"),
        });
    }
    if !nulls.is_empty() {
        parts.insert(0, format!("CONCAT({})", nulls.join(", ")));
    }
    Some(format!("CONCAT_WS(',', {})", parts.join(", ")))
}

fn number(table: &TableSchema, column: usize, name: &str) -> Option<String> {
    use oms_core::ColumnType::{Bit, Year};
    Some(match table.columns.get(column)?.ty {
        Bit { .. } | Year => format!("{name} + 0"),
        _ => name.to_owned(),
    })
}

fn over(rows: &str) -> String {
    format!("SELECT n, LENGTH(g), SHA2(g, 256) FROM ({rows}) digested")
}

fn aggregates(row_text: &str) -> String {
    format!("COUNT(*) AS n, GROUP_CONCAT(SHA2({row_text}, 256) SEPARATOR '') AS g")
}

/// The statement for a chunk; `None` when a column is not there.
pub(super) fn statement(
    table: &TableSchema,
    range: &ChunkRange,
    columns: &[DigestColumn],
    flavor: Flavor,
) -> Result<Option<String>, Failure> {
    let Some(text) = row_text(table, columns) else {
        return Ok(None);
    };
    let rows = statement::aggregate(table, range, &aggregates(&text), flavor)?;
    Ok(Some(over(&rows)))
}

/// Asks for a digest. `None`: some row is not in it. That is so when a row's text is longer than the server
/// makes texts (its value is NULL then), and when all SHA-256 together are longer than GROUP_CONCAT makes them.
pub(super) async fn ask(conn: &mut Conn, sql: String) -> Result<Option<ChunkDigest>, Error> {
    let found: Option<(u64, Option<u64>, Option<String>)> = conn.query_first(sql).await?;
    Ok(found.and_then(|(rows, length, digest)| {
        let all = rows.checked_mul(DIGITS)?;
        let digest = digest.unwrap_or_default().to_ascii_lowercase();
        (length.unwrap_or(0) == all && (rows == 0 || digest.len() as u64 == DIGITS))
            .then_some(ChunkDigest { rows, digest })
    }))
}

/// Whether the server digests rows that are known as it should. `false` also when it lacks a function.
pub(super) async fn is_right(conn: &mut Conn) -> Result<bool, Error> {
    let text = "CONCAT_WS(',', CONCAT(ISNULL(a), ISNULL(b)), a, LENGTH(b), CAST(b AS BINARY))";
    let rows = "(SELECT 1 AS a, 'ü ' AS b UNION ALL SELECT -2, NULL) known_rows";
    let sql = over(&format!("SELECT {} FROM {rows}", aggregates(text)));
    match ask(conn, sql).await {
        Ok(found) => Ok(found == Some(known())),
        Err(Error::Server(e)) => {
            tracing::debug!(errno = e.code, "this server computes no digests");
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

/// What [`is_right`] must find.
fn known() -> ChunkDigest {
    let sha = |bytes: &[u8]| hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes));
    let rows = [sha("00,1,3,ü ".as_bytes()), sha("01,-2".as_bytes())];
    ChunkDigest {
        rows: 2,
        digest: sha(rows.concat().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{Column, ColumnType, Key, KeyPart, TableName};

    use super::*;

    #[test]
    fn each_form_is_written_so_that_it_can_be_told_again() {
        let column = |name: &str, ty| Column {
            name: name.into(),
            ty,
            nullable: name != "i`",
            generated: None,
            invisible: false,
        };
        let integer = ColumnType::Integer {
            bytes: 4,
            unsigned: false,
        };
        let table = TableSchema {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            columns: vec![
                column("i`", integer),
                column("b", ColumnType::Bit { bits: 9 }),
                column("d", ColumnType::Double),
                column("v", ColumnType::VarBinary { length: 9 }),
                column("l", ColumnType::Blob { tier: 4 }),
                column("j", ColumnType::Json),
            ],
            keys: vec![Key {
                name: "PRIMARY".into(),
                primary: true,
                parts: vec![KeyPart {
                    column: Some(0),
                    prefix: None,
                }],
            }],
            estimated_rows: 0,
            estimated_bytes: 0,
        };
        let forms = [
            DigestForm::Number,
            DigestForm::Number,
            DigestForm::Real,
            DigestForm::Bytes,
            DigestForm::LongBytes,
            DigestForm::Characters,
        ];
        let columns: Vec<DigestColumn> = forms
            .into_iter()
            .enumerate()
            .map(|(column, form)| DigestColumn {
                column,
                form,
                nullable: column == 1 || column == 3,
            })
            .collect();
        assert_eq!(
            row_text(&table, &columns).as_deref(),
            Some(
                "CONCAT_WS(',', CONCAT(ISNULL(`b`), ISNULL(`v`)), `i```, `b` + 0, HEX(POINT(`d`, 0)), LENGTH(`v`), \
                 CAST(`v` AS BINARY), SHA2(`l`, 256), SHA2(CAST(`j` AS CHAR), 256))"
            )
        );
        let sql = statement(&table, &ChunkRange::default(), &columns[..1], Flavor::MariaDb).unwrap();
        assert_eq!(
            sql.as_deref(),
            Some(
                "SELECT n, LENGTH(g), SHA2(g, 256) FROM (SELECT COUNT(*) AS n, GROUP_CONCAT(SHA2(CONCAT_WS(',', `i```), \
                 256) SEPARATOR '') AS g FROM `d`.`t` FORCE INDEX (`PRIMARY`)) digested"
            )
        );
        let missing = DigestColumn {
            column: 9,
            form: DigestForm::Number,
            nullable: false,
        };
        assert_eq!(row_text(&table, &[missing]), None);
    }
}
