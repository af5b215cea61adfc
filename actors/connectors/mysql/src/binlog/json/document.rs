//! A JSON value that can be changed.

use super::text::{Scalar, write_scalar, write_string};
use crate::binlog::error::EventError;

/// A value with its parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(String),
    Opaque(u8, Vec<u8>),
    Array(Vec<Document>),
    /// In the server's order: by length of the key, then by its bytes.
    Object(Vec<(String, Document)>),
}

impl Document {
    pub(crate) fn scalar(scalar: &Scalar<'_>) -> Self {
        match *scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::Int(n) => Self::Int(n),
            Scalar::UInt(n) => Self::UInt(n),
            Scalar::Double(n) => Self::Double(n),
            Scalar::String(s) => Self::String(s.to_owned()),
            Scalar::Opaque(t, b) => Self::Opaque(t, b.to_vec()),
        }
    }

    /// Appends the text form.
    pub(crate) fn write(&self, out: &mut String) -> Result<(), EventError> {
        let scalar = match self {
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write(out)?;
                }
                out.push(']');
                return Ok(());
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out)?;
                }
                out.push('}');
                return Ok(());
            }
            Self::Null => Scalar::Null,
            Self::Bool(b) => Scalar::Bool(*b),
            Self::Int(n) => Scalar::Int(*n),
            Self::UInt(n) => Scalar::UInt(*n),
            Self::Double(n) => Scalar::Double(*n),
            Self::String(s) => Scalar::String(s),
            Self::Opaque(t, b) => Scalar::Opaque(*t, b),
        };
        write_scalar(&scalar, out)
    }

    /// The place of a key in an object's order.
    pub(crate) fn key_place(members: &[(String, Self)], key: &str) -> Result<usize, usize> {
        members.binary_search_by(|(k, _)| {
            k.len()
                .cmp(&key.len())
                .then_with(|| k.as_bytes().cmp(key.as_bytes()))
        })
    }
}
