//! ALTER TABLE.

use oms_core::TableName;

use super::{
    Result, SchemaTracker, TrackedTable, column,
    column::{implicit_timestamps, insert, leave_keys, position_of},
    create::of_column,
    not_followed, partition,
};
use crate::{
    AlterClause, AlterTable, ColumnDefinition, ColumnPosition, ColumnSpec, IndexDefinition, IndexKind,
    StatementContext, TableElement, TableOption,
};

impl SchemaTracker {
    pub(super) fn alter_table(&mut self, alter: &AlterTable, context: &StatementContext) -> Result<()> {
        let name = &alter.table;
        if !self.follows(&name.database) {
            return Ok(());
        }
        let Some(mut table) = self.tracked(name).cloned() else {
            if alter.if_exists {
                return Ok(());
            }
            return not_followed(name, "it is altered and was not known");
        };
        let clauses = self.filled_in(alter, context);
        let charset = self.new_charset(&name.database, &mut table, &clauses);
        let renamed = self.drop_and_change(name, &mut table, &clauses, &charset)?;
        self.place_columns(name, &mut table, &clauses, &charset)?;
        self.keys(name, &mut table, &clauses)?;
        for clause in &clauses {
            self.rest(name, &mut table, clause)?;
        }
        self.note_alter(alter);
        self.put(name, table);
        self.rename_references(name, &renamed);
        for clause in &clauses {
            if let AlterClause::Rename { to } = clause {
                self.rename_tables(&[(name.clone(), to.clone())], false)?;
            }
        }
        Ok(())
    }

    /// The clauses with what an old server fills in for TIMESTAMP.
    fn filled_in(&self, alter: &AlterTable, context: &StatementContext) -> Vec<AlterClause> {
        let mut clauses = alter.clauses.clone();
        let mut specs: Vec<ColumnSpec> = clauses.iter().filter_map(spec_of).cloned().collect();
        implicit_timestamps(&mut specs, context.explicit_timestamps);
        // A conversion of the table takes the columns of the same statement with it.
        let converts = clauses
            .iter()
            .any(|clause| matches!(clause, AlterClause::ConvertCharset { .. }));
        for spec in specs
            .iter_mut()
            .filter(|spec| converts && spec.column.ty.is_character())
        {
            (spec.column.charset, spec.column.collation) = (None, None);
            spec.binary = false;
        }
        let mut specs = specs.into_iter();
        for clause in &mut clauses {
            if let AlterClause::AddColumn { spec, .. }
            | AlterClause::ModifyColumn { spec, .. }
            | AlterClause::ChangeColumn { spec, .. } = clause
                && let Some(new) = specs.next()
            {
                *spec = new;
            }
        }
        clauses
    }

    /// Sets the table's character set, and that of its columns where it is converted.
    fn new_charset(
        &self,
        database: &str,
        table: &mut TrackedTable,
        clauses: &[AlterClause],
    ) -> (String, String) {
        let definition = &mut table.definition;
        let before = self.table_charset(definition);
        let options: Vec<TableOption> = clauses
            .iter()
            .filter_map(|clause| match clause {
                AlterClause::Option(option) => Some(option.clone()),
                _ => None,
            })
            .collect();
        self.set_options(definition, &options, &before);
        for clause in clauses {
            let AlterClause::ConvertCharset { charset, collation } = clause else {
                continue;
            };
            let around = self
                .database(database)
                .map_or_else(|| before.clone(), |d| self.database_charset(d));
            let pair = self
                .rules
                .charset(charset.as_deref(), collation.as_deref(), &around);
            let is_same = |column: &ColumnDefinition| {
                !column.ty.is_character()
                    || column.charset.as_ref() == Some(&pair.0) && column.collation.as_ref() == Some(&pair.1)
            };
            if self.rules.conversion_needs_columns
                && clauses.len() == 1
                && definition.columns.iter().all(is_same)
            {
                continue;
            }
            for column in &mut definition.columns {
                if !column.ty.is_character() {
                    continue;
                }
                let from = column.charset.clone().unwrap_or_default();
                if let crate::DataType::Text(tier) = &mut column.ty {
                    *tier = super::rules::converted_tier(*tier, &from, &pair.0);
                }
                (column.charset, column.collation) = (Some(pair.0.clone()), Some(pair.1.clone()));
                // A VARCHAR may become too long.
                let spec = ColumnSpec {
                    null: Some(column.nullable),
                    ..ColumnSpec::new(column.clone())
                };
                *column = self.rules.column(&spec, &pair);
            }
            (definition.options.charset, definition.options.collation) = (Some(pair.0), Some(pair.1));
        }
        self.table_charset(definition)
    }

