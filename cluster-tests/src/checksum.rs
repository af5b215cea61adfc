//! An independent judgement of table contents, for comparing two servers of any kinds.
//!
//! Nothing of the product is used here. Every row is read over the binary protocol, each value is brought to a canonical
//! form by the class of its column, the row is hashed, and the hashes are treated as a multiset: no order by any
//! collation is needed and rows of tables without a key count as often as they are there.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mysql_async::Value;
use mysql_async::prelude::Queryable;
use ring::digest::{Context, SHA256};

use crate::client::{Client, error};
use crate::error::{Result, TestbedError};

/// How values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnClass {
    /// Integers, YEAR, BIT: by number.
    Integer,
    /// DECIMAL: by digits, without padding zeros.
    Decimal,
    /// FLOAT: by its 32 bits.
    Float,
    /// DOUBLE: by its 64 bits.
    Double,
    /// Character types: by code points; trailing spaces count.
    Text,
    /// Binary types: by bytes.
    Binary,
    /// Temporal types: by text with fractions trimmed; TIMESTAMP in UTC.
    Temporal,
    /// ENUM and SET: by number and by text.
    Choice,
    /// JSON documents: by value, members in any order.
    Json,
    /// Geometry: by SRID and well-known binary.
    Geometry,
}

/// A column as one server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnShape {
    /// Name in the server's spelling.
    pub name: String,
    /// How it is compared.
    pub class: ColumnClass,
}

/// The content of a table in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChecksum {
    /// Number of rows.
    pub rows: u64,
    /// SHA-256 over columns and rows, in hex.
    pub digest: String,
}

/// What [`compare_tables`] found.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The left side.
    pub left: TableChecksum,
    /// The right side.
    pub right: TableChecksum,
    /// Up to ten rows each that only one side has, in canonical text, `<` for left and `>` for right.
    pub differences: Vec<String>,
}

impl Comparison {
    /// Whether both sides hold the same rows.
    pub fn is_equal(&self) -> bool {
        self.left == self.right
    }
}

type RowHash = [u8; 32];

/// Columns of a table, invisible and generated ones included, in name order.
pub async fn columns(client: &mut Client, database: &str, table: &str) -> Result<Vec<ColumnShape>> {
    let sql = format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(database),
        literal(table)
    );
    let mut shapes = Vec::new();
    for row in client.query_strings(&sql).await? {
        let [name, data_type] = row.as_slice() else {
            continue;
        };
        let class = class(data_type).ok_or_else(|| TestbedError::Checksum {
            object: format!("{database}.{table}.{name}"),
            detail: format!("type {data_type} is not known to the checksum"),
        })?;
        shapes.push(ColumnShape {
            name: name.clone(),
            class,
        });
    }
    if shapes.is_empty() {
        let detail = "no such table, or no column of it is visible".to_owned();
        return Err(TestbedError::Checksum {
            object: format!("{database}.{table}"),
            detail,
        });
    }
    shapes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(shapes)
}

fn class(data_type: &str) -> Option<ColumnClass> {
    Some(match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" | "bit" => {
            ColumnClass::Integer
        }
        "decimal" | "numeric" => ColumnClass::Decimal,
        "float" => ColumnClass::Float,
        "double" | "real" => ColumnClass::Double,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "uuid" | "inet6" | "inet4" => {
            ColumnClass::Text
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnClass::Binary,
        "date" | "datetime" | "timestamp" | "time" => ColumnClass::Temporal,
        "enum" | "set" => ColumnClass::Choice,
        "json" => ColumnClass::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => ColumnClass::Geometry,
        _ => return None,
    })
}

/// The checksum of one table by its own column types. For two servers use [`compare_tables`], which settles types that
/// differ in name (MariaDB's JSON is a LONGTEXT there).
pub async fn table_checksum(client: &mut Client, database: &str, table: &str) -> Result<TableChecksum> {
    let shapes = columns(client, database, table).await?;
    Ok(summary(&shapes, &read(client, database, table, &shapes).await?))
}

