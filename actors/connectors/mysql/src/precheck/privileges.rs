//! Privileges, named one by one.

use mysql_async::{Conn, Error, Row, prelude::Queryable};
use oms_core::{PrecheckSide, TableName, TableSchema, codes};

use super::{
    grants::Grants,
    ledger::{Ledger, listed},
    plan::PrecheckPlan,
};
use crate::{
    catalog::quoted,
    connection::{Flavor, ServerInfo, variables},
};

/// Tables on which a privilege that the grants do not show is tried.
const TRIED: usize = 100;

/// Adds the items about the source's account.
pub(super) async fn source(
    conn: &mut Conn,
    info: &ServerInfo,
    plan: &PrecheckPlan,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let side = PrecheckSide::Source;
    let grants = Grants::of(conn).await?;
    let mut unreadable = Vec::new();
    let mut tried = 0;
    for (name, _) in plan.tables.iter().chain(&plan.views) {
        if grants.has_on_table("SELECT", name) {
            continue;
        }
        // Grants may come by ways that SHOW GRANTS does not list; reading nothing proves it.
        tried += 1;
        if tried <= TRIED && may_select(conn, name).await? {
            continue;
        }
        unreadable.push(format!("SELECT ON {name}"));
    }
    let action = "Grant what is named, for example GRANT SELECT ON `db`.* TO the account.";
    ledger.none_of(
        "DB_ACCOUNT_FULL_READ_PRIVILEGE",
        side,
        codes::src::PRIVILEGE_MISSING,
        &unreadable,
        "missing privileges",
        action,
    );
    if plan.steps.schema && !plan.views.is_empty() {
        let views: Vec<String> = plan
            .views
            .iter()
            .filter(|(v, _)| !grants.has_on_table("SHOW VIEW", v))
            .map(|(v, _)| format!("SHOW VIEW ON {v}"))
            .collect();
        ledger.none_of(
            "DB_MYSQL_SHOW_VIEW_PRIVILEGE",
            side,
            codes::src::PRIVILEGE_MISSING,
            &views,
            "missing privileges",
            action,
        );
    }
    // What OceanBase's rounds need is tried where they are checked.
    if plan.steps.incr && info.flavor != Flavor::OceanBase {
        let mut missing = Vec::new();
        if !grants.has_global("REPLICATION SLAVE") && !grants.has_global("REPLICATION REPLICA") {
            missing.push("REPLICATION SLAVE ON *.*".to_owned());
        }
        // MariaDB 10.5 renamed REPLICATION CLIENT; either name grants the same there.
        let client = match info.flavor {
            Flavor::MariaDb => "BINLOG MONITOR",
            _ => "REPLICATION CLIENT",
        };
        let may_ask = ["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"]
            .iter()
            .any(|p| grants.has_global(p));
        if !may_ask && !may_ask_status(conn).await? {
            missing.push(format!("{client} ON *.*"));
        }
        ledger.none_of(
            "DB_ACCOUNT_INCR_READ_PRIVILEGE",
            side,
            codes::src::PRIVILEGE_MISSING,
            &missing,
            "missing privileges",
            "Grant what is named: GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the account.",
        );
    }
    Ok(())
}

/// Tables without a key are read in a snapshot. Without GTIDs, MySQL's list of open transactions is needed to know where
/// in the log it is.
pub(super) async fn snapshots(
    conn: &mut Conn,
    tables: &[TableSchema],
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let keyless: Vec<String> = tables
        .iter()
        .filter(|t| t.row_key_columns().is_none())
        .map(|t| t.name.to_string())
        .collect();
    if keyless.is_empty() || Grants::of(conn).await?.has_global("PROCESS") {
        return Ok(());
    }
    let mode = variables(conn, &["gtid_mode"]).await?;
    if !mode
        .get("gtid_mode")
        .is_some_and(|m| m.eq_ignore_ascii_case("ON"))
    {
        ledger.failed(
            "DB_UK_INDEX",
            PrecheckSide::Source,
            codes::src::PRIVILEGE_MISSING,
            format!(
                "missing privilege PROCESS ON *.*: without it and without GTID mode, tables without a key cannot be read \
                 at a known position of the log: {}",
                listed(&keyless)
            ),
            "GRANT PROCESS ON *.* TO the account, or enable GTID mode, or add keys, or leave the tables out.",
        );
    }
    Ok(())
}

