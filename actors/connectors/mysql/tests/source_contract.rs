//! The contract of sources on real servers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{
    Row, Source, Value,
    testing::{
        SourceChange, SourceTable,
        source::{self, SourceBed},
    },
};
use oms_mysql::{
    MysqlSource,
    binlog::CaptureOptions,
    connection::{Endpoint, Secret, TlsMode},
};
use tokio::sync::Mutex;

struct Bed {
    // Closed before the server ends: fields drop in this order.
    client: Mutex<Client>,
    source: Arc<dyn Source>,
    server: Server,
}

impl Bed {
    async fn start(kind: ServerKind, options: ServerOptions) -> Self {
        let server = Server::start(kind, options).await.expect("start the server");
        let mut client = server.client().await.expect("connect");
        client
            .run_all(&["CREATE DATABASE source_contract", "USE source_contract"])
            .await
            .expect("the database");
        let endpoint = Endpoint {
            host: server.host().to_owned(),
            port: server.port(),
            // The account with no more privileges than the project asks for.
            user: server.oms_user().to_owned(),
            password: Secret::new(server.password()),
            tls: TlsMode::Disable,
            tls_ca_pem: String::new(),
        };
        let capture = CaptureOptions {
            server_id: 900_000 + u32::from(server.port()),
            heartbeat: Duration::from_millis(500),
            ..CaptureOptions::default()
        };
        Self {
            client: Mutex::new(client),
            source: Arc::new(MysqlSource::new(endpoint, capture)),
            server,
        }
    }

    async fn run(&self, statements: &[String]) {
        let mut client = self.client.lock().await;
        client.run_all(statements).await.expect("statements");
    }

    /// Gives the source's account a privilege.
    async fn grant(&self, privilege: &str) {
        let user = self.server.oms_user();
        let hosts = {
            let mut client = self.client.lock().await;
            let query = format!("SELECT host FROM mysql.user WHERE user = '{user}'");
            client.query_strings(&query).await.expect("the account")
        };
        assert!(!hosts.is_empty(), "there is no account {user}");
        for host in hosts.iter().flatten() {
            self.run(&[format!("GRANT {privilege} ON *.* TO '{user}'@'{host}'")])
                .await;
        }
    }

    async fn transaction(&self, changes: &[SourceChange], end: &str) {
        let mut statements = vec!["BEGIN".to_owned()];
        statements.extend(changes.iter().map(statement));
        statements.push(end.to_owned());
        self.run(&statements).await;
    }
}

fn literals(row: &Row) -> [String; 3] {
    let literal = |i| match row.get(i) {
        Value::Null => "NULL".to_owned(),
        Value::Int(v) => v.to_string(),
        Value::Text(v) => format!(
            "_utf8mb4 X'{}'",
            v.iter().map(|b| format!("{b:02X}")).collect::<String>()
        ),
        other => panic!("a value of kind {:?}", other.kind()),
    };
    [0, 1, 2].map(literal)
}

fn statement(change: &SourceChange) -> String {
    let table = &change.table;
    let found = |row: &Row| {
        let [id, u, t] = literals(row);
        format!("WHERE id = {id} AND u <=> {u} AND CAST(t AS BINARY) <=> CAST({t} AS BINARY) LIMIT 1")
    };
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("INSERT INTO {table} VALUES ({})", literals(after).join(", ")),
        (Some(before), None) => format!("DELETE FROM {table} {}", found(before)),
        (Some(before), Some(after)) => {
            let [id, u, t] = literals(after);
            format!("UPDATE {table} SET id = {id}, u = {u}, t = {t} {}", found(before))
        }
        (None, None) => panic!("a change without rows"),
    }
}

#[async_trait]
impl SourceBed for Bed {
    fn source(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    async fn create_table(&self, table: &SourceTable) {
        let null = |column| {
            if table.key.contains(&column) {
                "NOT NULL"
            } else {
                "NULL"
            }
        };
        let key = match table.key {
            [] => String::new(),
            columns => format!(", PRIMARY KEY ({})", columns.join(", ")),
        };
        self.run(&[
            format!("DROP TABLE IF EXISTS {}", table.name),
            format!(
                "CREATE TABLE {} (id BIGINT NOT NULL, u INT {}, t VARCHAR(40) CHARACTER SET utf8mb4 COLLATE \
                 utf8mb4_general_ci {}{key}) ENGINE=InnoDB",
                table.name,
                null("u"),
                null("t")
            ),
        ])
        .await;
    }

    async fn commit(&self, changes: &[SourceChange]) {
        self.transaction(changes, "COMMIT").await;
    }

    async fn roll_back(&self, changes: &[SourceChange]) {
        self.transaction(changes, "ROLLBACK").await;
    }

    async fn purge(&self) {
        let mut client = self.client.lock().await;
        client.query_drop("FLUSH BINARY LOGS").await.expect("a new file");
        let files = client.query_strings("SHOW BINARY LOGS").await.expect("the files");
        let last = files.last().and_then(|f| f.first()).expect("a file").clone();
        let purge = format!("PURGE BINARY LOGS TO '{last}'");
        let began = Instant::now();
        // A file stays as long as the server has not noticed that its reader is gone.
        loop {
            client.query_drop(&purge).await.expect("purge");
            let files = client.query_strings("SHOW BINARY LOGS").await.expect("the files");
            if files.len() == 1 {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{files:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn hold(kind: ServerKind, options: ServerOptions) {
    hold_with(Bed::start(kind, options).await).await;
}

/// The server ends with the bed. It is not asked to stop: MySQL 5.6 may wait a minute for readers of its
/// log that it has not noticed to be gone.
async fn hold_with(bed: Bed) {
    source::run_all(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    hold(ServerKind::MariaDb, ServerOptions::source()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_97_with_gtid() {
    hold(ServerKind::Mysql97, ServerOptions::source()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56_with_gtid() {
    hold(ServerKind::Mysql56, ServerOptions::source()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56_without_gtid() {
    let bed = Bed::start(ServerKind::Mysql56, ServerOptions::source().gtid(false)).await;
    // Without GTIDs the position of a snapshot is found by looking at the transactions of the engine.
    bed.grant("PROCESS").await;
    hold_with(bed).await;
}
