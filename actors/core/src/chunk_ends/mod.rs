//! Where the chunks of a table end: by arithmetic for keys of one integer, by guesses that the server turns into keys
//! that exist for all others.

mod ends;
mod guess;
mod keys;
#[cfg(test)]
mod keys_tests;
mod numbers;
mod symbols;

pub use ends::ChunkEnds;

/// How often the size of one chunk is looked at again before something else is tried.
const LOOKS: u32 = 24;
/// Rows by which a server's estimate may be wrong however few there are.
const SLACK: u64 = 10;
/// Times as many rows as wanted that a chunk may hold by the server's estimate.
const MOST: u64 = 2;
/// Chunks whose size was told to be as estimated, behind which estimates are believed without proof.
const PROOFS: u32 = 2;
/// Times as many rows as wanted in one chunk, from which on estimates are not believed any more.
const WRONG: u64 = 8;
/// Fewer keys than these are read at once instead of asking for estimates of them.
const READ: u64 = 2 * SLACK;
