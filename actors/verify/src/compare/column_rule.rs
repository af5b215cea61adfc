//! How two columns are compared.

use oms_core::{ColumnType, Row, RowBuilder, Value};

use super::{charsets::Charsets, normal_form};
use crate::Side;

/// How a pair of columns is compared: as encoded values, or through a form that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Canonical values are equal when their bytes are.
    Same,
    /// Exact numbers of any kind.
    Exact,
    /// FLOAT and DOUBLE, as doubles.
    Real,
    /// Characters as Unicode; labels of ENUM and SET as text.
    Text,
    /// ENUM members by label.
    Label,
    /// SET members by label.
    Labels,
    /// JSON documents by content.
    Json,
    /// DATE as midnight.
    Moment,
}

/// A pair of columns that is compared.
#[derive(Clone, Debug)]
pub(crate) struct ColumnRule {
    /// Its name at the destination.
    pub(crate) name: String,
    /// Index at the source.
    pub(crate) source: usize,
    /// Index at the destination.
    pub(crate) destination: usize,
    /// The destination computes it.
    pub(crate) computed: bool,
    pub(crate) source_type: ColumnType,
    pub(crate) destination_type: ColumnType,
    pub(crate) form: Form,
}

impl ColumnRule {
    /// Its type on a side.
    pub(crate) fn ty(&self, side: Side) -> &ColumnType {
        match side {
            Side::Source => &self.source_type,
            Side::Destination => &self.destination_type,
        }
    }

    /// Its index on a side.
    pub(crate) fn index(&self, side: Side) -> usize {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// Whether the values of a row of each side are equal.
    pub(crate) fn equal(&self, source: &Row, destination: &Row, charsets: &dyn Charsets) -> bool {
        let (a, b) = (source.cell(self.source), destination.cell(self.destination));
        if a == b && matches!(self.form, Form::Same | Form::Real | Form::Json | Form::Exact) {
            return true;
        }
        if self.form == Form::Same {
            return false;
        }
        let (mut x, mut y) = (Vec::new(), Vec::new());
        self.normal(Side::Source, source.get(self.source), charsets, &mut x);
        self.normal(
            Side::Destination,
            destination.get(self.destination),
            charsets,
            &mut y,
        );
        x == y
    }

    /// Appends the form that is equal on both sides exactly when the values are.
    pub(crate) fn normal(&self, side: Side, value: Value<'_>, charsets: &dyn Charsets, out: &mut Vec<u8>) {
        normal_form::push(self.form, side, self.ty(side), value, charsets, out);
    }

    /// Appends to a key the value as the other side has it. `false`: the other side cannot hold it.
    pub(crate) fn convert(
        &self,
        from: Side,
        value: Value<'_>,
        charsets: &dyn Charsets,
        out: &mut RowBuilder,
    ) -> bool {
        normal_form::convert(
            self.form,
            self.ty(from),
            self.ty(from.other()),
            value,
            charsets,
            out,
        )
    }
}

/// What a pair of types means; `None` when nothing is defined.
pub(crate) fn form(a: &ColumnType, b: &ColumnType) -> Option<Form> {
    use ColumnType::*;
    Some(match (a, b) {
        (Integer { unsigned: x, .. }, Integer { unsigned: y, .. }) if x == y => Form::Same,
        (Decimal { scale: x, .. }, Decimal { scale: y, .. }) if x == y => Form::Same,
        (Bit { .. }, Bit { .. }) | (Year, Year) => Form::Same,
        (
            Integer { .. } | Decimal { .. } | Bit { .. } | Year,
            Integer { .. } | Decimal { .. } | Bit { .. } | Year,
        )
        | (Integer { .. }, Double)
        | (Double, Integer { .. }) => Form::Exact,
        (Float, Float) | (Double, Double) => Form::Same,
        (Float | Double, Float | Double) => Form::Real,
        (Date, Date)
        | (Time { .. }, Time { .. })
        | (DateTime { .. }, DateTime { .. })
        | (Timestamp { .. }, Timestamp { .. }) => Form::Same,
        (Date, DateTime { .. }) | (DateTime { .. }, Date) => Form::Moment,
        (Binary { .. } | VarBinary { .. } | Blob { .. }, Binary { .. } | VarBinary { .. } | Blob { .. }) => {
            Form::Same
        }
        (Geometry { .. }, Geometry { .. }) => Form::Same,
        (Json, Json) => Form::Json,
        (Json, x) | (x, Json) if has_characters(x) => Form::Json,
        (Enum { members: x, .. }, Enum { members: y, .. }) => {
            if x == y {
                Form::Same
            } else {
                Form::Label
            }
        }
        (Set { members: x, .. }, Set { members: y, .. }) => {
            if x == y {
                Form::Same
            } else {
                Form::Labels
            }
        }
        (Uuid, Uuid) | (Inet4, Inet4) | (Inet6, Inet6) => Form::Same,
        (x, y) if has_characters(x) && has_characters(y) => match (x.charset(), y.charset()) {
            (Some(p), Some(q)) if same_charset_family(p, q) => Form::Same,
            _ => Form::Text,
        },
        (Enum { .. } | Set { .. } | Uuid | Inet4 | Inet6, x)
        | (x, Enum { .. } | Set { .. } | Uuid | Inet4 | Inet6)
            if has_characters(x) =>
        {
            Form::Text
        }
        _ => return None,
    })
}

fn has_characters(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. }
    )
}

/// Character sets whose texts are UTF-8 bytes.
pub(crate) fn is_utf8_family(charset: &str) -> bool {
    ["utf8", "utf8mb3", "utf8mb4", "ascii"]
        .iter()
        .any(|c| charset.eq_ignore_ascii_case(c))
}

/// Whether equal texts have equal bytes in both.
pub(crate) fn same_charset_family(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (is_utf8_family(a) && is_utf8_family(b))
}

/// The character set of a text column (members of ENUM and SET are UTF-8 already).
pub(crate) fn text_charset(ty: &ColumnType) -> &str {
    if has_characters(ty) {
        ty.charset().unwrap_or("utf8mb4")
    } else {
        "utf8mb4"
    }
}
