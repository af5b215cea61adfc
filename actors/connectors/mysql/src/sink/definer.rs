//! Statements that define, kept from former owners.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{Definer, Failure, codes};

use super::{
    claim::WriterRow,
    fence::{Fence, Holder, Opening},
    session::Session,
};
use crate::connection::Flavor;

/// How often the lock is asked for before the caller is told that it is held.
const ATTEMPTS: u32 = 20;

/// How long the server waits for it each time, in seconds.
const WAIT: u32 = 1;

/// A session that holds the component's lock.
///
/// DDL commits the transaction of its session before it runs, and the fence's row lock with it. What stays is
/// a lock by name (`GET_LOCK`), which belongs to the session: it is taken before the claim is checked, and kept
/// until the statement has ended or the server has ended the session.
///
/// Not on OceanBase: it keeps such locks for more than a minute after their session is gone (seen on seekdb 1.4.0), and a
/// new owner would wait for nobody. There the check in front of the statement is all.
pub(super) struct MysqlDefiner {
    session: Session,
    fence: Fence,
    _row: WriterRow,
    lock: String,
}

impl MysqlDefiner {
    pub(super) async fn open(
        mut session: Session,
        holder: &Arc<Holder>,
        row: WriterRow,
        settings: &[&str],
    ) -> Result<Self, Failure> {
        let fence = Fence::open(&mut session, holder, row.lane()).await?;
        for setting in settings {
            match session.run(setting.as_bytes()).await {
                // Unknown here, or not for this account; the server then refuses what it cannot create.
                Err(error) if matches!(error.number, Some(1193 | 1227)) => {}
                other => drop(other?),
            }
        }
        let lock = lock_name(&holder.component_literal());
        if session.server.flavor != Flavor::OceanBase {
            take(&mut session, &lock, holder).await?;
        }
        Ok(Self {
            session,
            fence,
            _row: row,
            lock,
        })
    }
}

/// Names of locks have 64 characters at most.
fn lock_name(component: &str) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, component.as_bytes());
    let mut name = "omsnode_ddl_".to_owned();
    for byte in digest.as_ref().iter().take(16) {
        // Writing to a text does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Takes the lock. A session that holds it and does nothing is ended: its owner was stopped between taking the
/// lock and sending the statement. One that executes a statement is waited for.
async fn take(session: &mut Session, lock: &str, holder: &Holder) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        let got: Vec<(Option<i64>,)> = session
            .rows(format!("SELECT GET_LOCK('{lock}', {WAIT})"))
            .await
            .map_err(|e| e.failure.context("taking the lock of statements that define"))?;
        if got.first().is_some_and(|row| row.0 == Some(1)) {
            return Ok(());
        }
        let idle: Vec<(u64,)> = session
            .rows(format!(
                "SELECT id FROM information_schema.processlist WHERE id=IS_USED_LOCK('{lock}') \
                 AND command='Sleep' AND id<>CONNECTION_ID()"
            ))
            .await
            .map_err(|e| e.failure.context("looking for who holds the lock"))?;
        for (connection,) in idle {
            tracing::info!(
                connection,
                "ending an idle session of an earlier owner that holds the lock"
            );
            match session.run(format!("KILL {connection}").as_bytes()).await {
                // It ended by itself.
                Err(error) if error.number == Some(1094) => {}
                other => drop(other?),
            }
        }
    }
    Err(Failure::new(
        codes::dst::TRANSIENT,
        format!(
            "{}: a statement of a former owner is still executed at the destination; it is waited for",
            holder.component
        ),
    ))
}

#[async_trait]
impl Definer for MysqlDefiner {
    async fn execute(&mut self, statement: &str) -> Result<(), Failure> {
        let opening = self.fence.opening(&self.session);
        let mut packet = opening.sql().to_vec();
        packet.extend_from_slice(statement.as_bytes());
        match self.session.run_all(&packet, Opening::STATEMENTS + 1).await {
            Ok(outcomes) => opening.verify(&outcomes),
            Err(error) => {
                if error.number.is_some() {
                    // The statement may have been refused before it ended the transaction.
                    self.session.run(b"ROLLBACK").await?;
                }
                Err(opening.refusal(&error).unwrap_or(error.failure))
            }
        }
    }

    async fn close(mut self: Box<Self>) {
        if self.session.server.flavor == Flavor::OceanBase {
            return;
        }
        let release = format!("DO RELEASE_LOCK('{}')", self.lock);
        if let Err(error) = self.session.run(release.as_bytes()).await {
            tracing::debug!(error = %error.failure, "giving a lock back");
        }
    }
}
