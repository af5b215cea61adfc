//! The SELECT statements.

use oms_core::{ChunkRange, Column, ColumnType, Failure, KeyOrder, Row, TableSchema, codes};

use super::literal;
use crate::catalog::quoted;
use crate::connection::Flavor;

/// How a server is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// What it is.
    pub(super) flavor: Flavor,
    /// The system change number at which OceanBase is asked for rows; `None`: as they are now.
    pub(super) as_of: Option<u64>,
}

impl From<Flavor> for View {
    fn from(flavor: Flavor) -> Self {
        Self { flavor, as_of: None }
    }
}

/// The table in a FROM clause.
pub(super) fn place(table: &TableSchema, view: View) -> String {
    match view.as_of {
        Some(scn) => format!("{} AS OF SNAPSHOT {scn}", table.name),
        None => table.name.to_string(),
    }
}

/// Rows whose keys are named in one statement.
const KEYS_PER_STATEMENT: usize = 200;
/// Bytes of such a statement.
const KEY_BYTES_PER_STATEMENT: usize = 1 << 19;

/// The key of a table as far as chunks need it.
struct KeyColumns<'t> {
    name: &'t str,
    columns: Vec<&'t Column>,
}

fn key(table: &TableSchema) -> Result<KeyColumns<'_>, Failure> {
    let unusable =
        |words: &str| Failure::new(codes::import::KEY_NOT_USABLE, words.to_owned()).context(&table.name);
    let key = table.row_key().ok_or_else(|| unusable("the table has no key"))?;
    let columns: Vec<&Column> = key
        .parts
        .iter()
        .filter_map(|part| part.column.and_then(|i| table.columns.get(i)))
        .collect();
    let bad = columns.iter().find(|c| {
        matches!(
            c.ty,
            ColumnType::Float | ColumnType::Double | ColumnType::Json | ColumnType::Geometry { .. }
        )
    });
    match bad {
        Some(column) => Err(unusable(&format!(
            "key {} has column {} whose order is not reliable",
            quoted(&key.name),
            quoted(&column.name)
        ))),
        None => Ok(KeyColumns {
            name: &key.name,
            columns,
        }),
    }
}