    /// Columns that go, are renamed or change where they are.
    fn drop_and_change(
        &self,
        name: &TableName,
        table: &mut TrackedTable,
        clauses: &[AlterClause],
        charset: &(String, String),
    ) -> Result<Vec<(String, String)>> {
        let definition = &mut table.definition;
        let mut renamed = Vec::new();
        // Names are those in front of the statement: find all before changing any.
        let mut changes: Vec<(usize, String, Option<ColumnDefinition>)> = Vec::new();
        let mut dropped: Vec<String> = Vec::new();
        for clause in clauses {
            match clause {
                AlterClause::DropColumn {
                    name: column,
                    if_exists,
                } => match position_of(definition, column) {
                    Some(_) => dropped.push(column.clone()),
                    None if *if_exists => {}
                    None => return not_followed(name, format!("the column {column:?} is not known")),
                },
                AlterClause::ModifyColumn { spec, if_exists, .. } => {
                    let new = self.rules.column(spec, charset);
                    match position_of(definition, &spec.column.name) {
                        Some(at) => changes.push((at, new.name.clone(), Some(new))),
                        None if *if_exists || is_added(clauses, &spec.column.name) => {}
                        None => {
                            return not_followed(
                                name,
                                format!("the column {:?} is not known", spec.column.name),
                            );
                        }
                    }
                }
                AlterClause::ChangeColumn {
                    old, spec, if_exists, ..
                } => {
                    let new = self.rules.column(spec, charset);
                    match position_of(definition, old) {
                        Some(at) => {
                            renamed.push((old.clone(), new.name.clone()));
                            changes.push((at, new.name.clone(), Some(new)));
                        }
                        None if *if_exists => {}
                        None => return not_followed(name, format!("the column {old:?} is not known")),
                    }
                }
                AlterClause::RenameColumn { old, new, if_exists } => match position_of(definition, old) {
                    Some(at) => {
                        renamed.push((old.clone(), new.clone()));
                        changes.push((at, new.clone(), None));
                    }
                    None if *if_exists => {}
                    None => return not_followed(name, format!("the column {old:?} is not known")),
                },
                _ => {}
            }
        }
        column::rename(definition, &renamed);
        for (at, new_name, new) in changes {
            if let Some(column) = definition.columns.get_mut(at) {
                match new {
                    Some(new) => *column = new,
                    None => column.name = new_name,
                }
            }
        }
        for column in dropped {
            leave_keys(definition, &column);
            if let Some(at) = position_of(definition, &column) {
                definition.columns.remove(at);
            }
        }
        // Columns of the primary key stay NOT NULL, whatever their new definition says.
        if let Some(key) = definition.primary_key().cloned() {
            self.primary(&key, definition);
        }
        Ok(renamed)
    }

