//! What runs inside of the server: triggers, routines and events.

use oms_core::Failure;

use super::{Catalog, text};

/// A trigger, stored procedure, stored function or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// `trigger`, `procedure`, `function` or `event`.
    pub kind: String,
    /// Its name in its database.
    pub name: String,
}

impl Catalog<'_> {
    /// All programs of a database that the account sees, by kind and name.
    pub async fn programs(&mut self, database: &str) -> Result<Vec<Program>, Failure> {
        let query = "SELECT 'trigger' AS a, trigger_name AS b FROM information_schema.triggers \
                     WHERE trigger_schema = ? \
                     UNION ALL SELECT LOWER(routine_type), routine_name FROM information_schema.routines \
                     WHERE routine_schema = ? AND routine_type IN ('PROCEDURE', 'FUNCTION') \
                     UNION ALL SELECT 'event', event_name FROM information_schema.events \
                     WHERE event_schema = ?";
        let rows = self.rows(query, (database, database, database)).await?;
        let mut programs: Vec<Program> = rows
            .iter()
            .map(|row| Program {
                kind: text(row, 0),
                name: text(row, 1),
            })
            .collect();
        programs.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        Ok(programs)
    }
}
