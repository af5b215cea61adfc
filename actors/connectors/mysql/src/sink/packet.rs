//! Statements sent together, each with what must be true of its outcome.

use oms_core::{Failure, codes};

use super::{
    fence::Opening,
    session::{Outcome, Session, SqlError},
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

/// In front of every packet of several statements, which may have to be sent again one by one.
const SAVEPOINT: &[u8] = b"SAVEPOINT omsnode_packet;";

#[derive(Debug)]
struct Item {
    /// Where the statement ends in the packet.
    end: usize,
    expect: Expect,
    origin: Origin,
}

/// Collects statements and sends them in packets of bounded size.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Sent ahead of the first statement.
    opening: Option<Opening>,
    sql: Vec<u8>,
    items: Vec<Item>,
    most_bytes: usize,
    most_statements: usize,
}

impl Packet {
    /// A packet; with an opening its transaction has not begun yet.
    pub(crate) fn new(session: &Session, opening: Option<Opening>) -> Self {
        Self {
            opening,
            sql: SAVEPOINT.to_vec(),
            items: Vec::new(),
            most_bytes: session.dialect().bytes_per_insert(),
            most_statements: session.dialect().statements_per_packet(),
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
        if statement.is_alone() || session.one_by_one && self.opening.is_some() {
            self.send(session).await?;
        }
        if statement.is_alone() {
            let outcome = session
                .run_alone(&statement)
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
        self.sql.extend_from_slice(&statement.sql);
        self.items.push(Item {
            end: self.sql.len(),
            expect,
            origin,
        });
        let full = self.sql.len() >= self.most_bytes || self.items.len() >= self.most_statements;
        if full || session.one_by_one {
            self.send(session).await?;
        }
        Ok(())
    }

    /// Sends what was collected and checks every outcome. Behind it the transaction has begun.
    pub(crate) async fn send(&mut self, session: &mut Session) -> Result<(), Failure> {
        let items = std::mem::take(&mut self.items);
        let mut sql = std::mem::replace(&mut self.sql, SAVEPOINT.to_vec());
        let Some(opening) = self.opening.take() else {
            return match items.len() {
                0 => Ok(()),
                1 => one_by_one(session, &sql, &items).await,
                _ => {
                    let outcomes = session.run_all(&sql, items.len() + 1).await;
                    let outcomes = match outcomes {
                        Ok(outcomes) => outcomes,
                        Err(error) => return Err(explain_one(session, error, (&sql, &items), 1).await),
                    };
                    judge(session, outcomes.get(1..).unwrap_or_default(), &sql, &items).await
                }
            };
        };
        // The savepoint comes behind the opening, and only where there is something to go back to.
        let begin = if items.is_empty() { SAVEPOINT.len() } else { 0 };
        let mut whole = opening.sql().to_vec();
        whole.extend_from_slice(sql.get(begin..).unwrap_or_default());
        if items.is_empty() {
            whole.pop();
            sql.clear();
        }
        let ahead = Opening::STATEMENTS + usize::from(!items.is_empty());
        match session.run_all(&whole, ahead + items.len()).await {
            Ok(outcomes) => {
                if let Err(fenced) = opening.verify(&outcomes) {
                    session.run(b"ROLLBACK").await?;
                    return Err(fenced);
                }
                judge(session, outcomes.get(ahead..).unwrap_or_default(), &sql, &items).await
            }
            Err(error) => {
                if let Some(fenced) = opening.refusal(&error) {
                    session.run(b"ROLLBACK").await?;
                    return Err(fenced);
                }
                Err(explain_one(session, error, (&sql, &items), ahead).await)
            }
        }
    }
}

/// Explains the error of a packet in which so many statements are ahead of the items.
///
/// The outcomes of the statements before the failed one are not known then, but a row that is there too many may follow
/// from one that was missing before. One by one tells which was first.
async fn explain_one(
    session: &mut Session,
    error: SqlError,
    (sql, items): (&[u8], &[Item]),
    ahead: usize,
) -> Failure {
    let Some(at) = error.at.checked_sub(ahead) else {
        return error.into();
    };
    if error.number == Some(1062)
        && at > 0
        && session.run(b"ROLLBACK TO SAVEPOINT omsnode_packet").await.is_ok()
        && let Err(first) = one_by_one(session, sql, items).await
    {
        return first;
    }
    match items.get(at) {
        Some(item) => explain(error, &item.origin),
        None => error.into(),
    }
}

/// Checks the outcomes of items sent behind a savepoint.
async fn judge(
    session: &mut Session,
    outcomes: &[Outcome],
    sql: &[u8],
    items: &[Item],
) -> Result<(), Failure> {
    // Only the last statement's warnings can be read. If another warns, all are executed again
    // one by one, and so is everything that follows on this connection.
    if outcomes.iter().any(|o| o.warnings > 0) {
        session.one_by_one = true;
        session.run(b"ROLLBACK TO SAVEPOINT omsnode_packet").await?;
        return one_by_one(session, sql, items).await;
    }
    for (outcome, item) in outcomes.iter().zip(items) {
        verify(outcome.affected, item.expect, &item.origin)?;
    }
    Ok(())
}

async fn one_by_one(session: &mut Session, sql: &[u8], items: &[Item]) -> Result<(), Failure> {
    let mut start = SAVEPOINT.len();
    for item in items {
        let statement = sql.get(start..item.end).unwrap_or_default();
        start = item.end + 1;
        let outcome = session
            .run(statement)
            .await
            .map_err(|e| explain(e, &item.origin))?;
        verify(outcome.affected, item.expect, &item.origin)?;
        session
            .check_warnings(&outcome)
            .await
            .map_err(|e| explain(e, &item.origin))?;
    }
    Ok(())
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
