//! From a stored data source to a connector.

use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use oms_core::{Failure, Position, Sink, Source, TableName, codes};
use oms_kafka::{KafkaSettings, KafkaSink, Mechanism, Sasl, Tls};
use oms_meta::MetaState;
use oms_mysql::{
    MysqlSource,
    binlog::{CaptureOptions, OwnWrites},
    connection::{Endpoint, Flavor, Secret, ServerInfo, Side, TlsMode, connect, failure},
};
use oms_oceanbase::{OceanBaseSink, OceanBaseSource};
use oms_proto::v1::{
    Connection, DataSource, DataSourceKind, PartialRows, SaslMechanism, ServerFacts, TlsMode as TlsModeName,
};

use crate::secrets::Vault;

/// A data source that can be connected to.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) data_source: DataSource,
    pub(crate) endpoint: Endpoint,
}

/// The endpoint of a connection.
pub(crate) fn endpoint(connection: &Connection, password: Secret) -> Result<Endpoint, Failure> {
    let invalid = |words: String| Failure::new(codes::api::INVALID_ARGUMENT, words);
    if connection.host.trim().is_empty() {
        return Err(invalid("the host is empty".to_owned()));
    }
    let port = u16::try_from(connection.port)
        .ok()
        .filter(|p| *p != 0)
        .ok_or_else(|| invalid(format!("{} is not a port: 1 to 65535", connection.port)))?;
    if connection.kind() == DataSourceKind::Unspecified {
        return Err(invalid(format!(
            "the kind is missing: one of {}",
            DataSourceKind::NAMES.join(", ")
        )));
    }
    if connection.kind() == DataSourceKind::Kafka {
        check_kafka(connection)?;
    } else if connection.sasl() != SaslMechanism::Unspecified {
        return Err(invalid("a SASL mechanism belongs to kafka only".to_owned()));
    }
    Ok(Endpoint {
        host: connection.host.trim().to_owned(),
        port,
        user: connection.user.clone(),
        password,
        tls: match connection.tls() {
            TlsModeName::Unspecified | TlsModeName::Disable => TlsMode::Disable,
            TlsModeName::Prefer => TlsMode::Prefer,
            TlsModeName::Require => TlsMode::Require,
            TlsModeName::Verify => TlsMode::Verify,
        },
        tls_ca_pem: connection.tls_ca_pem.clone(),
    })
}

/// What only a Kafka cluster's connection can have wrong.
fn check_kafka(connection: &Connection) -> Result<(), Failure> {
    let invalid = |words: String| Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
    for broker in connection.host.split(',') {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "1"));
        let known = port.parse::<u16>().is_ok_and(|p| p != 0);
        if host.trim().is_empty() || host.contains(char::is_whitespace) || !known {
            return invalid(format!("{broker:?} is not `host` or `host:port` of a broker"));
        }
    }
    if connection.tls() == TlsModeName::Prefer {
        return invalid(
            "tls: brokers have ports with and without encryption; say disable, require or verify".to_owned(),
        );
    }
    if connection.user.is_empty() && connection.sasl() != SaslMechanism::Unspecified {
        return invalid("sasl: a mechanism needs a user".to_owned());
    }
    if !connection.database.is_empty() {
        return invalid("database: kafka has none".to_owned());
    }
    Ok(())
}

/// How long a Kafka transaction may take before its brokers give it up: one that does not fit into memory is sent in one.
const KAFKA_TRANSACTION_MS: u32 = 600_000;

