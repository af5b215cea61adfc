//! Sessions that lock the component's own row, and how they are ended when they stand still.
//!
//! Who waits for a lock cannot see who holds it. So whoever is about to lock the component's own row says
//! so before, in a statement that commits by itself: with the number of its connection, and its epoch.

use oms_core::{Epoch, Failure};

use super::{
    fence::COMPONENT_ROW,
    session::{Session, SqlError},
};

/// The list of records in which sessions say that they will lock the component's own row.
const LIST: &str = "'lockers'";

/// A session that said so.
#[derive(Debug)]
pub(crate) struct Locker {
    component: String,
    connection: u64,
}

impl Locker {
    /// Says that this session will lock the own row of the component (a literal).
    pub(crate) async fn announce(
        session: &mut Session,
        component: &str,
        epoch: Epoch,
    ) -> Result<Self, Failure> {
        let connection = session.mark().await?;
        let sql = format!(
            "REPLACE INTO {} (component, list_name, item, epoch, content) \
             VALUES ({component},{LIST},{connection},{epoch},'')",
            session.meta().record()
        );
        session.run(sql.as_bytes()).await?;
        Ok(Self {
            component: component.to_owned(),
            connection,
        })
    }

    /// Says that it no longer does; behind its transaction.
    pub(crate) async fn withdraw(self, session: &mut Session) -> Result<(), Failure> {
        self.remove(session, &[self.connection]).await
    }

    /// The same, and for sessions that no longer exist as well.
    pub(crate) async fn withdraw_all(self, session: &mut Session) -> Result<(), Failure> {
        let record = session.meta().record().to_owned();
        // Read before the list of sessions: one that comes later is not taken for one that has gone.
        let announced: Vec<(u64,)> = session
            .rows(format!(
                "SELECT item FROM {record} WHERE component={} AND list_name={LIST}",
                self.component
            ))
            .await?;
        let alive: Vec<(u64,)> = session
            .rows("SELECT id FROM information_schema.processlist")
            .await?;
        let mut gone: Vec<u64> = announced
            .into_iter()
            .filter(|connection| !alive.contains(connection))
            .map(|(connection,)| connection)
            .collect();
        gone.push(self.connection);
        self.remove(session, &gone).await
    }

    async fn remove(&self, session: &mut Session, connections: &[u64]) -> Result<(), Failure> {
        let connections: Vec<String> = connections.iter().map(u64::to_string).collect();
        let sql = format!(
            "DELETE FROM {} WHERE component={} AND list_name={LIST} AND item IN ({})",
            session.meta().record(),
            self.component,
            connections.join(",")
        );
        session.run(sql.as_bytes()).await?;
        Ok(())
    }

    /// The highest epoch that has claimed, as far as it is committed. Waits for nobody.
    pub(crate) async fn committed_epoch(&self, session: &mut Session) -> Result<u64, SqlError> {
        let rows: Vec<(u64,)> = session
            .rows(format!(
                "SELECT epoch FROM {} WHERE component={} AND lane={COMPONENT_ROW}",
                session.meta().fence(),
                self.component
            ))
            .await?;
        Ok(rows.first().map_or(0, |row| row.0))
    }

    /// Ends the sessions of the component that work under this epoch or a lower one: writers, and those that
    /// said that they would lock the own row. Only connections that use the hidden database are ended, in
    /// case a number was given to somebody else after the server restarted.
    pub(crate) async fn end_others(&self, session: &mut Session, epoch: Epoch) -> Result<(), Failure> {
        let (fence, record) = (session.meta().fence(), session.meta().record());
        let (component, own) = (&self.component, self.connection);
        let sql = format!(
            "SELECT id FROM information_schema.processlist WHERE db='{}' AND id<>{own} AND (id IN \
             (SELECT connection FROM {fence} WHERE component={component} AND epoch<={epoch} AND connection<>0) \
             OR id IN (SELECT item FROM {record} WHERE component={component} AND list_name={LIST} AND epoch<={epoch}))",
            session
                .meta()
                .database()
                .replace('\\', "\\\\")
                .replace('\'', "''")
        );
        let connections: Vec<(u64,)> = session.rows(sql).await?;
        for (connection,) in connections {
            tracing::info!(
                connection,
                "ending a session of an earlier owner that holds a lock"
            );
            match session.run(format!("KILL {connection}").as_bytes()).await {
                // It ended by itself.
                Err(error) if error.number == Some(1094) => {}
                other => {
                    other?;
                }
            }
        }
        Ok(())
    }
}
