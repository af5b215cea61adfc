//! A real server for the contract of sinks.

mod freezer;

use std::sync::Arc;

use async_trait::async_trait;
use oms_cluster_tests::{Server, ServerKind, ServerOptions};
use oms_core::{
    Row, Sink, TableName,
    testing::{
        TableShape,
        sink::{Freezer, SinkBed},
    },
};
use oms_mysql::connection::{Endpoint, Secret, TlsMode};

pub(crate) use freezer::ProxyFreezer;

pub(crate) struct Bed {
    pub(crate) server: Server,
    pub(crate) sink: Arc<dyn Sink>,
    make: fn(Endpoint) -> Arc<dyn Sink>,
}

pub(crate) fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        host: server.host().to_owned(),
        port: server.port(),
        user: server.user().to_owned(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    }
}

impl Bed {
    pub(crate) async fn start(kind: ServerKind, make: fn(Endpoint) -> Arc<dyn Sink>) -> Self {
        Self::start_with(kind, ServerOptions::destination(), make).await
    }

    pub(crate) async fn start_with(
        kind: ServerKind,
        options: ServerOptions,
        make: fn(Endpoint) -> Arc<dyn Sink>,
    ) -> Self {
        let server = Server::start(kind, options).await.expect("start the server");
        let sink = make(endpoint(&server));
        let bed = Self { server, sink, make };
        bed.execute("CREATE DATABASE sink_contract").await;
        bed
    }

    /// Stops the server.
    pub(crate) async fn finish(mut self) {
        self.server.stop().await.expect("stop the server");
    }

    pub(crate) async fn execute(&self, statement: &str) {
        self.sink.execute_ddl(None, statement).await.expect(statement);
    }
}

#[async_trait]
impl SinkBed for Bed {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    async fn create_table(&self, name: &TableName, shape: TableShape) {
        let keys = match shape {
            TableShape::Keyed => ", PRIMARY KEY (id)",
            TableShape::KeyedAndUnique => ", PRIMARY KEY (id), UNIQUE KEY u (u)",
            TableShape::Keyless => "",
        };
        self.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
        self.execute(&format!(
            "CREATE TABLE {name} (id BIGINT NOT NULL, u INT NULL, \
             t VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL{keys})"
        ))
        .await;
    }

    async fn rows(&self, name: &TableName) -> Vec<Row> {
        let loaded = self
            .sink
            .load_tables(std::slice::from_ref(name))
            .await
            .expect("load the table");
        let table = Arc::new(loaded.into_iter().next().flatten().expect("the table exists"));
        let mut reader = self.sink.open_snapshot().await.expect("open a reader");
        reader.read_all(table).await.expect("read");
        let mut rows = Vec::new();
        while let Some(batch) = reader.next_batch(1 << 20).await.expect("a batch") {
            rows.extend(batch.rows);
        }
        rows.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        rows
    }

    async fn freezer(&self) -> Box<dyn Freezer> {
        let sink = |port| {
            (self.make)(Endpoint {
                port,
                ..endpoint(&self.server)
            })
        };
        Box::new(ProxyFreezer::start(self.server.port(), sink).await)
    }
}
