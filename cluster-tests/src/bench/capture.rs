//! From the source's log over the network to durable local disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use oms_actors::{
    Behavior, ComponentLog, Context, Facts, Reporter, RunState, Shelf, Store, StoreSettings, SystemClock,
};
use oms_core::{
    BinlogPosition, ComponentId, Epoch, Failure, GtidState, MariaDbGtidPosition, Position, Source,
};
use oms_mysql::{MysqlSource, binlog::CaptureOptions};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::logged_load::{LoggedFile, LoggedLoad};
use super::{BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter};
use crate::client::Client;
use crate::server::{Role, Server, ServerKind};

const OURS: &str = "omsnode";
const NATIVE: &str = "MariaDB's I/O thread";
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

/// A finished binlog is fetched from its start to its end over TCP, and kept on the local disk.
///
/// Ours is the Store as a node runs it: what it counts as reached is synced. The peer, which is the limit as well, is a
/// replica of the same server of which only the I/O thread runs, with its defaults: it syncs its relay log every 10,000
/// events (`sync_relay_log`). Measured is the time from the command to begin
/// until the end of the last transaction is reached.
pub async fn capture(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let source = BenchServer::start(ServerKind::MariaDb, Role::Source, options.rows, progress).await?;
    let replica = BenchServer::start(ServerKind::MariaDb, Role::Destination, options.rows, progress).await?;
    let mut results = Vec::new();
    for load in LoggedLoad::ALL {
        if !options.wants(load.case()) {
            continue;
        }
        let rows = match load {
            LoggedLoad::Sysbench => options.rows,
            LoggedLoad::Wide => options.rows / 4,
        };
        let log = load.write(&source, rows.max(8)).await?;
        let mb = std::fs::metadata(&log.path)?.len() as f64 / 1e6;
        progress(format!("{}: {mb:.0} MB of log", load.case()));
        let mut figures = Figures::new();
        let mut used = Vec::new();
        for turn in Contest::new(&[OURS, NATIVE], options.rounds).turns() {
            let source_pid = source.pid().context("the source runs")?;
            let replica_pid = replica.pid().context("the replica runs")?;
            let (meter, seconds) = match turn.name {
                OURS => {
                    let own = (OURS, std::process::id());
                    let meter = Meter::start(&[own, ("source, read by omsnode", source_pid)])?;
                    (meter, ours(&source, &log).await?)
                }
                _ => {
                    let own = ("replica with I/O thread only", replica_pid);
                    let meter = Meter::start(&[own, ("source, read by the replica", source_pid)])?;
                    (meter, native(&source, &replica, &log).await?)
                }
            };
            used.extend(meter.stop()?);
            let rate = mb / seconds;
            progress(format!("round {}: {} {rate:.1} MB/s", turn.round, turn.name));
            figures.record(turn, rate);
        }
        let spread = figures.spread(OURS).context("no turn")?;
        results.push(
            BenchResult::new(
                "capture",
                load.case(),
                "MB/s",
                Better::Higher,
                spread,
                options.rounds,
            )
            .against(&figures, OURS, NATIVE, Some(1.0))
            .within(&figures, OURS, NATIVE, Some(1.0))
            .with_processes(used, &[OURS]),
        );
    }
    Ok(results)
}

/// Where the log begins and ends. [`LoggedLoad::write`] began it anew, so that everything in it follows no transaction.
async fn ends(source: &MysqlSource, log: &LoggedFile) -> anyhow::Result<(Position, Position)> {
    let now = source.current_position().await?;
    let Position::Binlog(now) = &now else {
        bail!("{now} is no place in a binlog");
    };
    let at = |offset| {
        Position::Binlog(BinlogPosition {
            server: now.server.clone(),
            file: log.name.clone(),
            offset,
            gtid: GtidState::MariaDb(MariaDbGtidPosition::default()),
        })
    };
    Ok((at(4), at(log.end)))
}