/// Compares a table on two servers by all columns of all rows. Column names must be the same on both sides (letter case
/// aside).
pub async fn compare_tables(
    left: (&mut Client, &str, &str),
    right: (&mut Client, &str, &str),
) -> Result<Comparison> {
    let (left, left_db, left_table) = left;
    let (right, right_db, right_table) = right;
    let mut left_shapes = columns(left, left_db, left_table).await?;
    let mut right_shapes = columns(right, right_db, right_table).await?;
    let fold = |shapes: &mut Vec<ColumnShape>| shapes.sort_by_key(|shape| shape.name.to_lowercase());
    fold(&mut left_shapes);
    fold(&mut right_shapes);
    let object = format!("{left_db}.{left_table} and {right_db}.{right_table}");
    let names = |shapes: &[ColumnShape]| shapes.iter().map(|s| s.name.to_lowercase()).collect::<Vec<_>>();
    if names(&left_shapes) != names(&right_shapes) {
        let detail = format!(
            "columns differ: {:?} and {:?}",
            names(&left_shapes),
            names(&right_shapes)
        );
        return Err(TestbedError::Checksum { object, detail });
    }
    for (l, r) in left_shapes.iter_mut().zip(&mut right_shapes) {
        let class = common_class(l.class, r.class).ok_or_else(|| TestbedError::Checksum {
            object: object.clone(),
            detail: format!(
                "column {}: {:?} cannot be compared with {:?}",
                l.name, l.class, r.class
            ),
        })?;
        (l.class, r.class) = (class, class);
    }
    let left_rows = read(left, left_db, left_table, &left_shapes).await?;
    let right_rows = read(right, right_db, right_table, &right_shapes).await?;
    let mut balance: BTreeMap<RowHash, i64> = BTreeMap::new();
    for hash in &left_rows {
        *balance.entry(*hash).or_default() += 1;
    }
    for hash in &right_rows {
        *balance.entry(*hash).or_default() -= 1;
    }
    balance.retain(|_, count| *count != 0);
    let mut differences = Vec::new();
    if !balance.is_empty() {
        differences = only(left, left_db, left_table, &left_shapes, &balance, '<').await?;
        differences.extend(only(right, right_db, right_table, &right_shapes, &balance, '>').await?);
    }
    // The names of the left side stand for both, so that only rows decide.
    Ok(Comparison {
        left: summary(&left_shapes, &left_rows),
        right: summary(&left_shapes, &right_rows),
        differences,
    })
}

fn common_class(left: ColumnClass, right: ColumnClass) -> Option<ColumnClass> {
    use ColumnClass::{Choice, Decimal, Integer, Json, Text};
    match (left, right) {
        (l, r) if l == r => Some(l),
        (Json, Text) | (Text, Json) => Some(Json),
        (Choice, Text) | (Text, Choice) => Some(Text),
        (Integer, Decimal) | (Decimal, Integer) => Some(Decimal),
        _ => None,
    }
}

async fn prepare(client: &mut Client) -> Result<()> {
    client.query_drop("SET NAMES utf8mb4").await?;
    client.query_drop("SET SESSION sql_mode = ''").await?;
    client.query_drop("SET SESSION time_zone = '+00:00'").await?;
    // seekdb ends queries after ten seconds; the others do not know the variable.
    match client
        .query_drop("SET SESSION ob_query_timeout = 600000000")
        .await
    {
        Err(error) if error.server_code() != Some(1193) => Err(error),
        _ => Ok(()),
    }
}

fn select(database: &str, table: &str, shapes: &[ColumnShape]) -> String {
    let mut list = Vec::new();
    for ColumnShape { name, class } in shapes {
        let column = identifier(name);
        match class {
            ColumnClass::Integer => list.push(format!("CAST({column} AS DECIMAL(30,0))")),
            ColumnClass::Temporal => list.push(format!("CAST({column} AS CHAR)")),
            ColumnClass::Choice => {
                list.push(format!("CAST({column} AS UNSIGNED)"));
                list.push(format!("CONCAT({column}, '')"));
            }
            _ => list.push(column),
        }
    }
    format!(
        "SELECT {} FROM {}.{}",
        list.join(", "),
        identifier(database),
        identifier(table)
    )
}

/// Reads a table and gives the canonical text of each row to `each`.
async fn scan(
    client: &mut Client,
    database: &str,
    table: &str,
    shapes: &[ColumnShape],
    mut each: impl FnMut(Vec<u8>),
) -> Result<()> {
    prepare(client).await?;
    let sql = select(database, table, shapes);
    let mut result = client
        .conn()
        .exec_iter(sql.as_str(), ())
        .await
        .map_err(error(&sql))?;
    let Some(mut rows) = result.stream::<mysql_async::Row>().await.map_err(error(&sql))? else {
        return Ok(());
    };
    while let Some(row) = rows.try_next().await.map_err(error(&sql))? {
        let mut values = row.unwrap().into_iter();
        let mut text = Vec::new();
        for shape in shapes {
            let parts = if shape.class == ColumnClass::Choice { 2 } else { 1 };
            for _ in 0..parts {
                let value = values.next().unwrap_or(Value::NULL);
                let canonical = canonical(shape.class, value).map_err(|detail| TestbedError::Checksum {
                    object: format!("{database}.{table}.{}", shape.name),
                    detail,
                })?;
                // Length first: no two rows can run together to the same bytes.
                match canonical {
                    None => text.extend_from_slice(b"NULL,"),
                    Some(bytes) => {
                        text.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
                        text.extend_from_slice(&bytes);
                        text.push(b',');
                    }
                }
            }
        }
        each(text);
    }
    Ok(())
}

async fn read(
    client: &mut Client,
    database: &str,
    table: &str,
    shapes: &[ColumnShape],
) -> Result<Vec<RowHash>> {
    let mut hashes = Vec::new();
    scan(client, database, table, shapes, |text| hashes.push(hash(&text))).await?;
    hashes.sort_unstable();
    Ok(hashes)
}

