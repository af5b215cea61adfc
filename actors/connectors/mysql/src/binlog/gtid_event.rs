//! The events that name transactions.

use std::fmt;

use super::{bytes_reader::Reader, error::EventError, event_header::EventHeader, event_kind};

/// The MariaDB transaction is one statement without BEGIN and COMMIT.
pub(crate) const MARIADB_STANDALONE: u8 = 1;
const MARIADB_GROUP_COMMIT_ID: u8 = 2;

/// A transaction's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gtid<'a> {
    /// MySQL with `gtid_mode=OFF`.
    Anonymous,
    /// MySQL.
    Mysql {
        uuid: [u8; 16],
        /// Empty if untagged.
        tag: &'a str,
        number: u64,
    },
    /// MariaDB.
    MariaDb {
        domain: u32,
        server: u32,
        sequence: u64,
        /// Of the `MARIADB_…` constants.
        flags: u8,
    },
}

/// An event that names a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GtidEvent<'a> {
    pub(crate) gtid: Gtid<'a>,
    /// When this server committed it, in microseconds since the epoch, if it says so.
    pub(crate) committed_us: Option<i64>,
}

impl<'a> GtidEvent<'a> {
    /// Reads the body of an event of one of the four types.
    pub(crate) fn parse(header: &EventHeader, body: &'a [u8]) -> Result<Self, EventError> {
        let mut r = Reader::new(body);
        match header.kind {
            event_kind::GTID | event_kind::ANONYMOUS_GTID => {
                let _flags = r.u8()?;
                let uuid = r.array()?;
                let number = r.u64()?;
                let gtid = if header.kind == event_kind::ANONYMOUS_GTID {
                    Gtid::Anonymous
                } else {
                    check_number(number)?;
                    Gtid::Mysql {
                        uuid,
                        tag: "",
                        number,
                    }
                };
                // From MySQL 5.7: two logical time stamps behind a type byte; from 8.0 the time of
                // the commit. The top bit says that the original server's time follows.
                let committed_us = match r.u8() {
                    Ok(2) => r
                        .take(16)
                        .and_then(|_| r.uint(7))
                        .ok()
                        .map(|t| (t & !(1 << 55)) as i64),
                    _ => None,
                };
                Ok(Self { gtid, committed_us })
            }
            event_kind::GTID_TAGGED => parse_tagged(r),
            event_kind::MARIADB_GTID => {
                let sequence = r.u64()?;
                let domain = r.u32()?;
                let flags = r.u8()?;
                if flags & MARIADB_GROUP_COMMIT_ID != 0 {
                    r.u64()?;
                }
                Ok(Self {
                    gtid: Gtid::MariaDb {
                        domain,
                        server: header.server_id,
                        sequence,
                        flags,
                    },
                    committed_us: None,
                })
            }
            other => Err(EventError::unknown(format!("type {other} names no transaction"))),
        }
    }
}

fn check_number(number: u64) -> Result<(), EventError> {
    if number == 0 || number >= i64::MAX as u64 {
        return Err(EventError::corrupt(format!("transaction number {number}")));
    }
    Ok(())
}

/// The event in the format of MySQL's serialization library: version, size, last field that must
/// be understood, then pairs of field number and value
/// (<https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html>).
fn parse_tagged(mut r: Reader<'_>) -> Result<GtidEvent<'_>, EventError> {
    let version = r.u8()? >> 1;
    if version != 1 {
        return Err(EventError::unknown(format!(
            "tagged GTID event of version {version}"
        )));
    }
    let _size = r.varlen()?;
    let last_required = r.varlen()?;
    let (mut uuid, mut number, mut tag, mut committed_us) = (None, None, "", None);
    while !r.is_empty() {
        match r.varlen()? {
            0 => {
                r.u8()?;
            }
            1 => {
                let mut bytes = [0u8; 16];
                for byte in &mut bytes {
                    let value = r.varlen()?;
                    *byte = u8::try_from(value).map_err(|_| EventError::corrupt("server UUID"))?;
                }
                uuid = Some(bytes);
            }
            2 => number = Some(r.varlen_signed()?),
            3 => {
                let length = r.varlen()?;
                let bytes = r.take(usize::try_from(length).unwrap_or(usize::MAX))?;
                tag = std::str::from_utf8(bytes).map_err(|_| EventError::corrupt("GTID tag"))?;
            }
            4 | 5 => {
                r.varlen_signed()?;
            }
            6 => committed_us = i64::try_from(r.varlen()?).ok(),
            7..=11 => {
                r.varlen()?;
            }
            field if field > last_required => break,
            field => {
                return Err(EventError::unknown(format!(
                    "field {field} of a tagged GTID event"
                )));
            }
        }
    }
    let (Some(uuid), Some(number)) = (uuid, number) else {
        return Err(EventError::corrupt(
            "tagged GTID event without server UUID or number",
        ));
    };
    let number = u64::try_from(number).map_err(|_| EventError::corrupt("negative transaction number"))?;
    check_number(number)?;
    Ok(GtidEvent {
        gtid: Gtid::Mysql { uuid, tag, number },
        committed_us,
    })
}

/// A server UUID as MySQL writes it.
pub(crate) fn uuid_text(uuid: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*uuid).hyphenated().to_string()
}

impl fmt::Display for Gtid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("ANONYMOUS"),
            Self::Mysql {
                uuid,
                tag: "",
                number,
            } => write!(f, "{}:{number}", uuid_text(uuid)),
            Self::Mysql { uuid, tag, number } => write!(f, "{}:{tag}:{number}", uuid_text(uuid)),
            Self::MariaDb {
                domain,
                server,
                sequence,
                ..
            } => write!(f, "{domain}-{server}-{sequence}"),
        }
    }
}
