//! One connection to the destination.

use std::{borrow::Cow, io, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use mysql_async::{
    Conn, Error, FromRowError, Params, Row, Value,
    prelude::{FromRow, Queryable},
};
use oms_core::{ErrorCode, Failure, codes};

use super::{
    dialect::{Dialect, SessionFacts},
    meta::MetaTables,
    statement::Statement,
};
use crate::connection::{self, Endpoint, ServerInfo, Side};

/// What every session of a sink shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) endpoint: Endpoint,
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) meta: MetaTables,
}

/// The strict mode of [`connection::connect`] and the same without strictness.
const STRICT: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";
const RELAXED: &str = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";

/// Conditions by which a server tells that it stored something else than it was given. 1265 and
/// 1292 come as notes even in strict mode.
const ALTERED: [u16; 12] = [
    1048, 1264, 1265, 1292, 1300, 1364, 1366, 1406, 1411, 1441, 1690, 3638,
];

/// Length of the packets of a text.
const PIECE: usize = 128 << 10;

/// Largest `max_allowed_packet` that servers accept.
const LARGEST_PACKET: usize = 1 << 30;

/// The outcome of one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Rows found (not: changed) by it.
    pub(crate) affected: u64,
    pub(crate) warnings: u16,
    pub(crate) info: String,
}

/// A failed statement.
#[derive(Debug)]
pub(crate) struct SqlError {
    /// Which statement of the packet.
    pub(crate) at: usize,
    /// The server's number; `None` when the connection failed.
    pub(crate) number: Option<u16>,
    pub(crate) failure: Failure,
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        error.failure
    }
}

/// A connection with its settings.
#[derive(Debug)]
pub(crate) struct Session {
    conn: Conn,
    shared: Arc<Shared>,
    pub(crate) server: Arc<ServerInfo>,
    max_packet: usize,
    /// Each statement alone, so that its warnings can be read.
    pub(crate) one_by_one: bool,
    /// Texts of rows may be loaded.
    pub(crate) loads: bool,
}

impl Session {
    /// Connects.
    pub(crate) async fn open(shared: &Arc<Shared>) -> Result<Self, Failure> {
        let mut conn = connection::connect(&shared.endpoint, Side::Destination).await?;
        let server = ServerInfo::probe(&mut conn, Side::Destination).await?;
        Self::prepare(conn, shared, Arc::new(server)).await
    }

    /// Connects to a server that was probed before.
    pub(crate) async fn open_known(shared: &Arc<Shared>, server: &Arc<ServerInfo>) -> Result<Self, Failure> {
        let conn = connection::connect(&shared.endpoint, Side::Destination).await?;
        Self::prepare(conn, shared, server.clone()).await
    }

    async fn prepare(conn: Conn, shared: &Arc<Shared>, server: Arc<ServerInfo>) -> Result<Self, Failure> {
        shared.dialect.accept(&server)?;
        let mut session = Self {
            conn,
            shared: shared.clone(),
            server,
            max_packet: 0,
            one_by_one: false,
            loads: false,
        };
        let limit: Vec<(u64,)> = session.rows("SELECT @@max_allowed_packet").await?;
        session.max_packet = limit
            .first()
            .and_then(|r| usize::try_from(r.0).ok())
            .unwrap_or(1 << 20);
        let log: Vec<(String, String)> = session
            .rows("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'local_infile')")
            .await?;
        let value = |name: &str| {
            log.iter()
                .find(|v| v.0.eq_ignore_ascii_case(name))
                .map(|v| v.1.as_str())
        };
        let facts = SessionFacts {
            statement_log: value("log_bin") == Some("ON") && value("binlog_format") == Some("STATEMENT"),
        };
        session.one_by_one = facts.statement_log;
        // A log of statements would carry the text as a file, which not every reader of the log follows.
        let logged_by_row = value("log_bin") != Some("ON") || value("binlog_format") == Some("ROW");
        session.loads = shared.dialect.loads_text() && value("local_infile") == Some("ON") && logged_by_row;
        for statement in shared.dialect.session(&facts) {
            session.run(statement.as_bytes()).await?;
        }
        Ok(session)
    }

    pub(crate) fn meta(&self) -> &MetaTables {
        &self.shared.meta
    }

    pub(crate) fn dialect(&self) -> &dyn Dialect {
        self.shared.dialect.as_ref()
    }

    /// Marks the connection as one of a writer, and gives its number.
    pub(crate) async fn mark(&mut self) -> Result<u64, Failure> {
        let mut sql = b"USE ".to_vec();
        super::literal::identifier(&mut sql, self.shared.meta.database());
        self.run(&sql).await?;
        let id: Vec<(u64,)> = self.rows("SELECT CONNECTION_ID()").await?;
        id.first()
            .map(|r| r.0)
            .ok_or_else(|| impossible("CONNECTION_ID() gave no row"))
    }

    /// Executes one statement.
    pub(crate) async fn run(&mut self, sql: &[u8]) -> Result<Outcome, SqlError> {
        let mut outcomes = self.run_all(sql, 1).await?;
        Ok(outcomes.pop().unwrap_or_default())
    }

