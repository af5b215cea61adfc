//! [`oms_core::TableSchema`] from `information_schema`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::{Row, prelude::Queryable};
use oms_core::{Column, Failure, Generated, Key, KeyPart, TableName, TableSchema, codes};

use super::{
    Catalog,
    column_type::{TypeText, parse},
    number, optional_text, quoted, text,
};
use crate::connection::{Side, failure};

/// Up to this many tables of a database are asked for one by one: MySQL 5.6 opens every table of a
/// database for a query that does not name one by equality.
const FEW_TABLES: usize = 12;

const COLUMNS: &str = "SELECT table_name AS a, column_name AS b, data_type AS c, column_type AS d, \
    character_maximum_length AS e, numeric_precision AS f, numeric_scale AS g, datetime_precision AS h, \
    character_set_name AS i, collation_name AS j, is_nullable AS k, extra AS l \
    FROM information_schema.columns WHERE table_schema = ?";
const TABLES: &str = "SELECT table_name AS a, engine AS b, table_rows AS c, data_length AS d, table_type AS e \
    FROM information_schema.tables WHERE table_schema = ?";
const KEYS: &str = "SELECT table_name AS a, index_name AS b, seq_in_index AS c, column_name AS d, sub_part AS e \
    FROM information_schema.statistics WHERE table_schema = ? AND non_unique = 0";

/// Parts of a key in order: column name (none for an expression) and prefix.
type FoundParts = Vec<(Option<String>, Option<u32>)>;

/// Everything found about the tables of one database.
#[derive(Default)]
struct Found {
    /// Engine, rows, bytes.
    tables: HashMap<String, (String, u64, u64)>,
    columns: HashMap<String, Vec<(Column, Option<String>)>>,
    /// By table, then by key.
    keys: HashMap<String, BTreeMap<String, FoundParts>>,
}

