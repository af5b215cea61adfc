//! Measures following and decoding a binary log file.
//!
//! `decode_speed FILE TABLE.json…`: the definitions are those of `TableSchema` in JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{env, fs, sync::Arc, time::Instant};

use bytes::Bytes;
use oms_core::{LogEvent, TableMap};
use oms_mysql::binlog::{decode_bytes, events_of_file};

fn main() {
    let mut arguments = env::args().skip(1);
    let file = Bytes::from(fs::read(arguments.next().expect("a file")).unwrap());
    let tables = arguments.map(|path| Arc::new(serde_json::from_slice(&fs::read(path).unwrap()).unwrap()));
    let tables = Arc::new(TableMap::new(tables.collect()));
    for _ in 0..3 {
        let begun = Instant::now();
        let (mut rows, mut commits, mut bytes) = (0u64, 0u64, 0usize);
        decode_bytes(&tables, file.clone(), |event| match event {
            LogEvent::Row(change) => {
                rows += 1;
                bytes += [&change.before, &change.after]
                    .into_iter()
                    .flatten()
                    .map(|r| r.size())
                    .sum::<usize>();
            }
            LogEvent::Commit { .. } => commits += 1,
            _ => {}
        })
        .unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{:.3} s: {rows} rows ({:.2} M/s), {commits} transactions ({:.0} k/s), {} events, {:.0} MB of log \
             ({:.0} MB/s), {:.0} MB of rows",
            seconds,
            rows as f64 / seconds / 1e6,
            commits as f64 / seconds / 1e3,
            events_of_file(file.clone()).count(),
            file.len() as f64 / 1e6,
            file.len() as f64 / seconds / 1e6,
            bytes as f64 / 1e6
        );
    }
}
