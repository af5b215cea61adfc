//! The statements of a round. Pure.
//!
//! `n` is a row at the round's end, `o` the same row at its beginning. The number of a row's last change can be asked for
//! in conditions, though not in the list of what is selected.

use std::sync::Arc;

use oms_core::{Column, ColumnType, Failure, TableSchema, codes};
use oms_mysql::snapshot::image_list;

/// Shows the key that OceanBase gives to rows of tables without one.
const HIDDEN: &str = "__pk_increment";
const SHOW_HIDDEN: &str = "/*+ opt_param('hidden_column_visible', 'true') */ ";

/// A table, or one partition of a table without a key: its hidden key identifies rows only within a partition.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) table: Arc<TableSchema>,
    /// Empty: the whole table.
    partition: String,
    /// Columns that identify a row.
    identity: Vec<String>,
    /// Whether a row that stays changes a value of another unique key; none: it has no such keys.
    moves: Option<String>,
    /// Whether the two images of a row have to be asked for apart.
    apart: bool,
}

/// The two moments of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Between {
    /// Everything committed at or before it was in earlier rounds.
    pub(super) from: u64,
    /// Everything committed at or before it, and nothing else, is in this round or an earlier one.
    pub(super) to: u64,
}

/// Whether values of this column may be stored beside their row. A statement that gives such a value of both moments
/// ends with error 4016 as soon as it was updated in between.
fn is_beside(column: &Column) -> bool {
    matches!(
        column.ty,
        ColumnType::Text { .. } | ColumnType::Blob { .. } | ColumnType::Json | ColumnType::Geometry { .. }
    )
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The scopes of a table with these partitions.
///
/// # Errors
/// `OMS-SCHEMA-0005` when the key names a column that is not there.
pub(super) fn scopes(table: &Arc<TableSchema>, partitions: &[String]) -> Result<Vec<Scope>, Failure> {
    let name = |index: usize| {
        let column = table.columns.get(index).map(|c| quoted(&c.name));
        column.ok_or_else(|| {
            let words = format!("{}: a key has a column that the table lacks", table.name);
            Failure::new(codes::schema::DEFINITION_DIFFERS, words)
        })
    };
    let apart = table.columns.iter().any(is_beside);
    let Some(key) = table.row_key() else {
        let one = |partition: String| Scope {
            table: table.clone(),
            partition,
            identity: vec![quoted(HIDDEN)],
            moves: None,
            apart,
        };
        return Ok(match partitions {
            [] => vec![one(String::new())],
            some => {
                let each = some.iter().map(|p| one(format!(" PARTITION ({})", quoted(p))));
                each.collect()
            }
        });
    };
    let mut identity = Vec::new();
    for column in key.parts.iter().filter_map(|part| part.column) {
        identity.push(name(column)?);
    }
    let mut moved = Vec::new();
    for other in table.keys.iter().filter(|k| k.name != key.name) {
        for part in &other.parts {
            moved.push(match part.column {
                Some(column) if !table.columns.get(column).is_some_and(is_beside) => {
                    let column = name(column)?;
                    format!("NOT (n.{column} <=> o.{column})")
                }
                // Of an expression it cannot be told without evaluating it, and of what is stored beside the row not in
                // one statement: any change may move it.
                _ => "TRUE".to_owned(),
            });
        }
    }
    Ok(vec![Scope {
        table: table.clone(),
        partition: String::new(),
        identity,
        moves: (!moved.is_empty()).then(|| moved.join(" OR ")),
        apart,
    }])
}

impl Scope {
    /// Whether rows that stay may pass values of unique keys among each other.
    pub(super) fn has_moves(&self) -> bool {
        self.moves.is_some()
    }

    fn hint(&self) -> &'static str {
        if self.table.row_key().is_some() {
            ""
        } else {
            SHOW_HIDDEN
        }
    }

    fn at(&self, scn: u64, alias: &str) -> String {
        format!(
            "{}{} AS OF SNAPSHOT {scn} {alias}",
            self.table.name, self.partition
        )
    }

    fn same(&self) -> String {
        let each = self.identity.iter().map(|c| format!("n.{c} = o.{c}"));
        each.collect::<Vec<_>>().join(" AND ")
    }

    fn first(&self) -> &str {
        self.identity.first().map_or(HIDDEN, String::as_str)
    }

    /// How many values, from the first on, identify a row in [`Scope::changed`] (behind its two conditions) and in
    /// [`Scope::earlier`]; none where one statement gives both images.
    pub(super) fn identified_by(&self) -> usize {
        if self.apart { self.identity.len() } else { 0 }
    }

    /// What identifies rows that are there at the end.
    fn identity(&self) -> String {
        let each = self.identity.iter().map(|c| format!("n.{c}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Rows that are there at the end and changed since the beginning: whether they are new, whether they are moved,
    /// their image at the end and the one at the beginning. Where [`Scope::earlier`] gives the latter: what identifies
    /// them and their image at the end, in the order of what identifies them.
    pub(super) fn changed(&self, b: Between) -> String {
        let new = image_list(&self.table.columns, "n");
        let (images, order) = if self.apart {
            let identity = self.identity();
            (format!("{identity}, {new}"), format!(" ORDER BY {identity}"))
        } else {
            let old = image_list(&self.table.columns, "o");
            (format!("{new}, {old}"), String::new())
        };
        format!(
            "SELECT {}o.{} IS NULL, {}, {images} FROM {} LEFT JOIN {} ON {} WHERE n.ora_rowscn > {}{order}",
            self.hint(),
            self.first(),
            self.moves.as_deref().unwrap_or("FALSE"),
            self.at(b.to, "n"),
            self.at(b.from, "o"),
            self.same(),
            b.from
        )
    }

    /// Of the changed rows that are not new, what identifies them and their image at the beginning, in the order of
    /// [`Scope::changed`]; none where that gives it.
    pub(super) fn earlier(&self, b: Between) -> Option<String> {
        self.apart.then(|| {
            let identity = self.identity();
            format!(
                "SELECT {}{identity}, {} FROM {} INNER JOIN {} ON {} WHERE n.ora_rowscn > {} ORDER BY {identity}",
                self.hint(),
                image_list(&self.table.columns, "o"),
                self.at(b.to, "n"),
                self.at(b.from, "o"),
                self.same(),
                b.from
            )
        })
    }

    /// Of the rows that stay and are moved, the image at the beginning.
    pub(super) fn moved(&self, b: Between) -> Option<String> {
        Some(format!(
            "SELECT {} FROM {} INNER JOIN {} ON {} WHERE n.ora_rowscn > {} AND ({})",
            image_list(&self.table.columns, "o"),
            self.at(b.to, "n"),
            self.at(b.from, "o"),
            self.same(),
            b.from,
            self.moves.as_deref()?
        ))
    }

    /// Rows that are gone: their image at the beginning.
    pub(super) fn gone(&self, b: Between) -> String {
        format!(
            "SELECT {}{} FROM {} LEFT JOIN {} ON {} WHERE n.{} IS NULL",
            self.hint(),
            image_list(&self.table.columns, "o"),
            self.at(b.from, "o"),
            self.at(b.to, "n"),
            self.same(),
            self.first()
        )
    }

    /// How many rows there are at a moment.
    pub(super) fn count(&self, scn: u64) -> String {
        format!("SELECT COUNT(*) FROM {}", self.at(scn, "n"))
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{Column, ColumnType, Key, KeyPart, TableName};

    use super::*;

    fn table(keys: &[(&str, &[Option<usize>])]) -> Arc<TableSchema> {
        let column = |name: &str| Column {
            name: name.into(),
            ty: ColumnType::Integer {
                bytes: 4,
                unsigned: false,
            },
            nullable: false,
            generated: None,
            invisible: false,
        };
        Arc::new(TableSchema {
            name: TableName::new("d", "t"),
            engine: String::new(),
            columns: vec![column("a"), column("b`"), column("c")],
            keys: keys
                .iter()
                .map(|(name, parts)| Key {
                    name: (*name).into(),
                    primary: *name == "PRIMARY",
                    parts: parts
                        .iter()
                        .map(|column| KeyPart {
                            column: *column,
                            prefix: None,
                        })
                        .collect(),
                })
                .collect(),
            estimated_rows: 0,
            estimated_bytes: 0,
        })
    }

    const B: Between = Between { from: 3, to: 9 };

    #[test]
    fn rows_are_found_by_the_whole_key() {
        let scopes = scopes(&table(&[("PRIMARY", &[Some(1), Some(0)])]), &["p0".into()]).unwrap();
        let [scope] = scopes.as_slice() else {
            panic!("{scopes:?}");
        };
        assert!(!scope.has_moves());
        assert_eq!(
            scope.changed(B),
            "SELECT o.`b``` IS NULL, FALSE, n.`a`, n.`b```, n.`c`, o.`a`, o.`b```, o.`c` FROM \
             `d`.`t` AS OF SNAPSHOT 9 n LEFT JOIN `d`.`t` AS OF SNAPSHOT 3 o ON n.`b``` = o.`b``` AND n.`a` = o.`a` \
             WHERE n.ora_rowscn > 3"
        );
        assert_eq!(
            scope.gone(B),
            "SELECT o.`a`, o.`b```, o.`c` FROM `d`.`t` AS OF SNAPSHOT 3 o LEFT JOIN `d`.`t` AS OF SNAPSHOT 9 n \
             ON n.`b``` = o.`b``` AND n.`a` = o.`a` WHERE n.`b``` IS NULL"
        );
        assert_eq!(scope.count(9), "SELECT COUNT(*) FROM `d`.`t` AS OF SNAPSHOT 9 n");
        assert_eq!(scope.moved(B), None);
        assert_eq!((scope.earlier(B), scope.identified_by()), (None, 0));
    }

    #[test]
    fn images_with_values_beside_the_row_are_asked_for_apart() {
        let mut with = TableSchema::clone(&table(&[("PRIMARY", &[Some(0)]), ("u", &[Some(2)])]));
        with.columns[2].ty = ColumnType::Blob { tier: 4 };
        let scope = scopes(&Arc::new(with.clone()), &[]).unwrap().remove(0);
        assert_eq!(scope.identified_by(), 1);
        // Nor may a condition look at such values of both moments.
        assert_eq!(
            scope.changed(B),
            "SELECT o.`a` IS NULL, TRUE, n.`a`, n.`a`, n.`b```, n.`c` FROM `d`.`t` AS OF SNAPSHOT 9 n LEFT JOIN \
             `d`.`t` AS OF SNAPSHOT 3 o ON n.`a` = o.`a` WHERE n.ora_rowscn > 3 ORDER BY n.`a`"
        );
        assert_eq!(
            scope.earlier(B).unwrap(),
            "SELECT n.`a`, o.`a`, o.`b```, o.`c` FROM `d`.`t` AS OF SNAPSHOT 9 n INNER JOIN \
             `d`.`t` AS OF SNAPSHOT 3 o ON n.`a` = o.`a` WHERE n.ora_rowscn > 3 ORDER BY n.`a`"
        );
        with.keys.clear();
        let hidden = scopes(&Arc::new(with), &["p".into()]).unwrap().remove(0);
        let earlier = hidden.earlier(B).unwrap();
        assert!(earlier.starts_with(
            "SELECT /*+ opt_param('hidden_column_visible', 'true') */ n.`__pk_increment`, o.`a`"
        ));
        assert!(earlier.ends_with(" ORDER BY n.`__pk_increment`"));
    }

    #[test]
    fn values_of_other_unique_keys_are_watched() {
        let keys: &[(&str, &[Option<usize>])] = &[("PRIMARY", &[Some(0)]), ("u", &[Some(1), Some(2)])];
        let scope = scopes(&table(keys), &[]).unwrap().remove(0);
        let moved = scope.moved(B).unwrap();
        assert!(
            moved
                .ends_with("WHERE n.ora_rowscn > 3 AND (NOT (n.`b``` <=> o.`b```) OR NOT (n.`c` <=> o.`c`))"),
            "{moved}"
        );
        let keys: &[(&str, &[Option<usize>])] = &[("PRIMARY", &[Some(0)]), ("u", &[None])];
        let scope = scopes(&table(keys), &[]).unwrap().remove(0);
        assert!(scope.changed(B).contains(" IS NULL, TRUE, "));
    }

    #[test]
    fn tables_without_a_key_are_read_by_partition() {
        let all = scopes(&table(&[]), &["p0".into(), "p1".into()]).unwrap();
        assert_eq!(all.len(), 2);
        let changed = all[1].changed(B);
        assert!(
            changed.starts_with(
                "SELECT /*+ opt_param('hidden_column_visible', 'true') */ o.`__pk_increment` IS NULL, FALSE, n.`a`"
            ),
            "{changed}"
        );
        assert!(
            changed.ends_with(
                "FROM `d`.`t` PARTITION (`p1`) AS OF SNAPSHOT 9 n LEFT JOIN `d`.`t` PARTITION (`p1`) AS OF SNAPSHOT 3 o \
                 ON n.`__pk_increment` = o.`__pk_increment` WHERE n.ora_rowscn > 3"
            ),
            "{changed}"
        );
        assert_eq!(scopes(&table(&[]), &[]).unwrap().len(), 1);
    }
}
