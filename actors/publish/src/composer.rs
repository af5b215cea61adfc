//! Changes and rows into messages.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use oms_codec::{Change, Encoder, Moment, PartitionRule, Router, Sequence, TablePlan, Target, Written};
use oms_core::{Failure, Message, Origin, Position, Row, RowOp, TablePair, codes};

use crate::{Publication, topic_sink::Clock};

/// Bytes of keys and contents after which messages are handed on: the rest of a call follows in another portion.
const PORTION: usize = 1 << 20;

/// A table, ready to be written about.
#[derive(Debug)]
pub(crate) struct Subject {
    plan: TablePlan,
    topic: Arc<str>,
    partitions: u32,
}

/// What the composers of a claim share.
#[derive(Debug)]
pub(crate) struct Subjects {
    encoder: Encoder,
    router: Router,
    tables: Vec<Subject>,
    /// What messages name as the stream they came by.
    stream: String,
}

impl Subjects {
    /// Prepares the tables of a claim, in their order. `partitions` tells how many the topic of a table has.
    ///
    /// # Errors
    /// `OMS-MESSAGE-0002` for a table that the format cannot take, `OMS-MESSAGE-0004` for a partition that the topic does
    /// not have.
    pub(crate) fn new(
        publication: &Publication,
        pairs: &[TablePair],
        stream: String,
        partitions: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self, Failure> {
        let mut tables = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let name = &pair.destination.name;
            let table = publication.find(name).ok_or_else(|| {
                Failure::new(
                    codes::apply::INTERNAL,
                    format!("{name} has no topic in this project"),
                )
            })?;
            // Rows come in the source's columns, under the table's name in messages.
            let mut schema = oms_core::TableSchema::clone(&pair.source);
            schema.name = name.clone();
            let plan = TablePlan::new(Arc::new(schema), &publication.settings, None, &table.key_columns)?;
            let missing = |what: String| Failure::new(codes::message::TOPIC_MISSING, what);
            let count = partitions(&table.topic)
                .ok_or_else(|| missing(format!("topic `{}` of table {name}", table.topic)))?;
            if let PartitionRule::One { partition } = publication.rule
                && partition >= count
            {
                let what = format!(
                    "topic `{}` has {count} partitions, not number {partition}",
                    table.topic
                );
                return Err(missing(what));
            }
            tables.push(Subject {
                plan,
                topic: table.topic.as_str().into(),
                partitions: count,
            });
        }
        Ok(Self {
            encoder: Encoder::new(publication.settings.clone())?,
            router: Router::new(publication.rule, publication.split_key_change),
            tables,
            stream,
        })
    }

    fn table(&self, number: u32) -> Result<&Subject, Failure> {
        self.tables.get(number as usize).ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                format!("a change of table number {number}"),
            )
        })
    }
}

/// Composes the messages of one lane.
pub(crate) struct Composer {
    subjects: Arc<Subjects>,
    clock: Clock,
    /// The last sequence number: a millisecond and a counter within it.
    last: (i64, u32),
    /// The transaction of the last change, and that change's place in it.
    place: (u64, u32),
}

/// Messages in the making: their bytes in one buffer.
#[derive(Default)]
struct Draft {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

struct Piece {
    topic: Arc<str>,
    partition: u32,
    key: Range<usize>,
    value: Range<usize>,
    headers: Vec<(&'static str, Bytes)>,
}

impl Draft {
    fn finish(self) -> Vec<Message> {
        let bytes = Bytes::from(self.bytes);
        self.pieces
            .into_iter()
            .map(|p| Message {
                topic: p.topic,
                partition: p.partition,
                key: bytes.slice(p.key),
                value: Some(bytes.slice(p.value)),
                headers: p.headers,
            })
            .collect()
    }
}

impl Composer {
    pub(crate) fn new(subjects: Arc<Subjects>, clock: Clock) -> Self {
        Self {
            subjects,
            clock,
            last: (0, 0),
            place: (0, 0),
        }
    }

    /// A number above all that this composer gave before.
    fn sequence(&mut self, now_ms: i64) -> Option<Sequence> {
        let (ms, counter) = self.last;
        self.last = if now_ms > ms {
            (now_ms, 0)
        } else if counter >= 99_999 {
            (ms.saturating_add(1), 0)
        } else {
            (ms, counter + 1)
        };
        Sequence::new(u64::try_from(self.last.0).ok()?, self.last.1)
    }