/// The settings of a Kafka cluster's connection.
fn kafka_settings(connection: &Connection, password: &Secret) -> KafkaSettings {
    let brokers: Vec<String> = connection
        .host
        .split(',')
        .map(str::trim)
        .map(|broker| match broker.rsplit_once(':') {
            Some(_) => broker.to_owned(),
            None => format!("{broker}:{}", connection.port),
        })
        .collect();
    let mut settings = KafkaSettings::new(brokers.join(","));
    settings.transaction_timeout_ms = KAFKA_TRANSACTION_MS;
    settings.tls = match connection.tls() {
        TlsModeName::Unspecified | TlsModeName::Disable | TlsModeName::Prefer => None,
        TlsModeName::Require => Some(Tls {
            unchecked: true,
            any_host: true,
            ca_pem: None,
        }),
        TlsModeName::Verify => Some(Tls {
            ca_pem: (!connection.tls_ca_pem.is_empty()).then(|| connection.tls_ca_pem.clone()),
            ..Tls::default()
        }),
    };
    settings.sasl = (!connection.user.is_empty()).then(|| Sasl {
        mechanism: match connection.sasl() {
            SaslMechanism::Plain => Mechanism::Plain,
            SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
            SaslMechanism::ScramSha512 | SaslMechanism::Unspecified => Mechanism::ScramSha512,
        },
        user: connection.user.clone(),
        password: password.expose().to_owned(),
    });
    settings
}

impl Connector {
    /// The stored data source with this id.
    pub(crate) fn of(state: &MetaState, vault: &Vault, id: &str) -> Result<Self, Failure> {
        let missing = || {
            Failure::new(
                codes::api::NOT_FOUND,
                format!("data source {id:?} does not exist"),
            )
        };
        let record = state.data_source(id).ok_or_else(missing)?;
        let data_source = record.public.clone().ok_or_else(missing)?;
        let password = vault.unseal(&data_source.id, &record.sealed_password)?;
        let connection = data_source.connection.clone().unwrap_or_default();
        Ok(Self {
            endpoint: endpoint(&connection, password)?,
            data_source,
        })
    }

    pub(crate) fn kind(&self) -> DataSourceKind {
        self.data_source
            .connection
            .as_ref()
            .map_or(DataSourceKind::Unspecified, Connection::kind)
    }

    /// Reads from it. `server_id` names us to the server as a replica; rows of the log that lack columns are refused
    /// unless the project's policy is to apply them. Where a source's log is made by comparing its tables, this one's
    /// has no rows: see [`Connector::following`].
    pub(crate) fn source(
        &self,
        server_id: u32,
        partial_rows: PartialRows,
    ) -> Result<Arc<dyn Source>, Failure> {
        self.following(server_id, partial_rows, &[], None)
    }

    /// As [`Connector::source`]; changes in its log that were written by others of the project's family are left out, and counted
    /// there. Where a log shows no transactions it is what [`Connector::source`] gives.
    pub(crate) fn without_echoes(
        &self,
        server_id: u32,
        partial_rows: PartialRows,
        own_writes: &OwnWrites,
    ) -> Result<Arc<dyn Source>, Failure> {
        match self.kind() {
            DataSourceKind::Mysql | DataSourceKind::Mariadb => {
                let capture = CaptureOptions {
                    own_writes: Some(own_writes.clone()),
                    ..capture_options(server_id, partial_rows)
                };
                Ok(Arc::new(MysqlSource::new(self.endpoint.clone(), capture)))
            }
            _ => self.source(server_id, partial_rows),
        }
    }

