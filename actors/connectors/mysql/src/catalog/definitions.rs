//! The server's own texts of its definitions.

use mysql_async::{Row, prelude::Queryable};
use oms_core::{Failure, TableName};

use super::{Catalog, quoted, text};
use crate::connection::failure;

/// `SHOW CREATE VIEW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDefinition {
    /// The statement.
    pub statement: String,
    /// `character_set_client` when it was created.
    pub character_set_client: String,
    /// `collation_connection` when it was created.
    pub collation_connection: String,
}

impl Catalog<'_> {
    /// The text of `SHOW CREATE TABLE`.
    pub async fn create_table(&mut self, name: &TableName) -> Result<String, Failure> {
        let row = self.show(&format!("SHOW CREATE TABLE {name}")).await?;
        Ok(row.map(|r| text(&r, 1)).unwrap_or_default())
    }

    /// The text of `SHOW CREATE VIEW`. Needs the SHOW VIEW privilege.
    pub async fn create_view(&mut self, name: &TableName) -> Result<ViewDefinition, Failure> {
        let row = self.show(&format!("SHOW CREATE VIEW {name}")).await?;
        let part = |i| row.as_ref().map(|r| text(r, i)).unwrap_or_default();
        Ok(ViewDefinition {
            statement: part(1),
            character_set_client: part(2),
            collation_connection: part(3),
        })
    }

    /// The statement in `SHOW CREATE TRIGGER`. Needs the TRIGGER privilege.
    pub async fn create_trigger(&mut self, database: &str, name: &str) -> Result<String, Failure> {
        let statement = format!("SHOW CREATE TRIGGER {}.{}", quoted(database), quoted(name));
        let row = self.show(&statement).await?;
        Ok(row.map(|r| text(&r, 2)).unwrap_or_default())
    }

    /// The text of `SHOW CREATE DATABASE`.
    pub async fn create_database(&mut self, name: &str) -> Result<String, Failure> {
        let row = self
            .show(&format!("SHOW CREATE DATABASE {}", quoted(name)))
            .await?;
        Ok(row.map(|r| text(&r, 1)).unwrap_or_default())
    }

    async fn show(&mut self, statement: &str) -> Result<Option<Row>, Failure> {
        let side = self.side;
        self.conn
            .query_first(statement)
            .await
            .map_err(|e| failure(e, side).context(statement))
    }
}
