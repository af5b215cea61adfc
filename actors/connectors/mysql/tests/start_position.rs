//! Where capture begins while transactions are being committed.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use oms_cluster_tests::{Server, ServerKind, ServerOptions};
use oms_core::{RecordFlags, Source as _};
use oms_mysql::{
    MysqlSource,
    binlog::CaptureOptions,
    connection::{Endpoint, Secret, TlsMode},
};

/// Under constant writes, everything that a capture from a start position delivers is behind that position; and
/// everything that was committed before it was asked for is not delivered.
async fn everything_captured_is_behind_the_start(kind: ServerKind) {
    let server = Server::start(kind, ServerOptions::source().gtid(true))
        .await
        .unwrap();
    let mut client = server.client().await.unwrap();
    let setup = [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT, w INT)",
    ];
    client.run_all(&setup).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..6 {
        let mut client = server.client().await.unwrap();
        let stop = Arc::clone(&stop);
        writers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let insert = format!("INSERT INTO d.t (w) VALUES ({writer})");
                client.query_drop(&insert).await.unwrap();
            }
        }));
    }
    let endpoint = Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let options = CaptureOptions {
        server_id: 4712,
        ..CaptureOptions::default()
    };
    let source = MysqlSource::new(endpoint, options);
    for round in 0..60 {
        let before: BTreeSet<String> = executed(&server).await;
        let start = source.start_position().await.unwrap();
        let mut capture = source.open_capture(&start).await.unwrap();
        let mut seen = 0;
        while seen < 20 {
            let record = capture.next().await.unwrap();
            let heartbeat = record.flags.has(RecordFlags::HEARTBEAT);
            if let Some(position) = record.position.filter(|_| !heartbeat) {
                seen += 1;
                assert!(
                    position > start,
                    "round {round}: {position} is not behind {start}"
                );
            }
        }
        // What was executed before is named by the start, so that it is not asked for.
        let text = start.to_string();
        for set in before {
            let last = set.rsplit(['-', ':']).next().unwrap().parse::<u64>().unwrap();
            let named = text
                .trim_end_matches(')')
                .rsplit(['-', ':'])
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap();
            assert!(named >= last, "round {round}: {text} does not name {set}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn executed(server: &Server) -> BTreeSet<String> {
    let mut client = server.client().await.unwrap();
    let rows = client
        .query_strings("SELECT @@global.gtid_executed")
        .await
        .unwrap();
    let text = rows.into_iter().flatten().next().unwrap_or_default();
    text.split(',')
        .map(|set| set.trim().to_owned())
        .filter(|s| !s.is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97() {
    everything_captured_is_behind_the_start(ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56() {
    everything_captured_is_behind_the_start(ServerKind::Mysql56).await;
}
