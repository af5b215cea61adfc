//! All items of one project.

use mysql_async::Conn;
use oms_core::{Failure, PrecheckItem, PrecheckSide};

use super::{
    ledger::Ledger,
    log, moments, objects,
    pair::{self, End},
    plan::PrecheckPlan,
    privileges,
};
use crate::{
    catalog::Catalog,
    connection::{Endpoint, Flavor, ServerInfo, Side, connect, failure, variables},
};

/// As [`run`], for a project whose destination is no database: only what the source must be.
pub async fn run_source(source: &Endpoint, plan: &PrecheckPlan) -> Vec<PrecheckItem> {
    let mut ledger = Ledger::default();
    if let Some((mut conn, end)) = open(source, Side::Source, plan, &mut ledger).await {
        if let Err(e) = check_source(&mut conn, &end.info, plan, &mut ledger).await {
            ledger.failure("DB_SERVICE_STATUS", PrecheckSide::Source, &e);
        }
        close(conn).await;
    } else {
        ledger.not_checked(
            "DB_SERVICE_STATUS",
            PrecheckSide::Source,
            "there is no connection",
        );
    }
    ledger.into_items()
}

/// Checks everything that can be checked without changing anything, on fresh connections.
///
/// Never fails: what goes wrong is an item that failed, and what depends on it is not checked.
pub async fn run(source: &Endpoint, destination: &Endpoint, plan: &PrecheckPlan) -> Vec<PrecheckItem> {
    let mut ledger = Ledger::default();
    let from = open(source, Side::Source, plan, &mut ledger).await;
    let to = open(destination, Side::Destination, plan, &mut ledger).await;
    let mut found = objects::SourceObjects::default();
    let mut ends = (None, None);
    if let Some((mut conn, end)) = from {
        match check_source(&mut conn, &end.info, plan, &mut ledger).await {
            Ok(objects) => found = objects,
            Err(e) => ledger.failure("DB_SERVICE_STATUS", PrecheckSide::Source, &e),
        }
        ends.0 = Some(end);
        close(conn).await;
    } else {
        ledger.not_checked(
            "DB_SERVICE_STATUS",
            PrecheckSide::Source,
            "there is no connection",
        );
    }
    if let Some((mut conn, end)) = to {
        if let Err(e) = check_destination(&mut conn, &end.info, plan, &found, &mut ledger).await {
            ledger.failure("DB_SERVICE_STATUS", PrecheckSide::Destination, &e);
        }
        ends.1 = Some(end);
        close(conn).await;
    } else {
        ledger.not_checked(
            "DB_SERVICE_STATUS",
            PrecheckSide::Destination,
            "there is no connection",
        );
    }
    if let (Some(from), Some(to)) = &ends {
        pair::check(plan, (source, destination), from, to, &found.tables, &mut ledger);
    }
    ledger.into_items()
}

async fn close(conn: Conn) {
    // The checks are done; a connection that breaks now changes nothing.
    if let Err(e) = conn.disconnect().await {
        tracing::debug!(error = %e, "closing a precheck connection");
    }
}

async fn open(
    endpoint: &Endpoint,
    side: Side,
    plan: &PrecheckPlan,
    ledger: &mut Ledger,
) -> Option<(Conn, End)> {
    let place = match side {
        Side::Source => PrecheckSide::Source,
        Side::Destination => PrecheckSide::Destination,
    };
    let opened = async {
        let mut conn = connect(endpoint, side).await?;
        let info = ServerInfo::probe(&mut conn, side).await?;
        let end = End::read(&mut conn, info, plan.now_us)
            .await
            .map_err(|e| failure(e, side))?;
        Ok::<_, Failure>((conn, end))
    };
    match opened.await {
        Err(e) => {
            ledger.failure("RDB_CONNECT", place, &e);
            None
        }
        Ok((conn, end)) => {
            ledger.passed(
                "RDB_CONNECT",
                place,
                format!("{}:{} answers", endpoint.host, endpoint.port),
            );
            let version = format!("{} ({})", end.info.flavor.name(), end.info.version);
            match (end.info.flavor, side) {
                (Flavor::Mysql | Flavor::MariaDb | Flavor::OceanBase, _) => {
                    ledger.passed("DB_VERSION", place, version);
                }
                (Flavor::TiDb, _) => ledger.warning(
                    "DB_VERSION",
                    place,
                    format!("{version} is not a server that this connector was tested with here"),
                    "Try it with data that you can lose.",
                ),
            }
            Some((conn, end))
        }
    }
}

async fn check_source(
    conn: &mut Conn,
    info: &ServerInfo,
    plan: &PrecheckPlan,
    ledger: &mut Ledger,
) -> Result<objects::SourceObjects, Failure> {
    let at = |e| failure(e, Side::Source);
    if plan.steps.incr {
        match info.flavor {
            Flavor::OceanBase => moments::check(conn, plan, ledger).await.map_err(at)?,
            _ => log::check(conn, info, ledger).await.map_err(at)?,
        }
    }
    privileges::source(conn, info, plan, ledger).await.map_err(at)?;
    // MySQL 9.6 moved foreign keys out of the engine, where their changes are logged; the variable
    // tells whether they still are in it.
    let native = variables(conn, &["innodb_native_foreign_keys"])
        .await
        .map_err(at)?;
    let native_off = native
        .get("innodb_native_foreign_keys")
        .is_some_and(|v| v.eq_ignore_ascii_case("OFF"));
    // Rows that are compared tell every change, whatever made it.
    let logged = native_off || info.flavor == Flavor::OceanBase;
    let mut catalog = Catalog::new(conn, info.flavor, Side::Source);
    let found = objects::source(&mut catalog, info, plan, logged, ledger).await?;
    if plan.steps.full && plan.steps.incr && info.flavor == Flavor::Mysql {
        privileges::snapshots(conn, &found.tables, ledger)
            .await
            .map_err(at)?;
    }
    ledger.passed(
        "DB_SERVICE_STATUS",
        PrecheckSide::Source,
        "the server answers every query",
    );
    Ok(found)
}

async fn check_destination(
    conn: &mut Conn,
    info: &ServerInfo,
    plan: &PrecheckPlan,
    found: &objects::SourceObjects,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let side = PrecheckSide::Destination;
    let at = |e| failure(e, Side::Destination);
    let v = variables(conn, &["read_only", "super_read_only"])
        .await
        .map_err(at)?;
    let on = |name: &str| {
        v.get(name)
            .is_some_and(|v| v.eq_ignore_ascii_case("ON") || v == "1")
    };
    privileges::destination(conn, plan, ledger).await.map_err(at)?;
    let mut catalog = Catalog::new(conn, info.flavor, Side::Destination);
    objects::destination(&mut catalog, info, plan, found, ledger).await?;
    if on("read_only") || on("super_read_only") {
        ledger.failed(
            "DB_SERVICE_STATUS",
            side,
            oms_core::codes::dst::STATEMENT_FAILED,
            "the destination is read-only",
            "Choose the primary, or set read_only=OFF.",
        );
    } else {
        ledger.passed(
            "DB_SERVICE_STATUS",
            side,
            "the server answers and may be written to",
        );
    }
    Ok(())
}
