//! What a user chose of a table.

/// Which rows, columns and changes of a table move, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableShape {
    /// Only rows for which this condition is true.
    pub filter: Option<String>,
    /// Only these columns; empty: all.
    pub columns: Vec<String>,
    /// All columns but these.
    pub omitted: Vec<String>,
    /// Names at the source and at the destination.
    pub renamed: Vec<(String, String)>,
    /// Columns that only the destination has.
    pub added: Vec<AddedColumn>,
    /// Which changes are applied.
    pub changes: ChangeKinds,
}

/// A column that only the destination has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedColumn {
    /// Its name.
    pub name: String,
    /// Its type as SQL.
    pub ty: String,
    /// What it holds.
    pub value: String,
}

/// Kinds of changes that are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeKinds {
    /// Rows that come.
    pub insert: bool,
    /// Rows that change.
    pub update: bool,
    /// Rows that go.
    pub delete: bool,
}

impl Default for ChangeKinds {
    fn default() -> Self {
        Self {
            insert: true,
            update: true,
            delete: true,
        }
    }
}

impl ChangeKinds {
    /// Whether every change is applied.
    pub fn is_all(self) -> bool {
        self == Self::default()
    }
}

impl TableShape {
    /// Whether it chooses columns or changes their names.
    pub fn changes_columns(&self) -> bool {
        !(self.columns.is_empty()
            && self.omitted.is_empty()
            && self.renamed.is_empty()
            && self.added.is_empty())
    }

    /// Whether rows come as they are, and all of them. Which changes are applied is another matter.
    pub fn is_plain(&self) -> bool {
        self.filter.is_none() && !self.changes_columns()
    }
}
