//! A seeded write load for any source: inserts, updates, deletes, key changes, transactions of several rows and rollbacks
//! over tables with one key column, several, a unique key only, and none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::error::{Result, TestbedError};
use crate::server::Server;

/// Tables that the load writes to; [`Load::prepare`] makes them.
pub const LOAD_TABLES: [&str; 4] = ["load_single", "load_composite", "load_unique", "load_nokey"];

const KEYS: u32 = 5_000;

/// What a load does.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The database of the tables.
    pub database: String,
    /// The same seed gives the same statements per connection; how connections interleave is up to the server.
    pub seed: u64,
    /// How many write at a time.
    pub connections: u32,
    /// Transactions per second over all connections.
    pub rate: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            database: "load".into(),
            seed: 1,
            connections: 4,
            rate: 200,
        }
    }
}

/// What a load did. Rows count only when their transaction committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounters {
    /// Committed transactions.
    pub commits: u64,
    /// Transactions rolled back on purpose.
    pub rollbacks: u64,
    /// Transactions that the server ended for a deadlock, a lock wait or a duplicate key; they left nothing.
    pub conflicts: u64,
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
}

#[derive(Debug, Default)]
struct Shared {
    commits: AtomicU64,
    rollbacks: AtomicU64,
    conflicts: AtomicU64,
    inserts: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
}

/// A load in the background. Dropping it ends it at once, [`Load::stop`] after the running transactions.
#[derive(Debug)]
pub struct Load {
    writers: JoinSet<Result<()>>,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
}

impl Load {
    /// Makes database and tables with `rows` rows each; they must not be there yet.
    pub async fn prepare(server: &Server, options: &LoadOptions, rows: u32) -> Result<()> {
        let mut client = server.client().await?;
        let database = &options.database;
        client
            .query_drop(&format!(
                "CREATE DATABASE IF NOT EXISTS `{database}` DEFAULT CHARACTER SET utf8mb4"
            ))
            .await?;
        client.query_drop(&format!("USE `{database}`")).await?;
        client
            .run_all(&[
                "CREATE TABLE load_single (id INT UNSIGNED NOT NULL PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(200), \
                 at DATETIME(6), KEY by_n (n))",
                "CREATE TABLE load_composite (a INT NOT NULL, b VARCHAR(32) NOT NULL, n BIGINT NOT NULL, v VARCHAR(200), \
                 at DATETIME(6), PRIMARY KEY (b, a))",
                "CREATE TABLE load_unique (id INT NOT NULL, n BIGINT NOT NULL, v VARCHAR(200), at DATETIME(6), \
                 UNIQUE KEY only_key (id))",
                "CREATE TABLE load_nokey (id INT NOT NULL, n BIGINT NOT NULL, v VARCHAR(200), at DATETIME(6))",
            ])
            .await?;
        let mut rng = StdRng::seed_from_u64(options.seed);
        for first in (0..rows).step_by(500) {
            let last = rows.min(first + 500);
            for table in LOAD_TABLES {
                let rows: Vec<String> = (first..last)
                    .map(|id| format!("({})", values(table, id, &mut rng)))
                    .collect();
                client
                    .query_drop(&format!("INSERT INTO {table} VALUES {}", rows.join(",")))
                    .await?;
            }
        }
        client.close().await
    }

    /// Starts writing.
    pub async fn start(server: &Server, options: &LoadOptions) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = watch::channel(false);
        let mut writers = JoinSet::new();
        let connections = options.connections.max(1);
        let pause = Duration::from_secs(1) * connections / options.rate.max(1);
        for number in 0..connections {
            let mut client = server.client().await?;
            client.query_drop(&format!("USE `{}`", options.database)).await?;
            let rng = StdRng::seed_from_u64(
                options.seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            );
            writers.spawn(write(client, rng, pause, stopped.clone(), Arc::clone(&shared)));
        }
        Ok(Self {
            writers,
            stop,
            shared,
        })
    }

    /// What was done so far.
    pub fn counters(&self) -> LoadCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LoadCounters {
            commits: get(&self.shared.commits),
            rollbacks: get(&self.shared.rollbacks),
            conflicts: get(&self.shared.conflicts),
            inserts: get(&self.shared.inserts),
            updates: get(&self.shared.updates),
            deletes: get(&self.shared.deletes),
        }
    }

    /// Lets every connection end its transaction, and returns what was done; the first error of a connection, if any ended
    /// with one (a server that was killed under the load, for example).
    pub async fn stop(mut self) -> Result<LoadCounters> {
        // No receiver is left when all writers have ended with an error, which is reported below.
        let _ = self.stop.send(true);
        while let Some(ended) = self.writers.join_next().await {
            ended.map_err(|e| TestbedError::program("write load", e))??;
        }
        Ok(self.counters())
    }
}

#[derive(Default)]
struct Done {
    inserts: u64,
    updates: u64,
    deletes: u64,
}