    /// Columns that come or move, in the order of the clauses; then defaults and visibility.
    fn place_columns(
        &self,
        name: &TableName,
        table: &mut TrackedTable,
        clauses: &[AlterClause],
        charset: &(String, String),
    ) -> Result<()> {
        let definition = &mut table.definition;
        for clause in clauses {
            match clause {
                AlterClause::AddColumn {
                    spec,
                    position,
                    if_not_exists,
                } => {
                    if position_of(definition, &spec.column.name).is_some() {
                        if *if_not_exists {
                            continue;
                        }
                        return not_followed(name, format!("the column {:?} is there", spec.column.name));
                    }
                    let column = self.rules.column(spec, charset);
                    insert(name, definition, column, position)?;
                }
                AlterClause::ModifyColumn { spec, position, .. }
                | AlterClause::ChangeColumn { spec, position, .. }
                    if *position != ColumnPosition::Unsaid || is_added(clauses, &spec.column.name) =>
                {
                    if let Some(at) = position_of(definition, &spec.column.name) {
                        let mut column = definition.columns.remove(at);
                        if is_added(clauses, &spec.column.name) {
                            column = self.rules.column(spec, charset);
                        }
                        match position {
                            ColumnPosition::Unsaid => definition.columns.insert(at, column),
                            said => insert(name, definition, column, said)?,
                        }
                    }
                }
                _ => {}
            }
        }
        for clause in clauses {
            match clause {
                AlterClause::SetDefault {
                    column,
                    value,
                    if_exists,
                } => match position_of(definition, column) {
                    Some(at) => {
                        if let Some(column) = definition.columns.get_mut(at) {
                            column.default.clone_from(value);
                        }
                    }
                    None if *if_exists => {}
                    None => return not_followed(name, format!("the column {column:?} is not known")),
                },
                AlterClause::ColumnVisibility { column, visible } => match position_of(definition, column) {
                    Some(at) => {
                        if let Some(column) = definition.columns.get_mut(at) {
                            column.invisible = !visible;
                        }
                    }
                    None => return not_followed(name, format!("the column {column:?} is not known")),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// Keys and constraints: those that go, then those that come.
    // A guard of a match that changes the table would hide the change.
    #[expect(clippy::collapsible_match)]
    fn keys(&self, name: &TableName, table: &mut TrackedTable, clauses: &[AlterClause]) -> Result<()> {
        for clause in clauses {
            match clause {
                AlterClause::DropIndex {
                    name: index,
                    if_exists,
                } => {
                    if !drop_index(table, index) && !if_exists {
                        return not_followed(name, format!("the key {index:?} is not known"));
                    }
                }
                AlterClause::DropPrimaryKey => {
                    drop_index(table, "PRIMARY");
                }
                AlterClause::DropForeignKey { name: key, if_exists } => {
                    if !drop_foreign_key(table, key) && !if_exists {
                        return not_followed(name, format!("the foreign key {key:?} is not known"));
                    }
                }
                AlterClause::DropCheck { name: check } => {
                    if !drop_check(table, check) && self.rules.checks {
                        return not_followed(name, format!("the check {check:?} is not known"));
                    }
                }
                AlterClause::DropConstraint {
                    name: constraint,
                    if_exists,
                } => {
                    let gone = drop_check(table, constraint)
                        || drop_foreign_key(table, constraint)
                        || drop_index(table, constraint);
                    if !gone && !if_exists {
                        return not_followed(name, format!("the constraint {constraint:?} is not known"));
                    }
                }
                AlterClause::RenameIndex { old, new, if_exists } => {
                    if !rename_index(table, old, new) && !if_exists {
                        return not_followed(name, format!("the key {old:?} is not known"));
                    }
                }
                _ => {}
            }
        }
        let mut elements = Vec::new();
        for clause in clauses {
            match clause {
                AlterClause::AddColumn { spec, .. }
                | AlterClause::ModifyColumn { spec, .. }
                | AlterClause::ChangeColumn { spec, .. } => {
                    elements.extend(of_column(spec, self.rules.inline_references));
                }
                AlterClause::AddIndex { index, if_not_exists } => {
                    if !(*if_not_exists && has_index(table, index)) {
                        elements.push(TableElement::Index(index.clone()));
                    }
                }
                AlterClause::AddForeignKey { spec } => {
                    let there = table
                        .definition
                        .foreign_keys
                        .iter()
                        .any(|k| same(&k.name, &spec.key.name));
                    if !(spec.if_not_exists && there) {
                        elements.push(TableElement::ForeignKey(spec.clone()));
                    }
                }
                AlterClause::AddCheck { check, if_not_exists } => {
                    let there = table.definition.checks.iter().any(|c| c.name == check.name);
                    if !(*if_not_exists && there) {
                        elements.push(TableElement::Check(check.clone()));
                    }
                }
                AlterClause::AddPeriod { period } => elements.push(TableElement::Period(period.clone())),
                _ => {}
            }
        }
        self.add_keys(name, table, elements)
    }

    /// What is left: attributes of keys, partitions, periods.
    fn rest(&self, name: &TableName, table: &mut TrackedTable, clause: &AlterClause) -> Result<()> {
        if partition::alter(name, &mut table.definition, clause)? {
            return Ok(());
        }
        match clause {
            AlterClause::IndexVisibility { name: index, visible } => {
                for other in &mut table.definition.indexes {
                    if same(&other.name, index) {
                        other.invisible = !visible;
                    }
                }
            }
            AlterClause::AlterCheck {
                name: check,
                enforced,
            } => {
                for other in &mut table.definition.checks {
                    if other.name.as_deref().is_some_and(|n| same(n, check)) {
                        other.enforced = *enforced;
                    }
                }
            }
            AlterClause::DropPeriod { name: period } => {
                table.definition.periods.retain(|p| !same(&p.name, period));
            }
            AlterClause::SystemVersioning { on } => table.definition.system_versioned = *on,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn create_index(
        &mut self,
        table: &TableName,
        index: &IndexDefinition,
        if_not_exists: bool,
        or_replace: bool,
        context: &StatementContext,
    ) -> Result<()> {
        let mut clauses = Vec::new();
        if or_replace {
            clauses.push(AlterClause::DropIndex {
                name: index.name.clone(),
                if_exists: true,
            });
        }
        clauses.push(AlterClause::AddIndex {
            index: index.clone(),
            if_not_exists,
        });
        let alter = AlterTable {
            table: table.clone(),
            if_exists: false,
            clauses,
        };
        self.alter_table(&alter, context)
    }

    pub(super) fn drop_index(
        &mut self,
        table: &TableName,
        name: &str,
        if_exists: bool,
        context: &StatementContext,
    ) -> Result<()> {
        let alter = AlterTable {
            table: table.clone(),
            if_exists,
            clauses: vec![AlterClause::DropIndex {
                name: name.to_owned(),
                if_exists,
            }],
        };
        self.alter_table(&alter, context)
    }
}

fn spec_of(clause: &AlterClause) -> Option<&ColumnSpec> {
    match clause {
        AlterClause::AddColumn { spec, .. }
        | AlterClause::ModifyColumn { spec, .. }
        | AlterClause::ChangeColumn { spec, .. } => Some(spec),
        _ => None,
    }
}

/// Whether a column is one that the statement adds; MariaDB can change it in the same statement.
fn is_added(clauses: &[AlterClause], name: &str) -> bool {
    clauses
        .iter()
        .any(|clause| matches!(clause, AlterClause::AddColumn { spec, .. } if same(&spec.column.name, name)))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn has_index(table: &TrackedTable, index: &IndexDefinition) -> bool {
    let primary = index.kind == IndexKind::Primary && table.definition.primary_key().is_some();
    primary
        || (!index.name.is_empty()
            && table
                .definition
                .indexes
                .iter()
                .any(|i| same(&i.name, &index.name)))
}

fn drop_index(table: &mut TrackedTable, name: &str) -> bool {
    let before = table.definition.indexes.len();
    let primary = name.eq_ignore_ascii_case("PRIMARY");
    table.definition.indexes.retain(|i| {
        !(if primary {
            i.kind == IndexKind::Primary
        } else {
            same(&i.name, name)
        })
    });
    table.generated.retain(|other| !same(other, name));
    table.definition.indexes.len() < before
}

fn drop_foreign_key(table: &mut TrackedTable, name: &str) -> bool {
    let before = table.definition.foreign_keys.len();
    table.definition.foreign_keys.retain(|k| !same(&k.name, name));
    table.definition.foreign_keys.len() < before
}

fn drop_check(table: &mut TrackedTable, name: &str) -> bool {
    let before = table.definition.checks.len();
    table
        .definition
        .checks
        .retain(|c| !c.name.as_deref().is_some_and(|n| same(n, name)));
    table.definition.checks.len() < before
}

fn rename_index(table: &mut TrackedTable, old: &str, new: &str) -> bool {
    match table.definition.indexes.iter_mut().find(|i| same(&i.name, old)) {
        Some(index) => {
            new.clone_into(&mut index.name);
            true
        }
        None => false,
    }
}
