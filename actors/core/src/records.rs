//! Small records that a component keeps at the destination.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Failure;

/// A record: something small that a component must find again wherever it runs next.
///
/// Records lie in lists, in which they are numbered. A list needs no creation. Its name is ASCII, at most
/// 64 bytes; a `/` in it makes the part before it a group that can be removed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The list.
    pub list: String,
    /// Number in the list.
    pub number: u64,
    /// Content: some 64 KiB at most, so that it fits into a statement of any server.
    pub content: Bytes,
}

/// Reads a component's records, from any node and without a claim.
#[async_trait]
pub trait RecordReader: Send + Sync + std::fmt::Debug {
    /// The committed records of a list with numbers from `from` on, ascending, at most `limit`.
    async fn read(&self, list: &str, from: u64, limit: u32) -> Result<Vec<Record>, Failure>;
}

/// Writes a component's records under a claim ([`crate::Claim::record_writer`]). Calls from several places
/// are executed one after the other.
///
/// After an error or a dropped call it is not known whether the call's effect is there; each call may be
/// repeated.
///
/// # Errors
/// `OMS-APPLY-0004` when the claim is no longer the latest; nothing is changed then.
#[async_trait]
pub trait RecordWriter: Send + Sync + std::fmt::Debug {
    /// Writes the records in one transaction. A record that is there already is replaced.
    async fn put(&self, records: &[Record]) -> Result<(), Failure>;

    /// Removes the records of a list with numbers below `below`, lowest first, in transactions of bounded size.
    async fn remove_below(&self, list: &str, below: u64) -> Result<(), Failure>;

    /// Removes all lists whose name is `<group>/…`, in transactions of bounded size.
    async fn remove_group(&self, group: &str) -> Result<(), Failure>;
}