    /// Executes `count` statements sent together, one of which loads this text.
    pub(crate) async fn run_with_text(
        &mut self,
        sql: &[u8],
        count: usize,
        text: Bytes,
    ) -> Result<Vec<Outcome>, SqlError> {
        // A packet must not be longer than what the server accepts of one.
        let piece = PIECE.min(self.max_packet / 2).max(1);
        let pieces: Vec<io::Result<Bytes>> = (0..text.len())
            .step_by(piece)
            .map(|at| Ok(text.slice(at..text.len().min(at + piece))))
            .collect();
        self.conn
            .set_infile_handler(async move { Ok(stream::iter(pieces).boxed()) });
        self.run_all(sql, count).await
    }

    /// Executes `count` statements sent together. They end at the first that fails.
    pub(crate) async fn run_all(&mut self, sql: &[u8], count: usize) -> Result<Vec<Outcome>, SqlError> {
        if sql.len() + 64 > self.max_packet {
            return Err(self.too_long(sql.len()).await);
        }
        let mut outcomes = Vec::with_capacity(count);
        // After a loss the connection is in the middle of an answer: like any broken one it is not used again.
        let result = tokio::select! {
            biased;
            result = Self::collect(&mut self.conn, sql, count, &mut outcomes) => result,
            failure = connection::lost(&self.shared.endpoint, Side::Destination) => {
                return Err(SqlError { at: outcomes.len(), number: None, failure });
            }
        };
        match result {
            Ok(()) => Ok(outcomes),
            // The driver keeps the error of a later statement until it is asked for the one behind it.
            Err(error) => Err(self.error(error, outcomes.len().saturating_sub(1))),
        }
    }

    async fn collect(conn: &mut Conn, sql: &[u8], count: usize, out: &mut Vec<Outcome>) -> Result<(), Error> {
        let mut result = conn.query_iter(sql).await?;
        for n in 1..=count {
            out.push(Outcome {
                affected: result.affected_rows(),
                warnings: result.warnings(),
                info: result.info().into_owned(),
            });
            if n < count {
                // None of the statements returns rows, so this steps to the next outcome.
                result.next().await?;
            }
        }
        result.drop_result().await
    }

    /// Executes one statement with its long values. They go in pieces of 16 MiB at most; the server puts them together.
    async fn run_with_values(&mut self, sql: &[u8], values: &[Bytes]) -> Result<Outcome, SqlError> {
        let length = sql.len() + values.iter().map(Bytes::len).sum::<usize>();
        if length + 64 > self.max_packet {
            return Err(self.too_long(length).await);
        }
        let result = tokio::select! {
            biased;
            result = Self::execute(&mut self.conn, sql, values) => result,
            failure = connection::lost(&self.shared.endpoint, Side::Destination) => {
                return Err(SqlError { at: 0, number: None, failure });
            }
        };
        result.map_err(|error| self.error(error, 0))
    }

    async fn execute(conn: &mut Conn, sql: &[u8], values: &[Bytes]) -> Result<Outcome, Error> {
        let prepared = conn.prep(Cow::Borrowed(sql)).await?;
        let values: Vec<Value> = values.iter().map(|v| Value::Bytes(v.to_vec())).collect();
        let result = conn.exec_iter(&prepared, Params::Positional(values)).await?;
        let outcome = Outcome {
            affected: result.affected_rows(),
            warnings: result.warnings(),
            info: result.info().into_owned(),
        };
        result.drop_result().await?;
        Ok(outcome)
    }

    async fn run_statement(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        if statement.values.is_empty() {
            return self.run(&statement.sql).await;
        }
        self.run_with_values(&statement.sql, &statement.values).await
    }

    /// Executes one statement and what belongs behind it, and refuses altered values.
    pub(crate) async fn run_alone(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        let outcome = if statement.relaxed {
            self.run_relaxed(statement).await?
        } else {
            let outcome = self.run_statement(statement).await?;
            self.check_warnings(&outcome).await?;
            outcome
        };
        for piece in &statement.tail {
            let appended = self.run(piece).await?;
            self.check_warnings(&appended).await?;
            if appended.affected != outcome.affected.min(1) {
                let failure =
                    impossible("the rest of a long value found another number of rows than its beginning");
                return Err(SqlError {
                    at: 0,
                    number: None,
                    failure,
                });
            }
        }
        Ok(outcome)
    }

    /// Executes a statement that strict mode would refuse for the empty value of an ENUM. Any other
    /// adjustment is refused as in strict mode.
    async fn run_relaxed(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        self.run(RELAXED.as_bytes()).await?;
        let outcome = self.run_statement(statement).await?;
        if outcome.warnings > 0 {
            for (_, number, _) in self.warnings().await? {
                if number != 1265 && ALTERED.contains(&number) {
                    return Err(altered(number, ""));
                }
            }
        }
        self.run(STRICT.as_bytes()).await?;
        Ok(outcome)
    }

