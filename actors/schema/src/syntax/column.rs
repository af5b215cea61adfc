//! A column of `SHOW CREATE TABLE`.

use oms_core::Generated;

use super::{cursor::Cursor, token::TokenKind};
use crate::{ColumnDefinition, DataType, DefaultValue, GeneratedColumn, IntegerKind, RowPeriod, SchemaError};

type Result<T> = std::result::Result<T, SchemaError>;

pub(super) fn column(c: &mut Cursor<'_>) -> Result<ColumnDefinition> {
    let name = c.name()?;
    let ty = data_type(c)?;
    let mut column = ColumnDefinition::new(name, ty);
    while !(c.is_symbol(0, ",") || c.is_symbol(0, ")")) {
        attribute(c, &mut column)?;
    }
    Ok(column)
}

fn attribute(c: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<()> {
    if c.accept("NOT NULL") {
        column.nullable = false;
    } else if c.accept("NOT SECONDARY") {
        column.storage.push("NOT SECONDARY".to_owned());
    } else if c.accept("NULL") {
        column.nullable = true;
    } else if c.accept("CHARACTER SET") {
        column.charset = Some(c.name()?);
    } else if c.accept("COLLATE") {
        column.collation = Some(c.name()?);
    } else if c.accept("DEFAULT") {
        let value = default_value(c)?;
        let binary = matches!(
            column.ty,
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Blob(_)
        );
        if let DefaultValue::Text(text) = &value
            && binary
            && !text.is_ascii()
        {
            // Such bytes do not survive the conversion to the character set of the session.
            return c.refuse("(behind a default of binary type) a default of ASCII characters");
        }
        column.default = Some(value);
    } else if c.accept("ON UPDATE") {
        column.on_update_now = Some(match now(c)? {
            Some(fraction) => fraction,
            None => return c.refuse("CURRENT_TIMESTAMP"),
        });
    } else if c.accept("GENERATED ALWAYS AS ROW START") {
        column.row_period = Some(RowPeriod::Start);
    } else if c.accept("GENERATED ALWAYS AS ROW END") {
        column.row_period = Some(RowPeriod::End);
    } else if c.accept("GENERATED ALWAYS AS") {
        let expression = super::unwrap_parentheses(&c.parenthesized()?);
        let kept = if c.accept("STORED") || c.accept("PERSISTENT") {
            Generated::Stored
        } else {
            c.expect("VIRTUAL")?;
            Generated::Virtual
        };
        column.generated = Some(GeneratedColumn { expression, kept });
    } else if c.accept("AUTO_INCREMENT") {
        column.auto_increment = true;
    } else if c.accept("INVISIBLE") {
        column.invisible = true;
    } else if c.accept("COMMENT") {
        column.comment = c.text()?;
    } else if c.accept("CHECK") {
        column.check = Some(super::unwrap_parentheses(&c.parenthesized()?));
    } else if c.accept("SRID") {
        column.srid = Some(c.integer()?);
    } else if c.accept("WITH SYSTEM VERSIONING") {
        column.system_versioning = Some(true);
    } else if c.accept("WITHOUT SYSTEM VERSIONING") {
        column.system_versioning = Some(false);
    } else if c.accept("COMPRESSED") {
        let mut words = "COMPRESSED".to_owned();
        if c.accept_symbol("=") {
            words = format!("COMPRESSED={}", c.name()?);
        }
        column.storage.push(words);
    } else if c.accept("COLUMN_FORMAT") {
        column.storage.push(format!("COLUMN_FORMAT {}", c.name()?));
    } else if c.accept("STORAGE") {
        column.storage.push(format!("STORAGE {}", c.name()?));
    } else {
        return c.refuse("an attribute of a column");
    }
    Ok(())
}

/// `CURRENT_TIMESTAMP`, `current_timestamp()`, with a fraction or not.
fn now(c: &mut Cursor<'_>) -> Result<Option<u8>> {
    if !c.accept("CURRENT_TIMESTAMP") {
        return Ok(None);
    }
    if !c.accept_symbol("(") {
        return Ok(Some(0));
    }
    if c.accept_symbol(")") {
        return Ok(Some(0));
    }
    let fraction = c.integer()?;
    c.expect_symbol(")")?;
    Ok(Some(fraction))
}

fn default_value(c: &mut Cursor<'_>) -> Result<DefaultValue> {
    if c.accept("NULL") {
        return Ok(DefaultValue::Null);
    }
    if let Some(fraction) = now(c)? {
        return Ok(DefaultValue::Now(fraction));
    }
    let sign = if c.accept_symbol("-") { "-" } else { "" };
    match &c.peek().kind {
        TokenKind::Number(n) => {
            let value = DefaultValue::Number(format!("{sign}{n}"));
            c.advance();
            Ok(value)
        }
        _ if !sign.is_empty() => c.refuse("a number"),
        TokenKind::Text(t) => {
            let value = DefaultValue::Text(t.clone());
            c.advance();
            Ok(value)
        }
        TokenKind::Bits(b) => {
            let value = DefaultValue::Bits(b.clone());
            c.advance();
            Ok(value)
        }
        TokenKind::Symbol("(") => Ok(DefaultValue::Expression(super::unwrap_parentheses(
            &c.parenthesized()?,
        ))),
        TokenKind::Word(w) if w.starts_with('_') => {
            // An introducer: `_utf8mb4'text'` or `_binary'…'`.
            let charset = w.clone();
            c.advance();
            let text = c.text()?;
            if charset.eq_ignore_ascii_case("_binary") || !text.is_ascii() {
                return Ok(DefaultValue::Expression(format!(
                    "{charset}{}",
                    super::text(&text)
                )));
            }
            Ok(DefaultValue::Text(text))
        }
        _ => Ok(DefaultValue::Expression(c.call()?)),
    }
}

fn length<T: std::str::FromStr>(c: &mut Cursor<'_>) -> Result<Option<T>> {
    if !c.accept_symbol("(") {
        return Ok(None);
    }
    let n = c.integer()?;
    c.expect_symbol(")")?;
    Ok(Some(n))
}

fn needed<T: std::str::FromStr>(c: &mut Cursor<'_>) -> Result<T> {
    match length(c)? {
        Some(n) => Ok(n),
        None => c.refuse("a length"),
    }
}

fn members(c: &mut Cursor<'_>) -> Result<Vec<String>> {
    c.expect_symbol("(")?;
    let mut list = vec![c.text()?];
    while c.accept_symbol(",") {
        list.push(c.text()?);
    }
    c.expect_symbol(")")?;
    Ok(list)
}

fn sign(c: &mut Cursor<'_>) -> (bool, bool) {
    let unsigned = c.accept("UNSIGNED");
    (unsigned, c.accept("ZEROFILL"))
}

fn integer(c: &mut Cursor<'_>, kind: IntegerKind) -> Result<DataType> {
    let width = length(c)?;
    let (unsigned, zerofill) = sign(c);
    Ok(DataType::Integer {
        kind,
        width,
        unsigned,
        zerofill,
    })
}

fn real(c: &mut Cursor<'_>, double: bool) -> Result<DataType> {
    let mut digits = None;
    if c.accept_symbol("(") {
        let total = c.integer()?;
        c.expect_symbol(",")?;
        digits = Some((total, c.integer()?));
        c.expect_symbol(")")?;
    }
    let (unsigned, zerofill) = sign(c);
    Ok(DataType::Real {
        double,
        digits,
        unsigned,
        zerofill,
    })
}

fn data_type(c: &mut Cursor<'_>) -> Result<DataType> {
    let word = match &c.peek().kind {
        TokenKind::Word(w) => w.to_ascii_lowercase(),
        _ => return c.refuse("a type"),
    };
    let known = matches!(
        word.as_str(),
        "tinyint"
            | "smallint"
            | "mediumint"
            | "int"
            | "bigint"
            | "decimal"
            | "float"
            | "double"
            | "bit"
            | "year"
            | "date"
            | "time"
            | "datetime"
            | "timestamp"
            | "char"
            | "varchar"
            | "tinytext"
            | "text"
            | "mediumtext"
            | "longtext"
            | "binary"
            | "varbinary"
            | "tinyblob"
            | "blob"
            | "mediumblob"
            | "longblob"
            | "enum"
            | "set"
            | "json"
            | "geometry"
            | "point"
            | "linestring"
            | "polygon"
            | "multipoint"
            | "multilinestring"
            | "multipolygon"
            | "geometrycollection"
            | "geomcollection"
            | "vector"
            | "uuid"
            | "inet4"
            | "inet6"
    );
    if !known {
        return c.refuse("a known type");
    }
    c.advance();
    Ok(match word.as_str() {
        "tinyint" => integer(c, IntegerKind::TinyInt)?,
        "smallint" => integer(c, IntegerKind::SmallInt)?,
        "mediumint" => integer(c, IntegerKind::MediumInt)?,
        "int" => integer(c, IntegerKind::Int)?,
        "bigint" => integer(c, IntegerKind::BigInt)?,
        "decimal" => {
            c.expect_symbol("(")?;
            let precision = c.integer()?;
            c.expect_symbol(",")?;
            let scale = c.integer()?;
            c.expect_symbol(")")?;
            let (unsigned, zerofill) = sign(c);
            DataType::Decimal {
                precision,
                scale,
                unsigned,
                zerofill,
            }
        }
        "float" => real(c, false)?,
        "double" => real(c, true)?,
        "bit" => DataType::Bit(needed(c)?),
        "year" => {
            // MySQL 5.6 and MariaDB print year(4); year(2) holds other values.
            match length::<u8>(c)? {
                None | Some(4) => DataType::Year,
                Some(_) => return c.refuse("(behind a year of two digits) year(4)"),
            }
        }
        "date" => DataType::Date,
        "time" => DataType::Time(length(c)?.unwrap_or(0)),
        "datetime" => DataType::DateTime(length(c)?.unwrap_or(0)),
        "timestamp" => DataType::Timestamp(length(c)?.unwrap_or(0)),
        "char" => DataType::Char(needed(c)?),
        "varchar" => DataType::VarChar(needed(c)?),
        "tinytext" => DataType::Text(1),
        "text" => DataType::Text(2),
        "mediumtext" => DataType::Text(3),
        "longtext" => DataType::Text(4),
        "binary" => DataType::Binary(needed(c)?),
        "varbinary" => DataType::VarBinary(needed(c)?),
        "tinyblob" => DataType::Blob(1),
        "blob" => DataType::Blob(2),
        "mediumblob" => DataType::Blob(3),
        "longblob" => DataType::Blob(4),
        "enum" => DataType::Enum(members(c)?),
        "set" => DataType::Set(members(c)?),
        "json" => DataType::Json,
        "vector" => DataType::Vector(needed(c)?),
        "uuid" => DataType::Uuid,
        "inet4" => DataType::Inet4,
        "inet6" => DataType::Inet6,
        "geomcollection" => DataType::Geometry("geometrycollection".to_owned()),
        _ => DataType::Geometry(word),
    })
}
