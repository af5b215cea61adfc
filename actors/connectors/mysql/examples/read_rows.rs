//! Measures how fast a table is read: `read_rows HOST PORT USER PASSWORD DATABASE TABLE`.

use std::{env, sync::Arc, time::Instant};

use oms_core::{ChunkRange, Failure, KeyOrder, SnapshotReader, Source, TableName, codes};
use oms_mysql::{
    MysqlSource,
    binlog::CaptureOptions,
    connection::{Endpoint, Secret, TlsMode},
};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, user, password, database, table] = arguments.as_slice() else {
        return Err(Failure::new(
            codes::config::INVALID,
            "read_rows HOST PORT USER PASSWORD DATABASE TABLE",
        ));
    };
    let endpoint = Endpoint {
        host: host.clone(),
        port: port.parse().unwrap_or(3306),
        user: user.clone(),
        password: Secret::new(password),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let source = MysqlSource::new(endpoint, CaptureOptions::default());
    let name = TableName::new(database, table);
    let tables = source.load_tables(std::slice::from_ref(&name)).await?;
    let mut reader = source.open_snapshot().await?;
    for definition in tables.into_iter().map(Arc::new) {
        for chunk in [0, 10_000, 100_000] {
            let started = Instant::now();
            let (rows, bytes) = read(reader.as_mut(), &definition, chunk).await?;
            let seconds = started.elapsed().as_secs_f64();
            report(&format!(
                "{name} in chunks of {chunk}: {rows} rows, {:.0} rows/s, {:.1} MB/s",
                rows as f64 / seconds,
                bytes as f64 / seconds / 1e6
            ));
        }
    }
    Ok(())
}

/// The result is this program's purpose.
#[allow(clippy::print_stdout)]
fn report(text: &str) {
    println!("{text}");
}

/// Reads all rows; `chunk` 0: in one statement.
async fn read(
    reader: &mut dyn SnapshotReader,
    table: &Arc<oms_core::TableSchema>,
    chunk: u64,
) -> Result<(u64, u64), Failure> {
    let (mut rows, mut bytes) = (0, 0);
    let mut after = None;
    loop {
        let through = match chunk {
            0 => None,
            n => reader.chunk_end(table, after.as_ref(), n).await?,
        };
        let range = ChunkRange {
            after: after.take(),
            through: through.clone(),
        };
        reader
            .read_chunk(Arc::clone(table), &range, KeyOrder::Any)
            .await?;
        while let Some(batch) = reader.next_batch(1 << 20).await? {
            rows += batch.rows.len() as u64;
            bytes += batch.bytes;
        }
        match through {
            Some(end) => after = Some(end),
            None => return Ok((rows, bytes)),
        }
    }
}