    /// Refuses the last statement's outcome if its warnings say that a value was altered. Must follow
    /// the statement at once.
    pub(crate) async fn check_warnings(&mut self, last: &Outcome) -> Result<(), SqlError> {
        if last.warnings == 0 {
            return Ok(());
        }
        for (_, number, text) in self.warnings().await? {
            if ALTERED.contains(&number) {
                // Some of these texts quote the value before they name the column.
                let object = text
                    .rsplit_once(" for ")
                    .map(|(_, object)| object)
                    .unwrap_or_default();
                return Err(altered(number, object));
            }
        }
        Ok(())
    }

    async fn warnings(&mut self) -> Result<Vec<(String, u16, String)>, SqlError> {
        self.rows("SHOW WARNINGS").await
    }

    /// The rows of a query.
    pub(crate) async fn rows<R: FromRow + Send + 'static>(
        &mut self,
        sql: impl AsRef<str>,
    ) -> Result<Vec<R>, SqlError> {
        let rows: Result<Vec<Row>, Error> = tokio::select! {
            biased;
            rows = self.conn.query(sql.as_ref()) => rows,
            failure = connection::lost(&self.shared.endpoint, Side::Destination) => {
                return Err(SqlError { at: 0, number: None, failure });
            }
        };
        let rows = rows.map_err(|e| self.error(e, 0))?;
        rows.into_iter()
            .map(R::from_row_opt)
            .collect::<Result<_, FromRowError>>()
            .map_err(|_| SqlError {
                at: 0,
                number: None,
                failure: impossible("a row of an unexpected form"),
            })
    }

    fn error(&self, error: Error, at: usize) -> SqlError {
        let Error::Server(server) = &error else {
            return SqlError {
                at,
                number: None,
                failure: connection::failure(error, Side::Destination),
            };
        };
        let number = server.code;
        let state = server.state.clone();
        let override_code = self.shared.dialect.meaning(number, &server.message);
        let failure = match (override_code, number) {
            (Some(code), _) => Failure::new(
                code,
                connection::failure(error, Side::Destination).detail().to_owned(),
            ),
            // The text of a syntax error quotes the statement, which holds rows.
            (None, 1064 | 1149) => Failure::new(
                codes::dst::STATEMENT_FAILED,
                format!("error {number} ({state}): syntax not accepted"),
            ),
            (None, 1062) => {
                let told = connection::failure(error, Side::Destination);
                Failure::new(codes::apply::ROW_EXISTS, told.detail().to_owned())
            }
            (None, 1300 | 3548 | 3643 | 3617) => {
                let told = format!("error {number} ({state}): the server does not accept a value");
                Failure::new(codes::dst::VALUE_NOT_REPRESENTABLE, told)
            }
            (None, 1142 | 1143) => match self.meta().named_in(&server.message).map(str::to_owned) {
                Some(table) => connection::failure(error, Side::Destination)
                    .context(format!("{table} is needed by the project itself")),
                None => connection::failure(error, Side::Destination),
            },
            (None, _) => connection::failure(error, Side::Destination),
        };
        SqlError {
            at,
            number: Some(number),
            failure,
        }
    }

    /// A statement beyond `max_allowed_packet`: raises the server's limit for later connections.
    async fn too_long(&mut self, length: usize) -> SqlError {
        // The number that the server would have answered with.
        let fail = |code: ErrorCode, text: String| SqlError {
            at: 0,
            number: Some(1153),
            failure: Failure::new(code, text),
        };
        let wanted = length.saturating_mul(2).next_power_of_two().min(LARGEST_PACKET);
        if length + 64 > wanted {
            return fail(
                codes::dst::VALUE_NOT_REPRESENTABLE,
                format!(
                    "a row needs a statement of {length} bytes; no server accepts more than {LARGEST_PACKET}"
                ),
            );
        }
        let raised: Result<(), Error> = self
            .conn
            .query_drop(format!("SET GLOBAL max_allowed_packet = {wanted}"))
            .await;
        match raised {
            Ok(()) => fail(
                codes::dst::TRANSIENT,
                format!(
                    "max_allowed_packet was raised to {wanted} for a statement of {length} bytes; reconnecting"
                ),
            ),
            Err(error) => {
                let told = connection::failure(error, Side::Destination);
                fail(
                    codes::dst::STATEMENT_FAILED,
                    format!(
                        "a row needs a statement of {length} bytes, max_allowed_packet is {} and this account may \
                         not raise it ({}): SET GLOBAL max_allowed_packet = {wanted}",
                        self.max_packet,
                        told.code()
                    ),
                )
            }
        }
    }
}

fn altered(number: u16, object: &str) -> SqlError {
    SqlError {
        at: 0,
        number: Some(number),
        failure: Failure::new(
            codes::dst::VALUE_NOT_REPRESENTABLE,
            format!("the server would have altered a value (warning {number}) {object}"),
        ),
    }
}

pub(crate) fn impossible(what: impl Into<String>) -> Failure {
    Failure::new(codes::apply::INTERNAL, what)
}
