//! An index of `SHOW CREATE TABLE`.

use super::cursor::Cursor;
use crate::{IndexAlgorithm, IndexDefinition, IndexKind, IndexPart, IndexPartKey, SchemaError};

type Result<T> = std::result::Result<T, SchemaError>;

pub(super) fn index(c: &mut Cursor<'_>) -> Result<IndexDefinition> {
    let kind = if c.accept("PRIMARY KEY") {
        IndexKind::Primary
    } else if c.accept("UNIQUE KEY") {
        IndexKind::Unique
    } else if c.accept("FULLTEXT KEY") {
        IndexKind::FullText
    } else if c.accept("SPATIAL KEY") {
        IndexKind::Spatial
    } else if c.accept("KEY") {
        IndexKind::Plain
    } else {
        return c.refuse("a column, key or constraint");
    };
    let name = if kind == IndexKind::Primary {
        String::new()
    } else {
        c.name()?
    };
    let mut index = IndexDefinition {
        kind,
        name,
        parts: Vec::new(),
        algorithm: None,
        key_block_size: None,
        parser: None,
        comment: String::new(),
        invisible: false,
    };
    if c.accept("USING") {
        index.algorithm = Some(algorithm(c)?);
    }
    c.expect_symbol("(")?;
    loop {
        index.parts.push(part(c)?);
        if c.accept_symbol(")") {
            break;
        }
        c.expect_symbol(",")?;
    }
    loop {
        if c.accept("USING") {
            index.algorithm = Some(algorithm(c)?);
        } else if c.accept("KEY_BLOCK_SIZE") {
            c.accept_symbol("=");
            index.key_block_size = Some(c.integer()?);
        } else if c.accept("BLOCK_SIZE") {
            // OceanBase prints how it keeps every index.
            c.accept_symbol("=");
            let _: u64 = c.integer()?;
            let _ = c.accept("LOCAL") || c.accept("GLOBAL");
        } else if c.accept("WITH PARSER") {
            index.parser = Some(c.name()?);
        } else if c.accept("COMMENT") {
            index.comment = c.text()?;
        } else if c.accept("INVISIBLE") || c.accept("IGNORED") {
            index.invisible = true;
        } else {
            return Ok(index);
        }
    }
}

fn algorithm(c: &mut Cursor<'_>) -> Result<IndexAlgorithm> {
    for algorithm in [IndexAlgorithm::BTree, IndexAlgorithm::Hash, IndexAlgorithm::RTree] {
        if c.accept(algorithm.word()) {
            return Ok(algorithm);
        }
    }
    c.refuse("an index algorithm")
}

pub(super) fn part(c: &mut Cursor<'_>) -> Result<IndexPart> {
    let key = if c.is_symbol(0, "(") {
        IndexPartKey::Expression(super::unwrap_parentheses(&c.parenthesized()?))
    } else {
        IndexPartKey::Column(c.name()?)
    };
    let mut part = IndexPart {
        key,
        prefix: None,
        descending: false,
        without_overlaps: false,
    };
    if c.accept_symbol("(") {
        part.prefix = Some(c.integer()?);
        c.expect_symbol(")")?;
    }
    if c.accept("DESC") {
        part.descending = true;
    } else {
        c.accept("ASC");
    }
    part.without_overlaps = c.accept("WITHOUT OVERLAPS");
    Ok(part)
}
