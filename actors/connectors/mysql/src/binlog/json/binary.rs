//! Reading the binary form (`json_binary.h` of the server describes it).

use super::{
    document::Document,
    text::{Scalar, write_scalar, write_string},
};
use crate::binlog::{bytes_reader::Reader, error::EventError};

/// The server's own limit.
const MAX_DEPTH: usize = 100;

const SMALL_OBJECT: u8 = 0;
const LARGE_OBJECT: u8 = 1;
const SMALL_ARRAY: u8 = 2;
const LARGE_ARRAY: u8 = 3;
const LITERAL: u8 = 4;
const INT16: u8 = 5;
const UINT16: u8 = 6;
const INT32: u8 = 7;
const UINT32: u8 = 8;
const INT64: u8 = 9;
const UINT64: u8 = 10;
const DOUBLE: u8 = 11;
const STRING: u8 = 12;
const OPAQUE: u8 = 15;

/// A value: its type and the bytes from its start to the end of what holds it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    kind: u8,
    bytes: &'a [u8],
}

/// What a value is.
pub(crate) enum Content<'a> {
    Scalar(Scalar<'a>),
    Array(Container<'a>),
    Object(Container<'a>),
}

/// An array or an object.
pub(crate) struct Container<'a> {
    bytes: &'a [u8],
    pub(crate) count: usize,
    /// Bytes of offsets and counts.
    width: usize,
    is_object: bool,
}

fn corrupt() -> EventError {
    EventError::corrupt("a JSON value is damaged")
}

impl<'a> Node<'a> {
    /// The value a column holds. No bytes at all stand for `null`, as for the server.
    pub(crate) fn root(bytes: &'a [u8]) -> Self {
        match bytes.split_first() {
            Some((&kind, bytes)) => Self { kind, bytes },
            None => Self {
                kind: LITERAL,
                bytes: &[0],
            },
        }
    }

    pub(crate) fn content(self) -> Result<Content<'a>, EventError> {
        let mut r = Reader::new(self.bytes);
        let scalar = match self.kind {
            SMALL_OBJECT | LARGE_OBJECT | SMALL_ARRAY | LARGE_ARRAY => return self.container(),
            LITERAL => match r.u8()? {
                0 => Scalar::Null,
                1 => Scalar::Bool(true),
                2 => Scalar::Bool(false),
                _ => return Err(corrupt()),
            },
            INT16 => Scalar::Int(i64::from(r.u16()? as i16)),
            UINT16 => Scalar::UInt(u64::from(r.u16()?)),
            INT32 => Scalar::Int(i64::from(r.u32()? as i32)),
            UINT32 => Scalar::UInt(u64::from(r.u32()?)),
            INT64 => Scalar::Int(r.u64()? as i64),
            UINT64 => Scalar::UInt(r.u64()?),
            DOUBLE => Scalar::Double(f64::from_bits(r.u64()?)),
            STRING => {
                let bytes = sized(&mut r)?;
                Scalar::String(std::str::from_utf8(bytes).map_err(|_| corrupt())?)
            }
            OPAQUE => {
                let field_type = r.u8()?;
                Scalar::Opaque(field_type, sized(&mut r)?)
            }
            other => return Err(EventError::unknown(format!("JSON type {other}"))),
        };
        Ok(Content::Scalar(scalar))
    }

    fn container(self) -> Result<Content<'a>, EventError> {
        let is_object = matches!(self.kind, SMALL_OBJECT | LARGE_OBJECT);
        let width = if matches!(self.kind, LARGE_OBJECT | LARGE_ARRAY) {
            4
        } else {
            2
        };
        let mut r = Reader::new(self.bytes);
        let count = r.uint(width)? as usize;
        let size = r.uint(width)? as usize;
        let bytes = self.bytes.get(..size).ok_or_else(corrupt)?;
        let container = Container {
            bytes,
            count,
            width,
            is_object,
        };
        if container.values_end() > size {
            return Err(corrupt());
        }
        Ok(if is_object {
            Content::Object(container)
        } else {
            Content::Array(container)
        })
    }
}

impl<'a> Container<'a> {
    fn keys_length(&self) -> usize {
        if self.is_object {
            self.count.saturating_mul(self.width + 2)
        } else {
            0
        }
    }

