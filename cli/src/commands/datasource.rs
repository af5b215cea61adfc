//! `omsnode datasource`.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use oms_proto::v1::{
    Connection, CopyDataSourceRequest, CreateDataSourceRequest, DataSource, DataSourceKind,
    DeleteDataSourceRequest, GetDataSourceRequest, ListDataSourcesRequest, SaslMechanism, ServerFacts,
    TestDataSourceRequest, TlsMode, UpdateDataSourceRequest,
};

use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Human, Table, duration_ms},
    password::PasswordArgs,
};

#[derive(Subcommand, Debug)]
pub(crate) enum DatasourceCommand {
    /// Test a connection and store it as a data source
    Create {
        /// The data source's name: up to 32 characters without white space
        name: String,
        #[command(flatten)]
        connection: ConnectionArgs,
        #[command(flatten)]
        password: PasswordArgs,
        /// Free text
        #[arg(long)]
        remarks: Option<String>,
        /// Region in which the database is
        #[arg(long)]
        region: Option<String>,
    },
    /// Test a stored data source, or a connection that is not stored
    Test {
        /// A stored data source (name or id); without it, the connection's options
        #[arg(required_unless_present = "host", conflicts_with_all = ["host", "kind", "port", "user", "password-options"])]
        name: Option<String>,
        #[command(flatten)]
        connection: OptionalConnectionArgs,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List data sources
    #[command(visible_alias = "ls")]
    List {
        /// Only names that contain this text
        #[arg(long)]
        name: Option<String>,
        /// Only of this kind
        #[arg(long, value_parser = kind_parser())]
        kind: Option<DataSourceKind>,
    },
    /// Show one data source
    Show {
        /// Name or id
        name: String,
    },
    /// Change address or account. The new connection is tested first
    Update {
        /// Name or id
        name: String,
        #[arg(long)]
        host: Option<String>,
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        #[arg(long)]
        user: Option<String>,
        /// How kafka is told the password
        #[arg(long, value_parser = sasl_parser())]
        sasl: Option<SaslMechanism>,
        /// Encryption of connections
        #[arg(long, value_parser = tls_parser())]
        tls: Option<TlsMode>,
        /// File of PEM certificates that sign the server's; empty text: the usual roots again
        #[arg(long, value_name = "FILE")]
        tls_ca: Option<PathBuf>,
        #[command(flatten)]
        password: PasswordArgs,
        #[arg(long)]
        remarks: Option<String>,
    },
    /// Store a copy under another name
    Copy {
        /// Name or id
        name: String,
        /// The copy's name
        new_name: String,
    },
    /// Delete a data source that no project uses
    #[command(visible_alias = "rm")]
    Delete {
        /// Name or id
        name: String,
    },
}

/// A connection, where one is needed.
#[derive(Args, Debug)]
pub(crate) struct ConnectionArgs {
    /// What the database is
    #[arg(long, value_parser = kind_parser())]
    kind: DataSourceKind,
    /// Host name or address
    #[arg(long)]
    host: String,
    #[command(flatten)]
    rest: ConnectionRest,
}

/// A connection, where one may be given.
#[derive(Args, Debug)]
pub(crate) struct OptionalConnectionArgs {
    /// What the database is
    #[arg(long, value_parser = kind_parser(), requires = "host")]
    kind: Option<DataSourceKind>,
    /// Host name or address
    #[arg(long, requires = "kind")]
    host: Option<String>,
    #[command(flatten)]
    rest: ConnectionRest,
}

#[derive(Args, Debug)]
struct ConnectionRest {
    /// Port [default: 3306, for oceanbase 2881, for kafka that of brokers without one: 9092]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Account; for OceanBase with tenant and cluster: user@tenant#cluster [default: root, for kafka nobody]
    #[arg(long)]
    user: Option<String>,
    /// How kafka is told the password [default with a user: scram_sha_512]
    #[arg(long, value_parser = sasl_parser())]
    sasl: Option<SaslMechanism>,
    /// Encryption of connections [default: prefer, for kafka disable]
    #[arg(long, value_parser = tls_parser())]
    tls: Option<TlsMode>,
    /// File of PEM certificates that sign the server's [default: the usual roots]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Limits the selection of objects to this database
    #[arg(long)]
    database: Option<String>,
}

impl ConnectionRest {
    fn connection(self, kind: DataSourceKind, host: String) -> Result<Connection, CliError> {
        let kafka = kind == DataSourceKind::Kafka;
        let (usual, user, tls) = match kind {
            DataSourceKind::Oceanbase => (2881, "root", TlsMode::Prefer),
            DataSourceKind::Kafka => (9092, "", TlsMode::Disable),
            _ => (3306, "root", TlsMode::Prefer),
        };
        if !kafka && self.sasl.is_some() {
            return Err(CliError::Usage("--sasl belongs to kafka only".to_owned()));
        }
        Ok(Connection {
            kind: kind as i32,
            host,
            port: u32::from(self.port.unwrap_or(usual)),
            user: self.user.unwrap_or_else(|| user.to_owned()),
            tls: self.tls.unwrap_or(tls) as i32,
            sasl: self.sasl.unwrap_or_default() as i32,
            tls_ca_pem: self.tls_ca.map(certificates).transpose()?.unwrap_or_default(),
            database: self.database.unwrap_or_default(),
        })
    }
}

fn kind_parser() -> impl clap::builder::TypedValueParser<Value = DataSourceKind> {
    PossibleValuesParser::new(DataSourceKind::NAMES)
        .map(|name| DataSourceKind::from_name(&name).unwrap_or_default())
}

fn sasl_parser() -> impl clap::builder::TypedValueParser<Value = SaslMechanism> {
    PossibleValuesParser::new(SaslMechanism::NAMES)
        .map(|name| SaslMechanism::from_name(&name).unwrap_or_default())
}

/// The password of an account, of which a Kafka cluster may have none.
async fn password_of(
    connection: &Connection,
    password: &PasswordArgs,
    context: &Context,
) -> Result<String, CliError> {
    if connection.kind() == DataSourceKind::Kafka && connection.user.is_empty() {
        return Ok(password.explicit(context).await?.unwrap_or_default());
    }
    password.required(context).await
}

fn tls_parser() -> impl clap::builder::TypedValueParser<Value = TlsMode> {
    PossibleValuesParser::new(TlsMode::NAMES).map(|name| TlsMode::from_name(&name).unwrap_or_default())
}

fn certificates(path: PathBuf) -> Result<String, CliError> {
    if path.as_os_str().is_empty() {
        return Ok(String::new());
    }
    let text =
        std::fs::read_to_string(&path).map_err(CliError::io(format!("--tls-ca {}", path.display())))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(text)
    } else {
        Err(CliError::Usage(format!(
            "--tls-ca {}: the file holds no PEM certificate",
            path.display()
        )))
    }
}

