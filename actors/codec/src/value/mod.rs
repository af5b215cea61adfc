//! Values as text and as JSON.

mod debezium;
mod sheet;

use oms_core::{ColumnType, Row, Value};

use crate::{CodecError, TablePlan, Unchanged, json, table_plan::ColumnPlan};

pub(crate) use debezium::debezium;
pub(crate) use sheet::{Form, sheet};

/// How the values of a message are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Default, Canal, SharePlex: numbers as Java writes them.
    Sheet,
    /// DataWorks: numbers never with an exponent.
    Plain,
    /// Maxwell: sets as arrays, times with all digits.
    Maxwell,
    /// The Debezium family.
    Debezium,
}

/// Which rows are being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) style: Style,
    /// Rows of full synchronization keep the leading zero bytes of bit fields.
    pub(crate) full: bool,
    pub(crate) unchanged: Unchanged,
}

/// Appends one value as JSON.
pub(crate) fn write(
    plan: &TablePlan,
    column: &ColumnPlan,
    value: Value<'_>,
    manner: Manner,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match manner.style {
        Style::Debezium => debezium(plan, column, value, manner.full, out),
        _ => sheet(plan, column, value, Form::Json(manner), out),
    }
}

/// Appends `{"column":value,…}` without the closing brace. Returns whether any column was written.
pub(crate) fn open_row(
    plan: &TablePlan,
    row: &Row,
    manner: Manner,
    out: &mut Vec<u8>,
) -> Result<bool, CodecError> {
    open_some(plan, row, manner, |_| true, out)
}

/// [`open_row`], of the columns that `wanted` wants.
pub(crate) fn open_some(
    plan: &TablePlan,
    row: &Row,
    manner: Manner,
    wanted: impl Fn(&ColumnPlan) -> bool,
    out: &mut Vec<u8>,
) -> Result<bool, CodecError> {
    out.push(b'{');
    let mut any = false;
    for column in plan.sent() {
        if !wanted(column) {
            continue;
        }
        let value = row.get(column.index);
        if value.is_absent() && manner.unchanged == Unchanged::Omit {
            continue;
        }
        if any {
            out.push(b',');
        }
        any = true;
        out.extend_from_slice(&column.label);
        write(plan, column, value, manner, out)?;
    }
    Ok(any)
}

/// [`open_row`] and the closing brace.
pub(crate) fn row(plan: &TablePlan, row: &Row, manner: Manner, out: &mut Vec<u8>) -> Result<(), CodecError> {
    open_row(plan, row, manner, out)?;
    out.push(b'}');
    Ok(())
}

/// The error for a value that its column's type cannot have.
pub(crate) fn wrong_kind(plan: &TablePlan, column: &ColumnPlan, value: Value<'_>) -> CodecError {
    CodecError::WrongKind {
        table: plan.name().clone(),
        column: column.column.name.clone(),
        kind: value.kind(),
    }
}

pub(crate) fn no_such_member(plan: &TablePlan, column: &ColumnPlan) -> CodecError {
    CodecError::NoSuchMember {
        table: plan.name().clone(),
        column: column.column.name.clone(),
    }
}

/// Appends characters, escaped for JSON if wanted.
pub(crate) fn characters(
    plan: &TablePlan,
    column: &ColumnPlan,
    bytes: &[u8],
    escaped: bool,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let read = column.charset.read(bytes, |text| {
        if escaped {
            json::escape(text, out);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    });
    read.ok_or_else(|| CodecError::NotText {
        table: plan.name().clone(),
        column: column.column.name.clone(),
        charset: column.column.ty.charset().unwrap_or("utf8mb4").to_owned(),
    })
}

/// The text of an ENUM's member; the invalid value is the empty text.
pub(crate) fn enum_member<'a>(
    plan: &TablePlan,
    column: &'a ColumnPlan,
    number: u16,
) -> Result<&'a str, CodecError> {
    let ColumnType::Enum { members, .. } = &column.column.ty else {
        return Err(wrong_kind(plan, column, Value::Enum(number)));
    };
    match usize::from(number).checked_sub(1) {
        None => Ok(""),
        Some(i) => members
            .get(i)
            .map(String::as_str)
            .ok_or_else(|| no_such_member(plan, column)),
    }
}

/// The members of a SET, in the order of its definition.
pub(crate) fn set_members<'a>(
    plan: &TablePlan,
    column: &'a ColumnPlan,
    bits: u64,
) -> Result<impl Iterator<Item = &'a str> + use<'a>, CodecError> {
    let ColumnType::Set { members, .. } = &column.column.ty else {
        return Err(wrong_kind(plan, column, Value::Set(bits)));
    };
    let known = if members.len() >= 64 {
        u64::MAX
    } else {
        (1u64 << members.len()) - 1
    };
    if bits & !known != 0 {
        return Err(no_such_member(plan, column));
    }
    let chosen = members
        .iter()
        .enumerate()
        .filter(move |(i, _)| bits >> i & 1 == 1);
    Ok(chosen.map(|(_, m)| m.as_str()))
}

/// Digits of the fraction that the column's type declares.
pub(crate) fn declared_fraction(column: &ColumnPlan) -> u8 {
    match column.column.ty {
        ColumnType::Time { fraction }
        | ColumnType::DateTime { fraction }
        | ColumnType::Timestamp { fraction } => fraction,
        _ => 0,
    }
}

/// Bits that the column's type declares.
pub(crate) fn declared_bits(
    plan: &TablePlan,
    column: &ColumnPlan,
    value: Value<'_>,
) -> Result<u8, CodecError> {
    match column.column.ty {
        ColumnType::Bit { bits } => Ok(bits),
        _ => Err(wrong_kind(plan, column, value)),
    }
}

/// The geometry without its spatial reference.
pub(crate) fn well_known(geometry: &[u8]) -> &[u8] {
    geometry.get(4..).unwrap_or_default()
}
