//! One round: what differs between two moments.

use mysql_async::{Conn, prelude::Queryable as _};
use oms_core::{Failure, Row, RowBuilder, codes};
use oms_mysql::{
    connection::{Side, failure},
    snapshot::image,
};

use super::{
    batch::Change,
    moment,
    outlet::{Gone, Outlet},
    statement::{Between, Scope},
};

/// Changes of one table that are held until what is gone is known, in bytes. With more of them, what is gone is asked for
/// first, whether or not anything is.
const HELD_BYTES: usize = 8 << 20;

/// Why a round ended early.
#[derive(Debug)]
pub(super) enum Break {
    /// Nobody wants it any more.
    Gone,
    /// It failed.
    Failed(Failure),
}

impl From<Gone> for Break {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The connections of a round: while one gives rows the others are asked in between.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) rows: Conn,
    /// Gives what those rows were, where one statement cannot give both.
    pub(super) earlier: Conn,
    pub(super) other: Conn,
}

/// Gives the changes of one scope between two moments: first the deletes, then the rest. `known`: how many rows there
/// were at the beginning, where an earlier round counted them. The number of rows at the end.
///
/// A row that stays and passes a value of a unique key on is given as a delete and an insert, so that every such value
/// is free when it is taken.
///
/// # Errors
/// `OMS-SRC-0020` when the numbers of rows do not add up; `OMS-SRC-0008` and `-0019` when a moment cannot be read.
pub(super) async fn compare(
    connections: &mut Connections,
    scope: &Scope,
    between: Between,
    known: Option<u64>,
    outlet: &mut Outlet<'_>,
) -> Result<u64, Break> {
    let Connections { rows, earlier, other } = connections;
    let at_source = |e| {
        let failed = failure(e, Side::Source).context(&scope.table.name);
        moment::explained(failed, between.from)
    };
    let before = match known {
        Some(known) => known,
        None => count(other, scope, between.from).await?,
    };
    let columns = &scope.table.columns;
    let mut builder = RowBuilder::new();
    let mut held: Vec<(Change, bool)> = Vec::new();
    let (mut held_bytes, mut inserted, mut deleted, mut flowing) = (0, 0u64, 0u64, false);
    let prepared = rows.prep(scope.changed(between)).await.map_err(at_source)?;
    let prepared_earlier = match scope.earlier(between) {
        Some(sql) => Some(earlier.prep(sql).await.map_err(at_source)?),
        None => None,
    };
    let mut result = rows.exec_iter(&prepared, ()).await.map_err(at_source)?;
    let mut earlier_result = match &prepared_earlier {
        Some(prepared) => Some(earlier.exec_iter(prepared, ()).await.map_err(at_source)?),
        None => None,
    };
    let identified_by = scope.identified_by();
    while let Some(wire) = result.next().await.map_err(at_source)? {
        let (new, moved) = (flag(&wire, 0)?, flag(&wire, 1)?);
        let mut read = |wire: &mysql_async::Row, from| {
            image(&mut builder, columns, wire, from, Side::Source).map_err(|e| e.context(&scope.table.name))
        };
        let after = read(&wire, 2 + identified_by)?;
        let change = if new {
            inserted += 1;
            Change::Insert(after)
        } else if let Some(earlier) = &mut earlier_result {
            let then = earlier.next().await.map_err(at_source)?;
            let then = then.filter(|then| (0..identified_by).all(|i| then.as_ref(i) == wire.as_ref(2 + i)));
            let then = then.ok_or_else(|| unpaired(scope, between))?;
            let before = read(&then, identified_by)?;
            Change::Update { before, after }
        } else {
            let before = read(&wire, 2 + columns.len())?;
            Change::Update { before, after }
        };
        if flowing {
            give(scope, outlet, change, moved).await?;
            continue;
        }
        held_bytes += change.size();
        held.push((change, moved));
        if held_bytes > HELD_BYTES {
            deleted = delete(other, scope, scope.gone(between), between, outlet).await?;
            if let Some(moved) = scope.moved(between) {
                delete(other, scope, moved, between, outlet).await?;
            }
            for (change, moved) in std::mem::take(&mut held) {
                give(scope, outlet, change, moved).await?;
            }
            flowing = true;
        }
    }
    drop(result);
    rows.close(prepared).await.map_err(at_source)?;
    if let Some(earlier) = &mut earlier_result
        && earlier.next().await.map_err(at_source)?.is_some()
    {
        return Err(unpaired(scope, between).into());
    }
    drop(earlier_result);
    if let Some(prepared) = prepared_earlier {
        earlier.close(prepared).await.map_err(at_source)?;
    }
    let after = count(other, scope, between.to).await?;
    if !flowing {
        if before + inserted != after {
            deleted = delete(other, scope, scope.gone(between), between, outlet).await?;
        }
        if scope.has_moves() {
            for (change, _) in held.iter().filter(|(_, moved)| *moved) {
                if let Change::Update { before, .. } = change {
                    outlet.push(&scope.table, &Change::Delete(before.clone())).await?;
                }
            }
        }
        for (change, moved) in held {
            give(scope, outlet, change, moved).await?;
        }
    }
    if before + inserted != after + deleted {
        let words = format!(
            "{}: {before} rows at SCN {}, {inserted} inserted, {deleted} deleted, {after} rows at SCN {}",
            scope.table.name, between.from, between.to
        );
        return Err(Failure::new(codes::src::ROUND_INCONSISTENT, words).into());
    }
    Ok(after)
}