async fn write(
    mut client: Client,
    mut rng: StdRng,
    pause: Duration,
    stop: watch::Receiver<bool>,
    shared: Arc<Shared>,
) -> Result<()> {
    let mut next = Instant::now();
    while !*stop.borrow() {
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        match transaction(&mut client, &mut rng).await {
            Ok(Some(done)) => {
                add(&shared.commits, 1);
                add(&shared.inserts, done.inserts);
                add(&shared.updates, done.updates);
                add(&shared.deletes, done.deletes);
            }
            Ok(None) => {
                add(&shared.rollbacks, 1);
            }
            // Lock wait, deadlock, duplicate key.
            Err(error) if matches!(error.server_code(), Some(1205 | 1213 | 1062)) => {
                client.query_drop("ROLLBACK").await?;
                add(&shared.conflicts, 1);
            }
            Err(error) => return Err(error),
        }
        next = (next + pause).max(Instant::now());
        sleep_until(next).await;
    }
    client.close().await
}

/// One transaction; `None` when it was rolled back on purpose.
async fn transaction(client: &mut Client, rng: &mut StdRng) -> Result<Option<Done>> {
    let statements = if rng.random_bool(0.7) {
        1
    } else {
        rng.random_range(2..=8)
    };
    let mut done = Done::default();
    client.query_drop("BEGIN").await?;
    for _ in 0..statements {
        let table = LOAD_TABLES[rng.random_range(0..LOAD_TABLES.len())];
        let id = rng.random_range(0..KEYS);
        match rng.random_range(0..100) {
            0..40 => {
                let count = if rng.random_bool(0.2) {
                    rng.random_range(2..=20)
                } else {
                    1
                };
                let rows: Vec<String> = (0..count)
                    .map(|_| format!("({})", values(table, rng.random_range(0..KEYS), rng)))
                    .collect();
                let verb = if table == "load_nokey" {
                    "INSERT"
                } else {
                    "INSERT IGNORE"
                };
                client
                    .query_drop(&format!("{verb} INTO {table} VALUES {}", rows.join(",")))
                    .await?;
                done.inserts += client.affected_rows();
            }
            40..75 => {
                let (n, text, filter) = (
                    rng.random_range(-1_000_000..1_000_000),
                    text(rng),
                    filter(table, id, rng),
                );
                client
                    .query_drop(&format!("UPDATE {table} SET n = {n}, v = {text} WHERE {filter}"))
                    .await?;
                done.updates += client.affected_rows();
            }
            // A key moves, sometimes onto one that was just deleted.
            75..85 => {
                let to = rng.random_range(0..KEYS);
                let set = if table == "load_composite" {
                    format!("a = {to}")
                } else {
                    format!("id = {to}")
                };
                let filter = filter(table, id, rng);
                client
                    .query_drop(&format!("UPDATE IGNORE {table} SET {set} WHERE {filter} LIMIT 1"))
                    .await?;
                done.updates += client.affected_rows();
            }
            _ => {
                let filter = filter(table, id, rng);
                client
                    .query_drop(&format!("DELETE FROM {table} WHERE {filter}"))
                    .await?;
                done.deletes += client.affected_rows();
            }
        }
    }
    if rng.random_bool(0.05) {
        client.query_drop("ROLLBACK").await?;
        return Ok(None);
    }
    client.query_drop("COMMIT").await?;
    Ok(Some(done))
}

fn filter(table: &str, id: u32, rng: &mut StdRng) -> String {
    match table {
        "load_composite" => format!("b = 'b{}' AND a = {id}", id % 7),
        // No index: a short range, so that several rows change in one statement.
        "load_nokey" => format!("id BETWEEN {id} AND {}", id + rng.random_range(0..3)),
        _ => format!("id = {id}"),
    }
}

fn values(table: &str, id: u32, rng: &mut StdRng) -> String {
    let (n, v) = (rng.random_range(-1_000_000..1_000_000), text(rng));
    let at = format!(
        "'20{:02}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}'",
        rng.random_range(0..38),
        rng.random_range(1..=12),
        rng.random_range(1..=28),
        rng.random_range(0..24),
        rng.random_range(0..60),
        rng.random_range(0..60),
        rng.random_range(0..1_000_000)
    );
    match table {
        "load_composite" => format!("{id}, 'b{}', {n}, {v}, {at}", id % 7),
        _ => format!("{id}, {n}, {v}, {at}"),
    }
}

fn text(rng: &mut StdRng) -> String {
    const WORDS: [&str; 8] = ["plain", "it''s", "数据", "naïve", "𝄞", "tab\\t", "", "trailing  "];
    match rng.random_range(0..10) {
        0 => "NULL".to_owned(),
        _ => {
            let words: Vec<&str> = (0..rng.random_range(1..6))
                .map(|_| WORDS[rng.random_range(0..WORDS.len())])
                .collect();
            format!("'{}'", words.join(" "))
        }
    }
}
