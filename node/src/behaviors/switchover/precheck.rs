//! Before a switchover: whether the destination is close behind the source, and what only the user can move.

use std::{collections::BTreeSet, time::Duration};

use oms_core::{Failure, codes};
use oms_mysql::{
    catalog::Catalog,
    connection::{ServerInfo, Side, connect},
};
use oms_proto::{
    meta::report_switchover::Outcome as Said,
    v1::{ObjectKind, ObjectState, SwitchoverItem},
};
use tokio::time::Instant;

use super::{Ends, Report};

/// Between two looks at what has arrived.
const ASK: Duration = Duration::from_millis(200);

/// Waits for what the source's log holds now, for as long as the allowed lag.
///
/// # Errors
/// `OMS-SWITCH-0001` when it has not arrived by then.
pub(super) async fn look(ends: &Ends) -> Result<Report, Failure> {
    let allowed = ends
        .record
        .public
        .as_ref()
        .and_then(|p| p.switchovers.last())
        .map_or(oms_meta::DEFAULT_MAX_LAG_SECONDS, |s| s.max_lag_seconds);
    let allowed = Duration::from_secs(u64::from(allowed));
    let (source, sink) = (ends.reads()?, ends.destination.sink()?);
    let target = source.current_position().await?;
    let began = Instant::now();
    loop {
        let applied = sink.applied(&ends.incr_sync()).await?;
        if applied.is_some_and(|a| a.watermark.position >= target) {
            break;
        }
        if began.elapsed() > allowed {
            return Err(Failure::new(
                codes::switchover::BEHIND,
                format!(
                    "what the source's log held up to {target} was not at the destination after {} s",
                    allowed.as_secs()
                ),
            ));
        }
        tokio::time::sleep(ASK).await;
    }
    let lag = began.elapsed();
    let items = items(ends).await?;
    let deferred = deferred(&ends.record.objects);
    let said = format!(
        "the destination had what the source's log held after {} ms; {deferred} foreign keys and checks wait; {} items are \
         left to the user",
        lag.as_millis(),
        items.len()
    );
    Ok(Report {
        destination_end: String::new(),
        said: Said::Done(said),
        items,
    })
}

/// Foreign keys and checks that are still to be created.
pub(crate) fn deferred(objects: &[oms_proto::v1::SchemaObject]) -> usize {
    let waits = |o: &&oms_proto::v1::SchemaObject| {
        o.at_switchover
            && matches!(o.kind(), ObjectKind::ForeignKey | ObjectKind::Check)
            && !matches!(
                o.state(),
                ObjectState::Completed | ObjectState::Converted | ObjectState::Skipped | ObjectState::Removed
            )
    };
    objects.iter().filter(waits).count()
}

/// The programs in the server that belong to what moves.
async fn items(ends: &Ends) -> Result<Vec<SwitchoverItem>, Failure> {
    let tables = ends.tables();
    let databases: BTreeSet<&str> = tables.iter().map(|t| t.database.as_str()).collect();
    let mut conn = connect(&ends.source.endpoint, Side::Source).await?;
    let info = ServerInfo::probe(&mut conn, Side::Source).await?;
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let mut items = Vec::new();
    let mut add = |kind: &str, database: &str, name: &str| {
        items.push(SwitchoverItem {
            name: format!("{kind}/{database}.{name}"),
            what: format!("create the {kind} `{name}` at the destination, if applications need it there"),
            completed_at_ms: 0,
        });
    };
    for database in databases {
        for trigger in catalog.triggers(database).await? {
            if tables.contains(&trigger.table) {
                add("trigger", database, &trigger.name);
            }
        }
        for program in catalog.programs(database).await? {
            if program.kind != "trigger" {
                add(&program.kind, database, &program.name);
            }
        }
    }
    Ok(items)
}
