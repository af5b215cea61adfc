//! Statements logged as text.

use super::{bytes_reader::Reader, compressed, error::EventError, event_header::EventHeader, event_kind};

/// A statement as logged. The text is in the client's character set.
#[derive(Clone, Debug)]
pub(crate) struct QueryEvent<'a> {
    /// The default database; empty for none.
    pub(crate) database: &'a [u8],
    /// The statement.
    pub(crate) statement: std::borrow::Cow<'a, [u8]>,
    /// Number of the client's collation, if logged.
    pub(crate) collation: Option<u16>,
}

impl<'a> QueryEvent<'a> {
    /// Reads the body of a QUERY, MariaDB compressed QUERY or EXECUTE_LOAD_QUERY event.
    pub(crate) fn parse(header: &EventHeader, body: &'a [u8], limit: usize) -> Result<Self, EventError> {
        let mut r = Reader::new(body);
        r.take(8)?;
        let database_length = usize::from(r.u8()?);
        r.take(2)?;
        let status_length = usize::from(r.u16()?);
        if header.kind == event_kind::EXECUTE_LOAD_QUERY {
            r.take(13)?;
        }
        let status = r.take(status_length)?;
        let database = r.take(database_length)?;
        if r.u8()? != 0 {
            return Err(EventError::corrupt(
                "the database of the statement is not terminated",
            ));
        }
        let statement = if header.kind == event_kind::MARIADB_QUERY_COMPRESSED {
            compressed::inflate(r.rest(), limit)?.into()
        } else {
            r.rest().into()
        };
        Ok(Self {
            database,
            statement,
            collation: client_collation(status),
        })
    }

    /// The statement as text. Bytes that are not UTF-8 are taken as latin1 if the client spoke that,
    /// and replaced otherwise.
    pub(crate) fn text(&self) -> String {
        // Collations of latin1: 5, 8, 15, 31, 47, 48, 49, 94.
        match (std::str::from_utf8(&self.statement), self.collation) {
            (Ok(text), _) => text.to_owned(),
            (Err(_), Some(5 | 8 | 15 | 31 | 47 | 48 | 49 | 94)) => {
                self.statement.iter().map(|b| char::from(*b)).collect()
            }
            (Err(_), _) => String::from_utf8_lossy(&self.statement).into_owned(),
        }
    }

    /// The statement without surrounding white space, if it is short enough to be one of the
    /// statements that frame transactions. Those are never compressed.
    pub(crate) fn framing_word(header: &EventHeader, body: &'a [u8]) -> Result<Option<&'a [u8]>, EventError> {
        if header.kind != event_kind::QUERY {
            return Ok(None);
        }
        Ok(match Self::parse(header, body, 0)?.statement {
            std::borrow::Cow::Borrowed(text) => Some(text.trim_ascii()),
            std::borrow::Cow::Owned(_) => None,
        })
    }
}

/// Finds the client's collation among the status variables. They have no lengths, so an unknown
/// one ends the search; the order is fixed by the server and this one comes early.
fn client_collation(status: &[u8]) -> Option<u16> {
    let mut r = Reader::new(status);
    loop {
        match r.u8().ok()? {
            0 => drop(r.take(4).ok()?),
            1 => drop(r.take(8).ok()?),
            2 => {
                let n = r.u8().ok()?;
                r.take(usize::from(n) + 1).ok()?;
            }
            3 => drop(r.take(4).ok()?),
            4 => return r.u16().ok(),
            5 | 6 => {
                let n = r.u8().ok()?;
                r.take(usize::from(n)).ok()?;
            }
            7 | 8 => drop(r.take(2).ok()?),
            _ => return None,
        }
    }
}

/// Whether a text is this word, in any case.
pub(crate) fn is_word(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether a text begins with this word, in any case, followed by white space or the end.
pub(crate) fn begins_with(text: &[u8], words: &str) -> bool {
    text.get(..words.len()).is_some_and(|head| is_word(head, words))
        && text
            .get(words.len())
            .is_none_or(|b| b.is_ascii_whitespace() || *b == b';')
}
