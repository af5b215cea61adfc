//! Following a server's binary log.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use mysql_async::{Conn, ServerError, prelude::Queryable};
use oms_core::{BinlogPosition, Capture, CapturedRecord, Failure, GtidState, Position, codes};

use super::{
    dump::{CaptureOptions, Dump, DumpPacket},
    follower::LogFollower,
    login, place,
};
use crate::connection::{Endpoint, ServerInfo, Side, connect, failure, lost};

/// What MariaDB answers instead of 1236 when another reader has come under our number: its
/// `ER_SLAVE_SAME_ID`.
const SAME_SERVER_ID: u16 = 4052;
/// How long the server may look for the start, which it does in silence. Meanwhile it is looked whether it can be
/// reached.
const START_SILENCE: Duration = Duration::from_secs(300);

/// A running capture of a MySQL or MariaDB server, on a connection of its own.
///
/// The records are described at [`LogFollower`]. A reader of the records needs none before a
/// `TXN_FIRST`: context records are for people and may be dropped.
#[derive(Debug)]
pub struct BinlogCapture {
    dump: Dump,
    follower: LogFollower,
    ready: VecDeque<CapturedRecord>,
    endpoint: Endpoint,
    place: String,
    silence: Duration,
    started: bool,
    /// The source's clock minus ours, in microseconds.
    clock_difference_us: i64,
}

impl BinlogCapture {
    /// Starts behind a position.
    ///
    /// A position that names transactions is looked up by them, also on another server than the
    /// one it was taken from; one without, by file and offset, on the same server only.
    ///
    /// # Errors
    /// `OMS-SRC-0014` when another server answers and the position cannot be translated,
    /// `OMS-SRC-0008` when the log behind the position is gone, `-0001` to `-0005` for the
    /// connection and the account.
    pub async fn open(
        endpoint: &Endpoint,
        options: &CaptureOptions,
        from: &Position,
    ) -> Result<Self, Failure> {
        if options.server_id == 0 {
            // A server takes 0 for a reader that wants to stop at the end of the log.
            return Err(Failure::new(
                codes::src::STATEMENT_FAILED,
                "a capture needs a server id other than 0",
            ));
        }
        let mut conn = connect(endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut conn, Side::Source).await?;
        let start = place::start(&mut conn, &info, from).await?;
        let clock_difference_us = clock_difference(&mut conn).await?;
        let dump = Dump::start(endpoint, info.flavor, options, &start).await?;
        drop(conn);
        let same_server = matches!(from, Position::Binlog(p) if p.server == start.server);
        let mut follower = LogFollower::new(start);
        if same_server {
            follower = follower.resumed();
        }
        Ok(Self {
            dump,
            ready: VecDeque::new(),
            endpoint: endpoint.clone(),
            place: format!("{}:{}", endpoint.host, endpoint.port),
            silence: (options.heartbeat * 4).max(Duration::from_secs(5)),
            started: false,
            clock_difference_us,
            follower,
        })
    }

    /// The place reached.
    pub fn place(&self) -> &BinlogPosition {
        self.follower.place()
    }

    /// The next packet. A server that is at the end of its log says so by heartbeats. Before the first record it
    /// may be looking for the start, without a word: then a server that cannot be reached is told from a busy one by
    /// logins beside this connection.
    async fn packet(&mut self) -> Result<DumpPacket, Failure> {
        let packet = match self.started {
            true => tokio::time::timeout(self.silence, self.dump.next()).await,
            false => {
                tokio::select! {
                    biased;
                    packet = tokio::time::timeout(START_SILENCE, self.dump.next()) => packet,
                    failure = lost(&self.endpoint, Side::Source) => return Err(failure.context(&self.place)),
                }
            }
        };
        match packet {
            Ok(result) => result.map_err(|e| login::broken(e).context(&self.place)),
            Err(_) => {
                let silence = if self.started { self.silence } else { START_SILENCE };
                Err(Failure::new(
                    codes::src::UNREACHABLE,
                    format!("{}: nothing came for {} s", self.place, silence.as_secs()),
                )
                .lasting_for(silence))
            }
        }
    }

    fn refused(&self, error: ServerError) -> Failure {
        let text = error.message.clone();
        let lower = text.to_ascii_lowercase();
        // Behind every reason servers tell which events they read last, in words that mean no damage.
        let lower = lower.split("; the first event ").next().unwrap_or_default();
        let at = self.follower.place();
        if error.code == SAME_SERVER_ID {
            return Failure::new(
                codes::src::TRANSIENT,
                format!("{}: the server says: {text}", self.place),
            );
        }
        if error.code != 1236 {
            return failure(mysql_async::Error::Server(error), Side::Source).context(&self.place);
        }
        let has = |words: &str| lower.contains(words);
        let wanted = match &at.gtid {
            GtidState::None => format!("wanted {}:{}", at.file, at.offset),
            _ => format!("wanted what follows {at}"),
        };
        let code = if has("more gtids than")
            || has("not in the master's binlog")
            || has("not in the primary's binlog")
        {
            codes::src::SERVER_CHANGED
        } else if has("purged")
            || has("could not find first log")
            || has("could not find next log")
            || has("could not open log file")
            || has("missing")
            || has("binlog truncated")
        {
            codes::src::LOG_PURGED
        } else if has("corrupt")
            || has("bogus")
            || has("checksum")
            || has("event read")
            || has("impossible position")
        {
            codes::src::CORRUPT_EVENT
        } else if has("uuid/server_id") || has("same server") || has("killed") || has("same uuid") {
            codes::src::TRANSIENT
        } else {
            codes::src::STATEMENT_FAILED
        };
        Failure::new(code, format!("{}: {wanted}; the server says: {text}", self.place))
    }
}

#[async_trait]
impl Capture for BinlogCapture {
    async fn next(&mut self) -> Result<CapturedRecord, Failure> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            let packet = self.packet().await?;
            match packet {
                DumpPacket::Event(event) => {
                    let now_us = now_us() + self.clock_difference_us;
                    self.follower.accept(event, now_us, &mut self.ready)?;
                    let context = |r: &CapturedRecord| r.flags.has(oms_core::RecordFlags::CONTEXT);
                    self.started |= self.ready.back().is_some_and(|r| !context(r));
                }
                DumpPacket::Error(error) => return Err(self.refused(error)),
                DumpPacket::End => {
                    return Err(Failure::new(
                        codes::src::UNREACHABLE,
                        format!("{}: the server ended the dump", self.place),
                    ));
                }
            }
        }
    }

    /// The source does not ask: replication is asynchronous.
    async fn acknowledge(&mut self, _: &Position) -> Result<(), Failure> {
        Ok(())
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How far the source's clock is ahead of ours.
async fn clock_difference(conn: &mut Conn) -> Result<i64, Failure> {
    let text: Option<String> = conn
        .query_first("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS CHAR)")
        .await
        .map_err(|e| failure(e, Side::Source))?;
    let theirs = text
        .as_deref()
        .and_then(|t| t.split('.').next()?.parse::<i64>().ok());
    Ok(theirs.map_or(0, |t| t - now_us()))
}
