//! A table made of columns and the values each of them takes.

use super::quoted;

/// A column and the literals that go into it.
struct TypeColumn {
    name: String,
    definition: String,
    values: Vec<String>,
}

/// A table of columns of one family. Row `n` holds the `n`-th value of every column (NULL when a column has fewer), and a
/// last row holds NULL everywhere.
pub(super) struct TypeTable {
    pub(super) name: &'static str,
    columns: Vec<TypeColumn>,
    /// Columns that compute themselves, as written in CREATE TABLE.
    computed: Vec<String>,
}

impl TypeTable {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            columns: Vec::new(),
            computed: Vec::new(),
        }
    }

    pub(super) fn column<S: Into<String>>(
        mut self,
        definition: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let name = format!("c{:02}", self.columns.len() + 1);
        let values = values.into_iter().map(Into::into).collect();
        self.columns.push(TypeColumn {
            name,
            definition: definition.to_owned(),
            values,
        });
        self
    }

    pub(super) fn computed(mut self, definition: &str) -> Self {
        self.computed.push(definition.to_owned());
        self
    }

    fn rows(&self) -> usize {
        self.columns.iter().map(|c| c.values.len()).max().unwrap_or(0)
    }

    pub(super) fn create(&self) -> String {
        let mut parts = vec!["id INT NOT NULL PRIMARY KEY".to_owned()];
        for column in &self.columns {
            // Without NULL a TIMESTAMP would be NOT NULL on old servers.
            parts.push(format!("{} {} NULL", quoted(&column.name), column.definition));
        }
        parts.extend(self.computed.iter().cloned());
        format!("CREATE TABLE {} ({}) ENGINE=InnoDB", self.name, parts.join(", "))
    }

    fn insert(&self, id: usize, row: usize) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        let values: Vec<&str> = self
            .columns
            .iter()
            .map(|c| c.values.get(row).map_or("NULL", String::as_str))
            .collect();
        format!(
            "INSERT INTO {} (id, {}) VALUES ({id}, {})",
            self.name,
            names.join(", "),
            values.join(", ")
        )
    }

    pub(super) fn seed(&self) -> Vec<String> {
        (0..=self.rows()).map(|row| self.insert(row + 1, row)).collect()
    }

    /// Every value is written once by an UPDATE and once by an INSERT, every column goes from and to NULL, single columns
    /// change alone, and a row and a key go.
    pub(super) fn mutate(&self) -> Vec<String> {
        let rows = self.rows();
        let mut statements = vec!["BEGIN".to_owned()];
        for row in 0..=rows {
            let next = (row + 1) % (rows + 1);
            let sets: Vec<String> = self
                .columns
                .iter()
                .map(|c| {
                    format!(
                        "{} = {}",
                        quoted(&c.name),
                        c.values.get(next).map_or("NULL", String::as_str)
                    )
                })
                .collect();
            statements.push(format!(
                "UPDATE {} SET {} WHERE id = {}",
                self.name,
                sets.join(", "),
                row + 1
            ));
        }
        statements.push("COMMIT".to_owned());
        statements.extend((0..=rows).map(|row| self.insert(row + 1001, row)));
        for column in &self.columns {
            if let Some(last) = column.values.last() {
                let name = quoted(&column.name);
                statements.push(format!(
                    "UPDATE {} SET {name} = {last} WHERE id = 1001",
                    self.name
                ));
                statements.push(format!("UPDATE {} SET {name} = NULL WHERE id = 1002", self.name));
            }
        }
        statements.push(format!("DELETE FROM {} WHERE id = 2", self.name));
        statements.push(format!("UPDATE {} SET id = 2002 WHERE id = 1002", self.name));
        statements
    }
}
