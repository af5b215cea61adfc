//! From stored bytes to canonical values.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

use oms_core::{RowBuilder, Value};

use super::{
    bytes_reader::Reader, column_plan::ColumnPlan, compressed, decimal, error::EventError, json, temporal,
};

/// The largest value a compressed column may inflate to: what a LONGBLOB can hold in one packet.
const MAX_INFLATED: usize = 1 << 30;

/// Reads one value that is not NULL and appends it to the row. `scratch` is working memory.
#[inline]
pub(crate) fn read_value(
    plan: &ColumnPlan,
    r: &mut Reader<'_>,
    row: &mut RowBuilder,
    scratch: &mut String,
) -> Result<(), EventError> {
    match *plan {
        ColumnPlan::Signed { bytes: 4 } => row.push(Value::Int(i64::from(r.u32()? as i32))),
        ColumnPlan::Signed { bytes: 8 } => row.push(Value::Int(r.u64()? as i64)),
        ColumnPlan::Signed { bytes } => {
            let unused = 64 - 8 * u32::from(bytes);
            row.push(Value::Int(
                (r.uint(usize::from(bytes))? << unused) as i64 >> unused,
            ));
        }
        ColumnPlan::Unsigned { bytes: 4 } => row.push(Value::UInt(u64::from(r.u32()?))),
        ColumnPlan::Unsigned { bytes } => row.push(Value::UInt(r.uint(usize::from(bytes))?)),
        ColumnPlan::Text { prefix } => {
            let n = r.uint(usize::from(prefix))? as usize;
            row.push(Value::Text(r.take(n)?));
        }
        ColumnPlan::Bytes { prefix } => {
            let n = r.uint(usize::from(prefix))? as usize;
            row.push(Value::Bytes(r.take(n)?));
        }
        ColumnPlan::Decimal { precision, scale } => {
            scratch.clear();
            decimal::read(r, precision, scale, scratch)?;
            row.push(Value::Decimal(scratch));
        }
        ColumnPlan::Float => row.push(Value::Float(f32::from_bits(r.u32()?))),
        ColumnPlan::Double => row.push(Value::Double(f64::from_bits(r.u64()?))),
        ColumnPlan::Bit { bytes } => row.push(Value::Bit(r.uint_be(usize::from(bytes))?)),
        ColumnPlan::Year => {
            let n = u16::from(r.u8()?);
            row.push(Value::Year(if n == 0 { 0 } else { 1900 + n }));
        }
        ColumnPlan::Date => row.push(Value::Date(temporal::date(r)?)),
        ColumnPlan::Time { fraction } => row.push(Value::Time(temporal::time(r, fraction)?)),
        ColumnPlan::OldTime => row.push(Value::Time(temporal::old_time(r)?)),
        ColumnPlan::MariaDbTime { fraction } => row.push(Value::Time(temporal::mariadb_time(r, fraction)?)),
        ColumnPlan::DateTime { fraction } => row.push(Value::DateTime(temporal::datetime(r, fraction)?)),
        ColumnPlan::OldDateTime => row.push(Value::DateTime(temporal::old_datetime(r)?)),
        ColumnPlan::MariaDbDateTime { fraction } => {
            row.push(Value::DateTime(temporal::mariadb_datetime(r, fraction)?));
        }
        ColumnPlan::Timestamp { fraction } => row.push(Value::Timestamp(temporal::timestamp(r, fraction)?)),
        ColumnPlan::OldTimestamp => row.push(Value::Timestamp(temporal::old_timestamp(r)?)),
        ColumnPlan::MariaDbTimestamp { fraction } => {
            row.push(Value::Timestamp(temporal::mariadb_timestamp(r, fraction)?));
        }
        ColumnPlan::Padded { prefix, length } => {
            let n = r.uint(usize::from(prefix))? as usize;
            let bytes = r.take(n)?;
            let length = usize::from(length);
            if n == length {
                row.push(Value::Bytes(bytes));
            } else {
                row.push(Value::Bytes(&padded(bytes, length)?));
            }
        }
        ColumnPlan::CompressedText { prefix } => row.push(Value::Text(&inflated(r, prefix)?)),
        ColumnPlan::CompressedBytes { prefix } => row.push(Value::Bytes(&inflated(r, prefix)?)),
        ColumnPlan::Json => {
            scratch.clear();
            json::to_text(json_bytes(r)?, scratch)?;
            row.push(Value::Json(scratch));
        }
        ColumnPlan::Geometry { prefix } => {
            let n = r.uint(usize::from(prefix))? as usize;
            row.push(Value::Geometry(r.take(n)?));
        }
        ColumnPlan::Enum { bytes, members } => {
            let n = r.uint(usize::from(bytes))? as u16;
            if n > members {
                return Err(EventError::definition(
                    "an ENUM number is above the number of members",
                ));
            }
            row.push(Value::Enum(n));
        }
        ColumnPlan::Set { bytes } => row.push(Value::Set(r.uint(usize::from(bytes))?)),
        ColumnPlan::Uuid => {
            let n = usize::from(r.u8()?);
            scratch.clear();
            let uuid = uuid::Uuid::from_bytes(fixed(r.take(n)?)?);
            let _ = write!(scratch, "{}", uuid.hyphenated());
            row.push(Value::Text(scratch.as_bytes()));
        }
        ColumnPlan::Inet4 => {
            let n = usize::from(r.u8()?);
            scratch.clear();
            let _ = write!(scratch, "{}", Ipv4Addr::from(fixed::<4>(r.take(n)?)?));
            row.push(Value::Text(scratch.as_bytes()));
        }
        ColumnPlan::Inet6 => {
            let n = usize::from(r.u8()?);
            scratch.clear();
            write_inet6(&fixed(r.take(n)?)?, scratch);
            row.push(Value::Text(scratch.as_bytes()));
        }
    }
    Ok(())
}