/// All columns of the table in its order. ENUM and SET as numbers: their texts are ambiguous (the
/// invalid value and an empty member look alike) and depend on character sets. `+ 0` would make a
/// DOUBLE of them, which does not hold 64 bits.
pub(super) fn select_list(columns: &[&Column], alias: Option<&str>) -> String {
    let each = columns.iter().map(|column| {
        let name = match alias {
            Some(alias) => format!("{alias}.{}", quoted(&column.name)),
            None => quoted(&column.name),
        };
        match column.ty {
            ColumnType::Enum { .. } | ColumnType::Set { .. } => format!("CAST({name} AS UNSIGNED)"),
            _ => name,
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

fn all_columns(table: &TableSchema) -> String {
    select_list(&table.columns.iter().collect::<Vec<_>>(), None)
}

fn order_by(key: &KeyColumns<'_>) -> String {
    let names: Vec<_> = key.columns.iter().map(|c| quoted(&c.name)).collect();
    format!(" ORDER BY {}", names.join(", "))
}

/// Old optimizers prefer a full scan as soon as a range looks large; chunks are always ranges.
fn force(key: &KeyColumns<'_>, flavor: Flavor) -> String {
    match flavor {
        Flavor::Mysql | Flavor::MariaDb => format!(" FORCE INDEX ({})", quoted(key.name)),
        Flavor::OceanBase | Flavor::TiDb => String::new(),
    }
}

/// `key > bound` (or `<`, with `last_equal` also equality in the last column), without row
/// constructors, for which MySQL 5.6 uses no index:
/// `a >= 1 AND (a > 1 OR (a = 1 AND (b > 2)))`.
fn beyond(key: &KeyColumns<'_>, bound: &Row, operator: char, last_equal: bool) -> Result<String, Failure> {
    if bound.len() != key.columns.len() || bound.is_empty() {
        return Err(Failure::new(
            codes::import::KEY_NOT_USABLE,
            format!(
                "a bound has {} values for {} key columns",
                bound.len(),
                key.columns.len()
            ),
        ));
    }
    let mut literals = Vec::with_capacity(key.columns.len());
    for (column, value) in key.columns.iter().zip(bound.iter()) {
        let mut text = String::new();
        literal::push(&mut text, column, value)?;
        literals.push((quoted(&column.name), text));
    }
    let mut condition = String::new();
    for (name, value) in literals.iter().rev() {
        condition = if condition.is_empty() {
            let equal = if last_equal { "=" } else { "" };
            format!("{name} {operator}{equal} {value}")
        } else {
            format!(
                "{name} {operator}= {value} AND ({name} {operator} {value} OR ({name} = {value} AND ({condition})))"
            )
        };
    }
    Ok(condition)
}

/// Index and condition of a chunk; of its rows, those that are wanted.
fn within(
    key: &KeyColumns<'_>,
    range: &ChunkRange,
    ordered: bool,
    flavor: Flavor,
    only: Option<&str>,
) -> Result<String, Failure> {
    let mut conditions = Vec::new();
    if let Some(after) = &range.after {
        conditions.push(format!("({})", beyond(key, after, '>', false)?));
    }
    if let Some(through) = &range.through {
        conditions.push(format!("({})", beyond(key, through, '<', true)?));
    }
    let mut sql = String::new();
    if !conditions.is_empty() || ordered {
        sql.push_str(&force(key, flavor));
    }
    conditions.extend(only.map(str::to_owned));
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    Ok(sql)
}

/// Bytes of long columns above which a row is read alone.
pub(super) const LARGE: u64 = 1 << 20;

/// The rows of a chunk, of large ones without their long values: behind the columns comes how many bytes those have.
/// `None`: the table has no columns that could be long.
pub(super) fn chunk_of_small(
    table: &TableSchema,
    range: &ChunkRange,
    view: impl Into<View>,
    only: Option<&str>,
) -> Result<Option<String>, Failure> {
    let view = view.into();
    let is_long = |c: &&Column| {
        matches!(
            c.ty,
            ColumnType::Blob { tier: 3.. } | ColumnType::Text { tier: 3.., .. }
        )
    };
    let lengths: Vec<String> = table
        .columns
        .iter()
        .filter(is_long)
        .map(|c| format!("IFNULL(LENGTH({}), 0)", quoted(&c.name)))
        .collect();
    if lengths.is_empty() {
        return Ok(None);
    }
    let size = lengths.join(" + ");
    let mut list = Vec::with_capacity(table.columns.len() + 1);
    for column in &table.columns {
        let plain = select_list(&[column], None);
        list.push(match is_long(&column) {
            true => format!("IF({size} > {LARGE}, NULL, {plain})"),
            false => plain,
        });
    }
    let key = key(table)?;
    let within = within(&key, range, false, view.flavor, only)?;
    Ok(Some(format!(
        "SELECT {}, {size} FROM {}{within}",
        list.join(", "),
        place(table, view)
    )))
}

/// The rows of a chunk.
pub(super) fn chunk(
    table: &TableSchema,
    range: &ChunkRange,
    order: KeyOrder,
    view: impl Into<View>,
    only: Option<&str>,
) -> Result<String, Failure> {
    let view = view.into();
    let key = key(table)?;
    let ordered = order == KeyOrder::Ordered;
    let mut sql = format!("SELECT {} FROM {}", all_columns(table), place(table, view));
    sql.push_str(&within(&key, range, ordered, view.flavor, only)?);
    if ordered {
        sql.push_str(&order_by(&key));
    }
    Ok(sql)
}

/// Aggregates over the rows of a chunk, read along the key.
pub(super) fn aggregate(
    table: &TableSchema,
    range: &ChunkRange,
    aggregates: &str,
    view: impl Into<View>,
) -> Result<String, Failure> {
    let view = view.into();
    let key = key(table)?;
    let within = within(&key, range, true, view.flavor, None)?;
    Ok(format!("SELECT {aggregates} FROM {}{within}", place(table, view)))
}

/// The least or the greatest key, and the columns that are selected.
pub(super) fn key_at(
    table: &TableSchema,
    end: KeyEnd,
    view: impl Into<View>,
) -> Result<(String, Vec<&Column>), Failure> {
    let view = view.into();
    let key = key(table)?;
    let descending = match end {
        KeyEnd::Least => "",
        KeyEnd::Greatest => " DESC",
    };
    let order: Vec<_> = key
        .columns
        .iter()
        .map(|c| format!("{}{descending}", quoted(&c.name)))
        .collect();
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1",
        select_list(&key.columns, None),
        place(table, view),
        force(&key, view.flavor),
        order.join(", ")
    );
    Ok((sql, key.columns))
}

/// An end of an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyEnd {
    Least,
    Greatest,
}

/// Asks the optimizer about the rows of a range; its answer has a column `rows`. `None`: servers of this flavor answer
/// in another form.
pub(super) fn estimate(
    table: &TableSchema,
    range: &ChunkRange,
    view: impl Into<View>,
) -> Result<Option<String>, Failure> {
    let view = view.into();
    let form = match view.flavor {
        // MySQL 9 draws a tree unless it is told, MySQL 5.5 cannot be told; MariaDB's default differs from no other.
        Flavor::Mysql => " /*!50600 FORMAT=TRADITIONAL */",
        Flavor::MariaDb => "",
        Flavor::OceanBase | Flavor::TiDb => return Ok(None),
    };
    let key = key(table)?;
    let within = within(&key, range, true, view.flavor, None)?;
    // MySQL since 8.0 does not dive into an index that is forced, unless rows are grouped.
    let name = &table.name;
    Ok(Some(format!("EXPLAIN{form} SELECT COUNT(*) FROM {name}{within}")))
}

/// How a key near a guess is asked for.
#[derive(Debug)]
pub(super) struct Near<'t> {
    /// For the least key not less than the guess, and for the greatest one less than it.
    pub(super) statements: [String; 2],
    /// What they select.
    pub(super) columns: Vec<&'t Column>,
}

/// A key strictly between two others, near a guess. Each statement is one dive into the index.
pub(super) fn key_near<'t>(
    table: &'t TableSchema,
    after: &Row,
    before: &Row,
    guess: &Row,
    view: impl Into<View>,
) -> Result<Near<'t>, Failure> {
    let view = view.into();
    let key = key(table)?;
    // A guess may be the beginning of a key.
    let beginning = KeyColumns {
        name: key.name,
        columns: key.columns.iter().take(guess.len()).copied().collect(),
    };
    let after = beyond(&key, after, '>', false)?;
    let before = beyond(&key, before, '<', false)?;
    let statement = |guess: String, direction: &str| {
        let order: Vec<_> = key
            .columns
            .iter()
            .map(|c| format!("{}{direction}", quoted(&c.name)))
            .collect();
        format!(
            "SELECT {} FROM {}{} WHERE ({after}) AND ({before}) AND ({guess}) ORDER BY {} LIMIT 1",
            select_list(&key.columns, None),
            place(table, view),
            force(&key, view.flavor),
            order.join(", ")
        )
    };
    let up = statement(beyond(&beginning, guess, '>', true)?, "");
    let down = statement(beyond(&beginning, guess, '<', false)?, " DESC");
    Ok(Near {
        statements: [up, down],
        columns: key.columns,
    })
}