    /// The messages of the first changes, and how many changes they are of: at least one.
    pub(crate) fn changes(&mut self, ops: &[RowOp]) -> Result<(Vec<Message>, usize), Failure> {
        let subjects = self.subjects.clone();
        let mut draft = Draft::default();
        let mut done = 0;
        for op in ops {
            let subject = subjects.table(op.table)?;
            let table = &subject.plan;
            let change = match (&op.before, &op.after) {
                (None, Some(after)) => Change::Insert { table, after },
                (Some(before), Some(after)) => Change::Update { table, before, after },
                (Some(before), None) => Change::Delete { table, before },
                (None, None) => {
                    return Err(Failure::new(codes::apply::INTERNAL, "a change without a row"));
                }
            };
            let origin = op.origin.as_deref().ok_or_else(|| {
                Failure::new(
                    codes::apply::INTERNAL,
                    "a change that does not tell its transaction",
                )
            })?;
            match subjects.router.split(&change) {
                None => self.change(&subjects, subject, &change, origin, &mut draft)?,
                Some(parts) => {
                    for part in &parts {
                        self.change(&subjects, subject, part, origin, &mut draft)?;
                    }
                }
            }
            done += 1;
            if draft.bytes.len() >= PORTION {
                break;
            }
        }
        Ok((draft.finish(), done))
    }

    fn change(
        &mut self,
        subjects: &Subjects,
        subject: &Subject,
        change: &Change<'_>,
        origin: &Origin,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        let now_ms = (self.clock)();
        let ordinal = if self.place.0 == origin.number {
            self.place.1.saturating_add(1)
        } else {
            1
        };
        self.place = (origin.number, ordinal);
        let event_seconds = origin
            .source_time_us
            .map_or(now_ms.div_euclid(1_000), |us| us.div_euclid(1_000_000));
        let offset = match &origin.behind {
            Position::Binlog(at) => at.offset,
            _ => 0,
        };
        let number = origin.number.to_string();
        let moment = Moment {
            event_seconds,
            processed_ms: now_ms,
            checkpoint_seconds: event_seconds,
            sequence: self.sequence(now_ms),
            transaction: origin.id.as_deref(),
            unique_id: Some(&number),
            cluster: None,
            stream: Some(&subjects.stream),
            ordinal,
            offset,
            message_id: (u128::from(origin.number) << 32) | u128::from(ordinal),
        };
        append(subjects, subject, change, &moment, draft)
    }

    /// The messages of the first rows that full import read of a table, and how many rows they are of: at least one.
    pub(crate) fn rows(&mut self, table: u32, rows: &[Row]) -> Result<(Vec<Message>, usize), Failure> {
        let subjects = self.subjects.clone();
        let subject = subjects.table(table)?;
        let mut draft = Draft::default();
        let mut done = 0;
        for row in rows {
            let now_ms = (self.clock)();
            let seconds = now_ms.div_euclid(1_000);
            let moment = Moment {
                event_seconds: seconds,
                processed_ms: now_ms,
                checkpoint_seconds: seconds,
                sequence: self.sequence(now_ms),
                stream: Some(&subjects.stream),
                ordinal: 1,
                ..Moment::default()
            };
            let change = Change::Full {
                table: &subject.plan,
                row,
            };
            append(&subjects, subject, &change, &moment, &mut draft)?;
            done += 1;
            if draft.bytes.len() >= PORTION {
                break;
            }
        }
        Ok((draft.finish(), done))
    }
}

fn append(
    subjects: &Subjects,
    subject: &Subject,
    change: &Change<'_>,
    moment: &Moment<'_>,
    draft: &mut Draft,
) -> Result<(), Failure> {
    let start = draft.bytes.len();
    let target = subjects
        .router
        .route(change, subject.partitions, &mut draft.bytes)?;
    let middle = draft.bytes.len();
    if subjects.encoder.encode(change, moment, &mut draft.bytes)? == Written::Nothing {
        draft.bytes.truncate(start);
        return Ok(());
    }
    let end = draft.bytes.len();
    let unchanged = subjects.encoder.unchanged(change);
    let headers = if unchanged.is_empty() {
        Vec::new()
    } else {
        vec![(Encoder::UNCHANGED_HEADER, Bytes::from(unchanged.join(",")))]
    };
    let partitions = match target {
        Target::One(partition) => partition..partition.saturating_add(1),
        Target::Every => 0..subject.partitions,
    };
    for partition in partitions {
        draft.pieces.push(Piece {
            topic: subject.topic.clone(),
            partition,
            key: start..middle,
            value: middle..end,
            headers: headers.clone(),
        });
    }
    Ok(())
}
