//! Keys of any columns: guesses, and the keys that the server has near them.

use super::{LOOKS, MOST, PROOFS, READ, SLACK, WRONG, guess::Scale};
use crate::{ChunkRange, Failure, Row, RowBuilder, SnapshotReader, TableSchema, codes};

/// Finds the ends of chunks of a table whose key is not one integer column.
///
/// A bound is always a key that the server itself returned, greater by its own order than the one before: what is
/// guessed only decides where it looks.
#[derive(Debug)]
pub(super) struct Keys {
    scales: Vec<Scale>,
    /// Least and greatest key when they were last asked for.
    span: Option<(Row, Row)>,
    /// The end of the range whose parts are wanted.
    limit: Option<Row>,
    /// The rows last wanted in a chunk.
    wanted: u64,
    /// Chunks that held about as many rows as estimated.
    proofs: u32,
    /// The server's estimates are wrong: keys are read instead.
    reads: bool,
}

/// A key that exists, and about how many rows of the chunk lie before it, itself included.
struct Known {
    key: Row,
    rows: u64,
}

impl Keys {
    /// `None`: the table has no key.
    pub(super) fn new(table: &TableSchema, limit: Option<&Row>) -> Option<Self> {
        let columns = table.row_key_columns()?;
        let scales = columns.iter().map(|at| table.columns.get(*at).map(Scale::new));
        Some(Self {
            scales: scales.collect::<Option<_>>()?,
            span: None,
            limit: limit.cloned(),
            wanted: 0,
            proofs: 0,
            reads: false,
        })
    }

    /// See [`ChunkEnds::next`](super::ChunkEnds::next).
    pub(super) async fn next(
        &mut self,
        reader: &mut dyn SnapshotReader,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        self.wanted = rows;
        if self.reads || rows < READ {
            return reader.chunk_end(table, after, rows).await;
        }
        let mut fresh = false;
        let (least, greatest, left) = loop {
            let (least, greatest) = match &self.span {
                Some(span) => span.clone(),
                None => {
                    // Who does not estimate may not know the ends either.
                    let behind = ChunkRange {
                        after: after.cloned(),
                        through: None,
                    };
                    if reader.estimate_rows(table, &behind).await?.is_none() {
                        return reader.chunk_end(table, after, rows).await;
                    }
                    let Some((least, greatest)) = reader.key_span(table).await? else {
                        return Ok(None);
                    };
                    fresh = true;
                    self.learn_ends(&least, &greatest);
                    self.span.insert((least, greatest)).clone()
                }
            };
            let greatest = self.limit.clone().unwrap_or(greatest);
            let behind = ChunkRange {
                after: after.cloned(),
                through: Some(greatest.clone()),
            };
            let Some(left) = reader.estimate_rows(table, &behind).await? else {
                return reader.chunk_end(table, after, rows).await;
            };
            if left > rows.saturating_add(rows / 2).saturating_add(SLACK) {
                break (least, greatest, left);
            }
            if self.limit.is_some() {
                return Ok(None);
            }
            if !fresh {
                // Rows may have come behind the greatest key since.
                self.span = None;
                continue;
            }
            if self.proofs >= PROOFS {
                return Ok(None);
            }
            // Estimates are no more than half of what the statistics say of the whole table, and those may be old.
            let end = reader
                .chunk_end(table, after, rows.saturating_mul(MOST) + SLACK)
                .await?;
            self.reads = end.is_some();
            return Ok(end);
        };
        if let Some(after) = after {
            self.learn(after);
        }
        let found = self.search(
            reader,
            table,
            after,
            &least,
            Known {
                key: greatest,
                rows: left,
            },
            rows,
        );
        match found.await? {
            Some(end) => Ok(Some(end)),
            None => reader.chunk_end(table, after, rows).await,
        }
    }

    /// A key so that about `rows` rows lie behind `after` and not behind it. `None`: none was found in reasonable time.
    async fn search(
        &mut self,
        reader: &mut dyn SnapshotReader,
        table: &TableSchema,
        after: Option<&Row>,
        least: &Row,
        mut many: Known,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        let mut few = Known {
            key: after.unwrap_or(least).clone(),
            rows: u64::from(after.is_none()),
        };
        let mut on_one_side = 0i32;
        for _ in 0..LOOKS {
            let missing = rows.saturating_sub(few.rows) as f64;
            let share = match many.rows.checked_sub(few.rows) {
                // Keys are not spread evenly: the guess would stay near one end for long.
                _ if on_one_side.abs() >= 2 => 0.5,
                None | Some(0) => 0.5,
                Some(between) => (missing / between as f64).min(1.0),
            };
            let Some(guess) = self.guess(&few.key, &many.key, share)? else {
                break;
            };
            let Some(key) = reader.key_near(table, &few.key, &many.key, &guess).await? else {
                // Nothing lies between the two.
                break;
            };
            self.learn(&key);
            let range = ChunkRange {
                after: after.cloned(),
                through: Some(key.clone()),
            };
            let Some(held) = reader.estimate_rows(table, &range).await? else {
                return Ok(None);
            };
            if held > rows.saturating_mul(MOST).saturating_add(SLACK) {
                many = Known { key, rows: held };
                on_one_side = on_one_side.max(0) + 1;
            } else if held < rows.div_ceil(2) {
                few = Known { key, rows: held };
                on_one_side = on_one_side.min(0) - 1;
            } else {
                return Ok(Some(key));
            }
        }
        // Somewhat too few rows are better than another way to look for them.
        Ok((few.rows > rows / 16 && after != Some(&few.key)).then_some(few.key))
    }

    /// The beginning of a key that lies between two by that share of the way. `None`: nothing can be said.
    ///
    /// Up to the first column in which they differ they are one; in that column there is something between, and what follows it is open.
    /// At the end of a run of equal values that is the next value: the server then finds the first key of the next run or the
    /// last of this one.
    fn guess(&self, low: &Row, high: &Row, share: f64) -> Result<Option<Row>, Failure> {
        let cells = self.scales.iter().zip(low.iter().zip(high.iter()));
        let same = cells.take_while(|(scale, (a, b))| scale.same(*a, *b)).count();
        let Some(scale) = self.scales.get(same).filter(|_| same < low.len().min(high.len())) else {
            return Ok(None);
        };
        let Some(guess) = scale.between(low.get(same), high.get(same), share) else {
            return Ok(None);
        };
        let values: Vec<_> = high.iter().take(same).chain([guess.value()]).collect();
        RowBuilder::build(values.into_iter())
            .map(Some)
            .map_err(|e| Failure::new(codes::import::KEY_NOT_USABLE, "a key cannot be held").with_source(e))
    }

    fn learn(&mut self, key: &Row) {
        self.scales
            .iter_mut()
            .zip(key.iter())
            .for_each(|(scale, value)| scale.learn(value));
    }

    fn learn_ends(&mut self, least: &Row, greatest: &Row) {
        for (scale, (a, b)) in self.scales.iter_mut().zip(least.iter().zip(greatest.iter())) {
            scale.learn_ends(a, b);
        }
        self.learn(least);
        self.learn(greatest);
    }

    /// A chunk turned out to hold so many rows.
    pub(super) fn saw(&mut self, range: &ChunkRange, rows: u64) {
        if range.through.is_none() || self.wanted == 0 {
            return;
        }
        if rows > self.wanted.saturating_mul(WRONG).saturating_add(SLACK) {
            self.reads = true;
        } else if rows >= self.wanted / 4 {
            self.proofs = self.proofs.saturating_add(1);
        }
    }
}
