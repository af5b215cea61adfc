//! Servers with the settings under which everything is measured.

use oms_mysql::connection::{Endpoint, Secret, TlsMode};

use crate::client::Client;
use crate::server::{Role, Server, ServerKind, ServerOptions};

/// A server of a bench. The settings are the same for all benches and are said at the start, as the server itself gives
/// them.
#[derive(Debug)]
pub struct BenchServer;

impl BenchServer {
    /// Up to so many rows the settings of a small server do: nothing is measured with so few.
    const SMALL: u64 = 50_000;

    fn is_small(rows: u64) -> bool {
        rows <= Self::SMALL
    }

    /// What a MySQL-like server of a bench is set to.
    ///
    /// A destination is as durable as servers are set up where data counts: what it commits is on disk (doublewrite is
    /// on by default). A source is not, because making its changes is not measured. Caches hold all data of a bench, and
    /// the redo log is long enough not to make flushing the thing that is measured: how long depends on `rows`, the size
    /// of the bench, so that one that is only tried does not need gigabytes of disk.
    pub fn options(role: Role, rows: u64) -> ServerOptions {
        let options = match role {
            Role::Source => ServerOptions::source().gtid(true),
            Role::Destination => ServerOptions::destination().durable(true),
        };
        options
            .set("innodb_buffer_pool_size", "2G")
            .set(
                "innodb_log_file_size",
                if Self::is_small(rows) { "64M" } else { "1G" },
            )
            .set("max_allowed_packet", "256M")
    }

    /// What a server of any kind is set to: [`BenchServer::options`], or the settings of the testbed for seekdb with
    /// more memory.
    pub fn options_of(kind: ServerKind, role: Role, rows: u64) -> ServerOptions {
        match kind {
            ServerKind::SeekDb if Self::is_small(rows) => ServerOptions::destination(),
            ServerKind::SeekDb => ServerOptions::destination()
                .set("memory_budget", "4G")
                .set("log_disk_size", "8G")
                .set("datafile_next", "1G"),
            ServerKind::MariaDb => Self::options(role, rows),
            ServerKind::Mysql56 | ServerKind::Mysql97 => {
                Self::options(role, rows).set("innodb_log_file_size", "512M")
            }
        }
    }

    /// Starts one with the settings of its kind; says what it is.
    pub async fn start(
        kind: ServerKind,
        role: Role,
        rows: u64,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<Server> {
        Self::start_with(kind, Self::options_of(kind, role, rows), progress).await
    }

    /// Starts one with settings of the bench's own, begun with [`BenchServer::options`]; says what it is.
    pub async fn start_with(
        kind: ServerKind,
        options: ServerOptions,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<Server> {
        let role = match options.role() {
            Role::Source => "source",
            Role::Destination => "destination",
        };
        let server = Server::start(kind, options).await?;
        let mut client = server.client().await?;
        progress(format!("{role}: {}", Self::describe(&mut client).await?));
        client.close().await?;
        Ok(server)
    }

    /// Where the product reaches it, with the account of the product.
    pub fn endpoint(server: &Server) -> Endpoint {
        Endpoint {
            host: server.host().to_owned(),
            port: server.port(),
            user: server.oms_user().to_owned(),
            password: Secret::new(server.password()),
            tls: TlsMode::Disable,
            tls_ca_pem: String::new(),
        }
    }

    /// Version and settings as the server gives them.
    pub async fn describe(client: &mut Client) -> anyhow::Result<String> {
        let version = client.query_one("SELECT VERSION()").await?.unwrap_or_default();
        let mut words = vec![version];
        let wanted = [
            "innodb_buffer_pool_size",
            "innodb_log_file_size",
            "innodb_flush_log_at_trx_commit",
            "innodb_doublewrite",
            "innodb_flush_method",
            "log_bin",
            "sync_binlog",
            "binlog_format",
            "binlog_row_image",
            "binlog_checksum",
        ];
        let list = wanted.map(|name| format!("'{name}'")).join(",");
        let sql = format!("SHOW VARIABLES WHERE Variable_name IN ({list})");
        for row in client.query_strings(&sql).await? {
            words.push(row.join("="));
        }
        if words.iter().any(|w| w.to_lowercase().contains("oceanbase")) {
            let sql = "SHOW PARAMETERS WHERE name IN ('memory_budget','memory_limit','log_disk_size','datafile_size')";
            for row in client.query_rows(sql).await? {
                // zone, server type, address, port, name, data type, value, …
                let text = |i: usize| match row.get(i) {
                    Some(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                };
                words.push(format!("{}={}", text(4), text(6)));
            }
        }
        Ok(words.join(" "))
    }
}