/// The keys up to the end of a chunk, and the columns that are selected.
pub(super) fn keys_behind<'t>(
    table: &'t TableSchema,
    after: Option<&Row>,
    rows: u64,
    view: impl Into<View>,
) -> Result<(String, Vec<&'t Column>), Failure> {
    let view = view.into();
    let key = key(table)?;
    let mut sql = format!(
        "SELECT {} FROM {}{}",
        select_list(&key.columns, None),
        place(table, view),
        force(&key, view.flavor)
    );
    if let Some(after) = after {
        sql.push_str(" WHERE ");
        sql.push_str(&beyond(&key, after, '>', false)?);
    }
    sql.push_str(&order_by(&key));
    sql.push_str(&format!(" LIMIT {}", rows.max(1)));
    Ok((sql, key.columns))
}

/// Statements that read the rows with these keys.
pub(super) fn keys(table: &TableSchema, wanted: &[Row], view: View) -> Result<Vec<String>, Failure> {
    let key = key(table)?;
    let head = format!("SELECT {} FROM {} WHERE ", all_columns(table), place(table, view));
    let mut statements = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    let mut bytes = 0;
    let single = key.columns.len() == 1;
    let mut flush = |conditions: &mut Vec<String>| {
        if conditions.is_empty() {
            return;
        }
        let first = key.columns.first().map(|c| quoted(&c.name)).unwrap_or_default();
        statements.push(if single {
            format!("{head}{first} IN ({})", conditions.join(", "))
        } else {
            format!("{head}{}", conditions.join(" OR "))
        });
        conditions.clear();
    };
    for row in wanted {
        if row.len() != key.columns.len() {
            return Err(Failure::new(
                codes::import::KEY_NOT_USABLE,
                format!(
                    "a key has {} values for {} key columns",
                    row.len(),
                    key.columns.len()
                ),
            )
            .context(&table.name));
        }
        let mut condition = String::new();
        for (column, value) in key.columns.iter().zip(row.iter()) {
            if single {
                literal::push(&mut condition, column, value)?;
                continue;
            }
            condition.push_str(if condition.is_empty() { "(" } else { " AND " });
            condition.push_str(&quoted(&column.name));
            condition.push_str(" = ");
            literal::push(&mut condition, column, value)?;
        }
        if !single {
            condition.push(')');
        }
        if conditions.len() >= KEYS_PER_STATEMENT || bytes + condition.len() > KEY_BYTES_PER_STATEMENT {
            flush(&mut conditions);
            bytes = 0;
        }
        bytes += condition.len();
        conditions.push(condition);
    }
    flush(&mut conditions);
    Ok(statements)
}

