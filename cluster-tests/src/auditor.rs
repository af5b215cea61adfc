//! Looks at the destination's bank again and again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::bank::Bank;
use crate::client::Client;
use crate::server::Server;

/// A judge of the bank at work while everything else goes on. Dropping it ends it.
#[derive(Debug)]
pub struct Auditor {
    work: JoinHandle<Audit>,
    stop: watch::Sender<bool>,
}

/// What an [`Auditor`] saw.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// How often it looked.
    pub looks: u64,
    /// What was wrong, the first ten findings.
    pub findings: Vec<String>,
    /// The longest time between two looks in which nothing new had arrived.
    pub longest_standstill: Duration,
}

impl Auditor {
    /// Begins to look. The copy must be one that the source had, as after [`crate::Deployment::follow_bank`].
    pub async fn start(destination: &Server, database: &str) -> anyhow::Result<Self> {
        let client = destination.client().await?;
        let (stop, stopped) = watch::channel(false);
        let (port, password) = (destination.port(), destination.password().to_owned());
        let work = tokio::spawn(look(client, port, password, database.to_owned(), stopped));
        Ok(Self { work, stop })
    }

    /// What it saw until now.
    pub async fn stop(mut self) -> anyhow::Result<Audit> {
        // Nobody listens when it ended by a panic, which is reported below.
        let _ = self.stop.send(true);
        Ok((&mut self.work).await?)
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn look(
    mut client: Client,
    port: u16,
    password: String,
    database: String,
    stop: watch::Receiver<bool>,
) -> Audit {
    let mut audit = Audit::default();
    let (mut known, mut since) = (0, Instant::now());
    while !*stop.borrow() {
        let begin = Instant::now();
        match Bank::judge(&mut client, &database, None).await {
            Ok(entries) => {
                audit.looks += 1;
                if entries > known {
                    (known, since) = (entries, Instant::now());
                }
                audit.longest_standstill = audit.longest_standstill.max(since.elapsed());
            }
            // A broken connection is no finding: the destination may be down on purpose.
            Err(error) if error.downcast_ref::<crate::TestbedError>().is_some() => {
                if let Ok(new) = Client::connect_to("127.0.0.1", port, "root", &password).await {
                    client = new;
                }
            }
            Err(error) => {
                audit.looks += 1;
                if audit.findings.len() < 10 {
                    audit.findings.push(format!("{error:#}"));
                }
            }
        }
        // A tenth of the time at most: it must not slow down what it looks at.
        sleep(Duration::from_millis(50).max(begin.elapsed() * 9)).await;
    }
    audit
}
