//! Types in all their spellings.

use super::{Reader, Result};
use crate::{ColumnDefinition, ColumnKey, ColumnSpec, DataType, DefaultValue, Flavor, IntegerKind, syntax};

/// Types without anything behind them but a length.
const INTEGERS: &[(&str, IntegerKind)] = &[
    ("TINYINT", IntegerKind::TinyInt),
    ("INT1", IntegerKind::TinyInt),
    ("SMALLINT", IntegerKind::SmallInt),
    ("INT2", IntegerKind::SmallInt),
    ("MEDIUMINT", IntegerKind::MediumInt),
    ("MIDDLEINT", IntegerKind::MediumInt),
    ("INT3", IntegerKind::MediumInt),
    ("INTEGER", IntegerKind::Int),
    ("INT4", IntegerKind::Int),
    ("INT", IntegerKind::Int),
    ("BIGINT", IntegerKind::BigInt),
    ("INT8", IntegerKind::BigInt),
];

const CHARACTERS: &[&str] = &["CHARACTER VARYING", "CHAR VARYING", "VARCHARACTER", "VARCHAR"];

const NATIONAL: &[(&str, bool)] = &[
    ("NATIONAL CHARACTER VARYING", true),
    ("NATIONAL CHAR VARYING", true),
    ("NATIONAL VARCHARACTER", true),
    ("NATIONAL VARCHAR", true),
    ("NCHAR VARYING", true),
    ("NCHAR VARCHARACTER", true),
    ("NCHAR VARCHAR", true),
    ("NVARCHAR", true),
    ("NATIONAL CHARACTER", false),
    ("NATIONAL CHAR", false),
    ("NCHAR", false),
];

const LARGE: &[(&str, DataType)] = &[
    ("TINYTEXT", DataType::Text(1)),
    ("MEDIUMTEXT", DataType::Text(3)),
    ("LONGTEXT", DataType::Text(4)),
    ("LONG CHARACTER VARYING", DataType::Text(3)),
    ("LONG CHAR VARYING", DataType::Text(3)),
    ("LONG VARCHARACTER", DataType::Text(3)),
    ("LONG VARCHAR", DataType::Text(3)),
    ("TINYBLOB", DataType::Blob(1)),
    ("MEDIUMBLOB", DataType::Blob(3)),
    ("LONGBLOB", DataType::Blob(4)),
    ("LONG VARBINARY", DataType::Blob(3)),
    ("LONG", DataType::Text(3)),
    ("DATE", DataType::Date),
];

const GEOMETRIES: &[&str] = &[
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
];

