//! Sets of transaction identifiers of MySQL and MariaDB.

use std::{cmp::Ordering, collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a GTID set.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{text:?} is not a {what}: {reason}")]
pub struct GtidParseError {
    text: String,
    what: &'static str,
    reason: &'static str,
}

/// A MySQL GTID set: per server UUID (and tag, from MySQL 8.3) a set of intervals.
///
/// Intervals are half open, sorted, disjoint and not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MysqlGtidSet {
    members: BTreeMap<(String, String), Vec<(u64, u64)>>,
}

impl MysqlGtidSet {
    /// Whether it holds no transaction.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds one transaction. `uuid` is lower case with dashes, `tag` is empty for untagged ones.
    pub fn insert(&mut self, uuid: &str, tag: &str, number: u64) {
        self.insert_interval(uuid, tag, number, number.saturating_add(1));
    }

    /// Adds the transactions `start..end`.
    pub fn insert_interval(&mut self, uuid: &str, tag: &str, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let key = (uuid.to_owned(), tag.to_owned());
        let intervals = self.members.entry(key).or_default();
        if let Some(last) = intervals.last_mut()
            && last.1 == start
        {
            last.1 = end;
            return;
        }
        let at = intervals.partition_point(|&(s, _)| s < start);
        intervals.insert(at, (start, end));
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
        for &(s, e) in intervals.iter() {
            match merged.last_mut() {
                Some(last) if last.1 >= s => last.1 = last.1.max(e),
                _ => merged.push((s, e)),
            }
        }
        *intervals = merged;
    }

    /// Whether the transaction is a member.
    pub fn contains(&self, uuid: &str, tag: &str, number: u64) -> bool {
        self.members
            .get(&(uuid.to_owned(), tag.to_owned()))
            .is_some_and(|intervals| intervals.iter().any(|&(s, e)| s <= number && number < e))
    }

    /// Whether every transaction of `other` is a member of this set.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.members.iter().all(|(key, theirs)| {
            self.members.get(key).is_some_and(|ours| {
                theirs
                    .iter()
                    .all(|&(s, e)| ours.iter().any(|&(os, oe)| os <= s && e <= oe))
            })
        })
    }

    /// The transactions of this set that are not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let mut result = Self::default();
        for (key, ours) in &self.members {
            let theirs = other.members.get(key).map(Vec::as_slice).unwrap_or_default();
            for &(start, end) in ours {
                let mut from = start;
                for &(s, e) in theirs {
                    if e <= from || s >= end {
                        continue;
                    }
                    if s > from {
                        result.insert_interval(&key.0, &key.1, from, s);
                    }
                    from = from.max(e);
                }
                if from < end {
                    result.insert_interval(&key.0, &key.1, from, end);
                }
            }
        }
        result
    }

    /// The intervals per server UUID and tag, half open, ordered.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[(u64, u64)])> {
        self.members
            .iter()
            .map(|((uuid, tag), v)| (uuid.as_str(), tag.as_str(), v.as_slice()))
    }
}

impl PartialOrd for MysqlGtidSet {
    /// By inclusion: incomparable when each holds a transaction that the other lacks.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.is_superset(other), other.is_superset(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for MysqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last_uuid: Option<&str> = None;
        for (uuid, tag, intervals) in self.iter() {
            match last_uuid {
                Some(last) if last == uuid => {}
                Some(_) => write!(f, ",{uuid}")?,
                None => f.write_str(uuid)?,
            }
            last_uuid = Some(uuid);
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for &(s, e) in intervals {
                if e - s == 1 {
                    write!(f, ":{s}")?;
                } else {
                    write!(f, ":{s}-{}", e - 1)?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for MysqlGtidSet {
    type Err = GtidParseError;

    fn from_str(text: &str) -> Result<Self, GtidParseError> {
        let bad = |reason| GtidParseError {
            text: text.to_owned(),
            what: "MySQL GTID set",
            reason,
        };
        let mut set = Self::default();
        for member in text.split(',').map(str::trim).filter(|m| !m.is_empty()) {
            let mut parts = member.split(':').map(str::trim);
            let uuid = parts.next().unwrap_or_default().to_ascii_lowercase();
            let dashed = uuid.len() == 36
                && uuid.bytes().enumerate().all(|(i, b)| match i {
                    8 | 13 | 18 | 23 => b == b'-',
                    _ => b.is_ascii_hexdigit(),
                });
            if !dashed {
                return Err(bad("a member does not start with a server UUID"));
            }
            let mut tag = String::new();
            let mut any = false;
            for part in parts {
                if part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    tag = part.to_ascii_lowercase();
                    continue;
                }
                let (start, end) = part.split_once('-').unwrap_or((part, part));
                let number = |t: &str| t.trim().parse::<u64>().ok().filter(|&n| n > 0 && n < u64::MAX);
                match (number(start), number(end)) {
                    (Some(s), Some(e)) if s <= e => set.insert_interval(&uuid, &tag, s, e + 1),
                    _ => return Err(bad("an interval is not a positive number or range")),
                }
                any = true;
            }
            if !any {
                return Err(bad("a member has no interval"));
            }
        }
        Ok(set)
    }
}

impl TryFrom<String> for MysqlGtidSet {
    type Error = GtidParseError;
    fn try_from(text: String) -> Result<Self, GtidParseError> {
        text.parse()
    }
}

impl From<MysqlGtidSet> for String {
    fn from(set: MysqlGtidSet) -> String {
        set.to_string()
    }
}

/// A MariaDB GTID position: per replication domain the last transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariaDbGtidPosition {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaDbGtidPosition {
    /// Whether it names no domain.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Notes that `sequence` of `server` is the last transaction of the domain.
    pub fn set(&mut self, domain: u32, server: u32, sequence: u64) {
        self.domains.insert(domain, (server, sequence));
    }

    /// Server id and sequence number of the last transaction of the domain.
    pub fn get(&self, domain: u32) -> Option<(u32, u64)> {
        self.domains.get(&domain).copied()
    }

    /// `(domain, server, sequence)`, by domain.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.domains.iter().map(|(&d, &(s, n))| (d, s, n))
    }
}

impl PartialOrd for MariaDbGtidPosition {
    /// By sequence number in every domain; a domain that is absent counts as zero. Two
    /// different transactions with one sequence number are not comparable.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let mut result = Ordering::Equal;
        for domain in self.domains.keys().chain(other.domains.keys()) {
            let (our_server, ours) = self.get(*domain).unwrap_or_default();
            let (their_server, theirs) = other.get(*domain).unwrap_or_default();
            let this = ours.cmp(&theirs);
            if this == Ordering::Equal && our_server != their_server {
                return None;
            }
            result = match (result, this) {
                (Ordering::Equal, o) | (o, Ordering::Equal) => o,
                (a, b) if a == b => a,
                _ => return None,
            };
        }
        Some(result)
    }
}

