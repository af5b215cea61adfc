//! What a server fills in where a statement says nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ColumnDefinition, ColumnSpec, DataType, DefaultValue, Flavor, IntegerKind, syntax::tier_of};

/// The rules of the server that wrote the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerRules {
    /// Its family.
    pub flavor: Flavor,
    /// The collation that a character set has when none is written.
    pub default_collations: BTreeMap<String, String>,
    /// Whether integers show a display width that was not written.
    pub integer_widths: bool,
    /// Whether checks are kept.
    pub checks: bool,
    /// Whether REFERENCES behind a column is a foreign key.
    pub inline_references: bool,
    /// Whether the name in front of a foreign key's columns names the foreign key too.
    pub foreign_key_takes_index_name: bool,
    /// Whether a column of the primary key that says nothing of NULL has the zero of its type as default.
    pub primary_zero_default: bool,
    /// Whether CONVERT TO CHARACTER SET leaves the table's default alone where no column changes.
    pub conversion_needs_columns: bool,
}

impl TrackerRules {
    /// Of a server by the version in the head of its log.
    pub fn new(flavor: Flavor, version: u32, default_collations: BTreeMap<String, String>) -> Self {
        let is_mysql = flavor == Flavor::MySql;
        Self {
            flavor,
            default_collations,
            integer_widths: !(is_mysql && version >= 80_019),
            checks: !is_mysql || version >= 80_016,
            inline_references: if is_mysql {
                version >= 90_000
            } else {
                version >= 100_500
            },
            foreign_key_takes_index_name: !is_mysql,
            primary_zero_default: is_mysql && version < 50_700,
            conversion_needs_columns: is_mysql && version < 50_700,
        }
    }

    /// `utf8` or `utf8mb3`, whichever the server says, in front of a character set or collation.
    pub(super) fn utf8(&self, name: &str) -> String {
        let says_mb3 = self.default_collations.contains_key("utf8mb3");
        if name == "utf8" || name.starts_with("utf8_") {
            if says_mb3 {
                return name.replacen("utf8", "utf8mb3", 1);
            }
        } else if name.starts_with("utf8mb3") && !says_mb3 {
            return name.replacen("utf8mb3", "utf8", 1);
        }
        name.to_owned()
    }

    pub(super) fn default_collation(&self, charset: &str) -> String {
        self.default_collations
            .get(charset)
            .cloned()
            .unwrap_or_else(|| format!("{charset}_general_ci"))
    }

    /// What CHARACTER SET and COLLATE mean together, where the surroundings have another pair.
    pub(super) fn charset(
        &self,
        charset: Option<&str>,
        collation: Option<&str>,
        around: &(String, String),
    ) -> (String, String) {
        let charset = charset.map(|c| self.utf8(c));
        let collation = collation.map(|c| self.utf8(c));
        match (charset, collation) {
            (Some(charset), Some(collation)) => {
                let collation = full_collation(&charset, &collation);
                (charset, collation)
            }
            (Some(charset), None) => {
                let collation = self.default_collation(&charset);
                (charset, collation)
            }
            (None, Some(collation)) if collation.starts_with("uca1400") => {
                (around.0.clone(), full_collation(&around.0, &collation))
            }
            (None, Some(collation)) => {
                let charset = collation.split('_').next().unwrap_or(&collation).to_owned();
                (charset, collation)
            }
            (None, None) => around.clone(),
        }
    }

    /// A column with everything filled in that its own text and the table's character set decide.
    pub(super) fn column(&self, spec: &ColumnSpec, table: &(String, String)) -> ColumnDefinition {
        let mut column = spec.column.clone();
        if column.ty.is_character() {
            let pair = self.charset(column.charset.as_deref(), column.collation.as_deref(), table);
            let collation = if spec.binary && column.collation.is_none() {
                format!("{}_bin", pair.0)
            } else {
                pair.1
            };
            self.length(&mut column.ty, spec.text_length, &pair.0);
            (column.charset, column.collation) = (Some(pair.0), Some(collation));
        } else {
            (column.charset, column.collation) = (None, None);
        }
        if let DataType::VarBinary(n @ 65_536..) = column.ty {
            column.ty = DataType::Blob(tier_of(u64::from(n)));
        }
        self.width(&mut column.ty);
        column.nullable = spec.null.unwrap_or(true);
        let has_default = column.default.is_some() || column.generated.is_some() || column.auto_increment;
        if column.nullable && !has_default && column.row_period.is_none() {
            column.default = Some(DefaultValue::Null);
        }
        if !self.checks {
            column.check = None;
        }
        column
    }

    /// TEXT(n), and VARCHAR that is too long and becomes TEXT.
    fn length(&self, ty: &mut DataType, text_length: Option<u64>, charset: &str) {
        let bytes = |chars: u64| chars.saturating_mul(character_bytes(charset));
        match (&*ty, text_length) {
            (DataType::Text(2), Some(chars)) => *ty = DataType::Text(tier_of(bytes(chars))),
            (DataType::VarChar(chars), _) if bytes(u64::from(*chars)) > 65_535 => {
                *ty = DataType::Text(tier_of(bytes(u64::from(*chars))));
            }
            _ => {}
        }
    }

    /// The display width as the server shows it.
    fn width(&self, ty: &mut DataType) {
        let DataType::Integer {
            kind,
            width,
            unsigned,
            zerofill,
        } = ty
        else {
            return;
        };
        let is_bool = *kind == IntegerKind::TinyInt && *width == Some(1) && !*unsigned;
        if self.integer_widths || *zerofill {
            *width = (*width).or(Some(usual_width(*kind, *unsigned)));
        } else if !is_bool {
            *width = None;
        }
    }
}

fn full_collation(charset: &str, collation: &str) -> String {
    if collation.starts_with("uca1400") {
        format!("{charset}_{collation}")
    } else {
        collation.to_owned()
    }
}

fn usual_width(kind: IntegerKind, unsigned: bool) -> u32 {
    let signed = match kind {
        IntegerKind::TinyInt => 4,
        IntegerKind::SmallInt => 6,
        IntegerKind::MediumInt => 9,
        IntegerKind::Int => 11,
        IntegerKind::BigInt => return 20,
    };
    signed - u32::from(unsigned)
}

/// The most bytes that a character has.
pub(super) fn character_bytes(charset: &str) -> u64 {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" | "filename" => 4,
        "utf8" | "utf8mb3" | "ujis" | "eucjpms" => 3,
        "big5" | "gbk" | "gb2312" | "euckr" | "sjis" | "cp932" | "ucs2" => 2,
        _ => 1,
    }
}

/// The TEXT that holds the characters of another character set's TEXT.
pub(super) fn converted_tier(tier: u8, from: &str, to: &str) -> u8 {
    let most = match tier {
        1 => 0xff,
        2 => 0xffff,
        3 => 0xff_ffff,
        _ => return tier,
    };
    let (from, to) = (character_bytes(from), character_bytes(to));
    if to <= from {
        return tier;
    }
    tier_of(most / from * to).max(tier)
}
