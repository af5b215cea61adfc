//! Statements logged as text.

use super::{
    bytes_reader::{Reader, Short},
    compressed,
    error::EventError,
    event_header::EventHeader,
    event_kind,
};

/// A statement as logged. The text is in the client's character set.
#[derive(Clone, Debug)]
pub(crate) struct QueryEvent<'a> {
    /// The default database; empty for none.
    pub(crate) database: &'a [u8],
    /// The statement.
    pub(crate) statement: std::borrow::Cow<'a, [u8]>,
    /// What the log says of the session.
    pub(crate) session: SessionState,
}

/// What the status variables of a statement say of the session that ran it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionState {
    /// The bits of `sql_mode`.
    pub(crate) sql_mode: u64,
    /// Number of the client's collation, if logged.
    pub(crate) client_collation: Option<u16>,
    /// Number of `collation_server`, if logged.
    pub(crate) server_collation: Option<u16>,
    /// `explicit_defaults_for_timestamp`, where the server logs it (MySQL 8.0 and later).
    pub(crate) explicit_timestamps: Option<bool>,
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
            session: SessionState::read(status),
        })
    }

    /// The statement as text. Bytes that are not UTF-8 are taken as latin1 if the client spoke that,
    /// and replaced otherwise.
    pub(crate) fn text(&self) -> String {
        // Collations of latin1: 5, 8, 15, 31, 47, 48, 49, 94.
        match (
            std::str::from_utf8(&self.statement),
            self.session.client_collation,
        ) {
            (Ok(text), _) => text.to_owned(),
            (Err(_), Some(5 | 8 | 15 | 31 | 47 | 48 | 49 | 94)) => {
                self.statement.iter().map(|b| char::from(*b)).collect()
            }
            (Err(_), _) => String::from_utf8_lossy(&self.statement).into_owned(),
        }
    }

    /// Whether [`QueryEvent::text`] is what was logged: UTF-8, or latin1 that could be decoded.
    pub(crate) fn is_exact(&self) -> bool {
        let utf8 = std::str::from_utf8(&self.statement).is_ok();
        let ascii = self.statement.is_ascii();
        // Collations of utf8 and utf8mb4: MySQL's and MariaDB's.
        let speaks_utf8 = self.session.client_collation.is_none_or(|number| {
            matches!(number, 33 | 45 | 46 | 76 | 83 | 192..=247 | 255..=323 | 576..=640 | 1057 | 1069 | 1070 | 1216..=1280 | 1293 | 1294 | 2048..)
        });
        let latin1 = matches!(
            self.session.client_collation,
            Some(5 | 8 | 15 | 31 | 47 | 48 | 49 | 94)
        );
        ascii || utf8 && speaks_utf8 || !utf8 && latin1
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

impl SessionState {
    /// Reads status variables. They have no lengths, so an unknown one ends the search; the order is fixed
    /// by the server.
    fn read(status: &[u8]) -> Self {
        let mut state = Self::default();
        let mut r = Reader::new(status);
        // What breaks off tells nothing more.
        let _ = state.take(&mut r);
        state
    }

    fn take(&mut self, r: &mut Reader<'_>) -> Result<(), Short> {
        while !r.is_empty() {
            // `Q_*_CODE` of the servers.
            match r.u8()? {
                0 | 3 => drop(r.take(4)?),
                1 => self.sql_mode = r.uint(8)?,
                2 => {
                    let n = r.u8()?;
                    r.take(usize::from(n) + 1)?;
                }
                4 => {
                    self.client_collation = Some(r.u16()?);
                    r.u16()?;
                    self.server_collation = Some(r.u16()?);
                }
                5 | 6 => {
                    let n = r.u8()?;
                    r.take(usize::from(n))?;
                }
                7 | 8 | 18 => drop(r.take(2)?),
                9 | 17 => drop(r.take(8)?),
                10 => drop(r.take(4)?),
                11 => {
                    for _ in 0..2 {
                        let n = r.u8()?;
                        r.take(usize::from(n))?;
                    }
                }
                12 => {
                    // 254: more than 16 databases, none is named.
                    let count = r.u8()?;
                    for _ in 0..if count == 254 { 0 } else { count } {
                        while r.u8()? != 0 {}
                    }
                }
                13 => drop(r.take(3)?),
                16 => self.explicit_timestamps = Some(r.u8()? != 0),
                19 | 20 => drop(r.take(1)?),
                _ => return Ok(()),
            }
        }
        Ok(())
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
