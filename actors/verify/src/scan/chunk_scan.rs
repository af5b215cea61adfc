//! Comparing one chunk.

use std::cmp::Ordering;

use oms_core::{ChunkEnds, ChunkRange, KeyOrder, Row};

use super::{
    Digesting, NextChunk, Pace, Readers,
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
    /// Rows that the side whose keys are scanned has there.
    pub(crate) held: u64,
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

/// How the rows of a chunk are compared when digests do not tell that they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Both sides are read by range.
    Merge,
    /// The rows of the chunk's side are looked up by key at the other side.
    LookUp,
    /// Both sides' rows of the range are looked up at the other side. Only asked for when digests are planned.
    LookUpBoth,
}

/// Into how many parts a chunk with different digests is divided.
const PARTS: u64 = 8;

/// What digests tell.
enum Told {
    /// This many rows, and all equal.
    Equal(u64),
    /// Something differs, by content or by order. The source has this many rows.
    Different(u64),
    /// Nothing.
    Unknown,
}

/// Compares chunks of a table.
pub(crate) struct ChunkScan<'s> {
    pub(crate) rule: &'s TableRule,
    pub(crate) key: &'s KeyRule,
    pub(crate) options: &'s VerifyOptions,
    pub(crate) pace: &'s Pace,
    pub(crate) digesting: &'s Digesting,
}

