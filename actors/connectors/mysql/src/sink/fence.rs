//! The rows by which a former owner is kept from committing.
//!
//! The component's own row has lane -1 and the highest claim; each lane and each concurrent chunk
//! writer has a row of its own, so that none waits for another.

use std::sync::Arc;

use oms_core::{ApplyCheckpoint, ClaimNumber, ComponentId, Epoch, Failure, LaneState, codes};

use super::{
    literal,
    locker::Locker,
    session::{Outcome, Session, SqlError},
};

/// Lane of the component's own row.
pub(crate) const COMPONENT_ROW: i64 = -1;
/// Lane of the first chunk writer.
pub(crate) const FIRST_WRITER: i64 = 1_000_000;

/// Who holds the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) component: ComponentId,
    pub(crate) epoch: Epoch,
    pub(crate) claim: ClaimNumber,
}

impl Holder {
    pub(crate) fn fenced(&self) -> Failure {
        let Self {
            component,
            epoch,
            claim,
        } = self;
        Failure::new(
            codes::apply::FENCED,
            format!("{component}: claim {claim} of epoch {epoch} is not the latest"),
        )
    }

    pub(crate) fn component_literal(&self) -> String {
        component_literal(&self.component)
    }

    fn row(&self, lane: i64) -> String {
        let Self { epoch, claim, .. } = self;
        format!(
            "component={} AND lane={lane} AND epoch={epoch} AND claim={claim}",
            self.component_literal()
        )
    }
}

/// A component's name as a literal.
pub(crate) fn component_literal(component: &ComponentId) -> String {
    let mut out = Vec::new();
    literal::text(&mut out, component.to_string().as_bytes());
    // Names of components are ASCII, so this never replaces anything.
    String::from_utf8_lossy(&out).into_owned()
}

/// One row of the fence table, used by one connection.
#[derive(Debug)]
pub(crate) struct Fence {
    holder: Arc<Holder>,
    lane: i64,
    turn: u64,
}

impl Fence {
    /// Takes the row of a lane for this connection; makes it if it is a chunk writer's first use.
    ///
    /// # Errors
    /// `OMS-APPLY-0004`.
    pub(crate) async fn open(
        session: &mut Session,
        holder: &Arc<Holder>,
        lane: i64,
    ) -> Result<Self, Failure> {
        let connection = session.mark().await?;
        let table = session.meta().fence().to_owned();
        let take = format!(
            "UPDATE {table} SET connection={connection} WHERE {}",
            holder.row(lane)
        );
        let mut taken = session.run(take.as_bytes()).await?.affected == 1;
        if !taken && lane >= FIRST_WRITER {
            make_row(session, holder, lane).await?;
            taken = session.run(take.as_bytes()).await?.affected == 1;
        }
        if !taken {
            return Err(holder.fenced());
        }
        let turn: Vec<(u64,)> = session
            .rows(format!("SELECT turn FROM {table} WHERE {}", holder.row(lane)))
            .await?;
        let turn = turn.first().ok_or_else(|| holder.fenced())?.0;
        Ok(Self {
            holder: holder.clone(),
            lane,
            turn,
        })
    }

    /// Begins a transaction whose first statement locks the row.
    ///
    /// # Errors
    /// `OMS-APPLY-0004`.
    pub(crate) async fn begin(&mut self, session: &mut Session) -> Result<(), Failure> {
        self.turn += 1;
        let sql = format!(
            "BEGIN;UPDATE {} SET turn={} WHERE {}",
            session.meta().fence(),
            self.turn,
            self.holder.row(self.lane)
        );
        let outcomes = session.run_all(sql.as_bytes(), 2).await?;
        if outcomes.last().is_none_or(|o| o.affected != 1) {
            session.run(b"ROLLBACK").await?;
            return Err(self.holder.fenced());
        }
        Ok(())
    }

    /// What begins a transaction ahead of its first changes in one packet: [`Opening::STATEMENTS`] statements. Where the
    /// row is no longer the holder's the last of them fails by itself (NULL for a NOT NULL column), so the server does not
    /// come to the changes.
    pub(crate) fn opening(&mut self, session: &Session) -> Opening {
        self.turn += 1;
        let Holder { epoch, claim, .. } = *self.holder;
        let sql = format!(
            "BEGIN;UPDATE {} SET turn=IF(epoch={epoch} AND claim={claim},{},NULL) WHERE component={} AND lane={};",
            session.meta().fence(),
            self.turn,
            self.holder.component_literal(),
            self.lane
        );
        Opening {
            sql: sql.into_bytes(),
            holder: self.holder.clone(),
        }
    }