impl Reader<'_> {
    /// The type of a column and what is part of it: sign, character set, collation.
    pub(super) fn column_type(&mut self, name: String) -> Result<ColumnSpec> {
        let mut spec = ColumnSpec::new(ColumnDefinition::new(name, DataType::Date));
        self.type_itself(&mut spec)?;
        self.type_attributes(&mut spec)?;
        Ok(spec)
    }

    fn type_itself(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        if let Some((_, kind)) = INTEGERS.iter().find(|(word, _)| self.c.accept(word)) {
            let width = self.length()?;
            spec.column.ty = DataType::Integer {
                kind: *kind,
                width,
                unsigned: false,
                zerofill: false,
            };
            return Ok(());
        }
        if let Some((_, varying)) = NATIONAL.iter().find(|(words, _)| self.c.accept(words)) {
            spec.column.charset = Some("utf8".to_owned());
            spec.column.ty = self.characters(*varying)?;
            return Ok(());
        }
        if CHARACTERS.iter().any(|words| self.c.accept(words)) {
            spec.column.ty = self.characters(true)?;
            return Ok(());
        }
        if let Some((_, ty)) = LARGE.iter().find(|(words, _)| self.c.accept(words)) {
            spec.column.ty = ty.clone();
            return Ok(());
        }
        if self.number(spec)? || self.bytes_and_times(spec)? {
            return Ok(());
        }
        if let Some(word) = GEOMETRIES.iter().find(|word| self.c.accept(word)) {
            let word = word.replace("geomcollection", "geometrycollection");
            spec.column.ty = DataType::Geometry(word);
            return Ok(());
        }
        self.others(spec)
    }

    fn characters(&mut self, varying: bool) -> Result<DataType> {
        match (varying, self.length()?) {
            (true, Some(n)) => Ok(DataType::VarChar(n)),
            (true, None) => self.c.refuse("a length"),
            (false, n) => Ok(DataType::Char(n.unwrap_or(1))),
        }
    }

    fn length<T: std::str::FromStr>(&mut self) -> Result<Option<T>> {
        if !self.c.accept_symbol("(") {
            return Ok(None);
        }
        let n = self.c.integer()?;
        self.c.expect_symbol(")")?;
        Ok(Some(n))
    }

    fn number(&mut self, spec: &mut ColumnSpec) -> Result<bool> {
        let column = &mut spec.column;
        if ["DECIMAL", "NUMERIC", "DEC", "FIXED"]
            .iter()
            .any(|w| self.c.accept(w))
        {
            let (precision, scale) = match self.digits()? {
                None => (10, 0),
                Some((precision, scale)) => (precision, scale.unwrap_or(0)),
            };
            let (Ok(precision), Ok(scale)) = (u8::try_from(precision), u8::try_from(scale)) else {
                return self.c.refuse("(behind such digits) a decimal that exists");
            };
            column.ty = DataType::Decimal {
                // Zero digits mean the default.
                precision: if precision == 0 { 10 } else { precision },
                scale,
                unsigned: false,
                zerofill: false,
            };
        } else if ["FLOAT", "FLOAT4"].iter().any(|w| self.c.accept(w)) {
            let digits = self.digits()?;
            let (double, digits) = match digits {
                Some((bits, None)) => (bits > 24, None),
                Some((total, Some(scale))) => (false, Some((total, scale))),
                None => (false, None),
            };
            column.ty = real(double, digits);
        } else if ["DOUBLE PRECISION", "DOUBLE", "FLOAT8", "REAL"]
            .iter()
            .any(|w| self.c.is_word(0, w.split(' ').next().unwrap_or(w)))
        {
            let is_real = self.c.accept("REAL");
            if !is_real {
                let _ =
                    self.c.accept("DOUBLE PRECISION") || self.c.accept("DOUBLE") || self.c.accept("FLOAT8");
            }
            let digits = match self.digits()? {
                Some((total, Some(scale))) => Some((total, scale)),
                Some(_) => return self.c.refuse("(behind one number) digits behind the point"),
                None => None,
            };
            column.ty = real(!(is_real && self.context.real_as_float), digits);
        } else if self.c.accept("BIT") {
            column.ty = DataType::Bit(self.length()?.unwrap_or(1));
        } else if self.c.accept("BOOLEAN") || self.c.accept("BOOL") {
            column.ty = DataType::Integer {
                kind: IntegerKind::TinyInt,
                width: Some(1),
                unsigned: false,
                zerofill: false,
            };
        } else if self.c.accept("SERIAL") {
            column.ty = DataType::Integer {
                kind: IntegerKind::BigInt,
                width: None,
                unsigned: true,
                zerofill: false,
            };
            column.auto_increment = true;
            spec.null = Some(false);
            spec.key = Some(ColumnKey::Unique);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// `(total)` or `(total, behind the point)`.
    fn digits(&mut self) -> Result<Option<(u32, Option<u32>)>> {
        if !self.c.accept_symbol("(") {
            return Ok(None);
        }
        let total = self.c.integer()?;
        let scale = if self.c.accept_symbol(",") {
            Some(self.c.integer()?)
        } else {
            None
        };
        self.c.expect_symbol(")")?;
        Ok(Some((total, scale)))
    }

    fn bytes_and_times(&mut self, spec: &mut ColumnSpec) -> Result<bool> {
        spec.column.ty = if self.c.accept("VARBINARY") {
            match self.length()? {
                Some(n) => DataType::VarBinary(n),
                None => return self.c.refuse("a length"),
            }
        } else if self.c.accept("BINARY") {
            DataType::Binary(self.length()?.unwrap_or(1))
        } else if self.c.accept("CHARACTER") || self.c.accept("CHAR") {
            self.characters(false)?
        } else if self.c.accept("TEXT") {
            spec.text_length = self.length()?;
            DataType::Text(2)
        } else if self.c.accept("BLOB") {
            match self.length::<u64>()? {
                Some(length) => DataType::Blob(tier_of(length)),
                None => DataType::Blob(2),
            }
        } else if self.c.accept("YEAR") {
            match self.length::<u8>()? {
                None | Some(4) => DataType::Year,
                Some(_) => return self.c.refuse("(behind a year of two digits) year(4)"),
            }
        } else if self.c.accept("TIME") {
            DataType::Time(self.length()?.unwrap_or(0))
        } else if self.c.accept("DATETIME") {
            DataType::DateTime(self.length()?.unwrap_or(0))
        } else if self.c.accept("TIMESTAMP") {
            DataType::Timestamp(self.length()?.unwrap_or(0))
        } else {
            return Ok(false);
        };
        Ok(true)
    }

    fn others(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        spec.column.ty = if self.c.accept("ENUM") {
            DataType::Enum(self.members()?)
        } else if self.c.accept("SET") {
            DataType::Set(self.members()?)
        } else if self.c.accept("VECTOR") {
            match self.length()? {
                Some(n) => DataType::Vector(n),
                None => DataType::Vector(2048),
            }
        } else if self.c.accept("JSON") {
            if self.context.flavor == Flavor::MariaDb {
                let name = syntax::identifier(&spec.column.name);
                spec.column.charset = Some("utf8mb4".to_owned());
                spec.column.collation = Some("utf8mb4_bin".to_owned());
                spec.column.check = Some(format!("json_valid({name})"));
                DataType::Text(4)
            } else {
                DataType::Json
            }
        } else if self.c.accept("UUID") {
            DataType::Uuid
        } else if self.c.accept("INET4") {
            DataType::Inet4
        } else if self.c.accept("INET6") {
            DataType::Inet6
        } else {
            return self.c.refuse("a known type");
        };
        Ok(())
    }

    fn members(&mut self) -> Result<Vec<String>> {
        self.c.expect_symbol("(")?;
        let mut list = Vec::new();
        loop {
            // Trailing blanks are no part of a member.
            list.push(self.c.text()?.trim_end_matches(' ').to_owned());
            if self.c.accept_symbol(")") {
                return Ok(list);
            }
            self.c.expect_symbol(",")?;
        }
    }

    fn type_attributes(&mut self, spec: &mut ColumnSpec) -> Result<()> {
        loop {
            if self.c.accept("UNSIGNED") {
                set_sign(&mut spec.column.ty, false);
            } else if self.c.accept("ZEROFILL") {
                set_sign(&mut spec.column.ty, true);
            } else if self.c.accept("SIGNED") {
            } else if self.accept_charset() {
                self.c.accept_symbol("=");
                spec.column.charset = Some(self.charset_name()?);
            } else if self.c.accept("ASCII") {
                spec.column.charset = Some("latin1".to_owned());
            } else if self.c.accept("UNICODE") {
                spec.column.charset = Some("ucs2".to_owned());
            } else if self.c.accept("BYTE") {
                spec.column.charset = Some("binary".to_owned());
            } else if spec.column.ty.is_character() && self.c.accept("BINARY") {
                spec.binary = true;
            } else {
                return Ok(());
            }
            if let Some(ty) = as_bytes(&spec.column) {
                spec.column.ty = ty;
                spec.column.charset = None;
                spec.column.collation = None;
            }
        }
    }

    /// `SERIAL DEFAULT VALUE`.
    pub(super) fn serial_default(&mut self, spec: &mut ColumnSpec) -> bool {
        if !self.c.accept("SERIAL DEFAULT VALUE") {
            return false;
        }
        spec.column.auto_increment = true;
        spec.null = Some(false);
        spec.key = Some(ColumnKey::Unique);
        spec.column.default = None::<DefaultValue>;
        true
    }
}

fn real(double: bool, digits: Option<(u32, u32)>) -> DataType {
    DataType::Real {
        double,
        digits,
        unsigned: false,
        zerofill: false,
    }
}

fn set_sign(ty: &mut DataType, fill: bool) {
    match ty {
        DataType::Integer {
            unsigned, zerofill, ..
        }
        | DataType::Decimal {
            unsigned, zerofill, ..
        }
        | DataType::Real {
            unsigned, zerofill, ..
        } => {
            *unsigned = true;
            *zerofill |= fill;
        }
        _ => {}
    }
}

/// Characters of the character set `binary` are bytes.
fn as_bytes(column: &ColumnDefinition) -> Option<DataType> {
    if column.charset.as_deref() != Some("binary") {
        return None;
    }
    Some(match column.ty {
        DataType::Char(n) => DataType::Binary(n),
        DataType::VarChar(n) => DataType::VarBinary(n),
        DataType::Text(tier) => DataType::Blob(tier),
        _ => return None,
    })
}

/// The smallest of TINYTEXT to LONGTEXT that holds so many bytes.
pub(crate) fn tier_of(bytes: u64) -> u8 {
    match bytes {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}
