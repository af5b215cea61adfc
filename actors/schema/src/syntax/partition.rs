//! The partitions of `SHOW CREATE TABLE`.

use super::{cursor::Cursor, table::option_value, token::TokenKind};
use crate::{
    PartitionDefinition, PartitionMethod, PartitionValues, Partitioning, SchemaError, SubPartitioning,
    SubpartitionDefinition,
};

type Result<T> = std::result::Result<T, SchemaError>;

/// What follows `PARTITION BY`.
pub(super) fn partitioning(c: &mut Cursor<'_>) -> Result<Partitioning> {
    let (method, linear, algorithm) = method(c)?;
    let count = if c.accept("PARTITIONS") {
        Some(c.integer()?)
    } else {
        None
    };
    let sub = if c.accept("SUBPARTITION BY") {
        let (method, linear, algorithm) = self::method(c)?;
        if !matches!(method, PartitionMethod::Hash(_) | PartitionMethod::Key(_)) {
            return c.refuse("(behind subpartitions) HASH or KEY");
        }
        let count = if c.accept("SUBPARTITIONS") {
            Some(c.integer()?)
        } else {
            None
        };
        Some(SubPartitioning {
            method,
            linear,
            algorithm,
            count,
        })
    } else {
        None
    };
    let mut definitions = Vec::new();
    if c.accept_symbol("(") {
        loop {
            definitions.push(partition(c)?);
            if c.accept_symbol(")") {
                break;
            }
            c.expect_symbol(",")?;
        }
    }
    Ok(Partitioning {
        method,
        linear,
        algorithm,
        count,
        sub,
        definitions,
    })
}

fn method(c: &mut Cursor<'_>) -> Result<(PartitionMethod, bool, Option<u8>)> {
    let linear = c.accept("LINEAR");
    if c.accept("HASH") {
        return Ok((PartitionMethod::Hash(c.parenthesized()?), linear, None));
    }
    if c.accept("KEY") {
        let mut algorithm = None;
        if c.accept("ALGORITHM") {
            c.expect_symbol("=")?;
            algorithm = Some(c.integer()?);
        }
        return Ok((PartitionMethod::Key(c.names_in_parentheses()?), linear, algorithm));
    }
    if linear {
        return c.refuse("HASH or KEY");
    }
    let method = if c.accept("RANGE COLUMNS") {
        PartitionMethod::RangeColumns(c.names_in_parentheses()?)
    } else if c.accept("RANGE") {
        PartitionMethod::Range(c.parenthesized()?)
    } else if c.accept("LIST COLUMNS") {
        PartitionMethod::ListColumns(c.names_in_parentheses()?)
    } else if c.accept("LIST") {
        PartitionMethod::List(c.parenthesized()?)
    } else if c.accept("SYSTEM_TIME") {
        PartitionMethod::SystemTime(system_time(c)?)
    } else {
        return c.refuse("a way to partition");
    };
    Ok((method, false, None))
}

/// `INTERVAL 1 MONTH STARTS TIMESTAMP'…' AUTO` or `LIMIT n`, as text.
fn system_time(c: &mut Cursor<'_>) -> Result<String> {
    let mark = c.mark();
    while !(c.is_end() || c.is_symbol(0, "(") || c.is_symbol(0, ";") || c.is_word(0, "PARTITIONS")) {
        c.advance();
    }
    Ok(c.text_from(mark))
}

pub(super) fn partition(c: &mut Cursor<'_>) -> Result<PartitionDefinition> {
    c.expect("PARTITION")?;
    let name = c.name()?;
    let values = if c.accept("VALUES LESS THAN") {
        if c.accept("MAXVALUE") {
            PartitionValues::LessThan(vec!["MAXVALUE".to_owned()])
        } else {
            PartitionValues::LessThan(c.items_in_parentheses()?)
        }
    } else if c.accept("VALUES IN") {
        PartitionValues::In(c.items_in_parentheses()?)
    } else if c.accept("DEFAULT") {
        PartitionValues::Default
    } else if c.accept("HISTORY") {
        PartitionValues::History
    } else if c.accept("CURRENT") {
        PartitionValues::Current
    } else {
        PartitionValues::None
    };
    let options = options(c)?;
    let mut subpartitions = Vec::new();
    if c.accept_symbol("(") {
        loop {
            c.expect("SUBPARTITION")?;
            let name = c.name()?;
            subpartitions.push(SubpartitionDefinition {
                name,
                options: self::options(c)?,
            });
            if c.accept_symbol(")") {
                break;
            }
            c.expect_symbol(",")?;
        }
    }
    Ok(PartitionDefinition {
        name,
        values,
        options,
        subpartitions,
    })
}

fn options(c: &mut Cursor<'_>) -> Result<Vec<(String, String)>> {
    const KNOWN: &[&str] = &[
        "COMMENT",
        "DATA DIRECTORY",
        "ENGINE",
        "INDEX DIRECTORY",
        "MAX_ROWS",
        "MIN_ROWS",
        "NODEGROUP",
        "TABLESPACE",
    ];
    let mut list = Vec::new();
    'next: while matches!(c.peek().kind, TokenKind::Word(_)) && !c.is_word(0, "WITH") {
        c.accept("STORAGE");
        for name in KNOWN {
            if c.accept(name) {
                c.accept_symbol("=");
                let value = option_value(c)?;
                list.push(((*name).to_owned(), value));
                continue 'next;
            }
        }
        return c.refuse("a known option of a partition");
    }
    Ok(list)
}