    /// Commits, with the lane's state and a chunk's receipt if there are such.
    ///
    /// The statement before COMMIT fails by itself (NULL for a NOT NULL column) unless the row still
    /// shows what [`Fence::begin`] wrote in this very transaction; then the server does not come to
    /// COMMIT. That guards against anything between us and the server that lost the transaction.
    ///
    /// # Errors
    /// `OMS-APPLY-0005` when it is not known whether the transaction was committed.
    pub(crate) async fn commit(
        &self,
        session: &mut Session,
        state: Option<&LaneState>,
        receipt: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let Holder { epoch, claim, .. } = *self.holder;
        let mut sql = Vec::new();
        let mut statements = 2;
        if let Some(receipt) = receipt {
            sql.extend_from_slice(receipt);
            sql.push(b';');
            statements = 3;
        }
        sql.extend_from_slice(
            format!(
                "UPDATE {} SET turn=IF(epoch={epoch} AND claim={claim} AND turn={},turn,NULL)",
                session.meta().fence(),
                self.turn
            )
            .as_bytes(),
        );
        if let Some(state) = state {
            sql.extend_from_slice(b",state=");
            literal::text(&mut sql, &encode_state(state)?);
        }
        sql.extend_from_slice(
            format!(
                " WHERE component={} AND lane={};COMMIT",
                self.holder.component_literal(),
                self.lane
            )
            .as_bytes(),
        );
        let done = session.run_all(&sql, statements).await;
        done.map(drop)
            .map_err(|error| self.after_commit(error, statements - 1))
    }

    /// `commit` is the place of COMMIT among the statements.
    fn after_commit(&self, error: SqlError, commit: usize) -> Failure {
        let component = &self.holder.component;
        match (error.at < commit, error.number) {
            (true, Some(1048)) => Failure::new(
                codes::dst::TRANSIENT,
                format!(
                    "{component}: the transaction was lost before its commit; nothing of it was committed"
                ),
            ),
            // Refused before COMMIT was reached.
            (true, Some(_)) => error.failure,
            _ => Failure::new(
                codes::apply::COMMIT_UNKNOWN,
                format!("{component}: {}", error.failure.detail()),
            )
            .lasting_for(error.failure.lasting()),
        }
    }
}

/// The beginning of a transaction that travels with its first changes.
#[derive(Debug)]
pub(crate) struct Opening {
    sql: Vec<u8>,
    holder: Arc<Holder>,
}

impl Opening {
    /// How many statements it is.
    pub(crate) const STATEMENTS: usize = 2;

    /// Its statements, each with a semicolon behind it.
    pub(crate) fn sql(&self) -> &[u8] {
        &self.sql
    }

    /// Judges the outcomes of a packet that begins with it.
    ///
    /// # Errors
    /// `OMS-APPLY-0004`.
    pub(crate) fn verify(&self, outcomes: &[Outcome]) -> Result<(), Failure> {
        match outcomes.get(Self::STATEMENTS - 1) {
            Some(outcome) if outcome.affected == 1 => Ok(()),
            _ => Err(self.holder.fenced()),
        }
    }

    /// What an error of such a packet means, if it is one of the opening itself.
    pub(crate) fn refusal(&self, error: &SqlError) -> Option<Failure> {
        (error.at == Self::STATEMENTS - 1 && error.number == Some(1048)).then(|| self.holder.fenced())
    }
}

/// Makes the row of a chunk writer that is used for the first time: under the lock of the component's own
/// row, so that no claim can overlook it, and only if that still shows the holder's claim.
async fn make_row(session: &mut Session, holder: &Holder, lane: i64) -> Result<(), Failure> {
    let component = holder.component_literal();
    let table = session.meta().fence().to_owned();
    let locker = Locker::announce(session, &component, holder.epoch).await?;
    session.run(b"BEGIN").await?;
    let held: Vec<(u8,)> = session
        .rows(format!(
            "SELECT 1 FROM {table} WHERE {} FOR UPDATE",
            holder.row(COMPONENT_ROW)
        ))
        .await?;
    if held.is_empty() {
        session.run(b"ROLLBACK").await?;
        locker.withdraw(session).await?;
        return Err(holder.fenced());
    }
    let insert = format!(
        "INSERT INTO {table} (component, lane, epoch, claim, turn, connection, state) \
         VALUES ({component}, {lane}, {}, {}, 0, 0, NULL) ON DUPLICATE KEY UPDATE lane = lane",
        holder.epoch, holder.claim
    );
    session.run(insert.as_bytes()).await?;
    session.run(b"COMMIT").await?;
    locker.withdraw(session).await
}

/// What the rows of a component show, without claiming; nothing where there are no hidden tables.
pub(crate) async fn read_checkpoint(
    session: &mut Session,
    component: &ComponentId,
) -> Result<Option<ApplyCheckpoint>, Failure> {
    let sql = format!(
        "SELECT state FROM {} WHERE component={} AND lane<{FIRST_WRITER} AND state IS NOT NULL",
        session.meta().fence(),
        component_literal(component)
    );
    let stored: Vec<(Vec<u8>,)> = match session.rows(sql).await {
        Ok(stored) => stored,
        Err(error) if matches!(error.number, Some(1146 | 1049)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let states: Vec<LaneState> = stored
        .iter()
        .map(|(state,)| decode_state(state))
        .collect::<Result<_, _>>()?;
    Ok(ApplyCheckpoint::from_lanes(states))
}

pub(crate) fn encode_state(state: &LaneState) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(state).map_err(|e| {
        Failure::new(codes::apply::INTERNAL, "the lane's state cannot be encoded").with_source(e)
    })
}

pub(crate) fn decode_state(bytes: &[u8]) -> Result<LaneState, Failure> {
    serde_json::from_slice(bytes).map_err(|e| {
        Failure::new(
            codes::apply::INTERNAL,
            "the state of a lane in the fence table cannot be read",
        )
        .with_source(e)
    })
}