impl ChunkScan<'_> {
    /// Compares a chunk.
    pub(crate) async fn run(
        &self,
        readers: &mut Readers,
        chunk: &NextChunk,
        way: Way,
    ) -> Result<Scanned, VerifyError> {
        let mut outcome = ChunkOutcome::default();
        let ordered = match way {
            Way::LookUp => {
                self.look_up(readers, chunk.side, &chunk.range, &mut outcome)
                    .await?;
                true
            }
            Way::Merge => {
                self.merge_what_differs(readers, &chunk.range, &mut outcome)
                    .await?
            }
            Way::LookUpBoth => {
                self.look_up_what_differs(readers, &chunk.range, &mut outcome)
                    .await?
            }
        };
        Ok(if ordered {
            Scanned::Done(outcome)
        } else {
            Scanned::Disordered
        })
    }

    /// The range as the other side has it; `None`: it cannot have it.
    fn at_destination(&self, range: &ChunkRange) -> Result<Option<ChunkRange>, VerifyError> {
        let mut converted = range.clone();
        for bound in [&mut converted.after, &mut converted.through] {
            let Some(key) = bound.take() else { continue };
            match self
                .key
                .convert(Side::Source, &key, self.rule.charsets.as_ref())?
            {
                Some(there) => *bound = Some(there),
                None => return Ok(None),
            }
        }
        Ok(Some(converted))
    }

    /// Lets both servers digest the range, at the same time.
    async fn digests(&self, readers: &mut Readers, range: &ChunkRange) -> Result<Told, VerifyError> {
        let (Some(plan), Some(there)) = (&self.rule.digests, self.at_destination(range)?) else {
            return Ok(Told::Unknown);
        };
        let (source, destination) = futures::try_join!(
            readers.source.digest_chunk(
                self.key.scan_view(Side::Source),
                range,
                plan.columns(Side::Source)
            ),
            readers.destination.digest_chunk(
                self.key.scan_view(Side::Destination),
                &there,
                plan.columns(Side::Destination)
            ),
        )?;
        let (Some(a), Some(b)) = (source, destination) else {
            return Ok(Told::Unknown);
        };
        // The servers read as many bytes as if the rows had been fetched.
        let estimated = self.rule.pair.source.estimated_bytes / self.rule.pair.source.estimated_rows.max(1);
        let rows = a.rows + b.rows;
        self.pace.digested(rows, rows.saturating_mul(estimated)).await;
        Ok(if a == b {
            Told::Equal(a.rows)
        } else {
            Told::Different(a.rows)
        })
    }

    /// `false`: the servers do not order keys as we believed.
    async fn merge_what_differs(
        &self,
        readers: &mut Readers,
        range: &ChunkRange,
        outcome: &mut ChunkOutcome,
    ) -> Result<bool, VerifyError> {
        let rows = match self.told(readers, range).await? {
            Told::Equal(rows) => {
                outcome.rows += rows;
                outcome.held += rows;
                return Ok(true);
            }
            Told::Different(rows) if rows > self.options.undivided_rows => rows,
            Told::Different(_) | Told::Unknown => return self.merge(readers, range, outcome).await,
        };
        let part = rows.div_ceil(PARTS);
        let view = self.key.scan_view(Side::Source);
        let mut ends = ChunkEnds::of_range(view, range, rows);
        let mut after = range.after.clone();
        loop {
            let end = ends
                .next(readers.source.as_mut(), view, after.as_ref(), part)
                .await?;
            let through = match (end, &range.through) {
                (None, last) => last.clone(),
                (Some(end), None) => Some(end),
                (Some(end), Some(last)) => match self.key.compare(&end, last) {
                    Some(Ordering::Less) => Some(end),
                    Some(_) => Some(last.clone()),
                    None => return Ok(false),
                },
            };
            let is_last = through == range.through;
            let divided = ChunkRange {
                after,
                through: through.clone(),
            };
            match self.digests(readers, &divided).await? {
                Told::Equal(rows) => {
                    outcome.rows += rows;
                    outcome.held += rows;
                }
                Told::Different(_) | Told::Unknown => {
                    if !self.merge(readers, &divided, outcome).await? {
                        return Ok(false);
                    }
                }
            }
            if is_last {
                return Ok(true);
            }
            after = through;
        }
    }

    /// `false`: a bound means nothing at the destination.
    async fn look_up_what_differs(
        &self,
        readers: &mut Readers,
        range: &ChunkRange,
        outcome: &mut ChunkOutcome,
    ) -> Result<bool, VerifyError> {
        if let Told::Equal(rows) = self.told(readers, range).await? {
            outcome.rows += rows;
            outcome.held += rows;
            return Ok(true);
        }
        self.look_up(readers, Side::Source, range, outcome).await?;
        if self.options.ignore_destination_only {
            return Ok(true);
        }
        let Some(there) = self.at_destination(range)? else {
            return Ok(false);
        };
        self.look_up(readers, Side::Destination, &there, outcome).await?;
        Ok(true)
    }

    /// What digests tell, if they are worth while.
    async fn told(&self, readers: &mut Readers, range: &ChunkRange) -> Result<Told, VerifyError> {
        if self.rule.digests.is_none() || !self.digesting.is_wanted() {
            return Ok(Told::Unknown);
        }
        let told = self.digests(readers, range).await?;
        match told {
            Told::Equal(_) => self.digesting.equal(),
            Told::Different(_) | Told::Unknown => self.digesting.missed(),
        }
        Ok(told)
    }

    /// Reads both sides by range. `false`: keys do not come in the order that we believed.
    async fn merge(
        &self,
        readers: &mut Readers,
        range: &ChunkRange,
        outcome: &mut ChunkOutcome,
    ) -> Result<bool, VerifyError> {
        let Some(at_destination) = self.at_destination(range)? else {
            return Ok(false);
        };
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
        let (mut left_key, mut right_key): (Option<Row>, Option<Row>) = (None, None);
        loop {
            futures::try_join!(left.fill(), right.fill())?;
            if left_key.is_none()
                && let Some(row) = left.peek()
            {
                let key = self.key.key_of(Side::Source, row)?;
                if !left_order.accept(&key) {
                    return Ok(false);
                }
                left_key = Some(key);
            }
            if right_key.is_none()
                && let Some(row) = right.peek()
            {
                let key = self.key.key_of(Side::Destination, row)?;
                if !right_order.accept(&key) {
                    return Ok(false);
                }
                right_key = Some(key);
            }
            let which = match (&left_key, &right_key) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => match self.key.compare(a, b) {
                    Some(order) => order,
                    None => return Ok(false),
                },
            };
            match which {
                Ordering::Less => {
                    outcome.rows += 1;
                    outcome.held += 1;
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
                    outcome.held += 1;
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
        outcome.bytes += left.bytes + right.bytes;
        Ok(true)
    }

    /// Rows of the source are compared with what the destination finds; rows of the destination
    /// only need to have a row at the source, because those were compared from there.
    async fn look_up(
        &self,
        readers: &mut Readers,
        side: Side,
        range: &ChunkRange,
        outcome: &mut ChunkOutcome,
    ) -> Result<(), VerifyError> {
        let (near, far) = match side {
            Side::Source => (readers.source.as_mut(), readers.destination.as_mut()),
            Side::Destination => (readers.destination.as_mut(), readers.source.as_mut()),
        };
        near.read_chunk(self.key.scan_view(side).clone(), range, KeyOrder::Any)
            .await?;
        let mut rows = RowStream::new(near, self.rule, side, self.pace, self.options.batch_bytes());
        let mut scratch = Vec::new();
        let mut pending: Vec<(Row, RowDigest)> = Vec::new();
        loop {
            let row = rows.next().await?;
            if let Some(row) = &row {
                outcome.held += 1;
                let key = self.key.key_of(side, row)?;
                pending.push((key, self.rule.digest(side, row, &mut scratch)));
            }
            if pending.len() >= self.options.lookup_keys.max(1) || (row.is_none() && !pending.is_empty()) {
                self.look_up_some(far, side, &mut pending, outcome).await?;
            }
            if row.is_none() {
                break;
            }
        }
        outcome.bytes += rows.bytes;
        Ok(())
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
