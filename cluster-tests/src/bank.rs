//! Money that must not appear or vanish: transfers between accounts, and a table without a key that must hold each of
//! them exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::Client;
use crate::error::{Result, TestbedError};
use crate::server::Server;

const OPENING_BALANCE: i64 = 1_000;
const TRANSFER_TABLE: &str = "entries";

/// What a bank is.
#[derive(Debug, Clone)]
pub struct BankOptions {
    /// The database of the tables.
    pub database: String,
    /// Accounts.
    pub accounts: u32,
    /// How many write at a time.
    pub connections: u32,
    /// Transfers per second over all connections.
    pub rate: u32,
    /// Which accounts are chosen.
    pub seed: u64,
}

impl Default for BankOptions {
    fn default() -> Self {
        Self {
            database: "bank".into(),
            accounts: 100,
            connections: 2,
            rate: 100,
            seed: 1,
        }
    }
}

/// Transfers in the background. Each is one transaction: two balances change, and a row with the transfer's number,
/// both accounts and the amount goes to a table that has no key.
///
/// Numbers have no holes: a transaction that failed is tried again under its number, after a look whether it is there
/// when nobody knows. So at the end every number from 1 is at the source exactly once, whatever happened to it.
#[derive(Debug)]
pub struct Bank {
    writers: JoinSet<Result<()>>,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
    database: String,
}

#[derive(Debug, Default)]
struct Shared {
    begun: AtomicU64,
    committed: AtomicU64,
}

impl Bank {
    /// The tables, for comparisons.
    pub const TABLES: [&'static str; 2] = ["accounts", TRANSFER_TABLE];

    /// Makes database, tables and accounts.
    pub async fn prepare(server: &Server, options: &BankOptions) -> Result<()> {
        let mut client = server.client().await?;
        let rows: Vec<String> = (0..options.accounts)
            .map(|id| format!("({id}, {OPENING_BALANCE})"))
            .collect();
        client
            .run_all(&[
                format!("CREATE DATABASE `{}`", options.database),
                format!("USE `{}`", options.database),
                "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL)".into(),
                format!(
                    "CREATE TABLE {TRANSFER_TABLE} (n BIGINT NOT NULL, payer INT NOT NULL, payee INT NOT NULL, \
                     amount BIGINT NOT NULL)"
                ),
                format!("INSERT INTO accounts VALUES {}", rows.join(",")),
            ])
            .await?;
        client.close().await
    }

    /// Starts writing.
    pub async fn start(server: &Server, options: &BankOptions) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = watch::channel(false);
        let mut writers = JoinSet::new();
        let connections = options.connections.max(1);
        for number in 0..connections {
            let teller = Teller {
                port: server.port(),
                password: server.password().to_owned(),
                database: options.database.clone(),
                accounts: options.accounts,
                rng: StdRng::seed_from_u64(
                    options.seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                ),
                shared: Arc::clone(&shared),
            };
            let client = teller.connect().await?;
            let pause = Duration::from_secs(1) * connections / options.rate.max(1);
            writers.spawn(teller.work(client, pause, stopped.clone()));
        }
        Ok(Self {
            writers,
            stop,
            shared,
            database: options.database.clone(),
        })
    }

