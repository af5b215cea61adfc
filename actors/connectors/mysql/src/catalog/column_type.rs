//! Reading a column's type from `information_schema.columns`.

use oms_core::ColumnType;

use crate::connection::Flavor;

/// What `information_schema.columns` says about one column's type.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeText {
    pub(super) data_type: String,
    pub(super) column_type: String,
    pub(super) characters: Option<u64>,
    pub(super) precision: Option<u64>,
    pub(super) scale: Option<u64>,
    pub(super) fraction: Option<u64>,
    pub(super) charset: Option<String>,
    pub(super) collation: Option<String>,
}

/// The type, or `None` when its values cannot be read exactly (unknown types; VECTOR, arrays).
pub(super) fn parse(t: &TypeText, flavor: Flavor) -> Option<ColumnType> {
    let data_type = t.data_type.to_ascii_lowercase();
    let full = t.column_type.to_ascii_lowercase();
    let unsigned = full.contains("unsigned");
    let charset = || t.charset.clone();
    let collation = || t.collation.clone();
    let integer = |bytes| Some(ColumnType::Integer { bytes, unsigned });
    let fraction = u8::try_from(t.fraction.unwrap_or(0)).ok().filter(|f| *f <= 6);
    let length = || t.characters.and_then(|n| u32::try_from(n).ok());
    match data_type.as_str() {
        "tinyint" => integer(1),
        "smallint" => integer(2),
        "mediumint" => integer(3),
        "int" | "integer" => integer(4),
        "bigint" => integer(8),
        // The digits of the type's text are used, because OceanBase reports display widths elsewhere.
        "decimal" | "numeric" => {
            let (precision, scale) = in_parentheses(&full).unwrap_or((t.precision, t.scale));
            Some(ColumnType::Decimal {
                precision: u8::try_from(precision?).ok()?,
                scale: u8::try_from(scale.unwrap_or(0)).ok()?,
                unsigned,
            })
        }
        "float" => Some(ColumnType::Float),
        "double" | "real" => Some(ColumnType::Double),
        "bit" => Some(ColumnType::Bit {
            bits: u8::try_from(t.precision?).ok().filter(|b| (1..=64).contains(b))?,
        }),
        "year" => Some(ColumnType::Year),
        "date" => Some(ColumnType::Date),
        "time" => Some(ColumnType::Time { fraction: fraction? }),
        "datetime" => Some(ColumnType::DateTime { fraction: fraction? }),
        "timestamp" => Some(ColumnType::Timestamp { fraction: fraction? }),
        "char" => Some(ColumnType::Char {
            length: length()?,
            charset: charset()?,
            collation: collation()?,
        }),
        "varchar" => Some(ColumnType::VarChar {
            length: length()?,
            charset: charset()?,
            collation: collation()?,
        }),
        "tinytext" | "text" | "mediumtext" | "longtext" => Some(ColumnType::Text {
            tier: tier(data_type.trim_end_matches("text"))?,
            charset: charset()?,
            collation: collation()?,
        }),
        "binary" => Some(ColumnType::Binary { length: length()? }),
        "varbinary" => Some(ColumnType::VarBinary { length: length()? }),
        "tinyblob" | "blob" | "mediumblob" | "longblob" => Some(ColumnType::Blob {
            tier: tier(data_type.trim_end_matches("blob"))?,
        }),
        "enum" => Some(ColumnType::Enum {
            members: members(&t.column_type, flavor)?,
            charset: charset()?,
            collation: collation()?,
        }),
        "set" => Some(ColumnType::Set {
            members: members(&t.column_type, flavor)?,
            charset: charset()?,
            collation: collation()?,
        }),
        "json" => Some(ColumnType::Json),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => {
            Some(ColumnType::Geometry { kind: data_type })
        }
        "uuid" => Some(ColumnType::Uuid),
        "inet4" => Some(ColumnType::Inet4),
        "inet6" => Some(ColumnType::Inet6),
        _ => None,
    }
}

fn tier(prefix: &str) -> Option<u8> {
    Some(match prefix {
        "tiny" => 1,
        "" => 2,
        "medium" => 3,
        "long" => 4,
        _ => return None,
    })
}

type Digits = (Option<u64>, Option<u64>);

fn in_parentheses(full: &str) -> Option<Digits> {
    let inside = full.split_once('(')?.1.split_once(')')?.0;
    let mut parts = inside.split(',').map(|p| p.trim().parse::<u64>().ok());
    Some((parts.next()?, parts.next().flatten()))
}

/// The members of `enum('a','b')` or `set(...)`.
///
/// MySQL and MariaDB double quotes and escape backslash, NUL, newline and carriage return with a
/// backslash. OceanBase escapes nothing, so there the members are what stands between `','`; a member
/// that itself contains those three characters cannot be told apart there.
fn members(column_type: &str, flavor: Flavor) -> Option<Vec<String>> {
    let open = column_type.find('(')?;
    let close = column_type.rfind(')')?;
    let list = column_type.get(open + 1..close)?;
    if flavor == Flavor::OceanBase {
        let inside = list.strip_prefix('\'')?.strip_suffix('\'')?;
        return Some(inside.split("','").map(str::to_owned).collect());
    }
    let mut all = Vec::new();
    let mut chars = list.chars().peekable();
    loop {
        if chars.next()? != '\'' {
            return None;
        }
        let mut member = String::new();
        loop {
            match chars.next()? {
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    member.push('\'');
                }
                '\'' => break,
                '\\' => member.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                }),
                other => member.push(other),
            }
        }
        all.push(member);
        match chars.next() {
            None => return Some(all),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_quotes_commas_and_escapes() {
        let got = members(
            r"enum('a','it''s','c,d','q''','x\ny','a\\b','',''',''')",
            Flavor::Mysql,
        )
        .unwrap();
        assert_eq!(got, ["a", "it's", "c,d", "q'", "x\ny", "a\\b", "", "','"]);
        assert_eq!(members("set('é','😀')", Flavor::MariaDb).unwrap(), ["é", "😀"]);
        for broken in ["enum", "enum('a'", "enum(a)", "enum('a' 'b')", "enum('a',)"] {
            assert_eq!(members(broken, Flavor::Mysql), None, "{broken}");
        }
    }

    #[test]
    fn oceanbase_escapes_nothing() {
        let got = members(r"enum('it's','a\b','c,d','')", Flavor::OceanBase).unwrap();
        assert_eq!(got, ["it's", "a\\b", "c,d", ""]);
    }

    #[test]
    fn types_carry_their_sizes() {
        let t = |data: &str, full: &str| TypeText {
            data_type: data.into(),
            column_type: full.into(),
            precision: Some(9),
            ..TypeText::default()
        };
        assert_eq!(
            parse(&t("int", "int(5) unsigned zerofill"), Flavor::Mysql),
            Some(ColumnType::Integer {
                bytes: 4,
                unsigned: true
            })
        );
        assert_eq!(
            parse(&t("decimal", "decimal(65,30)"), Flavor::OceanBase),
            Some(ColumnType::Decimal {
                precision: 65,
                scale: 30,
                unsigned: false
            })
        );
        assert_eq!(parse(&t("VECTOR(3)", "VECTOR(3)"), Flavor::OceanBase), None);
        assert_eq!(parse(&t("vector", "vector(3)"), Flavor::Mysql), None);
        assert_eq!(
            parse(&t("longblob", "longblob"), Flavor::Mysql),
            Some(ColumnType::Blob { tier: 4 })
        );
    }
}
