//! CREATE TABLE.

use std::collections::BTreeSet;

use super::{Result, SchemaTracker, TrackedTable, not_followed};
use crate::{
    ColumnKey, CreateTable, CreateTableLike, IndexDefinition, IndexKind, IndexPart, StatementContext,
    TableDefinition, TableElement, TableOption,
};

impl SchemaTracker {
    pub(super) fn create_table(&mut self, create: &CreateTable, context: &StatementContext) -> Result<()> {
        let name = &create.table;
        if create.temporary || !self.follows(&name.database) {
            return Ok(());
        }
        if create.if_not_exists && self.table(name).is_some() {
            return Ok(());
        }
        if create.query.is_some() {
            return not_followed(name, "its columns come from a query");
        }
        let around = match self.database(&name.database) {
            Some(database) => self.database_charset(database),
            None => return Ok(()),
        };
        let mut table = TrackedTable {
            definition: TableDefinition {
                name: name.table.clone(),
                ..TableDefinition::default()
            },
            generated: BTreeSet::new(),
        };
        self.set_options(&mut table.definition, &create.options, &around);
        let charset = self.table_charset(&table.definition);
        let mut columns = Vec::new();
        for element in &create.elements {
            if let TableElement::Column(spec) = element {
                columns.push(spec.clone());
            }
        }
        super::column::implicit_timestamps(&mut columns, context.explicit_timestamps);
        let mut resolved = columns.iter();
        // Foreign keys and checks are named by their order in the text.
        let mut keys = Vec::new();
        for element in &create.elements {
            match element {
                TableElement::Column(_) => {
                    let Some(spec) = resolved.next() else { continue };
                    table.definition.columns.push(self.rules.column(spec, &charset));
                    keys.extend(of_column(spec, self.rules.inline_references));
                }
                other => keys.push(other.clone()),
            }
        }
        self.add_keys(name, &mut table, keys)?;
        table.definition.partitioning = create.partitioning.clone().map(super::partition::counted);
        self.note_copy(create, &table.definition);
        self.put(name, table);
        Ok(())
    }

    pub(super) fn create_like(&mut self, create: &CreateTableLike) -> Result<()> {
        let (name, like) = (&create.table, &create.like);
        if create.temporary || !self.follows(&name.database) {
            return Ok(());
        }
        if create.if_not_exists && self.table(name).is_some() {
            return Ok(());
        }
        let Some(original) = self.tracked(like) else {
            return not_followed(name, format!("it is like {like}, which is not known"));
        };
        let mut table = original.clone();
        let definition = &mut table.definition;
        definition.foreign_keys.clear();
        definition.options.auto_increment = None;
        // Its indexes are copied as if they had been written.
        table.generated.clear();
        super::rename::generated_names(definition, &like.table, &name.table);
        super::rename::renumber_checks(definition, &name.table);
        self.begin_change(name, like);
        self.put(name, table);
        Ok(())
    }

    pub(super) fn table_charset(&self, table: &TableDefinition) -> (String, String) {
        let rules = &self.rules;
        table.effective_charset(&|charset| rules.default_collation(charset))
    }

    /// Sets the options that are said; `around` is the character set that holds without them.
    pub(super) fn set_options(
        &self,
        table: &mut TableDefinition,
        said: &[TableOption],
        around: &(String, String),
    ) {
        let (mut charset, mut collation) = (None, None);
        for option in said {
            match option {
                TableOption::Engine(engine) => table.options.engine = Some(engine.clone()),
                TableOption::AutoIncrement(next) => table.options.auto_increment = Some(*next),
                TableOption::Charset(name) => charset = Some(name.clone()),
                TableOption::Collation(name) => collation = Some(name.clone()),
                TableOption::Comment(text) => table.options.comment.clone_from(text),
                TableOption::SystemVersioning => table.system_versioned = true,
                TableOption::Storage(name, value) => {
                    table.options.storage.retain(|(other, _)| other != name);
                    if !value.eq_ignore_ascii_case("DEFAULT") {
                        table.options.storage.push((name.clone(), value.clone()));
                    }
                }
            }
        }
        let pair = self
            .rules
            .charset(charset.as_deref(), collation.as_deref(), around);
        (table.options.charset, table.options.collation) = (Some(pair.0), Some(pair.1));
    }
}

/// The keys and constraints that are said behind a column.
pub(super) fn of_column(spec: &crate::ColumnSpec, with_references: bool) -> Vec<TableElement> {
    let mut list = Vec::new();
    if let Some(key) = spec.key {
        list.push(TableElement::Index(IndexDefinition {
            kind: match key {
                ColumnKey::Primary => IndexKind::Primary,
                ColumnKey::Unique => IndexKind::Unique,
            },
            name: String::new(),
            parts: vec![IndexPart::column(&spec.column.name)],
            algorithm: None,
            key_block_size: None,
            parser: None,
            comment: String::new(),
            invisible: false,
        }));
    }
    list.extend(spec.checks.iter().cloned().map(TableElement::Check));
    if let Some(key) = spec.references.as_ref().filter(|_| with_references) {
        list.push(TableElement::ForeignKey(crate::ForeignKeySpec {
            key: key.clone(),
            index: None,
            if_not_exists: false,
        }));
    }
    list
}
