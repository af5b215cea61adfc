//! Whether a server takes writes, and how that is changed.

use std::time::Duration;

use mysql_async::{Conn, Error, prelude::Queryable as _};
use oms_core::{Failure, codes};
use oms_mysql::connection::{Side, connect, failure};
use oms_proto::v1::SourceWrites;

use crate::connectors::Connector;

/// How long a setting may wait for transactions and locks of others.
const WAIT: Duration = Duration::from_secs(30);
/// `ER_UNKNOWN_SYSTEM_VARIABLE`.
const UNKNOWN_VARIABLE: u16 = 1193;

/// How writes are allowed at the server now.
pub(super) async fn now(source: &Connector) -> Result<SourceWrites, Failure> {
    let mut conn = connect(&source.endpoint, Side::Source).await?;
    read(&mut conn).await
}

async fn read(conn: &mut Conn) -> Result<SourceWrites, Failure> {
    let read_only = variable(conn, "read_only").await?.unwrap_or_default();
    Ok(SourceWrites {
        read_only,
        super_read_only: variable(conn, "super_read_only").await?,
    })
}

/// A global variable that is on or off; `None` where the server does not know it.
async fn variable(conn: &mut Conn, name: &str) -> Result<Option<bool>, Failure> {
    // MariaDB has more values than on and off in later versions; only OFF and 0 mean that writes are allowed.
    match conn
        .query_first::<String, _>(format!("SELECT CAST(@@GLOBAL.{name} AS CHAR)"))
        .await
    {
        Ok(value) => Ok(Some(!matches!(value.as_deref(), None | Some("0" | "OFF")))),
        Err(Error::Server(e)) if e.code == UNKNOWN_VARIABLE => Ok(None),
        Err(e) => Err(failure(e, Side::Source)),
    }
}

/// Lets nobody write any more. When this has returned, every write that was committed is in the log, and no other comes, but
/// of accounts that may write all the same.
///
/// # Errors
/// `OMS-SWITCH-0004` when the account may not, or when transactions or locks of others keep it from happening.
pub(super) async fn forbid(source: &Connector) -> Result<(), Failure> {
    let mut conn = connect(&source.endpoint, Side::Source).await?;
    let has_super = read(&mut conn).await?.super_read_only.is_some();
    set(&mut conn, "read_only", true).await?;
    if has_super {
        set(&mut conn, "super_read_only", true).await?;
    }
    Ok(())
}

/// Allows writes as before; what was done, in words.
///
/// # Errors
/// `OMS-SWITCH-0004` when the account may not.
pub(super) async fn restore(source: &Connector, before: &SourceWrites) -> Result<String, Failure> {
    let mut conn = connect(&source.endpoint, Side::Source).await?;
    let mut words = Vec::new();
    // Off in this order: the one switches the other on.
    if let Some(on) = before.super_read_only {
        set(&mut conn, "super_read_only", on).await?;
        words.push(format!("super_read_only is {}", shown(on)));
    }
    if !before.read_only {
        set(&mut conn, "read_only", false).await?;
    }
    words.push(format!("read_only is {}", shown(before.read_only)));
    Ok(format!("at the source {}", words.join(" and ")))
}

fn shown(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

async fn set(conn: &mut Conn, name: &str, on: bool) -> Result<(), Failure> {
    let wait = format!("SET SESSION lock_wait_timeout = {}", WAIT.as_secs());
    conn.query_drop(wait)
        .await
        .map_err(|e| failure(e, Side::Source))?;
    let statement = format!("SET GLOBAL {name} = {}", shown(on));
    let refused = |why: String| {
        Failure::new(
            codes::switchover::CANNOT_STOP_WRITES,
            format!("{statement}: {why}"),
        )
    };
    match tokio::time::timeout(2 * WAIT, conn.query_drop(statement.as_str())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Error::Server(e))) => Err(refused(format!("{} {}", e.code, e.message))),
        Ok(Err(e)) => Err(failure(e, Side::Source)),
        Err(_) => Err(refused("it waits for transactions or locks of others".to_owned())),
    }
}
