//! What a partial update logs of a JSON column: a list of changes (`json_diff.h` of the server).

use super::document::Document;
use crate::binlog::{bytes_reader::Reader, error::EventError};

const REPLACE: u8 = 0;
const INSERT: u8 = 1;
const REMOVE: u8 = 2;

/// A step of a path.
enum Leg {
    Member(String),
    Cell(usize),
}

/// Applies the changes to the value before the update.
///
/// # Errors
/// Changes that do not fit the value: the two do not belong together.
pub(crate) fn apply(document: &mut Document, changes: &[u8]) -> Result<(), EventError> {
    let mut r = Reader::new(changes);
    while !r.is_empty() {
        let operation = r.u8()?;
        let path = parse_path(r.lenenc_bytes()?)?;
        let value = match operation {
            REPLACE | INSERT => Some(Document::from_binary(r.lenenc_bytes()?)?),
            REMOVE => None,
            other => return Err(EventError::unknown(format!("JSON change {other}"))),
        };
        change(document, operation, &path, value)?;
    }
    Ok(())
}

fn misfit() -> EventError {
    EventError::corrupt("a partial JSON update does not fit the value before it")
}

fn change(
    document: &mut Document,
    operation: u8,
    path: &[Leg],
    value: Option<Document>,
) -> Result<(), EventError> {
    let Some((last, parents)) = path.split_last() else {
        return match (operation, value) {
            (REPLACE, Some(value)) => {
                *document = value;
                Ok(())
            }
            _ => Err(misfit()),
        };
    };
    let mut at = document;
    for leg in parents {
        at = match (at, leg) {
            (Document::Object(members), Leg::Member(key)) => {
                let i = Document::key_place(members, key).map_err(|_| misfit())?;
                &mut members.get_mut(i).ok_or_else(misfit)?.1
            }
            (Document::Array(items), Leg::Cell(i)) => items.get_mut(*i).ok_or_else(misfit)?,
            // A scalar counts as an array of itself.
            (scalar, Leg::Cell(0)) if !matches!(scalar, Document::Object(_)) => scalar,
            _ => return Err(misfit()),
        };
    }
    match (at, last, operation, value) {
        (Document::Object(members), Leg::Member(key), _, value) => {
            match (Document::key_place(members, key), operation, value) {
                (Ok(i), REPLACE, Some(value)) => members.get_mut(i).ok_or_else(misfit)?.1 = value,
                (Err(i), INSERT, Some(value)) => members.insert(i, (key.clone(), value)),
                (Ok(i), REMOVE, None) => drop(members.remove(i)),
                _ => return Err(misfit()),
            }
        }
        (Document::Array(items), Leg::Cell(i), REPLACE, Some(value)) => {
            *items.get_mut(*i).ok_or_else(misfit)? = value;
        }
        // Behind the end means at the end.
        (Document::Array(items), Leg::Cell(i), INSERT, Some(value)) => {
            items.insert((*i).min(items.len()), value);
        }
        (Document::Array(items), Leg::Cell(i), REMOVE, None) if *i < items.len() => drop(items.remove(*i)),
        (scalar, Leg::Cell(0), REPLACE, Some(value)) => *scalar = value,
        _ => return Err(misfit()),
    }
    Ok(())
}

/// Parses `$.member."quoted member"[3]`.
fn parse_path(bytes: &[u8]) -> Result<Vec<Leg>, EventError> {
    let bad = || EventError::unknown("a JSON path in a partial update");
    let text = std::str::from_utf8(bytes).map_err(|_| bad())?;
    let mut rest = text.trim_start().strip_prefix('$').ok_or_else(bad)?;
    let mut legs = Vec::new();
    while let Some(kind) = rest.chars().next() {
        match kind {
            ' ' => rest = rest.trim_start(),
            '.' => {
                let tail = rest.get(1..).unwrap_or_default().trim_start();
                if tail.starts_with('"') {
                    let mut stream = serde_json::Deserializer::from_str(tail).into_iter::<String>();
                    let name = stream.next().and_then(Result::ok).ok_or_else(bad)?;
                    rest = tail.get(stream.byte_offset()..).unwrap_or_default();
                    legs.push(Leg::Member(name));
                } else {
                    let end = tail.find(['.', '[', ' ']).unwrap_or(tail.len());
                    let (name, more) = tail.split_at_checked(end).ok_or_else(bad)?;
                    if name.is_empty() || name.contains('*') {
                        return Err(bad());
                    }
                    legs.push(Leg::Member(name.to_owned()));
                    rest = more;
                }
            }
            '[' => {
                let end = rest.find(']').ok_or_else(bad)?;
                let number = rest.get(1..end).unwrap_or_default().trim();
                legs.push(Leg::Cell(number.parse().map_err(|_| bad())?));
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            _ => return Err(bad()),
        }
    }
    Ok(legs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply_text(start: &[(&str, i64)], changes: &[u8]) -> Result<String, EventError> {
        let members = start
            .iter()
            .map(|(k, n)| ((*k).to_owned(), Document::Array(vec![Document::Int(*n)])));
        let mut document = Document::Object(members.collect());
        apply(&mut document, changes)?;
        let mut out = String::new();
        document.write(&mut out)?;
        Ok(out)
    }

    fn one(operation: u8, path: &str, value: Option<i16>) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend(path.as_bytes());
        if let Some(v) = value {
            out.extend([3, 5]);
            out.extend(v.to_le_bytes());
        }
        out
    }

    #[test]
    fn changes_of_all_kinds() {
        let start = [("a", 1), ("bb", 2)];
        let text = |c: &[u8]| apply_text(&start, c).unwrap();
        assert_eq!(text(&one(REPLACE, "$.a[0]", Some(7))), r#"{"a": [7], "bb": [2]}"#);
        assert_eq!(
            text(&one(INSERT, "$.a[0]", Some(7))),
            r#"{"a": [7, 1], "bb": [2]}"#
        );
        assert_eq!(
            text(&one(INSERT, "$.\"c\"", Some(7))),
            r#"{"a": [1], "c": 7, "bb": [2]}"#
        );
        assert_eq!(text(&one(REMOVE, "$.a", None)), r#"{"bb": [2]}"#);
        assert_eq!(text(&one(REPLACE, "$", Some(3))), "3");
        let two = [one(REMOVE, "$.a", None), one(INSERT, "$.a", Some(-1))].concat();
        assert_eq!(text(&two), r#"{"a": -1, "bb": [2]}"#);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for bad in [
            one(REPLACE, "$.x", Some(1)),
            one(REMOVE, "$.a[5]", None),
            one(INSERT, "$.a", Some(1)),
            one(9, "$.a", None),
            vec![0, 9],
        ] {
            assert!(apply_text(&[("a", 1)], &bad).is_err());
        }
    }
}
