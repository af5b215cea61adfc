//! The contract of [`ChangeLog`], as a suite that every implementation passes.
//!
//! Implement [`Subject`] and write `oms_changelog::change_log_contract!(name, subject)` in a test file; each
//! case becomes a test. The cases wait for conditions only; a case that hangs has found a missed wake-up.

mod places;
mod retention;
mod writing;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{BinlogPosition, GtidState, Position};

use crate::{
    ChangeLog, ChangeLogError, LogReader, LogRecord, LogSeq, LogWriter, NewRecord, ReadFrom, RecordFlags,
    RetentionPolicy,
};

pub use places::{
    numbers_are_found_or_refused, positions_are_found_or_refused, positions_between_are_found,
    resume_position_follows,
};
pub use retention::{retention_by_age, retention_keeps_transactions_whole, retention_respects_everybody};
pub use writing::{
    bad_order_is_refused, close_ends_everything, commit_wakes_reader, dropped_calls_lose_nothing,
    many_readers, one_writer, open_transaction_is_voided, order_and_content, stats_tell_what_is_durable,
    uncommitted_is_invisible,
};

/// What the suite is run on.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A new, empty log that starts at [`position`]`(0)`, holds at least 8 MiB, and whose units of
    /// retention are not larger than 16 KiB.
    async fn fresh(&self) -> Arc<dyn ChangeLog>;
}

/// The `n`-th position of one source.
pub fn position(n: u64) -> Position {
    at("source", n)
}

/// A position that does not compare with [`position`].
pub fn foreign_position(n: u64) -> Position {
    at("another source", n)
}

fn at(server: &str, offset: u64) -> Position {
    Position::Binlog(BinlogPosition {
        server: server.to_owned(),
        file: "log.000001".to_owned(),
        offset,
        gtid: GtidState::None,
    })
}

/// A payload that is recognizable by its number.
pub fn payload(n: u64, len: usize) -> Bytes {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(len.max(8), n as u8);
    Bytes::from(bytes)
}

/// Reads up to and including record `last`.
pub async fn read_to(reader: &mut dyn LogReader, last: LogSeq) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while reader.next_seq() <= last {
        records.extend(reader.next_batch(1 << 16).await.expect("a batch"));
    }
    records
}

const REMOVE_ALL: RetentionPolicy = RetentionPolicy {
    min_age_us: i64::MAX,
    max_bytes: 0,
};

/// Appends and commits transactions of one record, numbered and with positions `from..to`.
async fn singles(writer: &mut dyn LogWriter, numbers: std::ops::Range<u64>, len: usize) -> LogSeq {
    for n in numbers {
        let record = NewRecord::single(n as i64, position(n), payload(n, len));
        writer.append(vec![record]).await.expect("appended");
    }
    writer.commit().await.expect("committed")
}

fn poll_once<F: Future>(future: &mut std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Makes each case of the contract a test: `change_log_contract!(module_name, subject_expression);`
#[macro_export]
macro_rules! change_log_contract {
    ($module:ident, $subject:expr) => {
        $crate::change_log_contract!(@cases $module, $subject,
            order_and_content uncommitted_is_invisible commit_wakes_reader dropped_calls_lose_nothing one_writer
            bad_order_is_refused open_transaction_is_voided resume_position_follows
            positions_are_found_or_refused positions_between_are_found numbers_are_found_or_refused retention_respects_everybody
            retention_by_age retention_keeps_transactions_whole close_ends_everything many_readers
            stats_tell_what_is_durable);
    };
    (@cases $module:ident, $subject:expr, $($case:ident)+) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::$case(&$subject).await;
                }
            )+
        }
    };
}
