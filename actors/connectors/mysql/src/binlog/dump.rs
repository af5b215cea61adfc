//! Asking a server for its binary log.

use std::time::Duration;

use bytes::Bytes;
use mysql_common::{
    packets::{ComBinlogDumpGtid, GnoInterval, Sid, Tag},
    proto::MySerialize,
};
use oms_core::{BinlogPosition, Failure, GtidState, MariaDbGtidPosition, MysqlGtidSet, codes};

use super::{encryption::Stream, login, own_writes::OwnWrites, packet::PacketStream};
use crate::connection::{Endpoint, Flavor};

/// How to follow a log.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Number this reader calls itself at the source. It must differ from those of the source and
    /// its replicas and not be 0. A server ends an older dump with the same number first, which takes
    /// as long as that one's connection stands still.
    pub server_id: u32,
    /// How often an idle source shows that it is alive.
    pub heartbeat: Duration,
    /// The largest event that is accepted, in bytes. Memory for one event of this size is needed.
    pub max_event: usize,
    /// How long login and start may take.
    pub connect_timeout: Duration,
    /// Whether rows that lack columns (`binlog_row_image` is not FULL) stop decoding (`OMS-SRC-0015`).
    pub refuse_partial_rows: bool,
    /// Whose transactions decoders leave out. Readers of rows judge all.
    pub own_writes: Option<OwnWrites>,
}

impl Default for CaptureOptions {
    /// Heartbeats every second, events up to 1 GiB and a little, which is what servers can write.
    /// `server_id` is 0 and has to be set.
    fn default() -> Self {
        Self {
            server_id: 0,
            heartbeat: Duration::from_secs(1),
            max_event: (1 << 30) + (16 << 20),
            connect_timeout: Duration::from_secs(10),
            refuse_partial_rows: false,
            own_writes: None,
        }
    }
}

const COM_QUERY: u8 = 0x03;
const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;

/// A connection on which a server sends its log.
#[derive(Debug)]
pub(crate) struct Dump {
    packets: PacketStream<Stream>,
}

impl Dump {
    /// Logs in, prepares the session and starts the dump behind `from`: by its transactions if it
    /// names them, else by file and offset.
    pub(crate) async fn start(
        endpoint: &Endpoint,
        flavor: Flavor,
        options: &CaptureOptions,
        from: &BinlogPosition,
    ) -> Result<Self, Failure> {
        let packets = login::open(endpoint, options.max_event, options.connect_timeout).await?;
        let mut dump = Self { packets };
        let within = options.connect_timeout;
        match tokio::time::timeout(within, dump.request(flavor, options, from)).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(Failure::new(
                    codes::src::UNREACHABLE,
                    format!("the dump did not start within {} s", within.as_secs()),
                ));
            }
        }
        Ok(dump)
    }

    /// The next packet. Cancel safe.
    pub(crate) async fn next(&mut self) -> std::io::Result<DumpPacket> {
        let packet = self.packets.read().await?;
        Ok(match packet.first() {
            Some(0x00) => DumpPacket::Event(packet.slice(1..)),
            Some(0xff) => DumpPacket::Error(login::server_error(&packet)),
            Some(0xfe) if packet.len() < 9 => DumpPacket::End,
            _ => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    "the dump holds a packet that is no event",
                ));
            }
        })
    }

    async fn request(
        &mut self,
        flavor: Flavor,
        options: &CaptureOptions,
        from: &BinlogPosition,
    ) -> Result<(), Failure> {
        let heartbeat = options.heartbeat.as_nanos();
        // The names changed with MySQL 8.0; a server looks for the ones it knows.
        self.query(
            "SET @master_binlog_checksum = @@global.binlog_checksum, \
             @source_binlog_checksum = @@global.binlog_checksum",
        )
        .await?;
        self.query(&format!(
            "SET @master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}"
        ))
        .await?;
        // A reader that waits for its disk must not be taken for dead.
        self.query("SET SESSION net_write_timeout = 600").await?;
        let uuid = format!("6f6d736e-6f64-4500-8000-{:012x}", options.server_id);
        self.query(&format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'"))
            .await?;
        if flavor == Flavor::MariaDb {
            // 4: understands GTID events. Below that, the server rewrites events for old readers.
            self.query("SET @mariadb_slave_capability = 4").await?;
        }
        let by_file = |file: &str, offset| dump_by_file(options.server_id, file, offset);
        let command = match &from.gtid {
            GtidState::Mysql(set) => dump_by_gtid(options.server_id, set)?,
            GtidState::MariaDb(position) => {
                self.query(&mariadb_start(position)).await?;
                self.query("SET @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0")
                    .await?;
                by_file("", 4)?
            }
            GtidState::None => by_file(&from.file, from.offset)?,
        };
        self.register(options.server_id).await?;
        self.packets.command(&command).await.map_err(login::broken)
    }

    async fn query(&mut self, sql: &str) -> Result<(), Failure> {
        let command = [&[COM_QUERY], sql.as_bytes()].concat();
        self.packets.command(&command).await.map_err(login::broken)?;
        self.expect_ok(sql.split('=').next().unwrap_or_default()).await
    }

    /// Shows up in the source's list of replicas.
    async fn register(&mut self, server_id: u32) -> Result<(), Failure> {
        let mut command = vec![COM_REGISTER_SLAVE];
        command.extend(server_id.to_le_bytes());
        command.extend([0; 3 + 2 + 4 + 4]);
        self.packets.command(&command).await.map_err(login::broken)?;
        self.expect_ok("registering as a replica").await
    }

    async fn expect_ok(&mut self, what: &str) -> Result<(), Failure> {
        let packet = self.packets.read().await.map_err(login::broken)?;
        match packet.first() {
            Some(0x00) => Ok(()),
            Some(0xff) => Err(login::refusal(&packet).context(what.trim())),
            _ => Err(Failure::new(
                codes::src::WRONG_PROTOCOL,
                format!("unexpected answer to {}", what.trim()),
            )),
        }
    }
}

