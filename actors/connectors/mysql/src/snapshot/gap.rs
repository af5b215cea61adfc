//! The log around a snapshot.

use std::{sync::Arc, time::Duration};

use oms_core::{BinlogPosition, Failure, GtidState, LogEvent, Position, Source, TableMap, codes};

/// How long the log of a gap may take to be read.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the first event of a file begins.
const HEAD: u64 = 4;

/// Whether a transaction is in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    In,
    Out,
    Unsure,
}

/// Reads the log between two positions for transactions that concern some tables.
#[derive(Debug)]
pub(super) struct Gap<'s> {
    source: &'s dyn Source,
    tables: Arc<TableMap>,
}

impl<'s> Gap<'s> {
    pub(super) fn new(source: &'s dyn Source, tables: Arc<TableMap>) -> Self {
        Self { source, tables }
    }

    /// The position of a snapshot that holds everything before `low` and nothing behind `high`, if
    /// no transaction between the two concerns the tables.
    pub(super) async fn untouched(
        &self,
        low: &Position,
        high: &Position,
    ) -> Result<Option<Position>, Failure> {
        if low == high {
            return Ok(Some(high.clone()));
        }
        self.cut(low, high, |_| Membership::Unsure).await
    }

    /// The position, between `low` and `high`, of a snapshot for these tables: behind every
    /// transaction on them that is in it, before every one that is not. `None` when there is none,
    /// or when it is unknown where one of them belongs.
    ///
    /// `member` tells it by the name of the transaction. The caller knows that transactions at or
    /// before `low` that a capture from there does not repeat are in the snapshot, and that those
    /// behind `high` are not. Even if the two are one place there may be transactions to be judged:
    /// those that `low` does not count by name, because they were being committed.
    pub(super) async fn cut(
        &self,
        low: &Position,
        high: &Position,
        member: impl Fn(Option<&str>) -> Membership,
    ) -> Result<Option<Position>, Failure> {
        let read = async {
            let mut decoder = self.source.decoder(Arc::clone(&self.tables), low)?;
            let mut capture = self.source.open_capture(&start_of_reading(low)).await?;
            let mut events = Vec::new();
            let mut cut = Cut::new(low.clone(), &member);
            loop {
                let record = capture.next().await?;
                decoder.decode(&record, &mut events)?;
                for event in events.drain(..) {
                    if !cut.accept(event) {
                        return Ok(None);
                    }
                }
                if record.position.as_ref().is_some_and(|p| p >= high) {
                    return Ok(Some(cut.position(high)));
                }
            }
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(
                codes::import::SNAPSHOT_POSITION_UNKNOWN,
                "the log between two positions could not be read within a minute",
            )),
        }
    }
}

/// `low` for a capture. One that goes by names takes the offset of its start for reached until
/// something else comes; but `low` may count transactions whose names it does not have, and which
/// come yet. From the head of the file on, heartbeats tell what was really reached.
fn start_of_reading(low: &Position) -> Position {
    match low {
        Position::Binlog(p) if p.gtid != GtidState::None => Position::Binlog(BinlogPosition {
            offset: HEAD,
            ..p.clone()
        }),
        other => other.clone(),
    }
}

/// Looks for the position while the log goes by.
struct Cut<'m, M> {
    low: Position,
    member: &'m M,
    /// Behind the last transaction that was read; never before `low`.
    reached: Position,
    /// Before the first transaction on the tables that is not in the snapshot.
    end: Option<Position>,
    id: Option<String>,
    concerned: bool,
}

impl<'m, M: Fn(Option<&str>) -> Membership> Cut<'m, M> {
    fn new(low: Position, member: &'m M) -> Self {
        Self {
            reached: low.clone(),
            low,
            member,
            end: None,
            id: None,
            concerned: false,
        }
    }