async fn only(
    client: &mut Client,
    database: &str,
    table: &str,
    shapes: &[ColumnShape],
    balance: &BTreeMap<RowHash, i64>,
    side: char,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    scan(client, database, table, shapes, |text| {
        let here = balance
            .get(&hash(&text))
            .is_some_and(|count| (*count > 0) == (side == '<'));
        if here && found.len() < 10 {
            let shown: Vec<u8> = text.iter().take(2000).copied().collect();
            found.push(format!("{side} {}", shown.escape_ascii()));
        }
    })
    .await?;
    Ok(found)
}

fn hash(bytes: &[u8]) -> RowHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&SHA256, bytes).as_ref());
    hash
}

fn summary(shapes: &[ColumnShape], rows: &[RowHash]) -> TableChecksum {
    let mut context = Context::new(&SHA256);
    for shape in shapes {
        context.update(shape.name.to_lowercase().as_bytes());
        context.update(&[0]);
    }
    for hash in rows {
        context.update(hash);
    }
    let digest = context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    TableChecksum {
        rows: rows.len() as u64,
        digest,
    }
}

fn canonical(class: ColumnClass, value: Value) -> std::result::Result<Option<Vec<u8>>, String> {
    let bytes = match (class, value) {
        (_, Value::NULL) => return Ok(None),
        (ColumnClass::Float, Value::Float(number)) => number.to_bits().to_string().into_bytes(),
        (ColumnClass::Float, Value::Double(number)) => (number as f32).to_bits().to_string().into_bytes(),
        (ColumnClass::Double, Value::Double(number)) => number.to_bits().to_string().into_bytes(),
        (_, Value::Int(number)) => number.to_string().into_bytes(),
        (_, Value::UInt(number)) => number.to_string().into_bytes(),
        (ColumnClass::Integer | ColumnClass::Decimal | ColumnClass::Choice, Value::Bytes(bytes)) => {
            number(bytes)
        }
        (ColumnClass::Temporal, Value::Bytes(bytes)) => temporal(bytes),
        (ColumnClass::Json, Value::Bytes(bytes)) => {
            let document: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|e| format!("not a JSON document: {e}"))?;
            let mut text = String::new();
            json(&document, &mut text);
            text.into_bytes()
        }
        (ColumnClass::Text | ColumnClass::Binary | ColumnClass::Geometry, Value::Bytes(bytes)) => bytes,
        (class, _) => return Err(format!("unexpected form of a value for {class:?}")),
    };
    Ok(Some(bytes))
}

/// Drops zeros that carry no value: those of ZEROFILL in front, those of the scale behind. Other text stays as it is.
fn number(bytes: Vec<u8>) -> Vec<u8> {
    let text = match std::str::from_utf8(&bytes) {
        Ok(text)
            if text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') && !text.is_empty() =>
        {
            text
        }
        _ => return bytes,
    };
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    match (whole, fraction) {
        ("", "") => b"0".to_vec(),
        (whole, "") => format!("{sign}{whole}").into_bytes(),
        ("", fraction) => format!("{sign}0.{fraction}").into_bytes(),
        (whole, fraction) => format!("{sign}{whole}.{fraction}").into_bytes(),
    }
}

fn temporal(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.contains(&b'.') {
        while bytes.last() == Some(&b'0') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'.') {
            bytes.pop();
        }
    }
    bytes
}

fn json(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value as Json;
    match value {
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Json::String(key.clone()).to_string());
                out.push(':');
                json(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for item in items {
                json(item, out);
                out.push(',');
            }
            out.push(']');
        }
        // 2.50, 2.5 and 25e-1 are one number; integers beyond 64 bits compare as doubles.
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(n), _, _) => out.push_str(&n.to_string()),
            (_, Some(n), _) => out.push_str(&n.to_string()),
            (_, _, Some(n)) if n.fract() == 0.0 && n.abs() < 9e15 => out.push_str(&format!("{n:.0}")),
            (_, _, Some(n)) => out.push_str(&format!("{n:e}")),
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

/// A name in backticks.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal that is right under every `sql_mode`.
fn literal(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    if hex.is_empty() {
        "''".to_owned()
    } else {
        format!("CONVERT(0x{hex} USING utf8mb4)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_zeros_do_not_count_and_digits_do() {
        let same = |a: &str, b: &str| number(a.into()) == number(b.into());
        assert!(same("00042", "42") && same("1.50", "1.5") && same("-0.0", "0") && same("100", "100.00"));
        assert!(!same("100", "10") && !same("-1", "1") && !same("0.01", "0.1"));
        assert_eq!(temporal("00:00:00.120000".into()), b"00:00:00.12");
        assert_eq!(temporal("2020-10-10".into()), b"2020-10-10");
    }

    #[test]
    fn json_compares_by_value() {
        let form = |text: &str| {
            let mut out = String::new();
            json(&serde_json::from_str(text).unwrap(), &mut out);
            out
        };
        assert_eq!(
            form(r#"{"b": 2.50, "a": [1, null]}"#),
            form(r#"{"a":[1,null],"b":2.5}"#)
        );
        assert_eq!(form("2.0"), form("2"));
        assert_ne!(form("18446744073709551615"), form("18446744073709551614"));
        assert_ne!(form(r#""1""#), form("1"));
    }
}
