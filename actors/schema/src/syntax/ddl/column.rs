//! Columns.

use oms_core::Generated;

use super::{Reader, Result};
use crate::{
    CheckDefinition, ColumnKey, ColumnPosition, ColumnSpec, Flavor, GeneratedColumn, RowPeriod,
    syntax::{table, unwrap_parentheses},
};

impl Reader<'_> {
    /// A name, a type and attributes.
    pub(super) fn column(&mut self) -> Result<ColumnSpec> {
        let name = self.c.name()?;
        self.column_behind_name(name)
    }

    /// A type and attributes.
    pub(super) fn column_behind_name(&mut self, name: String) -> Result<ColumnSpec> {
        let mut spec = self.column_type(name)?;
        while !self.is_column_end() {
            self.column_attribute(&mut spec)?;
        }
        spec.column.nullable = spec.null.unwrap_or(true);
        Ok(spec)
    }

    fn is_column_end(&self) -> bool {
        self.c.is_end()
            || [",", ")", ";"].iter().any(|s| self.c.is_symbol(0, s))
            || ["FIRST", "AFTER"].iter().any(|w| self.c.is_word(0, w))
            // ALTER TABLE may go on with partitions without a comma.
            || (self.c.is_word(0, "PARTITION") && self.c.is_word(1, "BY"))
    }

    fn column_attribute(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        let column = &mut spec.column;
        if self.c.accept("NOT NULL") {
            spec.null = Some(false);
        } else if self.c.accept("NOT SECONDARY") {
            column.storage.push("NOT SECONDARY".to_owned());
        } else if self.c.accept("NULL") {
            spec.null = Some(true);
        } else if self.c.accept("DEFAULT") {
            column.default = Some(self.default_value()?);
        } else if self.c.accept("ON UPDATE") {
            column.on_update_now = match self.now()? {
                Some(fraction) => Some(fraction),
                None => return self.c.refuse("CURRENT_TIMESTAMP"),
            };
        } else if self.c.is_word(0, "GENERATED") || self.c.is_word(0, "AS") {
            self.generated(spec)?;
        } else if self.c.accept("AUTO_INCREMENT") {
            column.auto_increment = true;
            spec.null = Some(false);
        } else if self.c.accept("INVISIBLE") {
            column.invisible = true;
        } else if self.c.accept("VISIBLE") {
            column.invisible = false;
        } else if self.c.accept("COMMENT") {
            column.comment = self.c.text()?;
        } else if self.c.accept("COLLATE") {
            self.c.accept_symbol("=");
            column.collation = Some(self.charset_name()?);
        } else if self.accept_charset() {
            column.charset = Some(self.charset_name()?);
        } else if self.c.accept("UNIQUE") {
            self.c.accept("KEY");
            spec.key = spec.key.or(Some(ColumnKey::Unique));
        } else if self.c.accept("PRIMARY KEY") || self.c.accept("PRIMARY") || self.c.accept("KEY") {
            spec.key = Some(ColumnKey::Primary);
        } else if self.c.is_word(0, "CONSTRAINT") || self.c.is_word(0, "CHECK") {
            self.column_check(spec)?;
        } else if self.c.is_word(0, "REFERENCES") {
            let key = table::references(&mut self.c, String::new(), vec![column.name.clone()])?;
            spec.references = Some(key);
        } else if self.serial_default(spec) {
        } else {
            self.rare_attribute(spec)?;
        }
        Ok(())
    }

    fn rare_attribute(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        let column = &mut spec.column;
        if self.c.accept("SRID") {
            column.srid = Some(self.c.integer()?);
        } else if self.c.accept("REF_SYSTEM_ID") {
            self.c.accept_symbol("=");
            self.c.integer::<u32>()?;
        } else if self.c.accept("WITH SYSTEM VERSIONING") {
            column.system_versioning = Some(true);
        } else if self.c.accept("WITHOUT SYSTEM VERSIONING") {
            column.system_versioning = Some(false);
        } else if self.c.accept("COMPRESSED") {
            let mut words = "COMPRESSED".to_owned();
            if self.c.accept_symbol("=") {
                words = format!("COMPRESSED={}", self.plain_word()?);
            }
            column.storage.push(words);
        } else if self.c.accept("COLUMN_FORMAT") {
            column
                .storage
                .push(format!("COLUMN_FORMAT {}", self.plain_word()?));
        } else if self.c.accept("STORAGE") {
            column.storage.push(format!("STORAGE {}", self.plain_word()?));
        } else if self.c.accept("ENGINE_ATTRIBUTE") || self.c.accept("SECONDARY_ENGINE_ATTRIBUTE") {
            self.c.accept_symbol("=");
            self.c.text()?;
        } else {
            return self.c.refuse("an attribute of a column");
        }
        Ok(())
    }

    fn generated(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        if self.c.accept("GENERATED") {
            self.c.expect("ALWAYS")?;
        }
        self.c.expect("AS")?;
        if self.c.accept("ROW START") {
            spec.column.row_period = Some(RowPeriod::Start);
            return Ok(());
        }
        if self.c.accept("ROW END") {
            spec.column.row_period = Some(RowPeriod::End);
            return Ok(());
        }
        let expression = unwrap_parentheses(&self.c.parenthesized()?);
        let kept = if self.c.accept("STORED") || self.c.accept("PERSISTENT") {
            Generated::Stored
        } else {
            self.c.accept("VIRTUAL");
            Generated::Virtual
        };
        spec.column.generated = Some(GeneratedColumn { expression, kept });
        Ok(())
    }

    /// MariaDB keeps a check with its column, MySQL with the table.
    fn column_check(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        let name = if self.c.accept("CONSTRAINT") && !self.c.is_word(0, "CHECK") {
            Some(self.c.name()?)
        } else {
            None
        };
        let check = self.check(name)?;
        if self.context.flavor == Flavor::MariaDb && check.name.is_none() {
            spec.column.check = Some(check.expression);
        } else {
            spec.checks.push(check);
        }
        Ok(())
    }

    /// `CHECK (…) [[NOT] ENFORCED]`.
    pub(super) fn check(&mut self, name: Option<String>) -> Result<CheckDefinition> {
        self.c.expect("CHECK")?;
        let expression = unwrap_parentheses(&self.c.parenthesized()?);
        if expression.is_empty() {
            return self.c.refuse("(in front of this) a condition");
        }
        let enforced = if self.c.accept("NOT ENFORCED") {
            false
        } else {
            self.c.accept("ENFORCED");
            true
        };
        Ok(CheckDefinition {
            name,
            expression,
            enforced,
        })
    }

    /// FIRST and AFTER.
    pub(super) fn position(&mut self) -> Result<ColumnPosition> {
        if self.c.accept("FIRST") {
            return Ok(ColumnPosition::First);
        }
        if self.c.accept("AFTER") {
            return Ok(ColumnPosition::After(self.c.name()?));
        }
        Ok(ColumnPosition::Unsaid)
    }
}
