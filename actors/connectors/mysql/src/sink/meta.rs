//! The hidden tables.

use oms_core::TableName;

use super::literal;

/// The usual name of the hidden database.
pub const META_DATABASE: &str = "omsnode_meta";
/// The table that every transaction of a sink changes first.
pub(crate) const FENCE_TABLE: &str = "fence_v1";

/// Names and definitions of the tables that the sink keeps at a destination.
///
/// The layout's version is part of the names: another layout is other tables, and an old writer can
/// never mistake one for the other. The database must not be migrated; [`MetaTables::holds`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaTables {
    database: String,
    fence: String,
    receipt: String,
    record: String,
}

impl Default for MetaTables {
    fn default() -> Self {
        Self::new(META_DATABASE)
    }
}

impl MetaTables {
    /// The tables in a database of this name.
    pub fn new(database: &str) -> Self {
        let table = |name: &str| {
            let mut out = Vec::new();
            literal::identifier(&mut out, database);
            out.push(b'.');
            literal::identifier(&mut out, name);
            String::from_utf8(out).unwrap_or_default()
        };
        Self {
            database: database.to_owned(),
            fence: table(FENCE_TABLE),
            receipt: table("receipt_v1"),
            record: table("record_v1"),
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether a table is one of the hidden ones and must be left out of every migration.
    pub fn holds(&self, name: &TableName) -> bool {
        name.database.eq_ignore_ascii_case(&self.database)
    }

    /// The hidden table that a server's message names, quoted with its database: servers name tables alone when a
    /// privilege is missing.
    pub(crate) fn named_in(&self, message: &str) -> Option<&str> {
        let named = |table: &&String| {
            let name = table
                .rsplit_once(".`")
                .map(|(_, name)| name.trim_end_matches('`'));
            name.is_some_and(|name| message.contains(&format!("'{name}'")))
        };
        [&self.fence, &self.receipt, &self.record]
            .into_iter()
            .find(named)
            .map(String::as_str)
    }

    /// The fence table, quoted.
    pub(crate) fn fence(&self) -> &str {
        &self.fence
    }

    /// The receipt table, quoted.
    pub(crate) fn receipt(&self) -> &str {
        &self.receipt
    }

    /// The record table, quoted.
    pub(crate) fn record(&self) -> &str {
        &self.record
    }

    /// Fails when a table is missing.
    pub(crate) fn probe(&self) -> [String; 3] {
        [&self.fence, &self.receipt, &self.record].map(|table| format!("SELECT 1 FROM {table} LIMIT 0"))
    }

    /// Statements that create what is missing. Idempotent.
    pub(crate) fn create(&self) -> [String; 4] {
        let mut database = b"CREATE DATABASE IF NOT EXISTS ".to_vec();
        literal::identifier(&mut database, &self.database);
        // All names are bytes: no collation may equate two components or tables. The receipt's key
        // stays below the 767 bytes that MySQL 5.6 allows.
        [
            String::from_utf8(database).unwrap_or_default(),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (\
                 component VARBINARY(96) NOT NULL, \
                 lane INT NOT NULL, \
                 epoch BIGINT UNSIGNED NOT NULL, \
                 claim BIGINT UNSIGNED NOT NULL, \
                 turn BIGINT UNSIGNED NOT NULL, \
                 connection BIGINT UNSIGNED NOT NULL, \
                 state LONGBLOB NULL, \
                 PRIMARY KEY (component, lane)) ENGINE=InnoDB",
                self.fence
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (\
                 component VARBINARY(96) NOT NULL, \
                 source_database VARBINARY(256) NOT NULL, \
                 source_table VARBINARY(256) NOT NULL, \
                 chunk BIGINT UNSIGNED NOT NULL, \
                 epoch BIGINT UNSIGNED NOT NULL, \
                 range_after LONGBLOB NULL, \
                 range_through LONGBLOB NULL, \
                 row_total BIGINT UNSIGNED NOT NULL, \
                 byte_total BIGINT UNSIGNED NOT NULL, \
                 snapshot LONGBLOB NULL, \
                 PRIMARY KEY (component, source_database, source_table, chunk)) ENGINE=InnoDB",
                self.receipt
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (\
                 component VARBINARY(96) NOT NULL, \
                 list_name VARBINARY(64) NOT NULL, \
                 item BIGINT UNSIGNED NOT NULL, \
                 epoch BIGINT UNSIGNED NOT NULL, \
                 content LONGBLOB NOT NULL, \
                 PRIMARY KEY (component, list_name, item)) ENGINE=InnoDB",
                self.record
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_recognised() {
        let meta = MetaTables::new("odd`name");
        assert_eq!(meta.fence(), "`odd``name`.`fence_v1`");
        assert!(meta.holds(&TableName::new("odd`name", "anything")));
        assert!(!meta.holds(&TableName::new("odd", "fence_v1")));
    }

    #[test]
    fn a_table_that_a_message_names_alone_is_found() {
        let meta = MetaTables::new("odd`name");
        let denied = "INSERT command denied to user 'oms'@'localhost' for table 'record_v1'";
        assert_eq!(meta.named_in(denied), Some("`odd``name`.`record_v1`"));
        assert_eq!(
            meta.named_in("INSERT command denied for table 'my_record_v1'"),
            None
        );
    }
}
