//! The clauses of ALTER TABLE.

use super::{Reader, Result};
use crate::{AlterClause, TableElement};

impl Reader<'_> {
    pub(super) fn alter_clauses(&mut self, clauses: &mut Vec<AlterClause>) -> Result<()> {
        loop {
            if self.c.is_end() || self.c.is_symbol(0, ";") {
                // `ALTER TABLE t` alone does nothing.
                return Ok(());
            }
            self.clause(clauses)?;
            // Partition clauses may follow without a comma.
            if self.c.is_word(0, "PARTITION") || self.c.is_word(0, "REMOVE") {
                continue;
            }
            // Table options too.
            if self.c.accept_symbol(",") {
                if self.c.is_end() {
                    return self.c.refuse("a clause of ALTER TABLE");
                }
                continue;
            }
            if self.c.is_end() || self.c.is_symbol(0, ";") {
                return Ok(());
            }
            if !matches!(clauses.last(), Some(AlterClause::Option(_))) {
                return self.c.refuse("a comma or the end");
            }
        }
    }

    fn clause(&mut self, clauses: &mut Vec<AlterClause>) -> Result<()> {
        if self.c.is_word(0, "PARTITION") || self.c.is_word(0, "REMOVE") {
            clauses.push(self.partition_by()?);
            return Ok(());
        }
        if let Some(clause) = self.partition_clause()? {
            clauses.push(clause);
            return Ok(());
        }
        if self.c.accept("ADD") {
            return self.add(clauses);
        }
        if self.c.accept("DROP") {
            clauses.push(self.drop_clause()?);
            return Ok(());
        }
        let clause = if self.c.accept("MODIFY") {
            self.modify()?
        } else if self.c.accept("CHANGE") {
            self.change()?
        } else if self.c.accept("RENAME") {
            self.rename_clause()?
        } else if self.c.accept("ALTER") {
            self.alter_part()?
        } else {
            self.table_clause()?
        };
        clauses.push(clause);
        Ok(())
    }

    fn add(&mut self, clauses: &mut Vec<AlterClause>) -> Result<()> {
        if self.c.accept("SYSTEM VERSIONING") {
            clauses.push(AlterClause::SystemVersioning { on: true });
            return Ok(());
        }
        if self.c.is_word(0, "PERIOD") && self.c.is_word(1, "FOR") {
            let period = self.period()?;
            clauses.push(AlterClause::AddPeriod { period });
            return Ok(());
        }
        let is_column = self.c.accept("COLUMN");
        if !is_column && let Some(constraint) = self.constraint()? {
            let if_not_exists = constraint.if_not_exists;
            clauses.push(match constraint.element {
                TableElement::Index(index) => AlterClause::AddIndex { index, if_not_exists },
                TableElement::ForeignKey(spec) => AlterClause::AddForeignKey { spec },
                TableElement::Check(check) => AlterClause::AddCheck { check, if_not_exists },
                TableElement::Column(_) | TableElement::Period(_) => return self.c.refuse("a key"),
            });
            return Ok(());
        }
        let if_not_exists = self.if_not_exists();
        if !self.c.accept_symbol("(") {
            let spec = self.column()?;
            let position = self.position()?;
            clauses.push(AlterClause::AddColumn {
                spec,
                position,
                if_not_exists,
            });
            return Ok(());
        }
        loop {
            // Keys may stand between the columns.
            match self.constraint()? {
                Some(constraint) => match constraint.element {
                    TableElement::Index(index) => {
                        clauses.push(AlterClause::AddIndex { index, if_not_exists })
                    }
                    TableElement::ForeignKey(spec) => clauses.push(AlterClause::AddForeignKey { spec }),
                    TableElement::Check(check) => {
                        clauses.push(AlterClause::AddCheck { check, if_not_exists })
                    }
                    TableElement::Column(_) | TableElement::Period(_) => return self.c.refuse("a key"),
                },
                None => clauses.push(AlterClause::AddColumn {
                    spec: self.column()?,
                    position: self.position()?,
                    if_not_exists,
                }),
            }
            if self.c.accept_symbol(")") {
                return Ok(());
            }
            self.c.expect_symbol(",")?;
        }
    }

    fn drop_clause(&mut self) -> Result<AlterClause> {
        if self.c.accept("SYSTEM VERSIONING") {
            return Ok(AlterClause::SystemVersioning { on: false });
        }
        if self.c.accept("PERIOD FOR") {
            self.if_exists();
            return Ok(AlterClause::DropPeriod { name: self.c.name()? });
        }
        if self.c.accept("PRIMARY KEY") {
            return Ok(AlterClause::DropPrimaryKey);
        }
        if self.c.accept("FOREIGN KEY") {
            let if_exists = self.if_exists();
            let name = self.c.name()?;
            return Ok(AlterClause::DropForeignKey { name, if_exists });
        }
        if self.c.accept("CONSTRAINT") {
            let if_exists = self.if_exists();
            let name = self.c.name()?;
            return Ok(AlterClause::DropConstraint { name, if_exists });
        }
        if self.c.accept("CHECK") {
            return Ok(AlterClause::DropCheck { name: self.c.name()? });
        }
        if self.c.accept("INDEX") || self.c.accept("KEY") {
            let if_exists = self.if_exists();
            let name = self.c.name()?;
            return Ok(AlterClause::DropIndex { name, if_exists });
        }
        self.c.accept("COLUMN");
        let if_exists = self.if_exists();
        let name = self.c.name()?;
        let _ = self.c.accept("RESTRICT") || self.c.accept("CASCADE");
        Ok(AlterClause::DropColumn { name, if_exists })
    }

    fn modify(&mut self) -> Result<AlterClause> {
        self.c.accept("COLUMN");
        let if_exists = self.if_exists();
        let spec = self.column()?;
        let position = self.position()?;
        Ok(AlterClause::ModifyColumn {
            spec,
            position,
            if_exists,
        })
    }

    fn change(&mut self) -> Result<AlterClause> {
        self.c.accept("COLUMN");
        let if_exists = self.if_exists();
        let old = self.c.name()?;
        let spec = self.column()?;
        let position = self.position()?;
        Ok(AlterClause::ChangeColumn {
            old,
            spec,
            position,
            if_exists,
        })
    }

    fn rename_clause(&mut self) -> Result<AlterClause> {
        if self.c.accept("COLUMN") {
            let if_exists = self.if_exists();
            let old = self.c.name()?;
            self.c.expect("TO")?;
            let new = self.c.name()?;
            return Ok(AlterClause::RenameColumn { old, new, if_exists });
        }
        if self.c.accept("INDEX") || self.c.accept("KEY") {
            let if_exists = self.if_exists();
            let old = self.c.name()?;
            self.c.expect("TO")?;
            let new = self.c.name()?;
            return Ok(AlterClause::RenameIndex { old, new, if_exists });
        }
        let _ = self.c.accept("TO") || self.c.accept("AS") || self.c.accept_symbol("=");
        // Without a database the new name is one of the default database, not of the table's.
        Ok(AlterClause::Rename {
            to: self.table_name()?,
        })
    }

    fn alter_part(&mut self) -> Result<AlterClause> {
        if self.c.accept("INDEX") || self.c.accept("KEY") {
            self.if_exists();
            let name = self.c.name()?;
            let visible = if self.c.accept("VISIBLE") || self.c.accept("NOT IGNORED") {
                true
            } else if self.c.accept("INVISIBLE") || self.c.accept("IGNORED") {
                false
            } else {
                return self.c.refuse("VISIBLE or INVISIBLE");
            };
            return Ok(AlterClause::IndexVisibility { name, visible });
        }
        if self.c.accept("CHECK") || self.c.accept("CONSTRAINT") {
            let name = self.c.name()?;
            let enforced = !self.c.accept("NOT");
            self.c.expect("ENFORCED")?;
            return Ok(AlterClause::AlterCheck { name, enforced });
        }
        self.c.accept("COLUMN");
        let if_exists = self.if_exists();
        let column = self.c.name()?;
        if self.c.accept("SET DEFAULT") {
            let value = Some(self.default_value()?);
            return Ok(AlterClause::SetDefault {
                column,
                value,
                if_exists,
            });
        }
        if self.c.accept("DROP DEFAULT") {
            return Ok(AlterClause::SetDefault {
                column,
                value: None,
                if_exists,
            });
        }
        if self.c.accept("SET VISIBLE") {
            return Ok(AlterClause::ColumnVisibility {
                column,
                visible: true,
            });
        }
        if self.c.accept("SET INVISIBLE") {
            return Ok(AlterClause::ColumnVisibility {
                column,
                visible: false,
            });
        }
        self.c.refuse("SET or DROP")
    }

    fn table_clause(&mut self) -> Result<AlterClause> {
        if self.c.accept("CONVERT TO") {
            if !self.accept_charset() {
                return self.c.refuse("CHARACTER SET");
            }
            let charset = if self.c.accept("DEFAULT") {
                None
            } else {
                Some(self.charset_name()?)
            };
            let collation = if self.c.accept("COLLATE") {
                self.c.accept_symbol("=");
                Some(self.charset_name()?)
            } else {
                None
            };
            return Ok(AlterClause::ConvertCharset { charset, collation });
        }
        if self.c.accept("ORDER BY") {
            let mark = self.c.mark();
            while !(self.c.is_end() || self.c.is_symbol(0, ";")) {
                self.c.advance();
            }
            let columns = self.c.text_from(mark);
            if columns.is_empty() {
                return self.c.refuse("columns");
            }
            return Ok(AlterClause::OrderBy(columns));
        }
        if self.c.accept("FORCE") {
            return Ok(AlterClause::Force);
        }
        if self.c.accept("ENABLE KEYS") {
            return Ok(AlterClause::Keys { enable: true });
        }
        if self.c.accept("DISABLE KEYS") {
            return Ok(AlterClause::Keys { enable: false });
        }
        for (words, import) in [("DISCARD TABLESPACE", false), ("IMPORT TABLESPACE", true)] {
            if self.c.accept(words) {
                return Ok(AlterClause::Tablespace {
                    import,
                    partitions: None,
                });
            }
        }
        if self.c.accept("ALGORITHM") {
            self.c.accept_symbol("=");
            return Ok(AlterClause::Algorithm(self.c.name()?.to_ascii_uppercase()));
        }
        if self.c.accept("LOCK") {
            self.c.accept_symbol("=");
            return Ok(AlterClause::Lock(self.c.name()?.to_ascii_uppercase()));
        }
        if self.c.accept("WITH VALIDATION") {
            return Ok(AlterClause::Validation(true));
        }
        if self.c.accept("WITHOUT VALIDATION") {
            return Ok(AlterClause::Validation(false));
        }
        match self.table_option()? {
            Some(option) => Ok(AlterClause::Option(option)),
            None => self.c.refuse("a clause of ALTER TABLE"),
        }
    }
}
