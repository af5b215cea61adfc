//! A plain client for tests.

use mysql_async::prelude::{Query, Queryable, StatementLike};
use mysql_async::{Conn, Opts, OptsBuilder, Params, Row, Value};

use crate::error::{Result, TestbedError};
use crate::server::Server;

/// A value of a row as the server sent it; `None` is NULL.
pub type RawValue = Option<Vec<u8>>;

/// One connection. Names are in utf8mb4; nothing else of the session is changed.
#[derive(Debug)]
pub struct Client {
    conn: Conn,
}

impl Client {
    /// Connects as `root`.
    pub async fn connect(server: &Server) -> Result<Self> {
        server.client().await
    }

    /// Connects to any MySQL-like server.
    pub async fn connect_to(host: &str, port: u16, user: &str, password: &str) -> Result<Self> {
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 30))
            .stmt_cache_size(Some(8));
        let conn = Conn::new(Opts::from(opts)).await.map_err(error("connect"))?;
        let mut client = Self { conn };
        client.query_drop("SET NAMES utf8mb4").await?;
        Ok(client)
    }

    /// Runs a statement and drops what it returns.
    pub async fn query_drop(&mut self, statement: &str) -> Result<()> {
        statement.ignore(&mut self.conn).await.map_err(error(statement))
    }

    /// Runs statements in order; the first that fails ends it.
    pub async fn run_all<S: AsRef<str>>(&mut self, statements: &[S]) -> Result<()> {
        for statement in statements {
            self.query_drop(statement.as_ref()).await?;
        }
        Ok(())
    }

    /// Runs a query (text protocol) and returns the rows as the server sent them.
    pub async fn query_rows(&mut self, statement: &str) -> Result<Vec<Vec<RawValue>>> {
        let rows: Vec<Row> = statement.fetch(&mut self.conn).await.map_err(error(statement))?;
        Ok(rows
            .into_iter()
            .map(|row| {
                row.unwrap()
                    .into_iter()
                    .map(|value| match value {
                        Value::NULL => None,
                        Value::Bytes(bytes) => Some(bytes),
                        // The text protocol has only the two above.
                        other => Some(other.as_sql(true).into_bytes()),
                    })
                    .collect()
            })
            .collect())
    }

    /// Like [`Client::query_rows`], as text; NULL becomes `NULL`.
    pub async fn query_strings(&mut self, statement: &str) -> Result<Vec<Vec<String>>> {
        let rows = self.query_rows(statement).await?;
        let text =
            |value: RawValue| value.map_or("NULL".into(), |v| String::from_utf8_lossy(&v).into_owned());
        Ok(rows
            .into_iter()
            .map(|row| row.into_iter().map(text).collect())
            .collect())
    }

    /// The first column of the first row as text.
    pub async fn query_one(&mut self, statement: &str) -> Result<Option<String>> {
        Ok(self
            .query_strings(statement)
            .await?
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next()))
    }

    /// The first column of the first row as a number.
    pub async fn query_count(&mut self, statement: &str) -> Result<u64> {
        let text = self.query_one(statement).await?.unwrap_or_default();
        text.parse()
            .map_err(|e| TestbedError::program(shorten(statement), format!("{text:?}: {e}")))
    }

    /// Runs a prepared statement and drops what it returns.
    pub async fn exec<S: StatementLike + Into<String> + Clone, P: Into<Params> + Send>(
        &mut self,
        statement: S,
        parameters: P,
    ) -> Result<()> {
        let text: String = statement.clone().into();
        self.conn
            .exec_drop(statement, parameters)
            .await
            .map_err(error(&text))
    }

    /// Rows changed by the last statement.
    pub fn affected_rows(&self) -> u64 {
        self.conn.affected_rows()
    }

    /// The driver's connection, for what this wrapper does not offer.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Ends the connection in order.
    pub async fn close(self) -> Result<()> {
        self.conn.disconnect().await.map_err(error("disconnect"))
    }
}

pub(crate) fn error(statement: &str) -> impl FnOnce(mysql_async::Error) -> TestbedError {
    let statement = shorten(statement);
    move |source| TestbedError::Query { statement, source }
}

pub(crate) fn shorten(statement: &str) -> String {
    let mut short: String = statement.chars().take(300).collect();
    if short.len() < statement.len() {
        short.push('…');
    }
    short
}