    /// The same, with a log that has the rows of these tables at least. `began`: where that log began, if rows are read
    /// that it is to continue.
    pub(crate) fn following(
        &self,
        server_id: u32,
        partial_rows: PartialRows,
        tables: &[TableName],
        began: Option<&Position>,
    ) -> Result<Arc<dyn Source>, Failure> {
        match self.kind() {
            DataSourceKind::Mysql | DataSourceKind::Mariadb => {
                let capture = capture_options(server_id, partial_rows);
                Ok(Arc::new(MysqlSource::new(self.endpoint.clone(), capture)))
            }
            DataSourceKind::Oceanbase => {
                let source = OceanBaseSource::new(self.endpoint.clone(), tables.iter().cloned());
                Ok(Arc::new(match began {
                    Some(began) => source.reading_as_of(began)?,
                    None => source,
                }))
            }
            other @ (DataSourceKind::Kafka | DataSourceKind::Unspecified) => Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                format!(
                    "{:?} is {}, which cannot be a source yet",
                    self.data_source.name,
                    other.name()
                ),
            )),
        }
    }

    /// The cluster, where it is Kafka.
    pub(crate) fn kafka(&self) -> Result<KafkaSink, Failure> {
        match (&self.data_source.connection, self.kind()) {
            (Some(connection), DataSourceKind::Kafka) => Ok(KafkaSink::new(kafka_settings(
                connection,
                &self.endpoint.password,
            ))),
            (_, other) => Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                format!("{:?} is {}, not kafka", self.data_source.name, other.name()),
            )),
        }
    }

    /// Writes to it.
    pub(crate) fn sink(&self) -> Result<Arc<dyn Sink>, Failure> {
        match self.kind() {
            DataSourceKind::Oceanbase => Ok(Arc::new(OceanBaseSink::new(self.endpoint.clone()))),
            DataSourceKind::Mysql | DataSourceKind::Mariadb => {
                Ok(Arc::new(oms_mysql::sink::MysqlSink::new(self.endpoint.clone())))
            }
            DataSourceKind::Kafka => Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                format!(
                    "{:?} is kafka, which holds messages and no rows",
                    self.data_source.name
                ),
            )),
            DataSourceKind::Unspecified => Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                "the data source has no kind",
            )),
        }
    }
}

fn capture_options(server_id: u32, partial_rows: PartialRows) -> CaptureOptions {
    CaptureOptions {
        server_id,
        refuse_partial_rows: partial_rows != PartialRows::Apply,
        ..CaptureOptions::default()
    }
}

/// Connects, and says what is there.
///
/// # Errors
/// As [`test`]; those of Kafka.
pub(crate) async fn try_connection(
    connection: &Connection,
    password: Secret,
) -> Result<ServerFacts, Failure> {
    let endpoint = endpoint(connection, password)?;
    if connection.kind() != DataSourceKind::Kafka {
        return test(&endpoint, connection.kind(), Side::Source).await;
    }
    let cluster = KafkaSink::new(kafka_settings(connection, &endpoint.password));
    let facts = cluster.look().await?;
    Ok(ServerFacts {
        version: format!("{} brokers", facts.brokers),
        flavor: "Kafka".to_owned(),
        ..ServerFacts::default()
    })
}

/// Connects, and asks the server what it is.
///
/// # Errors
/// Those of connecting; `OMS-API-0001` when the server is of another kind than declared.
async fn test(endpoint: &Endpoint, kind: DataSourceKind, side: Side) -> Result<ServerFacts, Failure> {
    let mut conn = connect(endpoint, side).await?;
    let info = ServerInfo::probe(&mut conn, side).await?;
    let is = match info.flavor {
        Flavor::Mysql => DataSourceKind::Mysql,
        Flavor::MariaDb => DataSourceKind::Mariadb,
        Flavor::OceanBase => DataSourceKind::Oceanbase,
        Flavor::TiDb => DataSourceKind::Unspecified,
    };
    if is != kind {
        return Err(Failure::new(
            codes::api::INVALID_ARGUMENT,
            format!(
                "the server at {}:{} is {} ({}), not {}",
                endpoint.host,
                endpoint.port,
                info.flavor.name(),
                info.version,
                kind.name()
            ),
        ));
    }
    let query = "SELECT @@global.time_zone, @@global.character_set_server";
    let row: Option<(String, String)> = conn.query_first(query).await.map_err(|e| failure(e, side))?;
    let (time_zone, charset) = row.unwrap_or_default();
    Ok(ServerFacts {
        version: info.version.clone(),
        flavor: info.flavor.name().to_owned(),
        time_zone,
        charset,
    })
}
