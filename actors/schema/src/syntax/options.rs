//! The options behind the columns of `SHOW CREATE TABLE`.

use super::{cursor::Cursor, quote, table::option_value, token::TokenKind};
use crate::{SchemaError, TableDefinition};

type Result<T> = std::result::Result<T, SchemaError>;

/// Options that say how a table is kept and have no effect on its values.
pub(super) const STORAGE: &[&str] = &[
    "AUTOEXTEND_SIZE",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "COMPRESSION",
    "DATA DIRECTORY",
    "DELAY_KEY_WRITE",
    "ENCRYPTION",
    "ENGINE_ATTRIBUTE",
    "INDEX DIRECTORY",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLE_CHECKSUM",
    "TABLESPACE",
    "TRANSACTIONAL",
];

/// More of them that are accepted and not shown again by all servers.
pub(super) const STORAGE_WRITTEN: &[&str] = &[
    "CONNECTION",
    "IETF_QUOTES",
    "PASSWORD",
    "SECONDARY_LOAD",
    "SEQUENCE",
    "STORAGE",
    "TABLE_TYPE",
];

/// Options that OceanBase prints for every table. They say how it keeps rows and mean nothing to any other server, nor to
/// another OceanBase, which has its own defaults.
const OCEANBASE: &[&str] = &[
    "AUTO_INCREMENT_MODE",
    "BLOCK_SIZE",
    "ENABLE_MACRO_BLOCK_BLOOM_FILTER",
    "ORGANIZATION",
    "PCTFREE",
    "REPLICA_NUM",
    "TABLET_SIZE",
    "USE_BLOOM_FILTER",
];

/// Its compressions, which no other server knows, begin so.
const OCEANBASE_COMPRESSIONS: [&str; 3] = ["'zstd_", "'lz4_", "'snappy_"];

/// Options of InnoDB in MariaDB, which are printed in backticks.
const ENGINE_DEFINED: &[&str] = &[
    "encrypted",
    "encryption_key_id",
    "page_compressed",
    "page_compression_level",
];

/// Whether it is an option of InnoDB in MariaDB.
pub(super) fn is_engine_defined(name: &str) -> bool {
    ENGINE_DEFINED.contains(&name.to_ascii_lowercase().as_str())
}

pub(super) fn table_options(c: &mut Cursor<'_>, table: &mut TableDefinition) -> Result<()> {
    while !c.is_end() && !c.is_word(0, "PARTITION") {
        c.accept_symbol(",");
        option(c, table)?;
    }
    Ok(())
}

fn option(c: &mut Cursor<'_>, table: &mut TableDefinition) -> Result<()> {
    let options = &mut table.options;
    if c.accept("WITH SYSTEM VERSIONING") {
        table.system_versioned = true;
        return Ok(());
    }
    if let TokenKind::Quoted(name) = c.peek().kind.clone() {
        if !is_engine_defined(&name) {
            return c.refuse("a known table option");
        }
        c.advance();
        c.accept_symbol("=");
        let value = option_value(c)?;
        options.storage.push((quote::identifier(&name), value));
        return Ok(());
    }
    if c.accept("ENGINE") {
        c.accept_symbol("=");
        options.engine = Some(c.name()?);
    } else if c.accept("AUTO_INCREMENT") {
        c.accept_symbol("=");
        options.auto_increment = Some(c.integer()?);
    } else if c.accept("DEFAULT CHARSET") || c.accept("CHARSET") || c.accept("DEFAULT CHARACTER SET") {
        c.accept_symbol("=");
        options.charset = Some(c.name()?);
    } else if c.accept("COLLATE") || c.accept("DEFAULT COLLATE") {
        c.accept_symbol("=");
        options.collation = Some(c.name()?);
    } else if c.accept("COMMENT") {
        c.accept_symbol("=");
        options.comment = c.text()?;
    } else {
        for name in STORAGE {
            if c.accept(name) {
                c.accept_symbol("=");
                let value = option_value(c)?;
                let own = *name == "COMPRESSION"
                    && OCEANBASE_COMPRESSIONS
                        .iter()
                        .any(|c| value.to_ascii_lowercase().starts_with(c));
                if !own {
                    options.storage.push(((*name).to_owned(), value));
                }
                return Ok(());
            }
        }
        for name in OCEANBASE {
            if c.accept(name) {
                c.accept_symbol("=");
                option_value(c)?;
                return Ok(());
            }
        }
        return c.refuse("a known table option");
    }
    Ok(())
}
