//! Finding ends one after the other.

use super::{
    MOST, READ,
    keys::Keys,
    numbers::{Numbers, Search, density_of, number, ratio, width_of},
};
use crate::{ChunkRange, Failure, Row, SnapshotReader, TableSchema};

/// Empty chunks one after the other, behind which the server is asked where rows go on.
const EMPTY: u32 = 3;

/// Finds the ends of a table's chunks one after the other, each of about as many rows as wanted.
///
/// Where the key is one integer column, an end is the key before the chunk and so many
/// numbers more as hold the wanted rows at the density seen so far. A chunk holds no more rows than numbers, so where
/// more than half of the numbers are used nobody is asked at all. Where fewer are, the server's index tells about how many rows lie
/// in a range ([`SnapshotReader::estimate_rows`]).
///
/// For all other keys one is guessed between two that are known, the server tells the key that it has there
/// ([`SnapshotReader::key_near`]), and its index about how many rows lie before it; if that is not what is wanted the search goes on
/// between that key and one of the two.
///
/// Where a server does not tell how many rows lie in a range, or tells wrongly, and behind several empty chunks of numbers,
/// keys are read up to the wanted one ([`SnapshotReader::chunk_end`]).
///
/// Sizes are all that this decides. Whatever it says, ends come in ascending order of the server, the last chunk is open
/// above, and so every key is in exactly one chunk.
#[derive(Debug)]
pub struct ChunkEnds {
    form: Form,
}

/// How ends are found.
#[derive(Debug)]
enum Form {
    Numbers(Numbers),
    Keys(Keys),
    /// Only by reading keys.
    Read,
}

impl ChunkEnds {
    /// The ends of a whole table's chunks.
    pub fn new(table: &TableSchema) -> Self {
        Self::within(table, None)
    }

    /// The ends of the parts of a range that holds so many rows.
    pub fn of_range(table: &TableSchema, range: &ChunkRange, rows: u64) -> Self {
        let mut ends = Self::within(table, range.through.as_ref());
        if let Form::Numbers(numbers) = &mut ends.form {
            numbers.saw(range, rows);
        }
        ends
    }

    fn within(table: &TableSchema, limit: Option<&Row>) -> Self {
        let form = match (Numbers::new(table), Keys::new(table, limit)) {
            (Some(numbers), _) => Form::Numbers(numbers),
            (None, Some(keys)) => Form::Keys(keys),
            (None, None) => Form::Read,
        };
        Self { form }
    }

    /// The end of the chunk of about `rows` rows behind `after`. `None`: it is the last one, open above. An end need not be
    /// a key that exists.
    pub async fn next(
        &mut self,
        reader: &mut dyn SnapshotReader,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        let rows = rows.max(1);
        let numbers = match &mut self.form {
            Form::Numbers(numbers) => numbers,
            Form::Keys(keys) => return keys.next(reader, table, after, rows).await,
            Form::Read => return reader.chunk_end(table, after, rows).await,
        };
        let before = match after {
            None => None,
            Some(row) => match number(row) {
                Some(n) => Some(n),
                None => return reader.chunk_end(table, after, rows).await,
            },
        };
        numbers.wanted = rows;
        if numbers.empty >= EMPTY {
            numbers.empty = 0;
            return reader.chunk_end(table, after, rows).await;
        }
        let mut fresh = false;
        loop {
            let (least, greatest) = match numbers.span {
                Some(span) => span,
                None => match reader
                    .key_span(table)
                    .await?
                    .as_ref()
                    .map(|(a, b)| (number(a), number(b)))
                {
                    None => return Ok(None),
                    Some((Some(least), Some(greatest))) => {
                        fresh = true;
                        *numbers.span.insert((least, greatest))
                    }
                    Some(_) => return reader.chunk_end(table, after, rows).await,
                },
            };
            let start = before.unwrap_or(least - 1);
            let density = *numbers
                .density
                .get_or_insert_with(|| density_of(table.estimated_rows, least, greatest));
            let mut search = Search::new(width_of(rows, density));
            let mut told = 0;
            let end = loop {
                let over = search.is_over();
                let end = start.saturating_add(search.width).min(greatest);
                let taken = end - start;
                if over || taken <= i128::from(rows) * i128::from(MOST) {
                    break end;
                }
                if numbers.reads || rows < READ {
                    return reader.chunk_end(table, after, rows).await;
                }
                let range = ChunkRange {
                    after: after.cloned(),
                    through: Some(numbers.key(end)?),
                };
                let Some(estimate) = reader.estimate_rows(table, &range).await? else {
                    return reader.chunk_end(table, after, rows).await;
                };
                told = estimate;
                numbers.density = Some(ratio(estimate.max(1), taken));
                if search.is_fine(rows, taken, estimate, end == greatest) {
                    break end;
                }
            };
            // Estimates are no more than half of what the statistics say of the whole table, and those may be old.
            let most = told.saturating_mul(3) >= table.estimated_rows;
            if let Some(many) = numbers.doubt(rows, end - start, most) {
                let key = reader.chunk_end(table, after, many).await?;
                if key.as_ref().and_then(number).is_some_and(|k| k < end) {
                    numbers.reads = true;
                    return reader.chunk_end(table, after, rows).await;
                }
            }
            if end < greatest {
                return numbers.key(end).map(Some);
            }
            if fresh {
                return Ok(None);
            }
            // Rows may have come behind the greatest key since.
            numbers.span = None;
        }
    }

