//! Values of the Debezium family.

use oms_core::{CivilDateTime, ColumnType, Value};

use super::{
    characters, declared_bits, declared_fraction, enum_member, no_such_member, set_members, well_known,
};
use crate::{
    CodecError, TablePlan, binary, json,
    number::{self, Notation, Shortest},
    table_plan::ColumnPlan,
    temporal::{self, Fraction},
};

/// Appends a value as JSON.
pub(crate) fn debezium(
    plan: &TablePlan,
    column: &ColumnPlan,
    value: Value<'_>,
    full: bool,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let finite = |ok: bool| {
        if ok {
            Ok(())
        } else {
            Err(no_such_member(plan, column))
        }
    };
    // One column, one type: BIGINT UNSIGNED is text, also where a value would fit a signed one.
    let wide = matches!(
        column.column.ty,
        ColumnType::Integer {
            bytes: 8,
            unsigned: true
        }
    );
    match value {
        Value::Null | Value::Absent => json::raw("null", out),
        Value::UInt(v) if wide => quoted(out, |out| number::unsigned(v, out)),
        Value::Int(v) => number::signed(v, out),
        Value::UInt(v) => number::unsigned(v, out),
        Value::Year(v) => number::unsigned(u64::from(v), out),
        Value::Float(v) => finite(number::shortest(Shortest::Single(v), out))?,
        Value::Double(v) => finite(number::shortest(Shortest::Double(v), out))?,
        Value::Decimal(v) => quoted(out, |out| number::decimal(v, Notation::Java, out)),
        Value::Date(date) => match temporal::epoch_days(date) {
            Some(days) => number::signed(days, out),
            None => quoted(out, |out| temporal::date(date, out)),
        },
        Value::Time(span) => number::signed(span.0, out),
        Value::DateTime(at) => match at.to_epoch_micros().filter(|_| temporal::possible(at.date)) {
            Some(micros) => number::signed(micros.div_euclid(1_000), out),
            None => quoted(out, |out| {
                temporal::date_time(at, b' ', Fraction::Digits(declared_fraction(column)), out);
            }),
        },
        Value::Timestamp(0) => json::raw("\"0000-00-00 00:00:00\"", out),
        Value::Timestamp(micros) => {
            let at = CivilDateTime::from_epoch_micros(micros).ok_or_else(|| no_such_member(plan, column))?;
            quoted(out, |out| {
                temporal::date_time(at, b'T', Fraction::Trimmed, out);
                out.push(b'Z');
            });
        }
        Value::Text(bytes) => {
            out.push(b'"');
            characters(plan, column, bytes, true, out)?;
            out.push(b'"');
        }
        Value::Json(text) => json::string(text, out),
        Value::Enum(number) => json::string(enum_member(plan, column, number)?, out),
        Value::Set(bits) => {
            out.push(b'"');
            for (i, member) in set_members(plan, column, bits)?.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json::escape(member, out);
            }
            out.push(b'"');
        }
        Value::Bytes(bytes) => quoted(out, |out| binary::hex(bytes, out)),
        Value::Geometry(bytes) => quoted(out, |out| binary::hex(well_known(bytes), out)),
        Value::Bit(bits) => {
            let declared = declared_bits(plan, column, value)?;
            let bytes = bits.to_be_bytes();
            quoted(out, |out| {
                binary::hex(binary::bit_bytes(&bytes, declared, full), out)
            });
        }
    }
    Ok(())
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}