/// All rows that are wanted.
pub(super) fn all(table: &TableSchema, only: Option<&str>, view: View) -> String {
    let only = only
        .map(|condition| format!(" WHERE {condition}"))
        .unwrap_or_default();
    format!("SELECT {} FROM {}{only}", all_columns(table), place(table, view))
}

#[cfg(test)]
mod tests {
    use oms_core::{Key, KeyPart, RowBuilder, TableName, Value};

    use super::*;

    fn table() -> TableSchema {
        let column = |name: &str, ty| Column {
            name: name.into(),
            ty,
            nullable: false,
            generated: None,
            invisible: false,
        };
        TableSchema {
            name: TableName::new("d", "t`"),
            engine: "InnoDB".into(),
            columns: vec![
                column(
                    "a",
                    ColumnType::Integer {
                        bytes: 4,
                        unsigned: false,
                    },
                ),
                column(
                    "b",
                    ColumnType::VarChar {
                        length: 9,
                        charset: "gbk".into(),
                        collation: "gbk_chinese_ci".into(),
                    },
                ),
                column(
                    "s",
                    ColumnType::Set {
                        members: vec!["x".into()],
                        charset: "gbk".into(),
                        collation: "gbk_bin".into(),
                    },
                ),
            ],
            keys: vec![Key {
                name: "PRIMARY".into(),
                primary: true,
                parts: [0, 1]
                    .map(|i| KeyPart {
                        column: Some(i),
                        prefix: None,
                    })
                    .to_vec(),
            }],
            estimated_rows: 0,
            estimated_bytes: 0,
        }
    }

    fn bound(a: i64, b: &[u8]) -> Row {
        RowBuilder::build([Value::Int(a), Value::Text(b)].into_iter()).unwrap()
    }

    #[test]
    fn bounds_are_written_out_in_the_columns_charset() {
        let range = ChunkRange {
            after: Some(bound(1, &[0xb0, 0xa1])),
            through: Some(bound(5, b"z")),
        };
        let sql = chunk(&table(), &range, KeyOrder::Ordered, Flavor::Mysql, None).unwrap();
        assert_eq!(
            sql,
            "SELECT `a`, `b`, CAST(`s` AS UNSIGNED) FROM `d`.`t``` FORCE INDEX (`PRIMARY`) WHERE \
             (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > _gbk X'b0a1')))) AND \
             (`a` <= 5 AND (`a` < 5 OR (`a` = 5 AND (`b` <= _gbk X'7a')))) ORDER BY `a`, `b`"
        );
    }

