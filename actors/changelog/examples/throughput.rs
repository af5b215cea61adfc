//! Append-and-commit and read rates of the change log by record size.
//!
//! `cargo run --release -p oms-changelog --example throughput [folder] [MiB per size]`
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use oms_changelog::testing::position;
use oms_changelog::{ChangeLog, LogConfig, LogId, LogOrigin, LogRecord, NewRecord, ReadFrom, SegmentLog};

/// Bytes between two commits.
const GROUP: usize = 4 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let total = arguments.next().map_or(Ok(1024), |text| text.parse::<usize>())? << 20;
    println!(
        "{:>10} {:>12} {:>12} {:>12} {:>12}",
        "record", "write MB/s", "records/s", "read MB/s", "records/s"
    );
    for size in [50, 100, 300, 1_000, 10_000, 100_000, 10_000_000] {
        let dir = folder.join(format!("oms-changelog-throughput-{}-{size}", std::process::id()));
        let origin = LogOrigin {
            log_id: LogId([1; 16]),
            start_position: position(0),
        };
        let (log, _) = SegmentLog::open(LogConfig::new(&dir), origin).await?;
        let payload = Bytes::from(vec![7; size]);
        let (count, per_append) = (total / size, (64 << 10) / size + 2);
        let mut writer = log.writer().await?;
        let begun = Instant::now();
        let (mut sent, mut uncommitted) = (0, 0);
        while sent < count {
            // One transaction per append.
            let mut txn = vec![NewRecord::first(1, payload.clone())];
            txn.extend((2..per_append).map(|_| NewRecord::middle(1, payload.clone())));
            txn.push(NewRecord::last(1, position(sent as u64), payload.clone()));
            sent += txn.len();
            uncommitted += txn.len() * size;
            writer.append(txn).await?;
            if uncommitted >= GROUP {
                writer.commit().await?;
                uncommitted = 0;
            }
        }
        let last = writer.commit().await?;
        let wrote = begun.elapsed().as_secs_f64();
        let mut reader = log.open_reader(ReadFrom::Start).await?;
        let begun = Instant::now();
        let mut read_bytes = 0;
        while reader.next_seq() <= last {
            read_bytes += reader
                .next_batch(1 << 20)
                .await?
                .iter()
                .map(LogRecord::size)
                .sum::<usize>();
        }
        let read = begun.elapsed().as_secs_f64();
        let (mb, records) = (read_bytes as f64 / 1e6, sent as f64);
        println!(
            "{size:>10} {:>12.0} {:>12.0} {:>12.0} {:>12.0}",
            mb / wrote,
            records / wrote,
            mb / read,
            records / read
        );
        drop((reader, writer));
        log.close().await?;
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}
