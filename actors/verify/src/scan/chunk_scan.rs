//! Comparing one chunk.

use std::cmp::Ordering;

use oms_core::{KeyOrder, Row};

use super::{
    NextChunk, Pace, Readers,
    fetch::{Fetch, Wanted},
    readers::RowStream,
};
use crate::{
    Side, VerifyError, VerifyOptions,
    compare::{KeyRule, RowDigest, TableRule},
    results::DifferenceKey,
};

/// What a chunk gave.
#[derive(Debug, Default)]
pub(crate) struct ChunkOutcome {
    /// Rows compared.
    pub(crate) rows: u64,
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Rows to read again.
    pub(crate) candidates: Vec<DifferenceKey>,
}

/// How a chunk ended.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// It was compared.
    Done(ChunkOutcome),
    /// A server does not order rows as we believed: the table must be compared by looking keys up.
    Disordered,
}

/// Compares a chunk. `merge`: both sides by range, else the rows of the chunk's side by key at the
/// other side.
pub(crate) async fn scan(
    rule: &TableRule,
    key: &KeyRule,
    options: &VerifyOptions,
    pace: &Pace,
    readers: &mut Readers,
    chunk: &NextChunk,
    merge: bool,
) -> Result<Scanned, VerifyError> {
    let scan = ChunkScan {
        rule,
        key,
        options,
        pace,
    };
    if merge {
        scan.merge(readers, chunk).await
    } else {
        scan.look_up(readers, chunk).await.map(Scanned::Done)
    }
}

struct ChunkScan<'s> {
    rule: &'s TableRule,
    key: &'s KeyRule,
    options: &'s VerifyOptions,
    pace: &'s Pace,
}