/// What comes on a dump connection.
#[derive(Debug)]
pub(crate) enum DumpPacket {
    Event(Bytes),
    Error(mysql_async::ServerError),
    End,
}

fn mariadb_start(position: &MariaDbGtidPosition) -> String {
    // Digits, dashes and commas only.
    format!("SET @slave_connect_state = '{position}'")
}

fn dump_by_file(server_id: u32, file: &str, offset: u64) -> Result<Vec<u8>, Failure> {
    let offset = u32::try_from(offset).map_err(|_| {
        Failure::new(
            codes::src::LOG_PURGED,
            format!(
                "{file}:{offset} cannot be asked for: without GTID the protocol reaches only the first 4 GiB of a \
                 file"
            ),
        )
    })?;
    let mut command = vec![COM_BINLOG_DUMP];
    command.extend(offset.to_le_bytes());
    command.extend(0u16.to_le_bytes());
    command.extend(server_id.to_le_bytes());
    command.extend(file.as_bytes());
    Ok(command)
}

fn dump_by_gtid(server_id: u32, set: &MysqlGtidSet) -> Result<Vec<u8>, Failure> {
    let bad = |what: &str| {
        Failure::new(
            codes::src::CORRUPT_EVENT,
            format!("the position's GTID set has a bad {what}"),
        )
    };
    let mut sids = Vec::new();
    for (uuid, tag, intervals) in set.iter() {
        let uuid = uuid::Uuid::parse_str(uuid).map_err(|_| bad("server UUID"))?;
        let intervals: Vec<_> = intervals.iter().map(|&(s, e)| GnoInterval::new(s, e)).collect();
        let mut sid = Sid::new(uuid.into_bytes()).with_intervals(intervals);
        if !tag.is_empty() {
            sid = sid.with_tag(Tag::new(tag.to_owned()).map_err(|_| bad("tag"))?);
        }
        sids.push(sid);
    }
    let mut command = Vec::new();
    if sids.is_empty() {
        // Everything the server ever logged: the flag must be set although nothing is excluded.
        command.push(0x1e);
        command.extend(4u16.to_le_bytes());
        command.extend(server_id.to_le_bytes());
        command.extend(0u32.to_le_bytes());
        command.extend(4u64.to_le_bytes());
        command.extend(8u32.to_le_bytes());
        command.extend(0u64.to_le_bytes());
    } else {
        ComBinlogDumpGtid::new(server_id)
            .with_pos(4)
            .with_sids(sids)
            .serialize(&mut command);
    }
    Ok(command)
}