    fn values_end(&self) -> usize {
        (2 * self.width + self.keys_length()).saturating_add(self.count.saturating_mul(1 + self.width))
    }

    pub(crate) fn key(&self, index: usize) -> Result<&'a str, EventError> {
        let at = 2 * self.width + index * (self.width + 2);
        let mut r = Reader::new(self.bytes.get(at..).ok_or_else(corrupt)?);
        let offset = r.uint(self.width)? as usize;
        let length = usize::from(r.u16()?);
        let bytes = self.bytes.get(offset..).and_then(|b| b.get(..length));
        std::str::from_utf8(bytes.ok_or_else(corrupt)?).map_err(|_| corrupt())
    }

    pub(crate) fn value(&self, index: usize) -> Result<Node<'a>, EventError> {
        let at = 2 * self.width + self.keys_length() + index * (1 + self.width);
        let entry = self.bytes.get(at..at + 1 + self.width).ok_or_else(corrupt)?;
        let (&kind, inlined) = entry.split_first().ok_or_else(corrupt)?;
        let is_inlined =
            matches!(kind, LITERAL | INT16 | UINT16) || self.width == 4 && matches!(kind, INT32 | UINT32);
        if is_inlined {
            return Ok(Node { kind, bytes: inlined });
        }
        let offset = Reader::new(inlined).uint(self.width)? as usize;
        if offset < self.values_end() {
            return Err(corrupt());
        }
        let bytes = self.bytes.get(offset..).ok_or_else(corrupt)?;
        Ok(Node { kind, bytes })
    }
}

/// Bytes behind their length: seven bits per byte, low ones first, the top bit set if more follow.
fn sized<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], EventError> {
    let mut length = 0u64;
    for shift in 0..5 {
        let byte = r.u8()?;
        length |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).map_err(|_| corrupt())?;
            return Ok(r.take(length)?);
        }
    }
    Err(corrupt())
}

/// Appends the text form of a column's value, as the server prints it.
///
/// Values that lie over each other could make a short damaged document print endlessly; the text
/// is bounded by a multiple of the bytes.
pub(crate) fn to_text(bytes: &[u8], out: &mut String) -> Result<(), EventError> {
    let limit = out.len() + 1024 + bytes.len().saturating_mul(40);
    write(Node::root(bytes), out, MAX_DEPTH + 1, limit)
}

fn write(node: Node<'_>, out: &mut String, depth: usize, limit: usize) -> Result<(), EventError> {
    if out.len() > limit {
        return Err(corrupt());
    }
    let depth = depth.checked_sub(1).ok_or_else(corrupt)?;
    match node.content()? {
        Content::Scalar(scalar) => write_scalar(&scalar, out)?,
        Content::Array(array) => {
            out.push('[');
            for i in 0..array.count {
                if i > 0 {
                    out.push_str(", ");
                }
                write(array.value(i)?, out, depth, limit)?;
            }
            out.push(']');
        }
        Content::Object(object) => {
            out.push('{');
            for i in 0..object.count {
                if i > 0 {
                    out.push_str(", ");
                }
                write_string(object.key(i)?, out);
                out.push_str(": ");
                write(object.value(i)?, out, depth, limit)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

impl Document {
    /// Reads a column's value, or the value of a difference.
    pub(crate) fn from_binary(bytes: &[u8]) -> Result<Self, EventError> {
        // Every value takes at least one byte of its own unless values overlap.
        let mut left = bytes.len() + 16;
        build(Node::root(bytes), MAX_DEPTH + 1, &mut left)
    }
}

fn build(node: Node<'_>, depth: usize, left: &mut usize) -> Result<Document, EventError> {
    *left = left.checked_sub(1).ok_or_else(corrupt)?;
    let depth = depth.checked_sub(1).ok_or_else(corrupt)?;
    Ok(match node.content()? {
        Content::Scalar(scalar) => Document::scalar(&scalar),
        Content::Array(array) => Document::Array(
            (0..array.count)
                .map(|i| build(array.value(i)?, depth, left))
                .collect::<Result<_, EventError>>()?,
        ),
        Content::Object(object) => Document::Object(
            (0..object.count)
                .map(|i| Ok((object.key(i)?.to_owned(), build(object.value(i)?, depth, left)?)))
                .collect::<Result<_, EventError>>()?,
        ),
    })
}