impl ChunkScan<'_> {
    async fn merge(&self, readers: &mut Readers, chunk: &NextChunk) -> Result<Scanned, VerifyError> {
        let range = &chunk.range;
        let mut at_destination = range.clone();
        for bound in [&mut at_destination.after, &mut at_destination.through] {
            let Some(key) = bound.take() else { continue };
            match self
                .key
                .convert(Side::Source, &key, self.rule.charsets.as_ref())?
            {
                Some(converted) => *bound = Some(converted),
                None => return Ok(Scanned::Disordered),
            }
        }
        let (source_view, destination_view) = (
            self.key.scan_view(Side::Source).clone(),
            self.key.scan_view(Side::Destination).clone(),
        );
        futures::try_join!(
            readers.source.read_chunk(source_view, range, KeyOrder::Ordered),
            readers
                .destination
                .read_chunk(destination_view, &at_destination, KeyOrder::Ordered),
        )?;
        let bytes = self.options.batch_bytes();
        let mut left = RowStream::new(readers.source.as_mut(), self.rule, Side::Source, self.pace, bytes);
        let mut right = RowStream::new(
            readers.destination.as_mut(),
            self.rule,
            Side::Destination,
            self.pace,
            bytes,
        );
        let mut order = [
            Ascending::new(self.key, range),
            Ascending::new(self.key, &at_destination),
        ];
        let [left_order, right_order] = &mut order;
        let mut outcome = ChunkOutcome::default();
        let (mut left_key, mut right_key): (Option<Row>, Option<Row>) = (None, None);
        loop {
            futures::try_join!(left.fill(), right.fill())?;
            if left_key.is_none()
                && let Some(row) = left.peek()
            {
                let key = self.key.key_of(Side::Source, row)?;
                if !left_order.accept(&key) {
                    return Ok(Scanned::Disordered);
                }
                left_key = Some(key);
            }
            if right_key.is_none()
                && let Some(row) = right.peek()
            {
                let key = self.key.key_of(Side::Destination, row)?;
                if !right_order.accept(&key) {
                    return Ok(Scanned::Disordered);
                }
                right_key = Some(key);
            }
            let which = match (&left_key, &right_key) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => match self.key.compare(a, b) {
                    Some(order) => order,
                    None => return Ok(Scanned::Disordered),
                },
            };
            match which {
                Ordering::Less => {
                    outcome.rows += 1;
                    outcome
                        .candidates
                        .extend(left_key.take().map(|key| DifferenceKey::Key {
                            side: Side::Source,
                            key,
                        }));
                    left.advance();
                }
                Ordering::Greater => {
                    if !self.options.ignore_destination_only {
                        outcome.rows += 1;
                        let side = Side::Destination;
                        outcome
                            .candidates
                            .extend(right_key.take().map(|key| DifferenceKey::Key { side, key }));
                    }
                    right_key = None;
                    right.advance();
                }
                Ordering::Equal => {
                    outcome.rows += 1;
                    let equal = match (left.peek(), right.peek()) {
                        (Some(a), Some(b)) => self.rule.equal(a, b),
                        _ => return Err(VerifyError::Internal("a row was lost while comparing")),
                    };
                    let key = left_key.take().filter(|_| !equal);
                    outcome.candidates.extend(key.map(|key| DifferenceKey::Key {
                        side: Side::Source,
                        key,
                    }));
                    right_key = None;
                    left.advance();
                    right.advance();
                }
            }
        }
        outcome.bytes = left.bytes + right.bytes;
        Ok(Scanned::Done(outcome))
    }

    /// Rows of the source are compared with what the destination finds; rows of the destination
    /// only need to have a row at the source, because those were compared from there.
    async fn look_up(&self, readers: &mut Readers, chunk: &NextChunk) -> Result<ChunkOutcome, VerifyError> {
        let side = chunk.side;
        let (near, far) = match side {
            Side::Source => (readers.source.as_mut(), readers.destination.as_mut()),
            Side::Destination => (readers.destination.as_mut(), readers.source.as_mut()),
        };
        near.read_chunk(self.key.scan_view(side).clone(), &chunk.range, KeyOrder::Any)
            .await?;
        let mut rows = RowStream::new(near, self.rule, side, self.pace, self.options.batch_bytes());
        let mut outcome = ChunkOutcome::default();
        let mut scratch = Vec::new();
        let mut pending: Vec<(Row, RowDigest)> = Vec::new();
        loop {
            let row = rows.next().await?;
            if let Some(row) = &row {
                let key = self.key.key_of(side, row)?;
                pending.push((key, self.rule.digest(side, row, &mut scratch)));
            }
            if pending.len() >= self.options.lookup_keys.max(1) || (row.is_none() && !pending.is_empty()) {
                self.look_up_some(far, side, &mut pending, &mut outcome).await?;
            }
            if row.is_none() {
                break;
            }
        }
        outcome.bytes = rows.bytes;
        Ok(outcome)
    }

    async fn look_up_some(
        &self,
        far: &mut dyn oms_core::SnapshotReader,
        side: Side,
        pending: &mut Vec<(Row, RowDigest)>,
        outcome: &mut ChunkOutcome,
    ) -> Result<(), VerifyError> {
        let wanted = pending
            .iter()
            .map(|(key, _)| Wanted::new(self.rule, self.key, side, key, side.other()))
            .collect::<Result<Vec<_>, _>>()?;
        let fetch = Fetch {
            rule: self.rule,
            key: self.key,
            pace: self.pace,
            batch_bytes: self.options.batch_bytes(),
        };
        let found = fetch.rows(far, side.other(), &wanted).await?;
        for ((key, digest), found) in pending.drain(..).zip(found) {
            let identity = || self.key.identity(side, &key, self.rule.charsets.as_ref());
            let fine = match (side, &found) {
                (Side::Source, Some(row)) => row.digest == digest,
                // A row of the source with exactly this key was compared from the source.
                (Side::Destination, Some(row)) => row.identity == identity(),
                (_, None) => false,
            };
            if side == Side::Source || found.is_none() {
                outcome.rows += 1;
            }
            if !fine {
                outcome.candidates.push(DifferenceKey::Key { side, key });
            }
        }
        Ok(())
    }
}

/// Checks that keys come as the order says: within the range, each greater than the one before.
struct Ascending<'a> {
    rule: &'a KeyRule,
    last: Option<Row>,
    through: Option<Row>,
}

impl<'a> Ascending<'a> {
    fn new(rule: &'a KeyRule, range: &oms_core::ChunkRange) -> Self {
        Self {
            rule,
            last: range.after.clone(),
            through: range.through.clone(),
        }
    }

    fn accept(&mut self, key: &Row) -> bool {
        let above = self
            .last
            .as_ref()
            .is_none_or(|last| self.rule.compare(last, key) == Some(Ordering::Less));
        let below = self.through.as_ref().is_none_or(|through| {
            matches!(
                self.rule.compare(key, through),
                Some(Ordering::Less | Ordering::Equal)
            )
        });
        self.last = Some(key.clone());
        above && below
    }
}
