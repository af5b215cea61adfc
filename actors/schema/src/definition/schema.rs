//! From a written definition to what moving rows needs.

use oms_core::{Column, Failure, Key, KeyPart, TableName, TableSchema, codes};

use super::{ColumnDefinition, IndexKind, IndexPartKey, TableDefinition};

impl TableDefinition {
    /// Character set and collation that character columns of this table have when they say nothing.
    pub fn effective_charset(&self, default_collation: &dyn Fn(&str) -> String) -> (String, String) {
        let options = &self.options;
        pair(
            options.charset.as_deref(),
            options.collation.as_deref(),
            default_collation,
        )
        .unwrap_or_else(|| ("utf8mb4".to_owned(), default_collation("utf8mb4")))
    }

    /// Character set and collation of a column of this table.
    pub fn column_charset(
        &self,
        column: &ColumnDefinition,
        default_collation: &dyn Fn(&str) -> String,
    ) -> (String, String) {
        pair(
            column.charset.as_deref(),
            column.collation.as_deref(),
            default_collation,
        )
        .unwrap_or_else(|| self.effective_charset(default_collation))
    }

    /// The table as moving rows sees it, under a name. Estimates are zero.
    ///
    /// # Errors
    /// `OMS-SCHEMA-0002` for a column whose type no row can carry.
    pub fn to_schema(
        &self,
        name: TableName,
        default_collation: &dyn Fn(&str) -> String,
    ) -> Result<TableSchema, Failure> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (charset, collation) = self.column_charset(column, default_collation);
            let Some(ty) = column.ty.to_column_type(&charset, &collation) else {
                let detail = format!("{name}: column {:?} is {}", column.name, column.ty);
                return Err(Failure::new(codes::schema::TYPE_NOT_SUPPORTED, detail));
            };
            columns.push(Column {
                name: column.name.clone(),
                ty,
                nullable: column.nullable,
                generated: column.generated.as_ref().map(|g| g.kept),
                invisible: column.invisible,
            });
        }
        let position = |wanted: &str| {
            let lower = wanted.to_lowercase();
            self.columns.iter().position(|c| c.name.to_lowercase() == lower)
        };
        let mut keys: Vec<Key> = self
            .indexes
            .iter()
            .filter(|index| index.is_unique())
            .map(|index| Key {
                name: match index.kind {
                    IndexKind::Primary => "PRIMARY".to_owned(),
                    _ => index.name.clone(),
                },
                primary: index.kind == IndexKind::Primary,
                parts: index
                    .parts
                    .iter()
                    .map(|part| KeyPart {
                        column: match &part.key {
                            IndexPartKey::Column(name) => position(name),
                            IndexPartKey::Expression(_) => None,
                        },
                        prefix: part.prefix,
                    })
                    .collect(),
            })
            .collect();
        keys.sort_by_key(|key| !key.primary);
        Ok(TableSchema {
            name,
            engine: self.options.engine.clone().unwrap_or_default(),
            columns,
            keys,
            estimated_rows: 0,
            estimated_bytes: 0,
        })
    }
}

/// What CHARACTER SET and COLLATE mean together; `None` if neither is written.
fn pair(
    charset: Option<&str>,
    collation: Option<&str>,
    default_collation: &dyn Fn(&str) -> String,
) -> Option<(String, String)> {
    match (charset, collation) {
        (Some(charset), Some(collation)) => Some((charset.to_owned(), collation.to_owned())),
        (Some(charset), None) => Some((charset.to_owned(), default_collation(charset))),
        (None, Some(collation)) => {
            let charset = collation.split('_').next().unwrap_or(collation);
            // MariaDB's `uca1400_…` may stand without its character set.
            let charset = if charset == "uca1400" { "utf8mb4" } else { charset };
            Some((charset.to_owned(), collation.to_owned()))
        }
        (None, None) => None,
    }
}
