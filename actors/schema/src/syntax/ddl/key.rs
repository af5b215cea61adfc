//! Keys and constraints.

use super::{Reader, Result};
use crate::{
    ForeignKeySpec, IndexAlgorithm, IndexDefinition, IndexKind, TableElement,
    syntax::{index, table},
};

/// An index about which nothing is said but its kind and name.
pub(super) fn empty(kind: IndexKind, name: String) -> IndexDefinition {
    IndexDefinition {
        kind,
        name,
        parts: Vec::new(),
        algorithm: None,
        key_block_size: None,
        parser: None,
        comment: String::new(),
        invisible: false,
    }
}

/// A key or constraint, and whether it says IF NOT EXISTS.
pub(super) struct Constraint {
    pub(super) element: TableElement,
    pub(super) if_not_exists: bool,
}

impl Reader<'_> {
    /// A key or constraint, if one begins here.
    pub(super) fn constraint(&mut self) -> Result<Option<Constraint>> {
        let mut if_not_exists = false;
        let mut symbol = None;
        let mut is_constraint = false;
        if self.c.is_word(0, "CONSTRAINT") {
            self.c.advance();
            is_constraint = true;
            if_not_exists = self.if_not_exists();
            let unnamed = ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]
                .iter()
                .any(|w| self.c.is_word(0, w));
            if !unnamed {
                symbol = Some(self.c.name()?);
            }
        }
        if self.c.is_word(0, "CHECK") && (is_constraint || self.c.is_symbol(1, "(")) {
            let element = TableElement::Check(self.check(symbol)?);
            return Ok(Some(Constraint {
                element,
                if_not_exists,
            }));
        }
        if self.c.is_word(0, "FOREIGN") && self.c.is_word(1, "KEY") {
            self.c.accept("FOREIGN KEY");
            return self.foreign_key(symbol, if_not_exists).map(Some);
        }
        let Some(kind) = self.key_kind() else {
            return if is_constraint {
                self.c.refuse("a constraint")
            } else {
                Ok(None)
            };
        };
        if_not_exists |= self.if_not_exists();
        let mut index = empty(kind, String::new());
        let is_type = (self.c.is_word(0, "USING") || self.c.is_word(0, "TYPE")) && !self.c.is_symbol(1, "(");
        if !(self.c.is_symbol(0, "(") || is_type) {
            index.name = self.c.name()?;
        } else if let Some(symbol) = symbol {
            index.name = symbol;
        }
        if kind == IndexKind::Primary {
            index.name = String::new();
        }
        self.index_type(&mut index)?;
        self.key_parts(&mut index)?;
        self.index_options(&mut index)?;
        Ok(Some(Constraint {
            element: TableElement::Index(index),
            if_not_exists,
        }))
    }

    /// The words of a kind of key, if a key begins here.
    fn key_kind(&mut self) -> Option<IndexKind> {
        if self.c.accept("PRIMARY KEY") {
            return Some(IndexKind::Primary);
        }
        for (word, kind) in [
            ("UNIQUE", IndexKind::Unique),
            ("FULLTEXT", IndexKind::FullText),
            ("SPATIAL", IndexKind::Spatial),
        ] {
            if self.c.accept(word) {
                let _ = self.c.accept("KEY") || self.c.accept("INDEX");
                return Some(kind);
            }
        }
        (self.c.accept("KEY") || self.c.accept("INDEX")).then_some(IndexKind::Plain)
    }

    fn foreign_key(&mut self, symbol: Option<String>, mut if_not_exists: bool) -> Result<Constraint> {
        if_not_exists |= self.if_not_exists();
        let index = if self.c.is_symbol(0, "(") {
            None
        } else {
            Some(self.c.name()?)
        };
        let columns = self.c.names_in_parentheses()?;
        let key = table::references(&mut self.c, symbol.unwrap_or_default(), columns)?;
        Ok(Constraint {
            element: TableElement::ForeignKey(ForeignKeySpec {
                key,
                index,
                if_not_exists,
            }),
            if_not_exists,
        })
    }

    /// `USING BTREE`, and the old `TYPE BTREE`.
    pub(super) fn index_type(&mut self, index: &mut IndexDefinition) -> Result<()> {
        if self.c.accept("USING") || self.c.accept("TYPE") {
            index.algorithm = Some(self.index_algorithm()?);
        }
        Ok(())
    }

    fn index_algorithm(&mut self) -> Result<IndexAlgorithm> {
        for algorithm in [IndexAlgorithm::BTree, IndexAlgorithm::Hash, IndexAlgorithm::RTree] {
            if self.c.accept(algorithm.word()) {
                return Ok(algorithm);
            }
        }
        self.c.refuse("an index algorithm")
    }

    pub(super) fn key_parts(&mut self, index: &mut IndexDefinition) -> Result<()> {
        self.c.expect_symbol("(")?;
        loop {
            index.parts.push(index::part(&mut self.c)?);
            if self.c.accept_symbol(")") {
                return Ok(());
            }
            self.c.expect_symbol(",")?;
        }
    }

    pub(super) fn index_options(&mut self, index: &mut IndexDefinition) -> Result<()> {
        loop {
            if self.c.accept("USING") || self.c.accept("TYPE") {
                index.algorithm = Some(self.index_algorithm()?);
            } else if self.c.accept("KEY_BLOCK_SIZE") {
                self.c.accept_symbol("=");
                index.key_block_size = Some(self.c.integer()?);
            } else if self.c.accept("WITH PARSER") {
                index.parser = Some(self.c.name()?);
            } else if self.c.accept("COMMENT") {
                index.comment = self.c.text()?;
            } else if self.c.accept("INVISIBLE") || self.c.accept("IGNORED") {
                index.invisible = true;
            } else if self.c.accept("VISIBLE") || self.c.accept("NOT IGNORED") {
                index.invisible = false;
            } else if self.c.accept("CLUSTERING") {
                self.c.expect_symbol("=")?;
                self.c.name()?;
            } else if self.c.accept("ENGINE_ATTRIBUTE") || self.c.accept("SECONDARY_ENGINE_ATTRIBUTE") {
                self.c.accept_symbol("=");
                self.c.text()?;
            } else {
                return Ok(());
            }
        }
    }
}
