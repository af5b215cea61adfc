//! Changes and rows into messages.

use std::{num::NonZeroUsize, ops::Range, sync::Arc};

use bytes::Bytes;
use oms_codec::{
    Change, Ddl, DdlKind, Encoder, Moment, PartitionRule, Router, Sequence, TablePlan, Target, Written,
};
use oms_core::{
    Announcement, DefinitionKind, Failure, Message, Origin, Position, Row, RowOp, TableName, TablePair, codes,
};
use parking_lot::Mutex;

use crate::{Publication, topic_sink::Clock};

/// Bytes of keys and contents after which messages are handed on: the rest of a call follows in another portion.
const PORTION: usize = 1 << 20;

/// The header of a part: its number, from 1, and how many there are, as `2/5`.
const PART_HEADER: &str = "oms-part";
/// The header that all parts of one message have in common, and no part of another.
const PARTS_OF_HEADER: &str = "oms-parts-of";

/// A table, ready to be written about.
#[derive(Debug)]
pub(crate) struct Subject {
    plan: TablePlan,
    topic: Arc<str>,
    partitions: u32,
}

impl Subject {
    fn place(&self) -> (&Arc<str>, u32) {
        (&self.topic, self.partitions)
    }
}

/// What the composers of a claim share.
#[derive(Debug)]
pub(crate) struct Subjects {
    encoder: Encoder,
    router: Router,
    tables: Vec<Subject>,
    /// What messages name as the stream they came by.
    stream: String,
    /// The last sequence number: a millisecond and a counter within it.
    last: Mutex<(i64, u32)>,
    split_bytes: Option<NonZeroUsize>,
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
            let table = publication.table(&pair.source.name, name)?;
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
            last: Mutex::default(),
            split_bytes: publication.split_bytes,
        })
    }

    /// A number above all that were given before.
    fn sequence(&self, now_ms: i64) -> Option<Sequence> {
        let mut last = self.last.lock();
        let (ms, counter) = *last;
        *last = if now_ms > ms {
            (now_ms, 0)
        } else if counter >= 99_999 {
            (ms.saturating_add(1), 0)
        } else {
            (ms, counter + 1)
        };
        Sequence::new(u64::try_from(last.0).ok()?, last.1)
    }

    /// The messages about a statement to a topic of so many partitions, naming one of its tables. None in formats that have
    /// none.
    pub(crate) fn statement(
        &self,
        announcement: &Announcement,
        (topic, partitions): (&str, u32),
        table: &TableName,
        now_ms: i64,
    ) -> Result<Vec<Message>, Failure> {
        let number = announcement.number.0.to_string();
        let change = Change::Ddl(Ddl {
            database: &table.database,
            table: Some(&table.table),
            kind: kind(announcement.kind),
            statement: &announcement.statement,
        });
        let seconds = announcement.source_time_us.div_euclid(1_000_000);
        let moment = Moment {
            event_seconds: seconds,
            processed_ms: now_ms,
            checkpoint_seconds: seconds,
            sequence: self.sequence(now_ms),
            unique_id: Some(&number),
            stream: Some(&self.stream),
            ordinal: 1,
            offset: offset(&announcement.position),
            message_id: (u128::from(announcement.number.0) << 64) | u128::from(announcement.number.1) << 48,
            ..Moment::default()
        };
        let mut draft = Draft::default();
        append(self, (&topic.into(), partitions), &change, &moment, &mut draft)?;
        Ok(draft.finish())
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

fn kind(kind: DefinitionKind) -> DdlKind {
    match kind {
        DefinitionKind::CreateTable => DdlKind::CreateTable,
        DefinitionKind::AlterTable => DdlKind::AlterTable,
        DefinitionKind::DropTable => DdlKind::DropTable,
        DefinitionKind::TruncateTable => DdlKind::TruncateTable,
        DefinitionKind::RenameTable => DdlKind::RenameTable,
        DefinitionKind::CreateIndex => DdlKind::CreateIndex,
        DefinitionKind::DropIndex => DdlKind::DropIndex,
        DefinitionKind::TruncatePartition => DdlKind::TruncatePartition,
        DefinitionKind::Other => DdlKind::Other,
    }
}

fn offset(position: &Position) -> u64 {
    match position {
        Position::Binlog(at) => at.offset,
        _ => 0,
    }
}

/// Composes the messages of one lane.
pub(crate) struct Composer {
    subjects: Arc<Subjects>,
    clock: Clock,
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
            place: (0, 0),
        }
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
        let number = origin.number.to_string();
        let moment = Moment {
            event_seconds,
            processed_ms: now_ms,
            checkpoint_seconds: event_seconds,
            sequence: subjects.sequence(now_ms),
            transaction: origin.id.as_deref(),
            unique_id: Some(&number),
            cluster: None,
            stream: Some(&subjects.stream),
            ordinal,
            offset: offset(&origin.behind),
            message_id: (u128::from(origin.number) << 32) | u128::from(ordinal),
        };
        append(subjects, subject.place(), change, &moment, draft)
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
                sequence: subjects.sequence(now_ms),
                stream: Some(&subjects.stream),
                ordinal: 1,
                ..Moment::default()
            };
            let change = Change::Full {
                table: &subject.plan,
                row,
            };
            append(&subjects, subject.place(), &change, &moment, &mut draft)?;
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
    (topic, partitions): (&Arc<str>, u32),
    change: &Change<'_>,
    moment: &Moment<'_>,
    draft: &mut Draft,
) -> Result<(), Failure> {
    let start = draft.bytes.len();
    let target = subjects.router.route(change, partitions, &mut draft.bytes)?;
    let middle = draft.bytes.len();
    if subjects.encoder.encode(change, moment, &mut draft.bytes)? == Written::Nothing {
        draft.bytes.truncate(start);
        return Ok(());
    }
    let end = draft.bytes.len();
    let mut headers = Vec::new();
    let unchanged = subjects.encoder.unchanged(change);
    if !unchanged.is_empty() {
        headers.push((Encoder::UNCHANGED_HEADER, Bytes::from(unchanged.join(","))));
    }
    let parts = parts(middle..end, subjects.split_bytes);
    let partitions = match target {
        Target::One(partition) => partition..partition.saturating_add(1),
        Target::Every => 0..partitions,
    };
    // Unlike any other message's of the run, and those of a later run are of a later time.
    let id = (parts.len() > 1)
        .then(|| subjects.sequence(moment.processed_ms))
        .flatten()
        .map(|id| Bytes::from(id.get().to_string()));
    for partition in partitions {
        for (number, part) in (1..).zip(&parts) {
            let mut headers = headers.clone();
            if let Some(id) = &id {
                headers.push((PART_HEADER, Bytes::from(format!("{number}/{}", parts.len()))));
                headers.push((PARTS_OF_HEADER, id.clone()));
            }
            draft.pieces.push(Piece {
                topic: topic.clone(),
                partition,
                key: start..middle,
                value: part.clone(),
                headers,
            });
        }
    }
    Ok(())
}

/// The parts in which a content is sent: itself, where it is not too large.
fn parts(content: Range<usize>, most: Option<NonZeroUsize>) -> Vec<Range<usize>> {
    let Some(most) = most.filter(|most| content.len() > most.get()) else {
        return vec![content];
    };
    content
        .clone()
        .step_by(most.get())
        .map(|from| from..content.end.min(from.saturating_add(most.get())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one part")]
    fn parts_are_all_of_a_content_and_none_is_too_large() {
        let most = NonZeroUsize::new(4);
        assert_eq!(parts(3..103, None), [3..103]);
        assert_eq!(parts(3..7, most), [3..7]);
        assert_eq!(parts(3..8, most), [3..7, 7..8]);
        assert_eq!(parts(3..11, most), [3..7, 7..11]);
        assert_eq!(parts(3..3, most), [3..3]);
    }
}
