//! Views.

use std::collections::BTreeMap;

use oms_core::TableName;
use serde::{Deserialize, Serialize};

/// A view as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Its name.
    pub name: String,
    /// ALGORITHM, upper case, if written.
    pub algorithm: Option<String>,
    /// DEFINER, as `user@host` without quotes, if written.
    pub definer: Option<String>,
    /// Whether it runs with the rights of who asks (SQL SECURITY INVOKER).
    pub invoker: bool,
    /// Column names, if they are listed.
    pub columns: Vec<String>,
    /// The query, as text.
    pub body: String,
    /// WITH CHECK OPTION.
    pub check: Option<ViewCheck>,
}

/// WITH CHECK OPTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewCheck {
    /// CASCADED.
    Cascaded,
    /// LOCAL.
    Local,
}

/// What databases and tables are called at the destination. What is not in it keeps its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renames {
    /// Databases.
    pub databases: BTreeMap<String, String>,
    /// Tables and views; these go before the databases.
    pub tables: Vec<(TableName, TableName)>,
    /// Whether names are created in lower case.
    pub lower_case: bool,
}

impl Renames {
    /// The destination's name of a database.
    pub fn database(&self, name: &str) -> String {
        self.fold(self.databases.get(name).map_or(name, String::as_str))
    }

    /// The destination's name of a table or view.
    pub fn table(&self, name: &TableName) -> TableName {
        match self.tables.iter().find(|(from, _)| from == name) {
            Some((_, to)) => TableName::new(self.fold(&to.database), self.fold(&to.table)),
            None => TableName::new(self.database(&name.database), self.fold(&name.table)),
        }
    }

    fn fold(&self, name: &str) -> String {
        if self.lower_case {
            name.to_lowercase()
        } else {
            name.to_owned()
        }
    }
}
