//! Databases.

use serde::{Deserialize, Serialize};

use crate::syntax;

/// A database as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDefinition {
    /// Its name.
    pub name: String,
    /// DEFAULT CHARACTER SET, if written.
    pub charset: Option<String>,
    /// COLLATE, if written.
    pub collation: Option<String>,
    /// COMMENT (MariaDB); empty when there is none.
    pub comment: String,
    /// Whether it is encrypted by default (MySQL).
    pub encrypted: bool,
}

impl DatabaseDefinition {
    /// The statement that creates it unless it exists. Encryption is not said.
    pub fn to_sql(&self) -> String {
        let mut sql = format!("CREATE DATABASE IF NOT EXISTS {}", syntax::identifier(&self.name));
        if let Some(charset) = &self.charset {
            sql.push_str(&format!(" DEFAULT CHARACTER SET {charset}"));
        }
        if let Some(collation) = &self.collation {
            sql.push_str(&format!(" COLLATE {collation}"));
        }
        if !self.comment.is_empty() {
            sql.push_str(&format!(" COMMENT {}", syntax::text(&self.comment)));
        }
        sql
    }
}