/// Reads past a value.
pub(crate) fn skip_value(plan: &ColumnPlan, r: &mut Reader<'_>) -> Result<(), EventError> {
    let mut row = RowBuilder::new();
    row.begin(1);
    read_value(plan, r, &mut row, &mut String::new())
}

/// The stored bytes of a JSON value.
pub(crate) fn json_bytes<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], EventError> {
    let n = r.u32()? as usize;
    Ok(r.take(n)?)
}

/// The log leaves out trailing zeros of fixed-length bytes.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], EventError> {
    let mut out = [0; N];
    match out.get_mut(..bytes.len()) {
        Some(head) => head.copy_from_slice(bytes),
        None => return Err(EventError::corrupt("a fixed-length value is too long")),
    }
    Ok(out)
}

#[cold]
fn padded(bytes: &[u8], length: usize) -> Result<Vec<u8>, EventError> {
    if bytes.len() > length {
        return Err(EventError::corrupt("a BINARY value is longer than its column"));
    }
    let mut out = bytes.to_vec();
    out.resize(length, 0);
    Ok(out)
}

/// A value of a MariaDB column with COMPRESSED: a byte that says how (0: not at all; else the
/// algorithm in the high half, bit 3 for a raw stream, and the bytes of the length), the length,
/// big endian, and the stream.
fn inflated(r: &mut Reader<'_>, prefix: u8) -> Result<Vec<u8>, EventError> {
    let n = r.uint(usize::from(prefix))? as usize;
    let mut stored = Reader::new(r.take(n)?);
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    let how = stored.u8()?;
    if how == 0 {
        return Ok(stored.rest().to_vec());
    }
    if how >> 4 != 8 {
        return Err(EventError::unknown(format!("column compression {how:#04x}")));
    }
    let length = stored.uint_be(usize::from(how & 7))?;
    let length = usize::try_from(length).ok().filter(|n| *n <= MAX_INFLATED);
    let length = length.ok_or_else(|| EventError::corrupt("a compressed value announces too many bytes"))?;
    compressed::inflate_stream(stored.rest(), length, how & 8 == 0)
}

/// MariaDB's text of an IPv6 address: the longest run of zero groups is shortened, addresses that
/// hold an IPv4 address end in its text.
fn write_inet6(bytes: &[u8; 16], out: &mut String) {
    let address = Ipv6Addr::from(*bytes);
    let [.., c, d] = address.segments();
    let ipv4 = Ipv4Addr::from((u32::from(c)) << 16 | u32::from(d));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, _, _] => {
            let _ = write!(out, "::ffff:{ipv4}");
        }
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let _ = write!(out, "::{ipv4}");
        }
        _ => {
            let _ = write!(out, "{address}");
        }
    }
}