impl Catalog<'_> {
    /// The definitions of the tables, in the order asked for. Views are not tables.
    ///
    /// Names are compared as the server does (`lower_case_table_names`), and come back as the
    /// server writes them.
    ///
    /// # Errors
    /// `OMS-SRC-0011`/`OMS-DST-0009` names every table that does not exist; `OMS-SRC-0016` every
    /// column whose type cannot be read exactly.
    pub async fn load_tables(&mut self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let mut by_database: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in names {
            by_database.entry(&name.database).or_default().insert(&name.table);
        }
        let fold = self.folds_case().await?;
        let mut found: HashMap<&str, Found> = HashMap::new();
        for (database, tables) in &by_database {
            found.insert(database, self.find(database, tables).await?);
        }
        let mut loaded = Vec::with_capacity(names.len());
        let (mut missing, mut unreadable) = (Vec::new(), Vec::new());
        for name in names {
            let Some(all) = found.get(name.database.as_str()) else {
                continue;
            };
            let actual = if all.tables.contains_key(&name.table) {
                Some(name.table.clone())
            } else {
                let wanted = name.table.to_lowercase();
                all.tables
                    .keys()
                    .find(|t| fold && t.to_lowercase() == wanted)
                    .cloned()
            };
            let Some(actual) = actual else {
                missing.push(name.to_string());
                continue;
            };
            let database = if fold {
                name.database.to_lowercase()
            } else {
                name.database.clone()
            };
            match self.assemble(TableName::new(database, actual), all).await? {
                Ok(table) => loaded.push(table),
                Err(columns) => unreadable.extend(columns),
            }
        }
        if !missing.is_empty() {
            let code = match self.side {
                Side::Source => codes::src::TABLE_MISSING,
                Side::Destination => codes::dst::TABLE_MISSING,
            };
            return Err(Failure::new(code, missing.join(", ")));
        }
        if !unreadable.is_empty() {
            return Err(Failure::new(
                codes::src::TYPE_NOT_SUPPORTED,
                unreadable.join(", "),
            ));
        }
        Ok(loaded)
    }

    /// The columns of the tables whose type cannot be read exactly, as `` `db`.`t`.`c` type ``.
    pub async fn unreadable_columns(&mut self, names: &[TableName]) -> Result<Vec<String>, Failure> {
        match self.load_tables(names).await {
            Ok(_) => Ok(Vec::new()),
            Err(e) if e.code() == codes::src::TYPE_NOT_SUPPORTED => {
                Ok(e.detail().split(", ").map(str::to_owned).collect())
            }
            Err(e) => Err(e),
        }
    }

    /// Whether table names are compared without regard to case.
    pub(crate) async fn folds_case(&mut self) -> Result<bool, Failure> {
        let rows = self.rows("SELECT @@lower_case_table_names", ()).await?;
        Ok(rows.first().and_then(|r| number(r, 0)).is_some_and(|n| n != 0))
    }

    async fn find(&mut self, database: &str, tables: &BTreeSet<&str>) -> Result<Found, Failure> {
        let mut found = Found::default();
        if tables.len() <= FEW_TABLES {
            for table in tables {
                self.find_some(&mut found, database, Some(table)).await?;
            }
        } else {
            self.find_some(&mut found, database, None).await?;
        }
        Ok(found)
    }

    async fn find_some(
        &mut self,
        found: &mut Found,
        database: &str,
        table: Option<&str>,
    ) -> Result<(), Failure> {
        let (more, params) = match table {
            Some(table) => (" AND table_name = ?", vec![database, table]),
            None => ("", vec![database]),
        };
        for row in self.rows(&format!("{TABLES}{more}"), params.clone()).await? {
            if text(&row, 4) == "VIEW" || text(&row, 4) == "SYSTEM VIEW" {
                continue;
            }
            let entry = (
                text(&row, 1),
                number(&row, 2).unwrap_or(0),
                number(&row, 3).unwrap_or(0),
            );
            found.tables.insert(text(&row, 0), entry);
        }
        let query = format!("{COLUMNS}{more} ORDER BY table_name, ordinal_position");
        for row in self.rows(&query, params.clone()).await? {
            let column = self.column(&row);
            found.columns.entry(text(&row, 0)).or_default().push(column);
        }
        let query = format!("{KEYS}{more} ORDER BY table_name, index_name, seq_in_index");
        for row in self.rows(&query, params).await? {
            let prefix = number(&row, 4).and_then(|n| u32::try_from(n).ok());
            let key = found.keys.entry(text(&row, 0)).or_default();
            key.entry(text(&row, 1))
                .or_default()
                .push((optional_text(&row, 3), prefix));
        }
        Ok(())
    }

    /// A column, and its type's text if that type cannot be read.
    fn column(&self, row: &Row) -> (Column, Option<String>) {
        let kind = TypeText {
            data_type: text(row, 2),
            column_type: text(row, 3),
            characters: number(row, 4),
            precision: number(row, 5),
            scale: number(row, 6),
            fraction: number(row, 7),
            charset: optional_text(row, 8),
            collation: optional_text(row, 9),
        };
        let extra = text(row, 11).to_ascii_uppercase();
        // `DEFAULT_GENERATED` is MySQL's word for an expression default, which is not generated.
        let generated = if extra.contains("VIRTUAL GENERATED") || extra == "VIRTUAL" {
            Some(Generated::Virtual)
        } else if extra.contains("STORED GENERATED") || extra == "PERSISTENT" {
            Some(Generated::Stored)
        } else {
            None
        };
        let ty = parse(&kind, self.flavor);
        let unreadable = ty.is_none().then(|| kind.column_type.clone());
        let column = Column {
            name: text(row, 1),
            // Never used when unreadable: such a table is not returned.
            ty: ty.unwrap_or(oms_core::ColumnType::Json),
            nullable: text(row, 10).eq_ignore_ascii_case("YES"),
            generated,
            invisible: extra.contains("INVISIBLE"),
        };
        (column, unreadable)
    }

    /// Puts a table together; inner error: its columns that cannot be read.
    async fn assemble(
        &mut self,
        name: TableName,
        all: &Found,
    ) -> Result<Result<TableSchema, Vec<String>>, Failure> {
        let columns = all
            .columns
            .get(&name.table)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let unreadable: Vec<String> = columns
            .iter()
            .filter_map(|(c, bad)| bad.as_ref().map(|ty| format!("{name}.{} {ty}", quoted(&c.name))))
            .collect();
        if !unreadable.is_empty() {
            return Ok(Err(unreadable));
        }
        let columns: Vec<Column> = columns.iter().map(|(c, _)| c.clone()).collect();
        let mut keys = Vec::new();
        if let Some(found) = all.keys.get(&name.table) {
            for key in self.key_order(&name, found).await? {
                let Some(parts) = found.get(&key) else { continue };
                let parts = parts
                    .iter()
                    .map(|(column, prefix)| KeyPart {
                        // An expression has no column, or a hidden one that is not listed.
                        column: column
                            .as_ref()
                            .and_then(|c| columns.iter().position(|x| x.name == *c)),
                        prefix: *prefix,
                    })
                    .collect();
                keys.push(Key {
                    primary: key == "PRIMARY",
                    name: key,
                    parts,
                });
            }
        }
        let (engine, estimated_rows, estimated_bytes) =
            all.tables.get(&name.table).cloned().unwrap_or_default();
        Ok(Ok(TableSchema {
            name,
            engine,
            columns,
            keys,
            estimated_rows,
            estimated_bytes,
        }))
    }

    /// Names of the unique keys: the primary one, then the others in the server's order.
    /// `information_schema` does not keep that order; it matters only where several keys could
    /// identify rows, and only then one more statement asks for it.
    async fn key_order(
        &mut self,
        name: &TableName,
        found: &BTreeMap<String, FoundParts>,
    ) -> Result<Vec<String>, Failure> {
        let others = found.keys().filter(|k| *k != "PRIMARY").count();
        if others < 2 {
            let mut order: Vec<String> = found.keys().cloned().collect();
            order.sort_by_key(|k| k != "PRIMARY");
            return Ok(order);
        }
        let side = self.side;
        let rows: Vec<Row> = self
            .conn
            .query(format!("SHOW INDEX FROM {name}"))
            .await
            .map_err(|e| failure(e, side).context(name))?;
        let mut order: Vec<String> = Vec::new();
        for row in rows {
            let key = text(&row, 2);
            if found.contains_key(&key) && !order.contains(&key) {
                order.push(key);
            }
        }
        order.sort_by_key(|k| k != "PRIMARY");
        Ok(order)
    }
}