/// The two statements that give the images of changed rows did not give the same rows.
fn unpaired(scope: &Scope, between: Between) -> Failure {
    let words = format!(
        "{}: the images of the rows that changed between SCN {} and SCN {} are not of the same rows",
        scope.table.name, between.from, between.to
    );
    Failure::new(codes::src::ROUND_INCONSISTENT, words)
}

/// A row that was moved is deleted already.
async fn give(scope: &Scope, outlet: &mut Outlet<'_>, change: Change, moved: bool) -> Result<(), Gone> {
    let change = match change {
        Change::Update { after, .. } if moved => Change::Insert(after),
        other => other,
    };
    outlet.push(&scope.table, &change).await
}

/// Gives the rows of a statement as deleted; how many.
async fn delete(
    conn: &mut Conn,
    scope: &Scope,
    sql: String,
    between: Between,
    outlet: &mut Outlet<'_>,
) -> Result<u64, Break> {
    let at_source = |e| {
        let failed = failure(e, Side::Source).context(&scope.table.name);
        moment::explained(failed, between.from)
    };
    let mut builder = RowBuilder::new();
    let mut deleted = 0;
    let prepared = conn.prep(sql).await.map_err(at_source)?;
    let mut result = conn.exec_iter(&prepared, ()).await.map_err(at_source)?;
    while let Some(wire) = result.next().await.map_err(at_source)? {
        let before: Row = image(&mut builder, &scope.table.columns, &wire, 0, Side::Source)
            .map_err(|e| e.context(&scope.table.name))?;
        outlet.push(&scope.table, &Change::Delete(before)).await?;
        deleted += 1;
    }
    drop(result);
    conn.close(prepared).await.map_err(at_source)?;
    Ok(deleted)
}

async fn count(conn: &mut Conn, scope: &Scope, scn: u64) -> Result<u64, Failure> {
    let counted: Option<u64> = conn.query_first(scope.count(scn)).await.map_err(|e| {
        let failed = failure(e, Side::Source).context(&scope.table.name);
        moment::explained(failed, scn)
    })?;
    counted.ok_or_else(|| Failure::new(codes::src::ROUND_INCONSISTENT, "a count without a row"))
}

fn flag(wire: &mysql_async::Row, index: usize) -> Result<bool, Failure> {
    match wire.as_ref(index) {
        Some(mysql_async::Value::Int(n)) => Ok(*n != 0),
        Some(mysql_async::Value::UInt(n)) => Ok(*n != 0),
        // `NULL` of a comparison with a row that is not there.
        Some(mysql_async::Value::NULL) => Ok(false),
        _ => Err(Failure::new(
            codes::schema::DEFINITION_DIFFERS,
            "a condition is no truth value",
        )),
    }
}
