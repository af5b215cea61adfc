//! The journal of a table: enough to continue after the last finished chunk.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, Write as _},
    path::{Path, PathBuf},
};

use oms_core::{ChunkRange, Row};
use serde::{Deserialize, Serialize};

use super::{
    difference::{Difference, DifferenceKey, key_text},
    files::{self, Line, damaged, failed},
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
    /// First line: by which definitions, and how, the table is compared.
    Begin { fingerprint: String },
    /// A chunk is done, and these are its candidates.
    Chunk {
        chunk: DoneChunk,
        generation: u64,
        candidates: Vec<DifferenceKey>,
    },
    /// A candidate was proven; counts with the next `Drained`.
    Found { difference: Difference },
    /// All candidates up to this generation are proven or gone.
    Drained { generation: u64 },
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

/// Appends to a table's journal. A line counts when it was written completely; the end of the file
/// that a crash tore is cut off when the journal is opened again.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    generation: u64,
}

impl Journal {
    /// Opens a table's journal, and begins a new one when there is none or it was written for other
    /// definitions.
    pub(crate) fn open(path: &Path, fingerprint: &str) -> Result<(Self, JournalState), VerifyError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed(path))?;
        let mut reader = BufReader::new(&file);
        let mut state = JournalState::default();
        let mut waiting: Vec<(u64, Vec<DifferenceKey>)> = Vec::new();
        let mut found = Vec::new();
        let (mut length, mut generation, mut begun) = (0u64, 0, false);
        while let Line::Whole(entry, size) = files::next_line::<Entry>(&mut reader).map_err(failed(path))? {
            match entry {
                Entry::Begin { fingerprint: other } if !begun && other == fingerprint => begun = true,
                _ if !begun => break,
                Entry::Begin { .. } => {
                    return Err(damaged(path, format!("a second beginning at byte {length}")));
                }
                Entry::Chunk {
                    chunk,
                    generation: g,
                    candidates,
                } => {
                    state.chunks.push(chunk);
                    waiting.push((g, candidates));
                    generation = generation.max(g);
                }
                Entry::Found { difference } => found.push(difference),
                Entry::Drained { generation: g } => {
                    waiting.retain(|(of, _)| *of > g);
                    state.differences.append(&mut found);
                    generation = generation.max(g + 1);
                }
            }
            length += size;
        }
        drop(reader);
        if !begun {
            (state, length, generation) = (JournalState::default(), 0, 0);
            waiting.clear();
        }
        state.candidates = waiting.into_iter().flat_map(|(_, keys)| keys).collect();
        file.set_len(length).map_err(failed(path))?;
        drop(file);
        let file = OpenOptions::new().append(true).open(path).map_err(failed(path))?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            generation,
        };
        if !begun {
            journal.append(&[Entry::Begin {
                fingerprint: fingerprint.to_owned(),
            }])?;
        }
        Ok((journal, state))
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), VerifyError> {
        let mut bytes = Vec::new();
        for entry in entries {
            let line = files::line(entry).map_err(|e| failed(&self.path)(e.into()))?;
            bytes.extend_from_slice(&line);
        }
        // One write: a crash of the process leaves all of it or a torn end.
        self.file.write_all(&bytes).map_err(failed(&self.path))
    }

    /// Notes a chunk with its candidates.
    pub(crate) fn chunk(
        &mut self,
        chunk: &DoneChunk,
        candidates: Vec<DifferenceKey>,
    ) -> Result<(), VerifyError> {
        let generation = self.generation;
        self.append(&[Entry::Chunk {
            chunk: chunk.clone(),
            generation,
            candidates,
        }])
    }

    /// Candidates noted from now on are of a new generation; returns the one that ended.
    pub(crate) fn next_generation(&mut self) -> u64 {
        let ended = self.generation;
        self.generation += 1;
        ended
    }

    /// Notes what became of the candidates of a generation and all before it.
    pub(crate) fn drained(&mut self, generation: u64, found: &[Difference]) -> Result<(), VerifyError> {
        let mut entries: Vec<Entry> = found
            .iter()
            .map(|d| Entry::Found {
                difference: d.clone(),
            })
            .collect();
        entries.push(Entry::Drained { generation });
        self.append(&entries)
    }
}
