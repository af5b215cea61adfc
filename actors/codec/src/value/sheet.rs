//! Values of Default, Canal, DataWorks, SharePlex and Maxwell, and of message keys.

use oms_core::{CivilDateTime, Value};

use super::{
    Manner, Style, characters, declared_bits, declared_fraction, enum_member, no_such_member, set_members,
    well_known,
};
use crate::{
    CodecError, TablePlan, binary, json,
    number::{self, DOUBLE_DIGITS, FLOAT_DIGITS, Notation},
    table_plan::ColumnPlan,
    temporal::{self, Fraction},
};

/// What a value is written as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// JSON.
    Json(Manner),
    /// Bare text, as message keys have it; whether of a row of full synchronization.
    Text {
        /// Whether bit fields keep their leading zero bytes.
        full: bool,
    },
    /// The same text, escaped for the inside of a JSON string.
    Escaped {
        /// As in `Text`.
        full: bool,
    },
}

/// Appends a value.
pub(crate) fn sheet(
    plan: &TablePlan,
    column: &ColumnPlan,
    value: Value<'_>,
    form: Form,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let (style, full, quoted, escaped) = match form {
        Form::Json(manner) => (manner.style, manner.full, true, true),
        Form::Text { full } => (Style::Sheet, full, false, false),
        Form::Escaped { full } => (Style::Sheet, full, false, true),
    };
    let notation = if style == Style::Plain {
        Notation::Plain
    } else {
        Notation::Java
    };
    let finite = |ok: bool| {
        if ok {
            Ok(())
        } else {
            Err(no_such_member(plan, column))
        }
    };
    // Numbers need no quotes.
    match value {
        Value::Null | Value::Absent => {
            json::raw("null", out);
            return Ok(());
        }
        Value::Int(v) => {
            number::signed(v, out);
            return Ok(());
        }
        Value::UInt(v) => {
            number::unsigned(v, out);
            return Ok(());
        }
        Value::Year(v) => {
            number::unsigned(u64::from(v), out);
            return Ok(());
        }
        Value::Decimal(v) => {
            number::decimal(v, notation, out);
            return Ok(());
        }
        Value::Float(v) => return finite(number::significant(f64::from(v), FLOAT_DIGITS, notation, out)),
        Value::Double(v) => return finite(number::significant(v, DOUBLE_DIGITS, notation, out)),
        Value::Set(bits) if style == Style::Maxwell => {
            json::array(set_members(plan, column, bits)?, out);
            return Ok(());
        }
        _ => {}
    }
    if quoted {
        out.push(b'"');
    }
    let put = |text: &str, out: &mut Vec<u8>| {
        if escaped {
            json::escape(text, out);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    };
    match value {
        Value::Text(bytes) => characters(plan, column, bytes, escaped, out)?,
        Value::Json(text) => put(text, out),
        Value::Enum(number) => put(enum_member(plan, column, number)?, out),
        Value::Set(bits) => {
            for (i, member) in set_members(plan, column, bits)?.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                put(member, out);
            }
        }
        Value::Bytes(bytes) => binary::base64(bytes, out),
        Value::Geometry(bytes) => binary::base64(well_known(bytes), out),
        Value::Bit(bits) => {
            let declared = declared_bits(plan, column, value)?;
            binary::base64(binary::bit_bytes(&bits.to_be_bytes(), declared, full), out);
        }
        Value::Date(date) => temporal::date(date, out),
        Value::Time(span) => temporal::time(span, Fraction::Trimmed, out),
        Value::DateTime(at) => {
            let fraction = match style {
                // What the calendar does not have is written as the source has it.
                _ if !temporal::possible(at.date) => Fraction::Digits(declared_fraction(column)),
                Style::Maxwell => Fraction::Digits(6),
                _ => Fraction::Trimmed,
            };
            temporal::date_time(at, b' ', fraction, out);
        }
        Value::Timestamp(0) => json::raw("0000-00-00 00:00:00", out),
        Value::Timestamp(micros) if style == Style::Maxwell => {
            let at = CivilDateTime::from_epoch_micros(micros).ok_or_else(|| no_such_member(plan, column))?;
            temporal::date_time(at, b' ', Fraction::Digits(6), out);
        }
        Value::Timestamp(micros) => temporal::unix_seconds(micros, out),
        // Written above.
        Value::Null
        | Value::Absent
        | Value::Int(_)
        | Value::UInt(_)
        | Value::Year(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Double(_) => {}
    }
    if quoted {
        out.push(b'"');
    }
    Ok(())
}
