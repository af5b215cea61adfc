//! Measures how fast chunks are written: `write_rates HOST PORT USER PASSWORD [ROWS] [WRITERS]`.
//!
//! The server's kind is found out. Tables are made in the database `omsnode_rates`, which is dropped
//! at the end.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, sync::Arc, time::Instant};

use oms_core::{
    ChunkRange, ChunkReceipt, ClaimToken, Epoch, ExistingRows, Row, RowBuilder, Sink, SinkOptions, TableName,
    TablePair, Value,
};
use oms_mysql::{
    connection::{Endpoint, Flavor, Secret, ServerInfo, Side, TlsMode, connect},
    sink::MysqlSink,
};
use oms_oceanbase::OceanBaseSink;

const CHUNK: u64 = 10_000;

fn row(id: u64, pad: &str) -> Result<Row, Box<dyn Error + Send + Sync>> {
    let k = (id.wrapping_mul(2_654_435_761) % 1_000_000) as i64;
    let values = [
        Value::Int(id as i64),
        Value::Int(k),
        Value::Text(pad.as_bytes()),
        Value::Text(pad.get(..60).unwrap_or_default().as_bytes()),
    ];
    Ok(RowBuilder::build(values.into_iter())?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let text = |i: usize| arguments.get(i).cloned().unwrap_or_default();
    let endpoint = Endpoint {
        host: text(0),
        port: text(1).parse()?,
        user: text(2),
        password: Secret::new(text(3)),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let rows: u64 = text(4).parse().unwrap_or(200_000);
    let writers: u64 = text(5).parse().unwrap_or(1);
    let mut conn = connect(&endpoint, Side::Destination).await?;
    let server = ServerInfo::probe(&mut conn, Side::Destination).await?;
    let sink: Arc<dyn Sink> = match server.flavor {
        Flavor::OceanBase => Arc::new(OceanBaseSink::new(endpoint)),
        _ => Arc::new(MysqlSink::new(endpoint)),
    };
    let name = TableName::new("omsnode_rates", "t");
    sink.execute_ddl(None, "CREATE DATABASE IF NOT EXISTS omsnode_rates")
        .await?;
    sink.execute_ddl(None, &format!("DROP TABLE IF EXISTS {name}"))
        .await?;
    let columns =
        "id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL";
    sink.execute_ddl(
        None,
        &format!("CREATE TABLE {name} ({columns}) DEFAULT CHARSET=utf8mb4"),
    )
    .await?;
    let schema = Arc::new(
        sink.load_tables(std::slice::from_ref(&name))
            .await?
            .into_iter()
            .flatten()
            .next()
            .ok_or("no table")?,
    );
    let pair = TablePair::by_name(schema.clone(), schema)?;
    let token = ClaimToken {
        component: "p_rates.full-import".parse()?,
        epoch: Epoch(1),
    };
    let claim = sink
        .claim(
            token,
            SinkOptions {
                tables: Arc::new(vec![pair]),
                lanes: 0,
            },
        )
        .await?;
    let pad = "0123456789-".repeat(11).get(..119).unwrap_or_default().to_owned();
    let begun = Instant::now();
    let mut working = Vec::new();
    for writer in 0..writers {
        let (claim, name, pad) = (claim.clone(), name.clone(), pad.clone());
        working.push(tokio::spawn(async move {
            let mut target = claim.chunk_writer().await?;
            let mut bytes = 0u64;
            let mut number = writer;
            while number * CHUNK < rows {
                let batch = (number * CHUNK..((number + 1) * CHUNK).min(rows))
                    .map(|id| row(id, &pad))
                    .collect::<Result<Vec<Row>, _>>()?;
                target.begin(0, ExistingRows::Replace).await?;
                target.write(&batch).await?;
                bytes += batch.iter().map(|r| r.size() as u64).sum::<u64>();
                let receipt = ChunkReceipt {
                    table: name.clone(),
                    number,
                    range: ChunkRange::default(),
                    rows: batch.len() as u64,
                    bytes: 0,
                    snapshot: None,
                };
                target.commit(&receipt).await?;
                number += writers;
            }
            Ok::<u64, Box<dyn Error + Send + Sync>>(bytes)
        }));
    }
    let mut bytes = 0;
    for worker in working {
        bytes += worker.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{}: {rows} rows, {writers} writers: {:.0} rows/s, {:.1} MB/s",
        server.flavor.name(),
        rows as f64 / seconds,
        bytes as f64 / 1e6 / seconds
    );
    sink.forget(&"p_rates.full-import".parse()?).await?;
    sink.execute_ddl(None, "DROP DATABASE omsnode_rates").await?;
    Ok(())
}