    #[test]
    fn a_key_is_looked_for_between_two_others() {
        let guess = RowBuilder::build([Value::Int(3)].into_iter()).unwrap();
        let table = table();
        let near = key_near(&table, &bound(1, b"a"), &bound(5, b"z"), &guess, Flavor::MariaDb).unwrap();
        assert_eq!(near.columns.len(), 2);
        let sql = near.statements;
        assert_eq!(
            sql[0],
            "SELECT `a`, `b` FROM `d`.`t``` FORCE INDEX (`PRIMARY`) WHERE \
             (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > _gbk X'61')))) AND \
             (`a` <= 5 AND (`a` < 5 OR (`a` = 5 AND (`b` < _gbk X'7a')))) AND (`a` >= 3) ORDER BY `a`, `b` LIMIT 1"
        );
        assert!(
            sql[1].ends_with("AND (`a` < 3) ORDER BY `a` DESC, `b` DESC LIMIT 1"),
            "{}",
            sql[1]
        );
        let nothing = RowBuilder::build(std::iter::empty()).unwrap();
        for guess in [
            nothing,
            RowBuilder::build([Value::Int(1); 3].into_iter()).unwrap(),
        ] {
            let e = key_near(&table, &bound(1, b"a"), &bound(5, b"z"), &guess, Flavor::Mysql).unwrap_err();
            assert_eq!(e.code(), codes::import::KEY_NOT_USABLE);
        }
    }

    #[test]
    fn long_values_of_large_rows_are_left_out() {
        let mut t = table();
        assert_eq!(
            chunk_of_small(&t, &ChunkRange::default(), Flavor::Mysql, None).unwrap(),
            None
        );
        t.columns[2].ty = ColumnType::Blob { tier: 4 };
        let sql = chunk_of_small(&t, &ChunkRange::default(), Flavor::Mysql, Some("a > 1")).unwrap();
        assert_eq!(
            sql.as_deref(),
            Some(
                "SELECT `a`, `b`, IF(IFNULL(LENGTH(`s`), 0) > 1048576, NULL, `s`), IFNULL(LENGTH(`s`), 0) FROM `d`.`t``` WHERE a > 1"
            )
        );
    }

    #[test]
    fn a_moment_stands_behind_the_table() {
        let view = View {
            flavor: Flavor::OceanBase,
            as_of: Some(17),
        };
        let range = ChunkRange {
            after: Some(bound(1, b"z")),
            through: None,
        };
        assert_eq!(
            chunk(&table(), &range, KeyOrder::Any, view, None).unwrap(),
            "SELECT `a`, `b`, CAST(`s` AS UNSIGNED) FROM `d`.`t``` AS OF SNAPSHOT 17 WHERE \
             (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > _gbk X'7a'))))"
        );
        assert_eq!(
            all(&table(), Some("`a` = 1"), view),
            "SELECT `a`, `b`, CAST(`s` AS UNSIGNED) FROM `d`.`t``` AS OF SNAPSHOT 17 WHERE `a` = 1"
        );
        assert!(
            keys(&table(), &[bound(1, b"k")], view).unwrap()[0].contains("`t``` AS OF SNAPSHOT 17 WHERE")
        );
        let table = table();
        let (sql, _) = keys_behind(&table, None, 5, view).unwrap();
        assert_eq!(
            sql,
            "SELECT `a`, `b` FROM `d`.`t``` AS OF SNAPSHOT 17 ORDER BY `a`, `b` LIMIT 5"
        );
    }

    #[test]
    fn keys_are_batched() {
        let many: Vec<Row> = (0..450).map(|n| bound(n, b"k")).collect();
        let statements = keys(&table(), &many, Flavor::Mysql.into()).unwrap();
        assert_eq!(statements.len(), 3);
        assert!(statements[2].ends_with("(`a` = 449 AND `b` = _gbk X'6b')"));
        assert!(
            keys(
                &table(),
                &[RowBuilder::build([Value::Int(1)].into_iter()).unwrap()],
                Flavor::Mysql.into()
            )
            .is_err()
        );
        assert!(keys(&table(), &[], Flavor::Mysql.into()).unwrap().is_empty());
    }

    #[test]
    fn a_key_on_float_is_refused() {
        let mut t = table();
        t.columns[0].ty = ColumnType::Float;
        let e = keys_behind(&t, None, 5, Flavor::Mysql).unwrap_err();
        assert_eq!(e.code(), codes::import::KEY_NOT_USABLE);
        t.keys.clear();
        assert_eq!(
            chunk(&t, &ChunkRange::default(), KeyOrder::Any, Flavor::Mysql, None)
                .unwrap_err()
                .code(),
            codes::import::KEY_NOT_USABLE
        );
    }
}
