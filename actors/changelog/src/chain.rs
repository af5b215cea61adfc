use crate::{EncodedPosition, LogSeq, RecordFlags};

/// What is known at one point between two records: the rules of the record order live here, once, for the
/// writer, for recovery and for the in-memory log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The record before this point.
    pub(crate) last: LogSeq,
    /// The first record of the transaction that is open here.
    pub(crate) open_txn: Option<LogSeq>,
    /// Where a source resumes to send what is missing here.
    pub(crate) resume: EncodedPosition,
    /// The record that carried `resume`; `LogSeq::NONE` for the log's start.
    pub(crate) resume_seq: LogSeq,
    /// The source time of the record before this point.
    pub(crate) last_time_us: i64,
}

impl Chain {
    /// The point before the first record.
    pub(crate) fn start(position: EncodedPosition) -> Self {
        Self {
            last: LogSeq::NONE,
            open_txn: None,
            resume: position,
            resume_seq: LogSeq::NONE,
            last_time_us: 0,
        }
    }

    /// Moves past one record, or says which rule it breaks and stays.
    pub(crate) fn admit(
        &mut self,
        flags: RecordFlags,
        source_time_us: i64,
        position: Option<&EncodedPosition>,
        payload_len: usize,
    ) -> Result<LogSeq, &'static str> {
        let seq = self.last.next();
        if flags.contains(RecordFlags::HEARTBEAT) || flags.contains(RecordFlags::TXN_ABORT) {
            if flags != RecordFlags::HEARTBEAT && flags != RecordFlags::TXN_ABORT {
                return Err("a heartbeat or abort record has no other flag");
            }
            if payload_len != 0 {
                return Err("a heartbeat or abort record has no payload");
            }
        }
        if flags == RecordFlags::HEARTBEAT {
            if self.open_txn.is_some() {
                return Err("a heartbeat inside a transaction");
            }
        } else if flags == RecordFlags::TXN_ABORT {
            if self.open_txn.is_none() {
                return Err("an abort without an open transaction");
            }
        } else if flags.contains(RecordFlags::TXN_FIRST) {
            if self.open_txn.is_some() {
                return Err("a transaction begins inside another");
            }
        } else if self.open_txn.is_none() {
            return Err("a record outside of a transaction");
        }
        let advances = flags.contains(RecordFlags::TXN_LAST) || flags == RecordFlags::HEARTBEAT;
        match (advances, position) {
            (true, None) => {
                return Err("a record that ends a transaction or is a heartbeat needs a position");
            }
            (false, Some(_)) => return Err("a position in the middle of a transaction"),
            (true, Some(position)) => {
                self.resume = position.clone();
                self.resume_seq = seq;
                self.open_txn = None;
            }
            (false, None) if flags == RecordFlags::TXN_ABORT => self.open_txn = None,
            (false, None) => {
                self.open_txn.get_or_insert(seq);
            }
        }
        self.last = seq;
        self.last_time_us = source_time_us;
        Ok(seq)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn refuses_every_order_that_makes_no_sense() {
        let position = EncodedPosition::from_bytes(Bytes::from_static(b"1"));
        let some = Some(&position);
        let outside = Chain::start(position.clone());
        let mut inside = outside.clone();
        inside.admit(RecordFlags::TXN_FIRST, 7, None, 3).unwrap();
        assert_eq!((inside.open_txn, inside.last_time_us), (Some(LogSeq(1)), 7));
        let cases = [
            (&outside, RecordFlags::NONE, None, 1),
            (&outside, RecordFlags::TXN_LAST, some, 1),
            (&outside, RecordFlags::TXN_ABORT, None, 0),
            (&outside, RecordFlags::TXN_FIRST, some, 1),
            (&outside, RecordFlags::TXN_FIRST | RecordFlags::TXN_LAST, None, 1),
            (&outside, RecordFlags::HEARTBEAT, None, 0),
            (&outside, RecordFlags::HEARTBEAT, some, 1),
            (&outside, RecordFlags::HEARTBEAT | RecordFlags::TXN_FIRST, some, 0),
            (&inside, RecordFlags::TXN_FIRST, None, 1),
            (&inside, RecordFlags::HEARTBEAT, some, 0),
            (&inside, RecordFlags::NONE, some, 1),
            (&inside, RecordFlags::TXN_LAST, None, 1),
            (&inside, RecordFlags::TXN_ABORT, some, 0),
            (&inside, RecordFlags::TXN_ABORT, None, 1),
        ];
        for (chain, flags, position, len) in cases {
            let mut after = chain.clone();
            after.admit(flags, 9, position, len).unwrap_err();
            assert_eq!(
                &after, chain,
                "a refused record must not move the chain: {flags:?}"
            );
        }
        inside.admit(RecordFlags::TXN_ABORT, 8, None, 0).unwrap();
        assert_eq!((inside.open_txn, inside.resume_seq), (None, LogSeq::NONE));
        inside.admit(RecordFlags::HEARTBEAT, 8, some, 0).unwrap();
        assert_eq!(inside.resume_seq, LogSeq(3));
    }
}