impl fmt::Display for MariaDbGtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (domain, server, sequence)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{domain}-{server}-{sequence}")?;
        }
        Ok(())
    }
}

impl FromStr for MariaDbGtidPosition {
    type Err = GtidParseError;

    fn from_str(text: &str) -> Result<Self, GtidParseError> {
        let bad = |reason| GtidParseError {
            text: text.to_owned(),
            what: "MariaDB GTID position",
            reason,
        };
        let mut position = Self::default();
        for member in text.split(',').map(str::trim).filter(|m| !m.is_empty()) {
            let mut parts = member.split('-');
            let (Some(d), Some(s), Some(n), None) = (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(bad("expected domain-server-sequence"));
            };
            match (d.parse(), s.parse(), n.parse()) {
                (Ok(d), Ok(s), Ok(n)) => position.set(d, s, n),
                _ => return Err(bad("domain, server and sequence are numbers")),
            }
        }
        Ok(position)
    }
}

impl TryFrom<String> for MariaDbGtidPosition {
    type Error = GtidParseError;
    fn try_from(text: String) -> Result<Self, GtidParseError> {
        text.parse()
    }
}

impl From<MariaDbGtidPosition> for String {
    fn from(position: MariaDbGtidPosition) -> String {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "00000000-0000-0000-0000-00000000000a";

    #[test]
    fn parses_what_servers_print() {
        let text = format!("{A}:1-5:7:tag1:1-9,\n0000000b-0000-0000-0000-000000000000:3");
        let set: MysqlGtidSet = text.parse().unwrap();
        assert!(set.contains(A, "", 7) && !set.contains(A, "", 6) && set.contains(A, "tag1", 9));
        assert_eq!(set.to_string().parse::<MysqlGtidSet>().unwrap(), set);
        assert!("x:1".parse::<MysqlGtidSet>().is_err());
        assert!(format!("{A}:5-1").parse::<MysqlGtidSet>().is_err());
        assert!(A.parse::<MysqlGtidSet>().is_err());
    }

    #[test]
    fn mariadb_positions_order_by_domain() {
        let p = |t: &str| t.parse::<MariaDbGtidPosition>().unwrap();
        assert!(p("0-1-5") < p("0-1-6,1-1-1"));
        assert_eq!(p("0-1-5,1-1-9").partial_cmp(&p("0-1-6,1-1-1")), None);
        assert_eq!(p("0-1-5").partial_cmp(&p("0-2-5")), None);
        assert!(p("") < p("0-2-5"));
    }

    proptest! {
        #[test]
        fn set_algebra_agrees_with_a_plain_set(a in prop::collection::btree_set(1u64..60, 0..40),
                                               b in prop::collection::btree_set(1u64..60, 0..40)) {
            let make = |s: &std::collections::BTreeSet<u64>| {
                let mut set = MysqlGtidSet::default();
                for n in s.iter().rev() { set.insert(A, "", *n); }
                set
            };
            let (x, y) = (make(&a), make(&b));
            prop_assert_eq!(x.is_superset(&y), a.is_superset(&b));
            prop_assert_eq!(x.difference(&y), make(&a.difference(&b).copied().collect()));
            prop_assert_eq!(x.to_string().parse::<MysqlGtidSet>().unwrap(), x);
        }
    }
}
