use std::sync::{Mutex, PoisonError};

use crate::LogSeq;

/// A change of the log's folder, or the moment at which a commit was acknowledged.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create { first: LogSeq, bytes: Vec<u8> },
    Write { first: LogSeq, at: u64, bytes: Vec<u8> },
    Sync { first: LogSeq },
    Truncate { first: LogSeq, len: u64 },
    Remove { first: LogSeq },
    Acknowledged(LogSeq),
}

/// Everything that happened to a folder, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Op>>);

impl Journal {
    pub(crate) fn push(&self, op: Op) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }
}