    /// `false`: this snapshot has no position.
    fn accept(&mut self, event: LogEvent) -> bool {
        match event {
            LogEvent::Begin { id } => {
                self.id = id;
                self.concerned = false;
            }
            LogEvent::Abort => self.concerned = false,
            LogEvent::Row(_) => self.concerned = true,
            LogEvent::Commit { position, .. } => {
                if std::mem::take(&mut self.concerned) {
                    // A capture that starts by GTID may repeat transactions before `low`.
                    let late = position > self.low;
                    match (self.member)(self.id.as_deref()) {
                        Membership::In if self.end.is_none() => {}
                        Membership::Out if late => {
                            if self.end.is_none() {
                                self.end = Some(self.reached.clone());
                            }
                        }
                        _ => return false,
                    }
                }
                self.reach(position);
            }
            // What a change of the definition does to the snapshot is not worth to be found out.
            LogEvent::Ddl { position, .. } if position > self.low => return false,
            LogEvent::Ddl { .. } | LogEvent::Heartbeat { .. } => {}
        }
        true
    }

    fn reach(&mut self, position: Position) {
        if position > self.reached {
            self.reached = position;
        }
    }

    fn position(self, high: &Position) -> Position {
        self.end.unwrap_or_else(|| high.clone())
    }
}

#[cfg(test)]
mod tests {
    use oms_core::RowChange;

    use super::*;

    fn at(offset: u64) -> Position {
        Position::Binlog(BinlogPosition {
            server: "s".into(),
            file: "b.000001".into(),
            offset,
            gtid: GtidState::None,
        })
    }

    /// A log of transactions `(name, ends at, concerns the tables)` between 100 and 1000; their names say where they
    /// belong.
    fn cut(log: &[(&str, u64, bool)]) -> Option<Position> {
        let member = |id: Option<&str>| match id.and_then(|id| id.chars().next()) {
            Some('i') => Membership::In,
            Some('o') => Membership::Out,
            _ => Membership::Unsure,
        };
        let mut cut = Cut::new(at(100), &member);
        for (id, end, concerned) in log {
            let mut events = vec![LogEvent::Begin {
                id: Some((*id).to_owned()),
            }];
            if *concerned {
                events.push(LogEvent::Row(RowChange {
                    table: 0,
                    before: None,
                    after: None,
                }));
            }
            events.push(LogEvent::Commit {
                position: at(*end),
                source_time_us: 0,
            });
            if !events.into_iter().all(|event| cut.accept(event)) {
                return None;
            }
        }
        Some(cut.position(&at(1000)))
    }

    #[test]
    fn the_cut_lies_between_what_is_in_and_what_is_not() {
        assert_eq!(cut(&[]), Some(at(1000)));
        assert_eq!(cut(&[("in", 200, true), ("?", 300, false)]), Some(at(1000)));
        let log = [
            ("in", 200, true),
            ("?", 300, false),
            ("out", 400, true),
            ("out", 500, true),
        ];
        assert_eq!(cut(&log), Some(at(300)));
        assert_eq!(cut(&[("out", 200, true)]), Some(at(100)));
        // Repeated ones before the start do not move it back.
        assert_eq!(cut(&[("in", 50, true), ("out", 200, true)]), Some(at(100)));
        // Others may come in any order.
        let log = [
            ("out", 200, false),
            ("in", 300, true),
            ("out", 400, true),
            ("in", 500, false),
        ];
        assert_eq!(cut(&log), Some(at(300)));
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        assert_eq!(cut(&[("?", 200, true)]), None);
        assert_eq!(cut(&[("?", 50, true)]), None);
        assert_eq!(cut(&[("out", 200, true), ("in", 300, true)]), None);
        assert_eq!(cut(&[("out", 200, true), ("?", 300, true)]), None);
        assert_eq!(cut(&[("out", 50, true)]), None);
    }

    #[test]
    fn definitions_that_change_are_refused() {
        let member = |_: Option<&str>| Membership::In;
        let ddl = |offset| LogEvent::Ddl {
            database: String::new(),
            statement: String::new(),
            position: at(offset),
            source_time_us: 0,
            context: Default::default(),
        };
        let mut cut = Cut::new(at(100), &member);
        assert!(cut.accept(ddl(100)));
        assert!(!cut.accept(ddl(101)));
    }
}
