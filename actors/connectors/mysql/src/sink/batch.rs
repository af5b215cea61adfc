//! From changes in source order to steps that may be executed in bulk. Pure.
//!
//! Changes of different tables commute, because foreign keys are not checked in the writer's
//! sessions. Within a table:
//!
//! * If the key is the only unique key, changes of different rows commute, and the changes of one
//!   row are merged into their net effect: deletes first, then updates, then inserts. A row that was
//!   deleted and whose key value returns under another spelling that collates equal is therefore
//!   gone before the new one comes. What strict mode would have checked is still checked: a row
//!   that comes and goes within the batch is deleted with an expected count of 0.
//! * Otherwise the order is kept (a unique value may wander from row to row), and only neighbours
//!   of one kind are put together.
//! * In safe mode only the last change of a key counts: rows to be gone are deleted, the others
//!   replaced. Final images agree with each other in all unique keys. A REPLACE may remove another
//!   row whose value it takes over; that row has a change of its own in the window being replayed.

use std::collections::HashMap;

use oms_core::{ApplyMode, Failure, Row, RowOp, codes};

use super::plan::{Plans, TablePlan};

/// A step. Indexes say which change of the batch it stems from, for messages.
#[derive(Debug)]
pub(crate) enum Step {
    /// Rows that must not be there yet.
    Insert(Vec<(usize, Row)>),
    /// Rows that replace what has one of their keys.
    Replace(Vec<(usize, Row)>),
    /// Rows to delete by key, each with whether it must be there. Not `strict`: whatever is there.
    Delete {
        rows: Vec<(usize, Row, bool)>,
        strict: bool,
    },
    /// One row to change.
    Update {
        at: usize,
        before: Row,
        after: Row,
        strict: bool,
    },
    /// One row of a table without a key to delete.
    DeleteIdentical { at: usize, before: Row },
}

/// Steps of one table.
#[derive(Debug)]
pub(crate) struct TableSteps {
    pub(crate) table: u32,
    pub(crate) steps: Vec<Step>,
}

type Indexed<'a> = (usize, &'a RowOp);

/// Plans a batch.
///
/// # Errors
/// `OMS-APPLY-0007` for absent columns that are needed, `OMS-APPLY-0008` for impossible changes.
pub(crate) fn plan(ops: &[RowOp], plans: &Plans) -> Result<Vec<TableSteps>, Failure> {
    let mut all = Vec::new();
    let indexed: Vec<Indexed<'_>> = ops.iter().enumerate().collect();
    for run in indexed.chunk_by(|a, b| a.1.mode == b.1.mode) {
        let mut order: Vec<u32> = Vec::new();
        let mut by_table: HashMap<u32, Vec<Indexed<'_>>> = HashMap::new();
        for (index, op) in run {
            by_table
                .entry(op.table)
                .or_insert_with(|| {
                    order.push(op.table);
                    Vec::new()
                })
                .push((*index, op));
        }
        let safe = run.first().is_some_and(|(_, op)| op.mode == ApplyMode::Safe);
        for table in order {
            let plan = plans.get(table)?;
            let ops = by_table.remove(&table).unwrap_or_default();
            for (index, op) in &ops {
                check(plan, *index, op)?;
            }
            let steps = if safe {
                safe_steps(plan, &ops)?
            } else if plan.key.is_some() && !plan.other_unique_keys {
                match net_steps(plan, &ops)? {
                    Some(steps) => steps,
                    None => ordered_steps(plan, &ops)?,
                }
            } else {
                ordered_steps(plan, &ops)?
            };
            all.push(TableSteps { table, steps });
        }
    }
    Ok(all)
}