/// Adds the items about the destination's account.
pub(super) async fn destination(
    conn: &mut Conn,
    plan: &PrecheckPlan,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let side = PrecheckSide::Destination;
    let grants = Grants::of(conn).await?;
    let mut missing = Vec::new();
    for database in plan.destination_databases() {
        if database == plan.meta_database {
            continue;
        }
        for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
            let on_tables = || {
                let mut here = plan
                    .tables
                    .iter()
                    .map(|(_, d)| d)
                    .filter(|d| d.database == database);
                here.all(|d| grants.has_on_table(privilege, d))
            };
            if !grants.has_on_database(privilege, database) && !on_tables() {
                missing.push(format!("{privilege} ON {}.*", quoted(database)));
            }
        }
    }
    for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"] {
        if !grants.has_on_database(privilege, &plan.meta_database) {
            missing.push(format!("{privilege} ON {}.*", quoted(&plan.meta_database)));
        }
    }
    let code = codes::dst::PRIVILEGE_MISSING;
    ledger.none_of(
        "DB_ACCOUNT_WRITER_PRIVILEGE",
        side,
        code,
        &missing,
        "missing privileges",
        "Grant what is named. The second database holds the positions that make restarts exact.",
    );
    if plan.steps.follows_ddl {
        followed(conn, &grants, plan, ledger).await?;
    }
    if plan.steps.schema {
        let mut missing = Vec::new();
        for database in plan.destination_databases() {
            let mut needed = vec!["CREATE", "ALTER", "INDEX", "DROP", "REFERENCES"];
            if plan.views.iter().any(|(_, d)| d.database == database) {
                needed.push("CREATE VIEW");
            }
            for privilege in needed {
                if !grants.has_on_database(privilege, database) {
                    missing.push(format!("{privilege} ON {}.*", quoted(database)));
                }
            }
        }
        // OceanBase has no REFERENCES privilege to grant on old kernels and does not ask for it.
        if listed(&missing).contains("REFERENCES") {
            let oceanbase = version(conn).await?.to_ascii_lowercase().contains("oceanbase");
            missing.retain(|m| !(oceanbase && m.starts_with("REFERENCES")));
        }
        ledger.none_of(
            "DB_ACCOUNT_CREATE_PRIVILEGE",
            side,
            code,
            &missing,
            "missing privileges",
            "Grant what is named, or create the objects by hand and leave schema migration out.",
        );
    }
    Ok(())
}

/// What the statements need that are followed; a RENAME and a TRUNCATE need DROP, too.
const FOLLOWED: [&str; 5] = ["CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"];

/// Adds the item about the privileges for statements that will be followed, with the statements that grant what is missing.
async fn followed(
    conn: &mut Conn,
    grants: &Grants,
    plan: &PrecheckPlan,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    // OceanBase does not ask for REFERENCES.
    let oceanbase = version(conn).await?.to_ascii_lowercase().contains("oceanbase");
    let account: Option<String> = conn.query_first("SELECT CURRENT_USER()").await?;
    let account = account_name(&account.unwrap_or_default());
    let (mut missing, mut statements) = (Vec::new(), Vec::new());
    for database in plan.destination_databases() {
        let lacking: Vec<&str> = FOLLOWED
            .into_iter()
            .filter(|p| !(oceanbase && *p == "REFERENCES"))
            .filter(|p| !grants.has_on_database(p, database))
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let scope = format!("{}.*", quoted(database));
        missing.extend(lacking.iter().map(|p| format!("{p} ON {scope}")));
        statements.push(format!("GRANT {} ON {scope} TO {account};", lacking.join(", ")));
    }
    ledger.none_of(
        "DB_ACCOUNT_DDL_PRIVILEGE",
        PrecheckSide::Destination,
        codes::dst::PRIVILEGE_MISSING,
        &missing,
        "missing privileges for statements that define tables",
        &format!(
            "Run at the destination: {} Or set `incremental.ddl: stop`.",
            statements.join(" ")
        ),
    );
    Ok(())
}

/// `user@host` as statements want it.
fn account_name(current: &str) -> String {
    let quote = |part: &str| format!("'{}'", part.replace('\\', "\\\\").replace('\'', "''"));
    match current.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quote(user), quote(host)),
        None => quote(current),
    }
}

async fn version(conn: &mut Conn) -> Result<String, Error> {
    let text: Option<String> = conn.query_first("SELECT VERSION()").await?;
    Ok(text.unwrap_or_default())
}

async fn may_select(conn: &mut Conn, name: &TableName) -> Result<bool, Error> {
    match conn.query_drop(format!("SELECT * FROM {name} LIMIT 0")).await {
        Ok(()) => Ok(true),
        Err(Error::Server(_)) => Ok(false),
        Err(e) => Err(e),
    }
}

async fn may_ask_status(conn: &mut Conn) -> Result<bool, Error> {
    for statement in ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"] {
        match conn.query_first::<Row, _>(statement).await {
            Ok(_) => return Ok(true),
            Err(Error::Server(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::account_name;

    #[test]
    fn accounts_are_quoted() {
        assert_eq!(account_name("oms@%"), "'oms'@'%'");
        assert_eq!(account_name("o'm@s@localhost"), "'o''m@s'@'localhost'");
        assert_eq!(account_name(""), "''");
    }
}
