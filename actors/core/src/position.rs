//! Coordinates in a source's log.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

use crate::{MariaDbGtidPosition, MysqlGtidSet};

/// A coordinate in a source's log: everything before it was read, nothing after it.
///
/// Positions lie between transactions. They are only partially ordered: `partial_cmp` answers
/// `None` for positions of different sources and wherever an order would be a guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Position {
    /// In the binary log of a server of the MySQL family.
    Binlog(BinlogPosition),
    /// Between two rounds of a source that is read by comparing its states.
    Scn(ScnPosition),
}

impl Position {
    /// The stable text form: JSON, for the destination's checkpoint rows and the change log.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Position::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("not a position: {e}"))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Binlog(a), Self::Binlog(b)) => a.partial_cmp(b),
            (Self::Scn(a), Self::Scn(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binlog(p) => p.fmt(f),
            Self::Scn(p) => p.fmt(f),
        }
    }
}

/// A moment of a database that numbers its commits: what is committed at or before `scn` is before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScnPosition {
    /// Identity of the server or tenant whose numbers are meant.
    pub server: String,
    /// The system change number: of OceanBase nanoseconds since the epoch by the tenant's clock.
    pub scn: u64,
    /// What the tables that are followed were like at that moment: their storage and columns, as a digest. Rows of
    /// two moments can be compared only if it is the same at both. Takes no part in the order.
    pub shape: String,
}

impl PartialOrd for ScnPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.server == other.server).then(|| self.scn.cmp(&other.scn))
    }
}

impl fmt::Display for ScnPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SCN {}", self.scn)
    }
}

/// A position in a binary log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// Identity of the server whose files are meant: `server_uuid` of MySQL; of MariaDB, which has
    /// none, `server_id` with the host name.
    pub server: String,
    /// Name of the file, for example `binlog.000007`.
    pub file: String,
    /// Byte offset in the file.
    pub offset: u64,
    /// The transactions up to here, where the source numbers them.
    pub gtid: GtidState,
}

/// The transactions before a position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GtidState {
    /// The source does not number transactions.
    #[default]
    None,
    /// MySQL: the executed set.
    Mysql(MysqlGtidSet),
    /// MariaDB: the last one of each domain.
    MariaDb(MariaDbGtidPosition),
}

impl BinlogPosition {
    /// Number of the file: the digits behind the last dot.
    pub fn file_number(&self) -> Option<u64> {
        let (_, digits) = self.file.rsplit_once('.')?;
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    }
}

impl PartialOrd for BinlogPosition {
    /// On one server by file and offset. Across servers by GTID, where both have them; `None`
    /// where neither helps.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.server == other.server {
            let base = |p: &Self| p.file.rsplit_once('.').map(|(b, _)| b.to_owned());
            if base(self)? != base(other)? {
                return None;
            }
            let by_file = (self.file_number()?, self.offset).cmp(&(other.file_number()?, other.offset));
            return Some(by_file);
        }
        match (&self.gtid, &other.gtid) {
            (GtidState::Mysql(a), GtidState::Mysql(b)) => a.partial_cmp(b),
            (GtidState::MariaDb(a), GtidState::MariaDb(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

impl fmt::Display for BinlogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)?;
        match &self.gtid {
            GtidState::None => Ok(()),
            GtidState::Mysql(set) => write!(f, " ({set})"),
            GtidState::MariaDb(position) => write!(f, " ({position})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(server: &str, file: &str, offset: u64) -> Position {
        Position::Binlog(BinlogPosition {
            server: server.into(),
            file: file.into(),
            offset,
            gtid: GtidState::None,
        })
    }

    #[test]
    fn files_order_by_number_not_by_text() {
        assert!(at("s", "b.000009", 900) < at("s", "b.000010", 4));
        assert!(at("s", "b.999999", 4) < at("s", "b.1000000", 4));
    }

    #[test]
    fn different_servers_without_gtid_do_not_compare() {
        assert_eq!(at("s", "b.000001", 4).partial_cmp(&at("t", "b.000001", 4)), None);
        assert_eq!(at("s", "b.000001", 4).partial_cmp(&at("s", "c.000001", 4)), None);
    }

    #[test]
    fn numbers_of_one_server_are_in_order_whatever_the_tables_are_like() {
        let at = |server: &str, scn, shape: &str| {
            let (server, shape) = (server.into(), shape.into());
            Position::Scn(ScnPosition { server, scn, shape })
        };
        assert!(at("s", 1, "b") < at("s", 2, "a"));
        assert_eq!(at("s", 1, "a").partial_cmp(&at("t", 2, "a")), None);
        assert_eq!(
            super::tests::at("s", "b.000001", 4).partial_cmp(&at("s", 2, "a")),
            None
        );
        let p = at("s", 1_795_213_761_436_234_004, "0f");
        assert_eq!(Position::decode(&p.encode()).unwrap(), p);
    }

    #[test]
    fn text_form_round_trips() {
        let p = at("s", "b.000001", 4);
        assert_eq!(Position::decode(&p.encode()).unwrap(), p);
        assert!(Position::decode("{}").is_err());
    }
}
