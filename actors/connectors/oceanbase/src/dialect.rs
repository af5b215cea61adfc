//! Facts about writing to OceanBase.

use std::time::Duration;

use oms_core::{ErrorCode, Failure, codes};
use oms_mysql::{
    connection::{Flavor, ServerInfo},
    sink::{Dialect, SessionFacts},
};

/// OceanBase in MySQL mode, seekdb included.
///
/// seekdb may keep the transaction of a client that was killed, without any session that could be ended;
/// nobody gets its locks before it times out. So every transaction of a writer has a bound.
#[derive(Clone, Copy, Debug)]
pub struct OceanBaseDialect {
    /// How long an ordinary transaction may take.
    pub ordinary: Duration,
    /// How long one may take that is streamed. Within the hour for which a component retries.
    pub streamed: Duration,
}

impl Default for OceanBaseDialect {
    fn default() -> Self {
        Self {
            ordinary: Duration::from_secs(150),
            streamed: Duration::from_secs(3_000),
        }
    }
}

impl Dialect for OceanBaseDialect {
    fn accept(&self, server: &ServerInfo) -> Result<(), Failure> {
        if server.flavor == Flavor::OceanBase {
            return Ok(());
        }
        Err(Failure::new(
            codes::dst::STATEMENT_FAILED,
            format!(
                "the data source is registered as OceanBase, but the server is {} ({})",
                server.flavor.name(),
                server.version
            ),
        ))
    }

    fn session(&self, _server: &SessionFacts) -> Vec<String> {
        vec![
            // With REPEATABLE READ an UPDATE that meets a row changed since the transaction's snapshot
            // fails with 6235; with READ COMMITTED it waits and reads the row anew, as the fence needs.
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            // Microseconds. The default of 10 s for a query ends large statements while the server
            // throttles writes. 20 s between two statements, in any transaction.
            format!(
                "SET SESSION ob_query_timeout = 3600000000, ob_trx_timeout = {}, ob_trx_idle_timeout = 20000000",
                self.ordinary.as_micros()
            ),
        ]
    }

    fn lock_wait(&self, seconds: u32) -> String {
        // The server may go on with a transaction whose client was killed while it waited for a lock. It is
        // the server that has to end it then, or nobody gets these locks for a day.
        let micros = u64::from(seconds) * 1_000_000;
        format!(
            "SET SESSION ob_trx_lock_timeout = {micros}, ob_trx_timeout = {}",
            micros * 10
        )
    }

    fn transaction_bound(&self, streamed: bool) -> Option<String> {
        let bound = if streamed { self.streamed } else { self.ordinary };
        Some(format!("SET SESSION ob_trx_timeout = {}", bound.as_micros()))
    }

    fn meaning(&self, number: u16, message: &str) -> Option<ErrorCode> {
        let text = message.to_ascii_lowercase();
        let has = |words: &str| text.contains(words);
        // OceanBase's own numbers; some are MySQL's too, so the text decides for those.
        Some(match number {
            // Query or transaction time-out.
            4012 if has("timeout") => codes::dst::TRANSIENT,
            // No memory in the tenant; the write buffer is full and being flushed.
            4013 | 4030 if has("memory") => codes::dst::TRANSIENT,
            // Try again; a partition's leader is moving; the location cache is behind.
            4019 | 4023 | 4038 | 4654 | 4721 | 4722 | 4725 => codes::dst::TRANSIENT,
            // Disk full of the log or the data.
            4184 | 4264 if has("disk") || has("space") => codes::dst::DISK_FULL,
            // A schema is not yet everywhere.
            4265 | 5019 | 5157 | 5158 | 5627 if has("schema") => codes::dst::TRANSIENT,
            // The transaction was killed, timed out, must be rolled back, or met another's write.
            6001..=6006 | 6210..=6213 | 6224..=6226 | 6235 => codes::dst::TRANSIENT,
            // Spatial reference systems that are not loaded, and geometries of them.
            1416 | 3548 => codes::dst::VALUE_NOT_REPRESENTABLE,
            _ => return None,
        })
    }

    fn rows_per_insert(&self) -> usize {
        // 500 to 2000 rows cost the least; from 5000 on a row costs twice as much.
        1_000
    }

    fn bytes_per_insert(&self) -> usize {
        384 * 1024
    }

    fn keys_per_delete(&self) -> usize {
        1_000
    }

    fn rows_per_update(&self) -> usize {
        // Reading a statement costs so much here that comparing more keys pays.
        100
    }

    fn statements_per_packet(&self) -> usize {
        200
    }

    fn row_constructors(&self) -> bool {
        true
    }

    fn keeps_negative_zero(&self, _server: &ServerInfo) -> bool {
        true
    }

    fn longest_literal(&self) -> Option<usize> {
        // A statement takes some sixteen times its length of memory: 64 MB in one statement exceed
        // what a tenant of 2 GB gives a query (11049). Appending in pieces takes a tenth of it.
        Some(8 << 20)
    }

    fn counts_duplicates(&self) -> bool {
        // Its message says 0 duplicates when affected rows count the rows found.
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_numbers_are_told_from_those_of_mysql() {
        let meaning = |number, text| OceanBaseDialect::default().meaning(number, text);
        assert_eq!(
            meaning(4012, "Timeout, query has reached the maximum"),
            Some(codes::dst::TRANSIENT)
        );
        assert_eq!(meaning(4012, "Multiple constraints exist with the name"), None);
        assert_eq!(
            meaning(4013, "No memory or reach tenant memory limit"),
            Some(codes::dst::TRANSIENT)
        );
        assert_eq!(
            meaning(6002, "transaction needs rollback"),
            Some(codes::dst::TRANSIENT)
        );
        assert_eq!(
            meaning(6235, "can't serialize access"),
            Some(codes::dst::TRANSIENT)
        );
        assert_eq!(meaning(1062, "Duplicate entry"), None);
    }
}