    /// A chunk turned out to hold so many rows.
    pub fn saw(&mut self, range: &ChunkRange, rows: u64) {
        match &mut self.form {
            Form::Numbers(numbers) => numbers.saw(range, rows),
            Form::Keys(keys) => keys.saw(range, rows),
            Form::Read => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use async_trait::async_trait;
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::{super::SLACK, *};
    use crate::{Column, ColumnType, Key, KeyOrder, KeyPart, Position, RowBatch, TableName, TableRead};

    /// A table of keys, and what was asked.
    struct Model {
        unsigned: bool,
        keys: BTreeSet<i128>,
        /// The estimate of n rows; `None`: the server estimates nothing.
        estimate: Option<fn(u64) -> u64>,
        estimates: usize,
        walks: usize,
    }

    impl Model {
        fn new(unsigned: bool, keys: impl IntoIterator<Item = i128>) -> Self {
            Self {
                unsigned,
                keys: keys.into_iter().collect(),
                estimate: Some(|n| n),
                estimates: 0,
                walks: 0,
            }
        }

        fn row(&self, n: i128) -> Row {
            Numbers::of(self.unsigned).key(n).unwrap()
        }

        fn table(&self, estimated_rows: u64) -> TableSchema {
            TableSchema {
                name: TableName::new("d", "t"),
                engine: "InnoDB".into(),
                columns: vec![Column {
                    name: "id".into(),
                    ty: ColumnType::Integer {
                        bytes: 8,
                        unsigned: self.unsigned,
                    },
                    nullable: false,
                    generated: None,
                    invisible: false,
                }],
                keys: vec![Key {
                    name: "PRIMARY".into(),
                    primary: true,
                    parts: vec![KeyPart {
                        column: Some(0),
                        prefix: None,
                    }],
                }],
                estimated_rows,
                estimated_bytes: 0,
            }
        }

        fn within(&self, range: &ChunkRange) -> u64 {
            let after = range.after.as_ref().and_then(number);
            let through = range.through.as_ref().and_then(number);
            let inside = |n: &&i128| after.is_none_or(|a| **n > a) && through.is_none_or(|t| **n <= t);
            self.keys.iter().filter(inside).count() as u64
        }
    }

    #[async_trait]
    impl SnapshotReader for Model {
        async fn key_span(&mut self, _: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
            let ends = self.keys.first().zip(self.keys.last());
            Ok(ends.map(|(a, b)| (self.row(*a), self.row(*b))))
        }

        async fn estimate_rows(
            &mut self,
            _: &TableSchema,
            range: &ChunkRange,
        ) -> Result<Option<u64>, Failure> {
            self.estimates += 1;
            Ok(self.estimate.map(|of| of(self.within(range))))
        }

        async fn chunk_end(
            &mut self,
            _: &TableSchema,
            after: Option<&Row>,
            rows: u64,
        ) -> Result<Option<Row>, Failure> {
            self.walks += 1;
            let after = after.and_then(number);
            let mut behind = self.keys.iter().filter(|n| after.is_none_or(|a| **n > a));
            Ok(behind.nth(rows as usize - 1).map(|n| self.row(*n)))
        }

        async fn read_chunk(
            &mut self,
            _: Arc<TableSchema>,
            _: &ChunkRange,
            _: KeyOrder,
        ) -> Result<(), Failure> {
            unreachable!("rows are not read to find ends")
        }

        async fn read_keys(&mut self, _: Arc<TableSchema>, _: &[Row]) -> Result<(), Failure> {
            unreachable!("rows are not read to find ends")
        }

        async fn begin_consistent(&mut self, _: &[TableName]) -> Result<Position, Failure> {
            unreachable!("rows are not read to find ends")
        }

        async fn end_consistent(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        async fn read_all(&mut self, _: Arc<TableSchema>) -> Result<TableRead, Failure> {
            unreachable!("rows are not read to find ends")
        }

        async fn next_batch(&mut self, _: usize) -> Result<Option<RowBatch>, Failure> {
            Ok(None)
        }

        async fn count(&mut self, _: &TableSchema) -> Result<u64, Failure> {
            Ok(self.keys.len() as u64)
        }
    }

    /// All chunks with their rows; what a chunk held is told `late` chunks after it was planned.
    fn chunks(model: &mut Model, table: &TableSchema, rows: u64, late: usize) -> Vec<(ChunkRange, u64)> {
        let mut ends = ChunkEnds::new(table);
        let mut out: Vec<(ChunkRange, u64)> = Vec::new();
        let mut after: Option<Row> = None;
        loop {
            let through = block_on(ends.next(model, table, after.as_ref(), rows)).unwrap();
            let range = ChunkRange {
                after: after.take(),
                through: through.clone(),
            };
            let held = model.within(&range);
            out.push((range, held));
            if let Some((range, held)) = out.len().checked_sub(1 + late).and_then(|i| out.get(i)) {
                ends.saw(range, *held);
            }
            match through {
                Some(end) => after = Some(end),
                None => return out,
            }
        }
    }

    fn ascend(chunks: &[(ChunkRange, u64)]) -> bool {
        let ends: Vec<_> = chunks
            .iter()
            .map(|(r, _)| r.through.as_ref().and_then(number))
            .collect();
        let (last, before) = ends.split_last().unwrap();
        last.is_none() && before.iter().all(Option::is_some) && before.is_sorted_by(|a, b| a < b)
    }

    /// Runs of numbers somewhere, each with a step between its numbers.
    fn keys(unsigned: bool) -> impl Strategy<Value = BTreeSet<i128>> {
        let (least, most) = match unsigned {
            true => (0, i128::from(u64::MAX)),
            false => (i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        let place = prop_oneof![
            Just(least),
            Just(most),
            Just(most - 300),
            -500i128..500,
            least..=most
        ];
        let step = prop_oneof![Just(1i128), 1i128..9, Just(1_000_003), 1i128..(1 << 50)];
        prop::collection::vec((place, step, 1usize..400), 0..5).prop_map(move |runs| {
            let run =
                |(from, step, count): (i128, i128, usize)| (0..count as i128).map(move |n| from + n * step);
            runs.into_iter()
                .flat_map(run)
                .filter(|n| (least..=most).contains(n))
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        /// Wherever the keys lie, whatever the statistics say and however late sizes are told: every key is in one
        /// chunk, no chunk is too large, and there are not many more than needed.
        #[test]
        fn every_key_is_in_one_chunk_of_about_the_size(
            (unsigned, keys) in any::<bool>().prop_flat_map(|u| (Just(u), keys(u))),
            believed in prop_oneof![Just(0u64), Just(1), 1u64..5_000, Just(u64::MAX)],
            rows in 1u64..80,
            late in 0usize..6,
            estimate in prop_oneof![Just(Some((|n| n) as fn(u64) -> u64)), Just(Some((|n| n / 2 + 1) as fn(u64) -> u64)),
                Just(Some((|n| n * 2) as fn(u64) -> u64)), Just(Some((|n| n + 3) as fn(u64) -> u64)), Just(None)],
        ) {
            let all = keys.len() as u64;
            let mut model = Model::new(unsigned, keys);
            model.estimate = estimate;
            let table = model.table(believed);
            let chunks = chunks(&mut model, &table, rows, late);
            prop_assert!(ascend(&chunks));
            prop_assert_eq!(chunks.iter().map(|(_, n)| n).sum::<u64>(), all);
            let largest = chunks.iter().map(|(_, n)| *n).max().unwrap_or(0);
            prop_assert!(largest <= 5 * rows + 2 * SLACK, "{} rows where {} were wanted", largest, rows);
            // Behind each of the few runs and jumps the density has to be found again.
            let needed = all / rows + 1;
            prop_assert!(chunks.len() as u64 <= 4 * needed + 400, "{} chunks for {} rows, {} each", chunks.len(), all, rows);
        }
    }

    #[test]
    fn nobody_is_asked_where_most_numbers_are_used() {
        let mut model = Model::new(false, (-5_000..45_000).filter(|n| n % 4 != 0));
        let table = model.table(37_500);
        let chunks = chunks(&mut model, &table, 1_000, 3);
        assert_eq!((model.estimates, model.walks), (0, 0));
        assert!((36..45).contains(&chunks.len()), "{}", chunks.len());
    }

    #[test]
    fn numbers_far_apart_are_found_with_a_few_questions() {
        let mut model = Model::new(false, (0..40_000).map(|n| n * 7_919_000_003));
        let table = model.table(31_000);
        let chunks = chunks(&mut model, &table, 1_000, 3);
        // Until the size of two chunks is known.
        assert!(model.walks <= 5, "{}", model.walks);
        assert!(model.estimates <= 60, "{}", model.estimates);
        assert!((25..60).contains(&chunks.len()), "{}", chunks.len());
    }

    #[test]
    fn a_gap_costs_few_chunks() {
        let far = i128::from(i64::MAX) - 2_000;
        let mut model = Model::new(false, (1..=20_000).chain(far..far + 2_000));
        let table = model.table(22_000);
        let chunks = chunks(&mut model, &table, 1_000, 3);
        assert!(model.walks <= 4, "{}", model.walks);
        assert!(chunks.len() < 60, "{}", chunks.len());
    }

    #[test]
    fn estimates_that_are_wrong_cost_few_chunks() {
        let mut model = Model::new(false, (0..2_000).map(|n| n * (1 << 50)));
        model.estimate = Some(|_| u64::MAX);
        let table = model.table(2_000);
        let chunks = chunks(&mut model, &table, 100, 2);
        assert!(chunks.len() < 300, "{}", chunks.len());
    }

    #[test]
    fn old_statistics_make_no_large_chunks() {
        // Few rows far apart, which the statistics know, then many that came since.
        for few in [0, 1_100] {
            let sparse = (0..few).map(|n| n * 7_000_003);
            let many = (0..15_000).map(|n| (1 << 50) + n * 7_919);
            let mut model = Model::new(false, sparse.chain(many));
            model.estimate = Some(|n| n.min(1_000));
            let table = model.table(2_000);
            let chunks = chunks(&mut model, &table, 500, 1);
            let largest = chunks.iter().map(|(_, n)| *n).max().unwrap();
            assert!(largest <= 2_500, "{largest}");
            assert!(chunks.len() < 100, "{}", chunks.len());
        }
    }

    #[test]
    fn an_empty_table_and_one_row_are_one_chunk() {
        for unsigned in [false, true] {
            for keys in [vec![], vec![0], vec![7]] {
                let mut model = Model::new(unsigned, keys.clone());
                let table = model.table(keys.len() as u64);
                let held = chunks(&mut model, &table, 10, 0);
                assert_eq!(held.len(), 1);
                assert_eq!(held[0].0, ChunkRange::default());
            }
        }
    }

    #[test]
    fn rows_that_come_at_the_end_get_chunks_of_their_own() {
        let mut model = Model::new(false, 0..1_000);
        let table = model.table(1_000);
        let mut ends = ChunkEnds::new(&table);
        let first = block_on(ends.next(&mut model, &table, None, 600))
            .unwrap()
            .unwrap();
        model.keys.extend(1_000..5_000);
        let second = block_on(ends.next(&mut model, &table, Some(&first), 600)).unwrap();
        assert_eq!(second.as_ref().and_then(number), Some(1_199));
    }

    #[test]
    fn a_range_is_divided_where_its_rows_are() {
        let mut model = Model::new(true, (10_000..20_000).step_by(2).map(i128::from));
        let table = model.table(1);
        let range = ChunkRange {
            after: Some(model.row(9_999)),
            through: Some(model.row(19_999)),
        };
        let mut ends = ChunkEnds::of_range(&table, &range, 5_000);
        let end = block_on(ends.next(&mut model, &table, range.after.as_ref(), 625)).unwrap();
        assert_eq!(end.as_ref().and_then(number), Some(11_249));
        assert_eq!((model.estimates, model.walks), (0, 0));
    }
}
