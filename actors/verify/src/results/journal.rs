//! The journal of a table: enough to continue after the last finished chunk, on any node.

use std::sync::Arc;

use oms_core::{ChunkRange, Record, RecordReader, RecordWriter, Row};
use serde::{Deserialize, Serialize};

use super::{
    difference::{Difference, DifferenceKey, key_text},
    packing::{self, encode, pack},
    recorder::put,
};
use crate::{Side, VerifyError};

/// A chunk that was compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DoneChunk {
    /// Whose chunk it is: destination chunks exist where keys are looked up.
    pub(crate) side: Side,
    /// Number in the order of keys.
    pub(crate) number: u64,
    #[serde(with = "key_text")]
    after: Option<Row>,
    #[serde(with = "key_text")]
    through: Option<Row>,
    /// Rows compared.
    pub(crate) rows: u64,
    /// Bytes read.
    pub(crate) bytes: u64,
}

impl DoneChunk {
    pub(crate) fn new(side: Side, number: u64, range: &ChunkRange) -> Self {
        Self {
            side,
            number,
            after: range.after.clone(),
            through: range.through.clone(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn range(&self) -> ChunkRange {
        ChunkRange {
            after: self.after.clone(),
            through: self.through.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// First: by which definitions, and how, the table is compared.
    Begin { fingerprint: String },
    /// A chunk is done; its candidates were noted before.
    Chunk { chunk: DoneChunk },
    /// Candidates were proven; counts with the next `Drained`.
    Found { differences: Vec<Difference> },
    /// All candidates noted in records below this number are proven or gone.
    Drained { below: u64 },
}

/// What a journal tells.
#[derive(Debug, Default)]
pub(crate) struct JournalState {
    /// Chunks done, in no order.
    pub(crate) chunks: Vec<DoneChunk>,
    /// Candidates that were not re-checked to their end.
    pub(crate) candidates: Vec<DifferenceKey>,
    /// Proven differences.
    pub(crate) differences: Vec<Difference>,
}

/// Which candidates had been noted at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Appends to a table's journal. Candidates are durable before the chunk that they were found in, and
/// what became of them before they are removed; so an end anywhere costs work and loses nothing.
#[derive(Debug)]
pub(crate) struct Journal {
    writer: Arc<dyn RecordWriter>,
    entries: String,
    candidates: String,
    next_entry: u64,
    next_candidates: u64,
}

impl Journal {
    /// Opens a table's journal (lists of entries and of candidates), and begins a new one when there is
    /// none or it was written for other definitions.
    pub(crate) async fn open(
        reader: &dyn RecordReader,
        writer: Arc<dyn RecordWriter>,
        [entries, candidates]: [String; 2],
        fingerprint: &str,
    ) -> Result<(Self, JournalState), VerifyError> {
        let mut journal = Self {
            writer,
            entries,
            candidates,
            next_entry: 0,
            next_candidates: 0,
        };
        let first: Option<Entry> = packing::one(reader, &journal.entries, 0).await?;
        if !matches!(&first, Some(Entry::Begin { fingerprint: other }) if other == fingerprint) {
            journal.begin(fingerprint).await?;
            return Ok((journal, JournalState::default()));
        }
        let mut state = JournalState::default();
        let mut found = Vec::new();
        let mut below = 0;
        for (number, entry) in packing::all(reader, &journal.entries, 1).await? {
            journal.next_entry = number;
            match entry {
                Entry::Begin { .. } => {
                    return Err(VerifyError::Damaged {
                        list: journal.entries,
                        number,
                        detail: "a second beginning".into(),
                    });
                }
                Entry::Chunk { chunk } => state.chunks.push(chunk),
                Entry::Found { differences } => found.extend(differences),
                Entry::Drained { below: b } => {
                    below = below.max(b);
                    state.differences.append(&mut found);
                }
            }
        }
        journal.next_entry += 1;
        journal.next_candidates = below;
        let noted: Vec<(u64, Vec<DifferenceKey>)> = packing::all(reader, &journal.candidates, below).await?;
        for (number, keys) in noted {
            journal.next_candidates = number + 1;
            state.candidates.extend(keys);
        }
        Ok((journal, state))
    }

    async fn begin(&mut self, fingerprint: &str) -> Result<(), VerifyError> {
        // Its first entry goes first, so that an interrupted removal leaves what is removed again.
        for list in [&self.entries, &self.candidates] {
            let removed = self.writer.remove_below(list, u64::MAX).await;
            removed.map_err(VerifyError::Records)?;
        }
        let fingerprint = fingerprint.to_owned();
        self.append(Vec::new(), &[Entry::Begin { fingerprint }]).await
    }

    /// Appends entries behind other records.
    async fn append(&mut self, mut records: Vec<Record>, entries: &[Entry]) -> Result<(), VerifyError> {
        for entry in entries {
            records.push(Record {
                list: self.entries.clone(),
                number: self.next_entry,
                content: encode(entry)?,
            });
            self.next_entry += 1;
        }
        put(self.writer.as_ref(), &records).await
    }

    /// Notes a chunk with its candidates.
    pub(crate) async fn chunk(
        &mut self,
        chunk: &DoneChunk,
        candidates: &[DifferenceKey],
    ) -> Result<(), VerifyError> {
        let mut records = Vec::new();
        for content in pack(candidates)? {
            records.push(Record {
                list: self.candidates.clone(),
                number: self.next_candidates,
                content,
            });
            self.next_candidates += 1;
        }
        let chunk = chunk.clone();
        self.append(records, &[Entry::Chunk { chunk }]).await
    }

    /// The candidates noted so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.next_candidates)
    }

    /// Notes what became of the candidates up to the mark, and forgets them.
    pub(crate) async fn drained(&mut self, mark: Mark, found: &[Difference]) -> Result<(), VerifyError> {
        let mut entries = Vec::new();
        // Some 25 KiB each: keys of usual size.
        for part in found.chunks(100) {
            entries.push(Entry::Found {
                differences: part.to_vec(),
            });
        }
        entries.push(Entry::Drained { below: mark.0 });
        self.append(Vec::new(), &entries).await?;
        let removed = self.writer.remove_below(&self.candidates, mark.0).await;
        removed.map_err(VerifyError::Records)
    }
}
