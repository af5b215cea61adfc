//! What decoding a binlog costs.

use std::{collections::VecDeque, io::BufRead, path::Path, sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use mysql_common::binlog::{EventStreamReader, consts::BinlogVersion, consts::EventType, events::EventData};
use oms_core::{
    BinlogPosition, GtidState, LogEvent, MariaDbGtidPosition, RowChange, Source, TableMap, TableName,
};
use oms_mysql::{
    MysqlSource,
    binlog::{CaptureOptions, LogFollower, decode_bytes, events_of_file},
};

use super::logged_load::{DATABASE, LoggedLoad};
use super::{BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter, Tool};
use crate::server::{Role, Server, ServerKind};

const OURS: &str = "omsnode";
const DRIVER: &str = "mysql_common (the driver)";
const TOOL: &str = "mysqlbinlog -v";
const READ: &str = "events read and checked, not decoded";

/// A finished binlog file is decoded into row changes on one core, with the file in memory. All contestants read the same
/// file from its start to its end:
///
/// - ours: transaction borders, positions, checksums, and every value of every row in its canonical form;
/// - the driver: its event reader and its own decoding of every value (checksums are read, not compared);
/// - `mysqlbinlog -v`, which prints the rows, to nowhere (from a warm page cache; `mariadb-binlog` of the same package);
/// - the limit: events, checksums, transaction borders and positions as a capture needs them, without decoding a row.
///
/// The unit is rows of the log by second; an update counts once. All that count must count the same.
pub async fn decode(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let server = BenchServer::start(ServerKind::MariaDb, Role::Source, options.rows, progress).await?;
    let mut results = Vec::new();
    for load in LoggedLoad::ALL {
        if !options.wants(load.case()) {
            continue;
        }
        // A wide row is as long as many narrow ones.
        let rows = match load {
            LoggedLoad::Sysbench => options.rows,
            LoggedLoad::Wide => options.rows / 4,
        };
        let path = load.write(&server, rows.max(8)).await?.path;
        let tables = tables(&server, load).await?;
        let results_of_case = contest(options, load, &path, &tables, progress).await?;
        results.extend(results_of_case);
    }
    Ok(results)
}

async fn contest(
    options: &BenchOptions,
    load: LoggedLoad,
    path: &Path,
    tables: &Arc<TableMap>,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let file = Bytes::from(std::fs::read(path)?);
    let rows = ours(tables, &file)?;
    let mb = file.len() as f64 / 1e6;
    progress(format!("{}: {rows} rows in {mb:.0} MB of log", load.case()));
    ensure!(rows > 0, "the log holds no rows");
    let mut figures = Figures::new();
    let mut used = Vec::new();
    for turn in Contest::new(&[OURS, DRIVER, TOOL, READ], options.rounds).turns() {
        let seconds = match turn.name {
            OURS => {
                let meter = Meter::own(OURS)?;
                let begun = Instant::now();
                let counted = ours(tables, &file)?;
                let seconds = begun.elapsed().as_secs_f64();
                used.extend(meter.stop()?);
                ensure!(counted == rows, "{counted} rows and not {rows}");
                seconds
            }
            DRIVER => {
                let meter = Meter::own(DRIVER)?;
                let begun = Instant::now();
                let counted = driver(&file)?;
                let seconds = begun.elapsed().as_secs_f64();
                used.extend(meter.stop()?);
                ensure!(counted == rows, "the driver sees {counted} rows and not {rows}");
                seconds
            }
            TOOL => {
                // Without a time zone it would look the machine's up for each row.
                let tool = Tool::new("mariadb-binlog").env("TZ", "UTC").arg("--no-defaults");
                let tool = tool.arg("-v").arg(path);
                let mut run = tool.run().await?;
                run.used.name = TOOL.to_owned();
                used.push(run.used);
                run.seconds
            }
            _ => {
                let begun = Instant::now();
                ensure!(read(&file)? > 0, "the log holds no records");
                begun.elapsed().as_secs_f64()
            }
        };
        let rate = rows as f64 / seconds / 1e6;
        progress(format!(
            "round {}: {} {rate:.3} M rows/s, {:.0} MB/s",
            turn.round,
            turn.name,
            mb / seconds
        ));
        figures.record(turn, rate);
    }
    let spread = figures.spread(OURS).context("no turn")?;
    let new = |case: String| {
        BenchResult::new(
            "decode",
            &case,
            "M rows/s",
            Better::Higher,
            spread,
            options.rounds,
        )
    };
    let with_driver = new(format!("{}, beside the driver", load.case()))
        .against(&figures, OURS, DRIVER, Some(10.0))
        .within(&figures, OURS, READ, Some(0.7))
        .with_processes(used.clone(), &[OURS]);
    let with_tool = new(format!("{}, beside mysqlbinlog", load.case()))
        .against(&figures, OURS, TOOL, None)
        .with_processes(used, &[OURS]);
    Ok(vec![with_driver, with_tool])
}

/// The definitions as the product reads them.
async fn tables(server: &Server, load: LoggedLoad) -> anyhow::Result<Arc<TableMap>> {
    let names: Vec<_> = load
        .tables()
        .iter()
        .map(|table| TableName::new(DATABASE, table))
        .collect();
    let tables = MysqlSource::new(BenchServer::endpoint(server), CaptureOptions::default())
        .load_tables(&names)
        .await?;
    Ok(Arc::new(TableMap::new(
        tables.into_iter().map(Arc::new).collect(),
    )))
}

fn ours(tables: &Arc<TableMap>, file: &Bytes) -> anyhow::Result<u64> {
    let (mut rows, mut bytes) = (0, 0);
    decode_bytes(tables, file.clone(), |event| {
        if let LogEvent::Row(RowChange { before, after, .. }) = &event {
            rows += 1;
            bytes += [before, after]
                .into_iter()
                .flatten()
                .map(|row| row.size())
                .sum::<usize>();
        }
    })?;
    ensure!(bytes > 0 || rows == 0, "rows without bytes");
    Ok(rows)
}

fn read(file: &Bytes) -> anyhow::Result<u64> {
    let mut follower = LogFollower::new(BinlogPosition {
        server: String::new(),
        file: "file".to_owned(),
        offset: 4,
        gtid: GtidState::MariaDb(MariaDbGtidPosition::default()),
    });
    let (mut records, mut count) = (VecDeque::new(), 0);
    for event in events_of_file(file.clone()) {
        follower.accept(event?, 0, &mut records)?;
        count += records.drain(..).count() as u64;
    }
    Ok(count)
}

fn driver(file: &Bytes) -> anyhow::Result<u64> {
    let mut input: &[u8] = file.get(4..).unwrap_or_default();
    let mut reader = EventStreamReader::new(BinlogVersion::Version4);
    let mut rows = 0;
    while !input.fill_buf()?.is_empty() {
        let Some(event) = reader.read(&mut input)? else {
            break;
        };
        // MariaDB's own events (GTIDs, checkpoints) are not known to it, and hold no rows.
        let Ok(kind) = event.header().event_type() else {
            continue;
        };
        let holds_rows = matches!(
            kind,
            EventType::WRITE_ROWS_EVENT_V1
                | EventType::UPDATE_ROWS_EVENT_V1
                | EventType::DELETE_ROWS_EVENT_V1
                | EventType::WRITE_ROWS_EVENT
                | EventType::UPDATE_ROWS_EVENT
                | EventType::DELETE_ROWS_EVENT
        );
        if !holds_rows {
            continue;
        }
        let Some(EventData::RowsEvent(data)) = event.read_data()? else {
            continue;
        };
        let map = reader
            .get_tme(data.table_id())
            .context("rows without a table map")?;
        for row in data.rows(map) {
            let (before, after) = row?;
            ensure!(before.is_some() || after.is_some(), "a row without an image");
            rows += 1;
        }
    }
    Ok(rows)
}