fn check(plan: &TablePlan, index: usize, op: &RowOp) -> Result<(), Failure> {
    if op.before.is_none() && op.after.is_none() {
        return Err(internal(plan, index, "a change without rows"));
    }
    for row in op.before.iter().chain(&op.after) {
        plan.check_shape(row)?;
    }
    if let (None, Some(after)) = (&op.before, &op.after)
        && !plan.is_full(after)
    {
        return Err(partial(plan, index, "an insert without all columns"));
    }
    if let Some(before) = &op.before {
        match plan.key {
            Some(_) if plan.key_of(before).is_none() => {
                return Err(partial(plan, index, "the key columns of the row before"));
            }
            None if !plan.is_full(before) => {
                return Err(partial(
                    plan,
                    index,
                    "all columns of the row before, as the table has no key",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn partial(plan: &TablePlan, index: usize, what: &str) -> Failure {
    Failure::new(
        codes::apply::PARTIAL_IMAGE,
        format!("{}: change {index} of the batch: {what}", plan.name),
    )
}

fn internal(plan: &TablePlan, index: usize, what: &str) -> Failure {
    Failure::new(
        codes::apply::INTERNAL,
        format!("{}: change {index} of the batch: {what}", plan.name),
    )
}

/// Whether an update moves the row to another key, byte for byte.
fn moves(plan: &TablePlan, before: &Row, after: &Row) -> bool {
    plan.key_plans()
        .any(|c| !after.get(c.source).is_absent() && after.cell(c.source) != before.cell(c.source))
}

struct Net {
    at: usize,
    was_there: bool,
    /// The row as it was, if it is changed and not deleted in between.
    before: Option<Row>,
    deleted: Option<Row>,
    after: Option<Row>,
}

/// `None`: the batch holds something that must be executed in order.
fn net_steps(plan: &TablePlan, ops: &[Indexed<'_>]) -> Result<Option<Vec<Step>>, Failure> {
    let mut nets: Vec<Net> = Vec::with_capacity(ops.len());
    let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(ops.len());
    for &(at, op) in ops {
        let Some(key) = op
            .before
            .as_ref()
            .or(op.after.as_ref())
            .and_then(|r| plan.key_of(r))
        else {
            return Ok(None);
        };
        let known = places.get(&key).copied();
        let net = known.and_then(|i| nets.get_mut(i));
        match (net, &op.before, &op.after) {
            (None, before, after) => {
                if let (Some(before), Some(after)) = (before, after)
                    && moves(plan, before, after)
                {
                    return Ok(None);
                }
                places.insert(key, nets.len());
                nets.push(Net {
                    at,
                    was_there: before.is_some(),
                    before: before.clone().filter(|_| after.is_some()),
                    deleted: before.clone().filter(|_| after.is_none()),
                    after: after.clone(),
                });
            }
            (Some(net), None, Some(after)) => {
                if net.after.is_some() {
                    // The row would be there twice: let the server find it.
                    return Ok(None);
                }
                net.after = Some(after.clone());
            }
            (Some(net), Some(before), Some(after)) => {
                let Some(current) = net.after.as_ref().filter(|_| !moves(plan, before, after)) else {
                    return Ok(None);
                };
                net.after = Some(plan.overlay(current, after)?);
            }
            (Some(net), Some(before), None) => {
                if net.after.take().is_none() {
                    return Ok(None);
                }
                net.before = None;
                net.deleted = Some(before.clone());
            }
            (Some(_), None, None) => return Err(internal(plan, at, "a change without rows")),
        }
    }
    let mut deletes = Vec::new();
    let mut updates = Vec::new();
    let mut inserts = Vec::new();
    for net in nets {
        if let Some(deleted) = net.deleted {
            deletes.push((net.at, deleted, net.was_there));
        }
        match (net.before, net.after) {
            (Some(before), Some(after)) => updates.push(Step::Update {
                at: net.at,
                before,
                after,
                strict: true,
            }),
            (None, Some(after)) => inserts.push((net.at, after)),
            _ => {}
        }
    }
    let mut steps = Vec::with_capacity(updates.len() + 2);
    if !deletes.is_empty() {
        steps.push(Step::Delete {
            rows: deletes,
            strict: true,
        });
    }
    steps.append(&mut updates);
    if !inserts.is_empty() {
        steps.push(Step::Insert(inserts));
    }
    Ok(Some(steps))
}

fn ordered_steps(plan: &TablePlan, ops: &[Indexed<'_>]) -> Result<Vec<Step>, Failure> {
    let mut steps: Vec<Step> = Vec::new();
    for &(at, op) in ops {
        match (&op.before, &op.after) {
            (None, Some(after)) => push_insert(&mut steps, at, after),
            (Some(before), Some(after)) => {
                steps.push(Step::Update {
                    at,
                    before: before.clone(),
                    after: after.clone(),
                    strict: true,
                });
            }
            (Some(before), None) if plan.key.is_none() => {
                steps.push(Step::DeleteIdentical {
                    at,
                    before: before.clone(),
                });
            }
            (Some(before), None) => push_delete(&mut steps, at, before, true),
            (None, None) => return Err(internal(plan, at, "a change without rows")),
        }
    }
    Ok(steps)
}

fn push_insert(steps: &mut Vec<Step>, at: usize, row: &Row) {
    match steps.last_mut() {
        Some(Step::Insert(rows)) => rows.push((at, row.clone())),
        _ => steps.push(Step::Insert(vec![(at, row.clone())])),
    }
}

fn push_replace(steps: &mut Vec<Step>, at: usize, row: Row) {
    match steps.last_mut() {
        Some(Step::Replace(rows)) => rows.push((at, row)),
        _ => steps.push(Step::Replace(vec![(at, row)])),
    }
}

fn push_delete(steps: &mut Vec<Step>, at: usize, row: &Row, strict: bool) {
    match steps.last_mut() {
        Some(Step::Delete { rows, .. }) => rows.push((at, row.clone(), true)),
        _ => steps.push(Step::Delete {
            rows: vec![(at, row.clone(), true)],
            strict,
        }),
    }
}

fn safe_steps(plan: &TablePlan, ops: &[Indexed<'_>]) -> Result<Vec<Step>, Failure> {
    if plan.key.is_none() {
        let at = ops.first().map_or(0, |o| o.0);
        return Err(internal(
            plan,
            at,
            "a table without a key cannot be written in safe mode",
        ));
    }
    let mut ordered: Vec<Step> = Vec::new();
    let mut last: HashMap<Vec<u8>, (usize, Option<Row>, Row)> = HashMap::new();
    let mut mergeable = true;
    let needs_key = |at, row: &Row| {
        plan.key_of(row)
            .ok_or_else(|| partial(plan, at, "the key columns"))
    };
    for &(at, op) in ops {
        match (&op.before, &op.after) {
            (None, Some(after)) => {
                last.insert(needs_key(at, after)?, (at, Some(after.clone()), after.clone()));
                push_replace(&mut ordered, at, after.clone());
            }
            (Some(before), None) => {
                last.insert(needs_key(at, before)?, (at, None, before.clone()));
                push_delete(&mut ordered, at, before, false);
            }
            (Some(before), Some(after)) => {
                let full = plan.overlay(before, after)?;
                let moved = moves(plan, before, after);
                if plan.is_full(&full) {
                    if moved {
                        last.insert(needs_key(at, before)?, (at, None, before.clone()));
                        push_delete(&mut ordered, at, before, false);
                    }
                    last.insert(needs_key(at, &full)?, (at, Some(full.clone()), full.clone()));
                    push_replace(&mut ordered, at, full);
                } else if moved || plan.other_unique_keys {
                    // The row may have to be made anew here, and this change does not hold it.
                    return Err(partial(
                        plan,
                        at,
                        "an update without all columns cannot be replayed here",
                    ));
                } else {
                    mergeable = false;
                    let (before, after) = (before.clone(), after.clone());
                    ordered.push(Step::Update {
                        at,
                        before,
                        after,
                        strict: false,
                    });
                }
            }
            (None, None) => return Err(internal(plan, at, "a change without rows")),
        }
    }
    if !mergeable {
        return Ok(ordered);
    }
    let mut finals: Vec<(usize, Option<Row>, Row)> = last.into_values().collect();
    finals.sort_unstable_by_key(|f| f.0);
    let mut deletes = Vec::new();
    let mut replaces = Vec::new();
    for (at, after, key) in finals {
        match after {
            Some(row) => replaces.push((at, row)),
            None => deletes.push((at, key, true)),
        }
    }
    let mut steps = Vec::new();
    if !deletes.is_empty() {
        steps.push(Step::Delete {
            rows: deletes,
            strict: false,
        });
    }
    if !replaces.is_empty() {
        steps.push(Step::Replace(replaces));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oms_core::{Column, ColumnType, Key, KeyPart, RowBuilder, TableName, TablePair, TableSchema, Value};

    use super::*;
    use crate::{
        connection::{Flavor, ServerInfo},
        sink::{MysqlDialect, statement},
    };

    fn plans(unique: bool) -> Plans {
        let column = |name: &str, nullable| Column {
            name: name.into(),
            ty: ColumnType::Integer {
                bytes: 8,
                unsigned: false,
            },
            nullable,
            generated: None,
            invisible: false,
        };
        let key = |name: &str, primary, column| Key {
            name: name.into(),
            primary,
            parts: vec![KeyPart {
                column: Some(column),
                prefix: None,
            }],
        };
        let mut keys = vec![key("PRIMARY", true, 0)];
        if unique {
            keys.push(key("u", false, 1));
        }
        let table = Arc::new(TableSchema {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            columns: vec![column("id", false), column("u", true)],
            keys,
            estimated_rows: 0,
            estimated_bytes: 0,
        });
        let pair = TablePair::by_name(table.clone(), table).unwrap();
        let server = ServerInfo {
            flavor: Flavor::Mysql,
            version: String::new(),
            server: String::new(),
            server_id: 0,
            lower_case_table_names: 0,
            max_allowed_packet: 1 << 20,
            charsets: Default::default(),
            collations: Default::default(),
            sql_mode: String::new(),
        };
        Plans::new(&Arc::new(vec![pair]), &server, &MysqlDialect).unwrap()
    }

    fn row(values: [Value<'static>; 2]) -> Row {
        RowBuilder::build(values.into_iter()).unwrap()
    }

    fn r(id: i64, u: i64) -> Row {
        row([Value::Int(id), Value::Int(u)])
    }

    fn op(mode: ApplyMode, before: Option<Row>, after: Option<Row>) -> RowOp {
        RowOp {
            table: 0,
            mode,
            before,
            after,
        }
    }

    fn strict(before: Option<Row>, after: Option<Row>) -> RowOp {
        op(ApplyMode::Strict, before, after)
    }

    /// The steps in short: `-1` a delete that finds, `!1` one that must not, `=` update, `+` insert,
    /// `~` replace; lower-case `u` a lenient update.
    fn told(ops: &[RowOp], plans: &Plans) -> Result<String, &'static str> {
        let id = |row: &Row| match row.get(0) {
            Value::Int(v) => v,
            _ => -1,
        };
        let mut out = Vec::new();
        for table in plan(ops, plans).map_err(|f| f.code().as_str())? {
            for step in table.steps {
                let list = |mark: &str, rows: &[(usize, Row)]| {
                    rows.iter()
                        .map(|(_, r)| format!("{mark}{}", id(r)))
                        .collect::<Vec<_>>()
                        .join(",")
                };
                out.push(match step {
                    Step::Insert(rows) => list("+", &rows),
                    Step::Replace(rows) => list("~", &rows),
                    Step::Delete { rows, .. } => rows
                        .iter()
                        .map(|(_, r, there)| format!("{}{}", if *there { "-" } else { "!" }, id(r)))
                        .collect::<Vec<_>>()
                        .join(","),
                    Step::Update { before, strict, .. } => {
                        format!("{}{}", if strict { "=" } else { "u" }, id(&before))
                    }
                    Step::DeleteIdentical { .. } => "identical".into(),
                });
            }
        }
        Ok(out.join(" "))
    }

    #[test]
    fn changes_of_a_row_are_merged_where_only_the_key_matters() {
        let ops = [
            strict(None, Some(r(1, 1))),
            strict(Some(r(1, 1)), Some(r(1, 2))),
            strict(Some(r(2, 0)), Some(r(2, 1))),
            strict(Some(r(2, 1)), None),
            strict(None, Some(r(3, 0))),
            strict(Some(r(3, 0)), None),
            strict(Some(r(4, 0)), None),
            strict(None, Some(r(4, 9))),
            strict(Some(r(5, 0)), Some(r(5, 1))),
            strict(Some(r(5, 1)), Some(r(5, 2))),
        ];
        assert_eq!(told(&ops, &plans(false)).unwrap(), "-2,!3,-4 =5 +1,+4");
        let merged = plan(&ops, &plans(false)).unwrap();
        let Some(Step::Update { before, after, .. }) = merged[0].steps.get(1) else {
            panic!("an update")
        };
        assert_eq!((before, after), (&r(5, 0), &r(5, 2)));
        assert_eq!(told(&ops, &plans(true)).unwrap(), "+1 =1 =2 -2 +3 -3,-4 +4 =5 =5");
    }

    #[test]
    fn what_cannot_be_merged_keeps_its_order() {
        let moving = [strict(Some(r(1, 0)), Some(r(2, 0))), strict(None, Some(r(1, 5)))];
        assert_eq!(told(&moving, &plans(false)).unwrap(), "=1 +1");
        let twice = [strict(None, Some(r(1, 0))), strict(None, Some(r(1, 1)))];
        assert_eq!(told(&twice, &plans(false)).unwrap(), "+1,+1");
    }

    #[test]
    fn safe_mode_writes_the_last_image() {
        let safe = |before, after| op(ApplyMode::Safe, before, after);
        let ops = [
            safe(None, Some(r(1, 1))),
            safe(Some(r(1, 1)), Some(r(2, 1))),
            safe(Some(r(3, 0)), None),
            safe(None, Some(r(3, 4))),
        ];
        assert_eq!(told(&ops, &plans(true)).unwrap(), "-1 ~2,~3");
        let both = [strict(None, Some(r(9, 9))), safe(None, Some(r(8, 8)))];
        assert_eq!(told(&both, &plans(true)).unwrap(), "+9 ~8");
    }

    #[test]
    fn partial_images_need_their_key() {
        let no_u = |id| row([Value::Int(id), Value::Absent]);
        let no_id = |u| row([Value::Absent, Value::Int(u)]);
        let changed = [strict(Some(no_u(1)), Some(no_id(7)))];
        assert_eq!(told(&changed, &plans(false)).unwrap(), "=1");
        let code = codes::apply::PARTIAL_IMAGE.as_str();
        assert_eq!(
            told(&[strict(Some(no_id(1)), Some(r(1, 1)))], &plans(false)),
            Err(code)
        );
        assert_eq!(told(&[strict(None, Some(no_u(1)))], &plans(false)), Err(code));
        let safe = [op(ApplyMode::Safe, Some(no_u(1)), Some(no_u(1)))];
        assert_eq!(told(&safe, &plans(false)).unwrap(), "u1");
        assert_eq!(told(&safe, &plans(true)), Err(code));
        let wrong = RowBuilder::build([Value::Int(1)].into_iter()).unwrap();
        let shape = codes::schema::DEFINITION_DIFFERS.as_str();
        assert_eq!(told(&[strict(None, Some(wrong))], &plans(false)), Err(shape));
    }

    #[test]
    fn statements_are_as_expected() {
        let all = plans(false);
        let plan = all.get(0).unwrap();
        let text = |s: statement::Statement| String::from_utf8(s.sql).unwrap();
        let rows = [r(1, 2), row([Value::Int(3), Value::Null])];
        let (made, taken) =
            statement::insert_rows(plan, statement::InsertKind::Insert, rows.iter(), 10, 1_000).unwrap();
        assert_eq!(
            (text(made).as_str(), taken),
            ("INSERT INTO `d`.`t`(`id`,`u`)VALUES(1,2),(3,NULL)", 2)
        );
        let deleted = statement::delete_keys(plan, rows.iter(), false).unwrap();
        assert_eq!(text(deleted), "DELETE FROM `d`.`t` WHERE `id` IN(1,3)");
        let only_changed = statement::update(plan, &r(1, 2), &r(1, 5)).unwrap();
        assert_eq!(text(only_changed), "UPDATE `d`.`t` SET `u`=5 WHERE `id`=1");
        let nothing = statement::update(plan, &r(1, 2), &r(1, 2)).unwrap();
        assert_eq!(text(nothing), "UPDATE `d`.`t` SET `id`=`id` WHERE `id`=1");
        let identical = statement::delete_identical(plan, &rows[1]).unwrap();
        assert_eq!(text(identical), "DELETE FROM `d`.`t` WHERE `id`=3 LIMIT 1");
    }
}