/// The Store from its start until its log is durable up to the end.
async fn ours(server: &Server, log: &LoggedFile) -> anyhow::Result<f64> {
    let capture = CaptureOptions {
        server_id: 77,
        ..CaptureOptions::default()
    };
    let source = MysqlSource::new(BenchServer::endpoint(server), capture);
    let (begin, end) = ends(&source, log).await?;
    let folder = tempfile::tempdir()?;
    let settings = StoreSettings {
        dir: folder.path().join("log"),
        log_family: [7; 8],
        reserve_bytes: 64 << 20,
        retention: Duration::from_secs(3_600),
        start: Some(begin),
        applied: None,
    };
    let id: ComponentId = "p_bench.store".parse()?;
    let shelf = Arc::new(Shelf::default());
    let store = Store::new(Arc::new(source), shelf.clone(), settings);
    let clock = Arc::new(SystemClock);
    let context = Context {
        id: id.clone(),
        epoch: Epoch(1),
        cancel: CancellationToken::new(),
        reporter: Arc::new(Nobody),
        log: Arc::new(ComponentLog::new(id.clone(), clock.clone())),
        progress: Arc::default(),
        clock,
    };
    let begun = Instant::now();
    let cancel = context.cancel.clone();
    let mut running = tokio::spawn(async move { store.run(&context).await });
    let reached = async {
        let shelved = shelf.wait_for(id.project()).await;
        while shelved.log.resume_position()? < end {
            sleep(LOOK).await;
        }
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    let seconds = tokio::select! {
        ended = &mut running => bail!("the Store ended: {:?}", ended?),
        seconds = timeout(PATIENCE, reached) => seconds.context("the end was not reached")??,
    };
    cancel.cancel();
    running.await??;
    Ok(seconds)
}

/// The I/O thread from its start until it has read everything.
async fn native(source: &Server, replica: &Server, log: &LoggedFile) -> anyhow::Result<f64> {
    let mut client = replica.client().await?;
    // The password goes to a server of the bench's own.
    client
        .query_drop(&format!(
            "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='{}', MASTER_PASSWORD='{}', \
             MASTER_LOG_FILE='{}', MASTER_LOG_POS=4, MASTER_USE_GTID=no",
            source.host(),
            source.port(),
            source.oms_user(),
            source.password(),
            log.name
        ))
        .await?;
    let begun = Instant::now();
    client.query_drop("START SLAVE IO_THREAD").await?;
    let reached = async {
        loop {
            let (at_file, at_offset, error) = read_place(&mut client).await?;
            ensure!(error.is_empty(), "the replica says {error}");
            if at_file > log.name || (at_file == log.name && at_offset.parse::<u64>()? >= log.end) {
                return anyhow::Ok(begun.elapsed().as_secs_f64());
            }
            sleep(LOOK).await;
        }
    };
    let seconds = timeout(PATIENCE, reached)
        .await
        .context("the end was not reached")??;
    client
        .run_all(&["STOP SLAVE IO_THREAD", "RESET SLAVE ALL"])
        .await?;
    Ok(seconds)
}

/// How far the I/O thread has read, and its error.
async fn read_place(client: &mut Client) -> anyhow::Result<(String, String, String)> {
    let status = client.query_strings("SHOW SLAVE STATUS").await?;
    let row = status.first().context("no replica is set up")?;
    // Master_Log_File, Read_Master_Log_Pos and Last_IO_Error.
    let field = |n: usize| row.get(n).cloned().context("the replica's status is short");
    Ok((field(5)?, field(6)?, field(35)?))
}

/// Takes facts that nobody asks for.
struct Nobody;

#[async_trait]
impl Reporter for Nobody {
    async fn state(&self, _: &RunState, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn facts(&self, _: Facts) -> Result<(), Failure> {
        Ok(())
    }

    async fn removed(&self) -> Result<(), Failure> {
        Ok(())
    }
}
