//! Why a statement at the destination does not end.

use std::time::Duration;

use mysql_async::{Row, prelude::Queryable as _};
use oms_core::{Failure, codes};
use oms_mysql::connection::{Endpoint, Side, connect};

/// A session that was killed is looked for when a statement takes this long, and again whenever as much time has passed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Servers take a moment to end a session, longer than any that ends by itself was seen to take.
const STAYS: u64 = 10;

/// A session whose client is gone and that the server does not end, if there is one.
///
/// seekdb 1.4.0 carries out a definition in the client's own session: killed while the server makes the new definition
/// known to itself, the session tries that for ever and is interrupted each time, and every other definition waits for its
/// lock. Nothing but a restart of the server ends it. Servers that end such sessions show none for long.
///
/// Takes a connection of its own. What cannot be found out counts as not found: the statement itself says what fails.
pub(super) async fn killed_session(endpoint: &Endpoint) -> Option<Failure> {
    let mut conn = connect(endpoint, Side::Destination).await.ok()?;
    let rows: Vec<Row> = conn.query("SHOW FULL PROCESSLIST").await.ok()?;
    let found = rows.iter().map(Session::of).find(Session::stays);
    let _ = conn.disconnect().await;
    let Session { id, seconds, .. } = found?;
    Some(Failure::new(
        codes::dst::KILLED_SESSION_STAYS,
        format!("session {id} was killed in a statement that has taken {seconds} s"),
    ))
}

/// A line of `SHOW FULL PROCESSLIST`.
struct Session {
    id: String,
    command: String,
    state: String,
    seconds: u64,
}

impl Session {
    /// Takes columns by their names, which the servers spell alike; what is not there is empty.
    fn of(row: &Row) -> Self {
        let text = |column: &str| -> String {
            row.get_opt::<Option<String>, _>(column)
                .and_then(Result::ok)
                .flatten()
                .unwrap_or_default()
        };
        Self {
            id: text("Id"),
            command: text("Command"),
            state: text("State"),
            // MariaDB shows a sign, a transient state no number.
            seconds: text("Time").parse().unwrap_or_default(),
        }
    }

    /// OceanBase shows it by the state, MySQL and MariaDB by the command.
    fn stays(&self) -> bool {
        (self.state == "SESSION_KILLED" || self.command == "Killed") && self.seconds >= STAYS
    }
}

#[cfg(test)]
mod tests {
    use super::Session;

    fn stays(command: &str, state: &str, seconds: u64) -> bool {
        let (command, state) = (command.to_owned(), state.to_owned());
        let id = "7".to_owned();
        Session {
            id,
            command,
            state,
            seconds,
        }
        .stays()
    }

    #[test]
    fn only_a_killed_session_that_stays_is_named() {
        assert!(stays("Query", "SESSION_KILLED", 10));
        assert!(stays("Killed", "", 10));
        assert!(!stays("Query", "SESSION_KILLED", 9));
        assert!(!stays("Query", "ACTIVE", 4_000));
        assert!(!stays("Sleep", "", 4_000));
    }
}
