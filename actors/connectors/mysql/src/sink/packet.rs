//! Statements sent together, each with what must be true of its outcome.

use oms_core::{Failure, codes};

use super::{
    session::{Session, SqlError},
    statement::Statement,
};

/// What must be true of a statement's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// So many rows found.
    Rows(u64),
    /// Anything.
    Any,
}

/// A statement's place in the batch, for messages: table and changes.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) what: &'static str,
    pub(crate) table: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Origin {
    fn describe(&self) -> String {
        let Self {
            what,
            table,
            first,
            last,
        } = self;
        if first == last {
            format!("{table}: {what}, change {first} of the batch")
        } else {
            format!("{table}: {what}, changes {first} to {last} of the batch")
        }
    }
}

/// Collects statements and sends them in packets of bounded size.
#[derive(Debug)]
pub(crate) struct Packet {
    sql: Vec<u8>,
    items: Vec<(Expect, Origin)>,
    most_bytes: usize,
    most_statements: usize,
}

impl Packet {
    pub(crate) fn new(session: &Session) -> Self {
        Self {
            sql: Vec::new(),
            items: Vec::new(),
            most_bytes: session.dialect().bytes_per_insert(),
            most_statements: if session.one_by_one {
                1
            } else {
                session.dialect().statements_per_packet()
            },
        }
    }

    /// Adds a statement; sends what was collected when that is enough.
    pub(crate) async fn add(
        &mut self,
        session: &mut Session,
        statement: Statement,
        expect: Expect,
        origin: Origin,
    ) -> Result<(), Failure> {
        if statement.relaxed {
            self.send(session).await?;
            let outcome = session
                .run_relaxed(&statement.sql)
                .await
                .map_err(|e| explain(e, &origin))?;
            return verify(outcome.affected, expect, &origin);
        }
        if !self.items.is_empty() && self.sql.len() + statement.sql.len() > self.most_bytes {
            self.send(session).await?;
        }
        if !self.items.is_empty() {
            self.sql.push(b';');
        }
        if self.sql.is_empty() {
            self.sql = statement.sql;
        } else {
            self.sql.extend_from_slice(&statement.sql);
        }
        self.items.push((expect, origin));
        if self.sql.len() >= self.most_bytes || self.items.len() >= self.most_statements {
            self.send(session).await?;
        }
        Ok(())
    }

    /// Sends what was collected and checks every outcome.
    pub(crate) async fn send(&mut self, session: &mut Session) -> Result<(), Failure> {
        if self.items.is_empty() {
            return Ok(());
        }
        let items = std::mem::take(&mut self.items);
        let sql = std::mem::take(&mut self.sql);
        let outcomes = match session.run_all(&sql, items.len()).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                return Err(match items.get(error.at) {
                    Some((_, origin)) => explain(error, origin),
                    None => error.into(),
                });
            }
        };
        for (outcome, (expect, origin)) in outcomes.iter().zip(&items) {
            verify(outcome.affected, *expect, origin)?;
        }
        if let Err(error) = session.check_warnings(&outcomes).await {
            return Err(match items.last() {
                Some((_, origin)) => explain(error, origin),
                None => error.into(),
            });
        }
        Ok(())
    }
}

fn explain(error: SqlError, origin: &Origin) -> Failure {
    error.failure.context(origin.describe())
}

fn verify(affected: u64, expect: Expect, origin: &Origin) -> Result<(), Failure> {
    match expect {
        Expect::Rows(wanted) if wanted != affected => Err(Failure::new(
            codes::apply::ROW_MISSING,
            format!(
                "{}: {affected} rows found where {wanted} were expected",
                origin.describe()
            ),
        )),
        _ => Ok(()),
    }
}