pub(crate) async fn run(command: DatasourceCommand, context: &Context) -> Result<Exit, CliError> {
    let out = &context.out;
    match command {
        DatasourceCommand::Create {
            name,
            connection,
            password,
            remarks,
            region,
        } => {
            let connection = connection.rest.connection(connection.kind, connection.host)?;
            let password = password_of(&connection, &password, context).await?;
            let request = CreateDataSourceRequest {
                name,
                connection: Some(connection),
                password,
                remarks: remarks.unwrap_or_default(),
                region: region.unwrap_or_default(),
            };
            let mut client = context.data_sources().await?;
            let created = client
                .create_data_source(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let facts = facts_text(created.facts.as_ref());
            out.done(
                &created,
                &format!("data source {} is stored: {facts}", created.name),
            )?;
        }
        DatasourceCommand::Test {
            name,
            connection,
            password,
        } => {
            let mut request = TestDataSourceRequest {
                name: name.unwrap_or_default(),
                ..Default::default()
            };
            if let (Some(kind), Some(host)) = (connection.kind, connection.host) {
                let connection = connection.rest.connection(kind, host)?;
                request.password = password_of(&connection, &password, context).await?;
                request.connection = Some(connection);
            }
            let mut client = context.data_sources().await?;
            let tested = client
                .test_data_source(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let facts = facts_text(tested.facts.as_ref());
            out.done(
                &tested,
                &format!(
                    "the connection works: {facts}, {}",
                    duration_ms(tested.elapsed_ms)
                ),
            )?;
        }
        DatasourceCommand::List { name, kind } => {
            let request = ListDataSourcesRequest {
                name_contains: name.unwrap_or_default(),
                kind: kind.unwrap_or_default() as i32,
            };
            let mut client = context.data_sources().await?;
            let list = client
                .list_data_sources(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            if out.is_json() {
                out.json(&list)?;
            } else if list.data_sources.is_empty() {
                out.note("there are no data sources; `omsnode datasource create` makes one")?;
            } else {
                let mut table =
                    Table::new(&["NAME", "KIND", "ADDRESS", "USER", "REGION", "SERVER", "REMARKS"]);
                for d in &list.data_sources {
                    let c = d.connection.clone().unwrap_or_default();
                    table.row([
                        d.name.clone(),
                        c.kind().name().to_owned(),
                        format!("{}:{}", c.host, c.port),
                        c.user.clone(),
                        d.region.clone(),
                        d.facts.as_ref().map(|f| f.version.clone()).unwrap_or_default(),
                        d.remarks.clone(),
                    ]);
                }
                out.table(&table)?;
            }
        }
        DatasourceCommand::Show { name } => {
            let mut client = context.data_sources().await?;
            let d = client
                .get_data_source(GetDataSourceRequest { name })
                .await
                .map_err(context.failed())?
                .into_inner();
            if out.is_json() {
                out.json(&d)?
            } else {
                out.table(&properties(&d))?
            }
        }
        DatasourceCommand::Update {
            name,
            host,
            port,
            user,
            sasl,
            tls,
            tls_ca,
            password,
            remarks,
        } => {
            let request = UpdateDataSourceRequest {
                name,
                version: 0,
                host,
                port: port.map(u32::from),
                user,
                password: password.explicit(context).await?,
                remarks,
                tls: tls.map(|mode| mode as i32),
                sasl: sasl.map(|mechanism| mechanism as i32),
                tls_ca_pem: tls_ca.map(certificates).transpose()?,
            };
            let unchanged = UpdateDataSourceRequest {
                name: request.name.clone(),
                ..Default::default()
            };
            if request == unchanged {
                return Err(CliError::Usage(
                    "nothing to change: name at least one option".to_owned(),
                ));
            }
            let mut client = context.data_sources().await?;
            let updated = client
                .update_data_source(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            out.done(&updated, &format!("data source {} is changed", updated.name))?;
        }
        DatasourceCommand::Copy { name, new_name } => {
            let mut client = context.data_sources().await?;
            let request = CopyDataSourceRequest { name, new_name };
            let copied = client
                .copy_data_source(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            out.done(&copied, &format!("data source {} is stored", copied.name))?;
        }
        DatasourceCommand::Delete { name } => {
            confirm(
                context,
                &format!("Data source {name} and its password will be deleted"),
                &name,
            )
            .await?;
            let mut client = context.data_sources().await?;
            let request = DeleteDataSourceRequest { name: name.clone() };
            client
                .delete_data_source(request)
                .await
                .map_err(context.failed())?;
            out.done(
                &serde_json::json!({ "deleted": name }),
                &format!("data source {name} is deleted"),
            )?;
        }
    }
    Ok(Exit::Ok)
}

fn facts_text(facts: Option<&ServerFacts>) -> String {
    facts.map_or_else(
        || "no facts".to_owned(),
        |f| match f.time_zone.as_str() {
            "" => format!("{} {}", f.flavor, f.version),
            zone => format!("{} {}, time zone {zone}", f.flavor, f.version),
        },
    )
}

fn properties(d: &DataSource) -> Table {
    let human = Human::now();
    let c = d.connection.clone().unwrap_or_default();
    let mut table = Table::properties();
    table.property("Name", &d.name);
    table.property("Id", &d.id);
    table.property("Kind", c.kind().name());
    table.property("Address", format!("{}:{}", c.host, c.port));
    table.property("User", &c.user);
    if c.kind() == DataSourceKind::Kafka && !c.user.is_empty() {
        table.property("SASL", c.sasl().name());
    }
    table.property("TLS", c.tls().name());
    table.property("TLS roots", if c.tls_ca_pem.is_empty() { "" } else { "own" });
    table.property("Database", &c.database);
    table.property("Region", &d.region);
    table.property("Remarks", &d.remarks);
    if let Some(f) = &d.facts {
        table.property("Server", format!("{} {}", f.flavor, f.version));
        table.property("Time zone", &f.time_zone);
        table.property("Charset", &f.charset);
    }
    table.property("Created", human.moment(d.created_at_ms));
    table.property("Updated", human.moment(d.updated_at_ms));
    table.property("Version", d.version.to_string());
    table
}