    /// The database of the tables.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The highest number that was given to a transaction. A higher one at a destination was written after this call.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::SeqCst)
    }

    /// Transfers that were committed.
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::SeqCst)
    }

    /// Waits until so many more transfers were committed.
    pub async fn more(&self, count: u64) {
        let goal = self.committed() + count;
        while self.committed() < goal {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets every transfer end; how many there are. An error if a writer ended by one.
    pub async fn stop(mut self) -> Result<u64> {
        // No receiver is left when all writers have ended with an error, which is reported below.
        let _ = self.stop.send(true);
        while let Some(ended) = self.writers.join_next().await {
            ended.map_err(|e| TestbedError::program("bank", e))??;
        }
        let (begun, committed) = (self.begun(), self.committed());
        if begun != committed {
            let detail = format!("{begun} transfers began and {committed} were committed");
            return Err(TestbedError::program("bank", detail));
        }
        Ok(committed)
    }

    /// The highest number in a copy of the table.
    pub async fn highest(client: &mut Client, database: &str) -> Result<u64> {
        client
            .query_count(&format!(
                "SELECT COALESCE(MAX(n), 0) FROM `{database}`.{TRANSFER_TABLE}"
            ))
            .await
    }

    /// Looks at both tables in one consistent read (a single statement) and says what is wrong: money that appeared or
    /// vanished, an account that does not agree with the transfers, a transfer that is there more than once, and with
    /// `total` one that is missing.
    pub async fn judge(client: &mut Client, database: &str, total: Option<u64>) -> anyhow::Result<u64> {
        let d = format!("`{database}`");
        let row = client
            .query_strings(&format!(
                "SELECT (SELECT COUNT(*) FROM {d}.accounts), \
                 (SELECT CAST(COALESCE(SUM(balance), 0) AS SIGNED) FROM {d}.accounts), \
                 (SELECT COUNT(*) FROM {d}.{TRANSFER_TABLE}), \
                 (SELECT COUNT(DISTINCT n) FROM {d}.{TRANSFER_TABLE}), \
                 (SELECT COALESCE(MAX(n), 0) FROM {d}.{TRANSFER_TABLE}), \
                 (SELECT COUNT(*) FROM {d}.accounts a LEFT JOIN \
                   (SELECT account, SUM(change_) AS changes FROM \
                     (SELECT payer AS account, -amount AS change_ FROM {d}.{TRANSFER_TABLE} \
                      UNION ALL SELECT payee, amount FROM {d}.{TRANSFER_TABLE}) AS moves \
                    GROUP BY account) AS sums ON sums.account = a.id \
                  WHERE a.balance <> {OPENING_BALANCE} + COALESCE(sums.changes, 0))"
            ))
            .await?
            .into_iter()
            .next()
            .context("one row")?;
        let numbers: Vec<i64> = row
            .iter()
            .map(|v| v.parse())
            .collect::<std::result::Result<_, _>>()?;
        let [accounts, balance, entries, distinct, highest, wrong] = numbers[..] else {
            anyhow::bail!("six columns");
        };
        ensure!(
            balance == accounts * OPENING_BALANCE && wrong == 0 && entries == distinct,
            "the bank is wrong: {accounts} accounts hold {balance}, {wrong} of them do not agree with the transfers; \
             {entries} transfers have {distinct} numbers"
        );
        if let Some(total) = total {
            let total = i64::try_from(total)?;
            ensure!(
                entries == total && highest == total,
                "of {total} transfers {entries} are there, the highest is {highest}"
            );
        }
        Ok(u64::try_from(entries)?)
    }
}

#[derive(Debug)]
struct Teller {
    port: u16,
    password: String,
    database: String,
    accounts: u32,
    rng: StdRng,
    shared: Arc<Shared>,
}

impl Teller {
    async fn connect(&self) -> Result<Client> {
        let mut client = Client::connect_to("127.0.0.1", self.port, "root", &self.password).await?;
        client.query_drop(&format!("USE `{}`", self.database)).await?;
        Ok(client)
    }

    async fn work(mut self, mut client: Client, pause: Duration, stop: watch::Receiver<bool>) -> Result<()> {
        let mut next = Instant::now();
        while !*stop.borrow() {
            let n = self.shared.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let payer = self.rng.random_range(0..self.accounts);
            let payee = (payer + self.rng.random_range(1..self.accounts)) % self.accounts;
            let amount = self.rng.random_range(1..50);
            while let Err(error) = transfer(&mut client, n, (payer, payee), amount).await {
                match error.server_code() {
                    // Lock wait, deadlock: nothing is left of it.
                    Some(1205 | 1213) => client.query_drop("ROLLBACK").await?,
                    // The server said no for another reason: that is a mistake of the test.
                    Some(code) if code < 1900 && code != 1053 => return Err(error),
                    _ => {
                        client = self.reconnect().await?;
                        let there = format!("SELECT COUNT(*) FROM {TRANSFER_TABLE} WHERE n = {n}");
                        if client.query_count(&there).await? == 1 {
                            break;
                        }
                    }
                }
            }
            self.shared.committed.fetch_add(1, Ordering::SeqCst);
            next = (next + pause).max(Instant::now());
            sleep_until(next).await;
        }
        client.close().await
    }

    async fn reconnect(&self) -> Result<Client> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.connect().await {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn transfer(client: &mut Client, n: u64, (payer, payee): (u32, u32), amount: u32) -> Result<()> {
    let change = |id: u32, sign: char| {
        format!("UPDATE accounts SET balance = balance {sign} {amount} WHERE id = {id}")
    };
    // In the order of accounts, so that transfers rarely end in a deadlock.
    let mut changes = [(payer, '-'), (payee, '+')];
    changes.sort_unstable();
    client.query_drop("BEGIN").await?;
    for (id, sign) in changes {
        client.query_drop(&change(id, sign)).await?;
    }
    client
        .query_drop(&format!(
            "INSERT INTO {TRANSFER_TABLE} VALUES ({n}, {payer}, {payee}, {amount})"
        ))
        .await?;
    client.query_drop("COMMIT").await
}
