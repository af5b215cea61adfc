//! Tables without a key: rows are a multiset.
//!
//! First both tables are added up in buckets: per bucket the number of rows and the sums of two
//! independent 128-bit digests. Only buckets that differ are looked into, in as many passes as
//! memory demands. Rows that differ there are counted again in rounds, like keyed candidates.

use std::collections::HashMap;

use super::{Pace, Readers, Rounds, readers::RowStream};
use crate::{
    Difference, DifferenceKey, DifferenceKind, Side, VerifyError,
    compare::{RowDigest, TableRule},
};

const BUCKETS: usize = 1 << 14;
/// A pass reads the whole table; more would take longer than importing it again.
const MAX_PASSES: usize = 64;
/// Bytes that one counted digest takes in a map.
const BYTES_PER_ENTRY: usize = 96;
/// Rounds of adding up: each leaves only buckets that have differed in all of them.
const SUM_ROUNDS: u32 = 3;
/// Rounds of counting candidates; each reads both tables completely.
const COUNT_ROUNDS: u32 = 6;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    first: u128,
    second: u128,
}

impl Sum {
    fn add(&mut self, digest: &RowDigest) {
        let half = |at: usize| {
            let bytes = digest.get(at..at + 16).and_then(|b| b.try_into().ok());
            u128::from_le_bytes(bytes.unwrap_or_default())
        };
        self.rows += 1;
        self.first = self.first.wrapping_add(half(0));
        self.second = self.second.wrapping_add(half(16));
    }
}

fn bucket(digest: &RowDigest) -> usize {
    let [a, b, ..] = digest;
    (usize::from(*a) << 8 | usize::from(*b)) % BUCKETS
}

/// A part of a bucket that is too large for one pass.
fn slice_of(digest: &RowDigest) -> u16 {
    let [_, _, a, b, ..] = digest;
    u16::from_le_bytes([*a, *b])
}

/// Rows compared, and what differs.
#[derive(Debug, Default)]
pub(crate) struct MultisetOutcome {
    pub(crate) rows: u64,
    pub(crate) differences: Vec<Difference>,
}

/// Compares a table without a key. `recorded`: only rows with these digests.
///
/// # Errors
/// [`VerifyError::TooMany`] when so many different rows differ that counting them again is not worth it.
pub(crate) async fn compare_multisets(
    rule: &TableRule,
    pace: &Pace,
    rounds: Rounds<'_>,
    readers: &mut Readers,
    recorded: Option<Vec<RowDigest>>,
    limit: u64,
    seen: &(dyn Fn(u64) + Send + Sync),
) -> Result<MultisetOutcome, VerifyError> {
    let compare = Compare {
        rule,
        pace,
        rounds,
        limit,
        seen,
    };
    let (rows, suspects) = match recorded {
        Some(digests) => (digests.len() as u64, digests),
        None => {
            let (rows, differing) = compare.differing_buckets(readers).await?;
            (rows, compare.suspects(readers, differing).await?)
        }
    };
    let differences = compare.count_again(readers, suspects).await?;
    Ok(MultisetOutcome { rows, differences })
}

/// How often a row is on each side.
#[derive(Clone, Copy, Default)]
struct Counts {
    source: u64,
    destination: u64,
}

/// A set of buckets, or a slice of one, that one pass looks into.
struct Pass {
    buckets: Vec<bool>,
    /// Of how many slices which one.
    slice: (u16, u16),
}

struct Compare<'c> {
    rule: &'c TableRule,
    pace: &'c Pace,
    rounds: Rounds<'c>,
    limit: u64,
    seen: &'c (dyn Fn(u64) + Send + Sync),
}

impl Compare<'_> {
    async fn each(
        &self,
        readers: &mut Readers,
        side: Side,
        take: &mut (dyn FnMut(RowDigest) -> Result<(), VerifyError> + Send),
    ) -> Result<(), VerifyError> {
        let table = match side {
            Side::Source => self.rule.pair.source.clone(),
            Side::Destination => self.rule.pair.destination.clone(),
        };
        let reader = readers.get(side);
        reader.read_all(table).await?;
        let bytes = self.rounds.options.batch_bytes();
        let mut rows = RowStream::new(reader, self.rule, side, self.pace, bytes);
        let mut scratch = Vec::new();
        while let Some(row) = rows.next().await? {
            take(self.rule.digest(side, &row, &mut scratch))?;
        }
        Ok(())
    }

    async fn sums(&self, readers: &mut Readers, side: Side, count: bool) -> Result<Vec<Sum>, VerifyError> {
        let mut sums = vec![Sum::default(); BUCKETS];
        let mut unseen = 0u64;
        self.each(readers, side, &mut |digest| {
            if let Some(sum) = sums.get_mut(bucket(&digest)) {
                sum.add(&digest);
            }
            unseen += u64::from(count);
            if unseen >= 1_000 {
                (self.seen)(std::mem::take(&mut unseen));
            }
            Ok(())
        })
        .await?;
        (self.seen)(unseen);
        Ok(sums)
    }

    fn differs(&self, source: u64, destination: u64) -> bool {
        source > destination || (source < destination && !self.rounds.options.ignore_destination_only)
    }

    /// Rows of the source, and per bucket the rows of the side that has more; 0 where both agree.
    async fn differing_buckets(&self, readers: &mut Readers) -> Result<(u64, Vec<u64>), VerifyError> {
        let mut differing = vec![u64::MAX; BUCKETS];
        let mut rows = 0;
        let last = self.rounds.options.recheck_rounds.clamp(1, SUM_ROUNDS);
        for round in 1..=last {
            if round > 1 {
                self.rounds.rest().await;
            }
            let source = self.sums(readers, Side::Source, round == 1).await?;
            self.rounds.settle().await?;
            let destination = self.sums(readers, Side::Destination, false).await?;
            if round == 1 {
                rows = source.iter().map(|s| s.rows).sum();
            }
            for ((slot, a), b) in differing.iter_mut().zip(&source).zip(&destination) {
                *slot = if *slot == 0 || a == b {
                    0
                } else {
                    a.rows.max(b.rows).max(1)
                };
            }
            if differing.iter().all(|rows| *rows == 0) {
                break;
            }
        }
        Ok((rows, differing))
    }

    fn passes(&self, differing: &[u64]) -> Result<Vec<Pass>, VerifyError> {
        let options = self.rounds.options;
        let room = (options.memory_bytes / options.workers.max(1) / 2 / BYTES_PER_ENTRY).max(1_024) as u64;
        let mut passes = Vec::new();
        let mut open: Option<(u64, Vec<bool>)> = None;
        for (number, rows) in differing.iter().enumerate().filter(|(_, rows)| **rows > 0) {
            let only = |buckets: &mut Vec<bool>| {
                if let Some(slot) = buckets.get_mut(number) {
                    *slot = true;
                }
            };
            if *rows > room {
                let slices = u16::try_from(rows.div_ceil(room)).unwrap_or(u16::MAX);
                for slice in 0..slices {
                    let mut buckets = vec![false; BUCKETS];
                    only(&mut buckets);
                    passes.push(Pass {
                        buckets,
                        slice: (slices, slice),
                    });
                    if passes.len() > MAX_PASSES {
                        break;
                    }
                }
                continue;
            }
            let (filled, mut buckets) = open.take().unwrap_or_else(|| (0, vec![false; BUCKETS]));
            if filled + rows > room {
                passes.push(Pass {
                    buckets,
                    slice: (1, 0),
                });
                buckets = vec![false; BUCKETS];
                only(&mut buckets);
                open = Some((*rows, buckets));
            } else {
                only(&mut buckets);
                open = Some((filled + rows, buckets));
            }
        }
        passes.extend(open.map(|(_, buckets)| Pass {
            buckets,
            slice: (1, 0),
        }));
        if passes.len() > MAX_PASSES {
            let found = differing.iter().filter(|rows| **rows > 0).count() as u64;
            return Err(self.too_many(found.max(self.limit)));
        }
        Ok(passes)
    }

    fn too_many(&self, found: u64) -> VerifyError {
        VerifyError::TooMany {
            table: self.rule.pair.source.name.clone(),
            found,
            limit: self.limit,
        }
    }

    /// Digests of the rows whose counts differ, in buckets that differ.
    async fn suspects(
        &self,
        readers: &mut Readers,
        differing: Vec<u64>,
    ) -> Result<Vec<RowDigest>, VerifyError> {
        let most = self.rounds.options.max_candidates.max(1);
        let mut suspects = Vec::new();
        for pass in self.passes(&differing)? {
            let mut counts: HashMap<RowDigest, Counts> = HashMap::new();
            for side in [Side::Source, Side::Destination] {
                if side == Side::Destination {
                    self.rounds.settle().await?;
                }
                self.each(readers, side, &mut |digest| {
                    let (of, which) = pass.slice;
                    if pass.buckets.get(bucket(&digest)) == Some(&true) && slice_of(&digest) % of == which {
                        let entry = counts.entry(digest).or_default();
                        match side {
                            Side::Source => entry.source += 1,
                            Side::Destination => entry.destination += 1,
                        }
                    }
                    Ok(())
                })
                .await?;
            }
            suspects.extend(
                counts
                    .iter()
                    .filter(|(_, c)| self.differs(c.source, c.destination))
                    .map(|(d, _)| *d),
            );
            if suspects.len() > most {
                return Err(self.too_many(suspects.len() as u64));
            }
        }
        Ok(suspects)
    }

    async fn count(
        &self,
        readers: &mut Readers,
        side: Side,
        suspects: &[RowDigest],
    ) -> Result<HashMap<RowDigest, u64>, VerifyError> {
        let mut counts: HashMap<RowDigest, u64> = suspects.iter().map(|d| (*d, 0)).collect();
        self.each(readers, side, &mut |digest| {
            if let Some(count) = counts.get_mut(&digest) {
                *count += 1;
            }
            Ok(())
        })
        .await?;
        Ok(counts)
    }

    async fn count_again(
        &self,
        readers: &mut Readers,
        mut suspects: Vec<RowDigest>,
    ) -> Result<Vec<Difference>, VerifyError> {
        let mut real = Vec::new();
        let mut streaks: HashMap<RowDigest, u32> = HashMap::new();
        if suspects.is_empty() {
            return Ok(real);
        }
        let mut before = self.count(readers, Side::Source, &suspects).await?;
        let last = self.rounds.options.recheck_rounds.clamp(1, COUNT_ROUNDS);
        for round in 1..=last {
            if round > 1 {
                self.rounds.rest().await;
            }
            let settled = self.rounds.settle().await?;
            let destination = self.count(readers, Side::Destination, &suspects).await?;
            let after = self.count(readers, Side::Source, &suspects).await?;
            let mut left = Vec::new();
            for digest in suspects {
                let of = |counts: &HashMap<RowDigest, u64>| counts.get(&digest).copied().unwrap_or(0);
                let (s1, d, s2) = (of(&before), of(&destination), of(&after));
                if d == s1 || d == s2 || !self.differs(s2, d) {
                    continue;
                }
                let unchanged = s1 == s2;
                let streak = streaks.entry(digest).or_default();
                *streak = if settled && unchanged { *streak + 1 } else { 0 };
                if self.rounds.is_proof(*streak) || round == last {
                    real.push(Difference {
                        kind: if s2 > d {
                            DifferenceKind::SourceOnly
                        } else {
                            DifferenceKind::DestinationOnly
                        },
                        key: DifferenceKey::Digest(digest),
                        settled: unchanged,
                        source_count: s2,
                        destination_count: d,
                    });
                } else {
                    left.push(digest);
                }
            }
            suspects = left;
            before = after;
            if suspects.is_empty() {
                break;
            }
        }
        real.sort_by(|a, b| key_bytes(a).cmp(key_bytes(b)));
        Ok(real)
    }
}

fn key_bytes(difference: &Difference) -> &[u8] {
    match &difference.key {
        DifferenceKey::Digest(digest) => digest,
        DifferenceKey::Key { key, .. } => key.as_bytes(),
    }
}
