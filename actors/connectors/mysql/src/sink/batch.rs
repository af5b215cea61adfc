//! From changes in source order to steps that may be executed in bulk. Pure.
//!
//! Changes of different tables commute, because foreign keys are not checked in the writer's
//! sessions. Within a table:
//!
//! * The changes of one key are merged into their net effect. A row that moves to another key leaves the one and comes
//!   to the other. Executed are first all deletes, then all updates, then all inserts. A row that stays but changes a
//!   value of another unique key is deleted and inserted, so that every unique value that the batch frees is free before
//!   one is taken, whatever way values wander; the updates between touch none. A row that was deleted and whose key
//!   value returns under another spelling that collates equal is gone before the new one comes.
//! * What strict mode would have checked of the rows before and after the batch is still checked: how many rows each
//!   statement finds. A row that comes and goes within the batch is deleted with an expected count of 0.
//! * Where that cannot be told (images that lack columns, unique keys over expressions, columns that only the destination
//!   has, a row that comes twice) the order is kept, and only neighbours of one kind are put together.
//! * In safe mode only the last change of a key counts: rows to be gone are deleted, the others
//!   replaced. Final images agree with each other in all unique keys. A REPLACE may remove another
//!   row whose value it takes over; that row has a change of its own in the window being replayed.

use std::collections::HashMap;

use oms_core::{ApplyMode, Failure, Row, RowOp, codes};

use super::plan::{KeyBytes, Plans, TablePlan};

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
    /// Rows to change that must be there; neither their keys nor values of other unique keys change.
    Updates(Vec<Change>),
    /// One row of a table without a key to delete.
    DeleteIdentical { at: usize, before: Row },
}

/// An update of one row.
#[derive(Debug)]
pub(crate) struct Change {
    /// Which change of the batch it stems from.
    pub(crate) at: usize,
    pub(crate) before: Row,
    /// What is absent stays.
    pub(crate) after: Row,
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
            } else if plan.key.is_some() && !plan.keeps_order {
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

/// What the changes of one key come to.
struct Net {
    at: usize,
    /// The first image that was seen: as it was, if the row was there.
    first: Row,
    there: bool,
    now: Option<Row>,
}

/// The nets of a batch, by key.
struct Nets<'p> {
    plan: &'p TablePlan,
    nets: Vec<Net>,
    places: HashMap<KeyBytes, usize>,
}

/// The changes cannot be merged: the server has to see them one after the other.
struct InOrder;

impl Nets<'_> {
    fn find(&mut self, row: &Row) -> Result<(KeyBytes, Option<&mut Net>), InOrder> {
        let key = self.plan.key_of(row).ok_or(InOrder)?;
        let place = self.places.get(&key).copied();
        Ok((key, place.and_then(|i| self.nets.get_mut(i))))
    }

    fn begin(&mut self, key: KeyBytes, net: Net) {
        self.places.insert(key, self.nets.len());
        self.nets.push(net);
    }

    fn insert(&mut self, at: usize, row: &Row) -> Result<(), InOrder> {
        match self.find(row)? {
            (key, None) => self.begin(
                key,
                Net {
                    at,
                    first: row.clone(),
                    there: false,
                    now: Some(row.clone()),
                },
            ),
            // The row would be there twice: let the server find it.
            (_, Some(net)) if net.now.is_some() => return Err(InOrder),
            (_, Some(net)) => net.now = Some(row.clone()),
        }
        Ok(())
    }

    fn delete(&mut self, at: usize, row: &Row) -> Result<(), InOrder> {
        match self.find(row)? {
            (key, None) => self.begin(
                key,
                Net {
                    at,
                    first: row.clone(),
                    there: true,
                    now: None,
                },
            ),
            (_, Some(net)) => {
                net.now.take().ok_or(InOrder)?;
            }
        }
        Ok(())
    }

    fn update(&mut self, at: usize, before: &Row, after: &Row) -> Result<Result<(), InOrder>, Failure> {
        let plan = self.plan;
        let moved = moves(plan, before, after);
        let (key, net) = match self.find(before) {
            Ok(found) => found,
            Err(order) => return Ok(Err(order)),
        };
        if !moved {
            match net {
                None => self.begin(
                    key,
                    Net {
                        at,
                        first: before.clone(),
                        there: true,
                        now: Some(after.clone()),
                    },
                ),
                Some(net) => match &net.now {
                    Some(current) => net.now = Some(plan.overlay(current, after)?),
                    None => return Ok(Err(InOrder)),
                },
            }
            return Ok(Ok(()));
        }
        let known = match &net {
            Some(Net {
                first,
                now: Some(now),
                ..
            }) => Some(plan.overlay(first, now)?),
            Some(_) => return Ok(Err(InOrder)),
            None => None,
        };
        let full = plan.overlay(known.as_ref().unwrap_or(before), after)?;
        if !plan.is_full(&full) {
            return Ok(Err(InOrder));
        }
        Ok(self.delete(at, before).and_then(|()| self.insert(at, &full)))
    }
}

/// Whether a net change of a row that stays touches a unique key other than the key.
fn touches_unique(plan: &TablePlan, net: &Net, now: &Row) -> bool {
    plan.unique_columns
        .iter()
        .filter_map(|at| plan.columns.get(*at))
        .any(|c| !now.get(c.source).is_absent() && now.cell(c.source) != net.first.cell(c.source))
}

/// `None`: the batch holds something that must be executed in order.
fn net_steps(plan: &TablePlan, ops: &[Indexed<'_>]) -> Result<Option<Vec<Step>>, Failure> {
    let mut all = Nets {
        plan,
        nets: Vec::with_capacity(ops.len()),
        places: HashMap::with_capacity(ops.len()),
    };
    for &(at, op) in ops {
        let done = match (&op.before, &op.after) {
            (None, Some(after)) => all.insert(at, after),
            (Some(before), None) => all.delete(at, before),
            (Some(before), Some(after)) => all.update(at, before, after)?,
            (None, None) => return Err(internal(plan, at, "a change without rows")),
        };
        if let Err(InOrder) = done {
            return Ok(None);
        }
    }
    let mut deletes = Vec::new();
    let mut updates = Vec::new();
    let mut inserts = Vec::new();
    for net in all.nets {
        match (net.there, &net.now) {
            (true, None) => deletes.push((net.at, net.first, true)),
            (true, Some(now)) if touches_unique(plan, &net, now) => {
                let full = plan.overlay(&net.first, now)?;
                if !plan.is_full(&full) {
                    return Ok(None);
                }
                deletes.push((net.at, net.first, true));
                inserts.push((net.at, full));
            }
            (true, Some(now)) => updates.push(Change {
                at: net.at,
                after: now.clone(),
                before: net.first,
            }),
            (false, Some(now)) => inserts.push((net.at, now.clone())),
            // It must not have been there. Another row may be found by its key where other bytes are the same key.
            (false, None) if plan.exact_key => deletes.push((net.at, net.first, false)),
            (false, None) => return Ok(None),
        }
    }
    let mut steps = Vec::with_capacity(3);
    if !deletes.is_empty() {
        steps.push(Step::Delete {
            rows: deletes,
            strict: true,
        });
    }
    if !updates.is_empty() {
        steps.push(Step::Updates(updates));
    }
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
    let mut last: HashMap<KeyBytes, (usize, Option<Row>, Row)> = HashMap::new();
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
        plans_with(unique, false)
    }

    /// With a column that the source does not have, if wanted.
    fn plans_with(unique: bool, own: bool) -> Plans {
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
        let mut destination = (*table).clone();
        if own {
            destination.columns.push(column("note", true));
        }
        let pair = TablePair::by_name(table, Arc::new(destination)).unwrap();
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
            origin: None,
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
                    Step::Updates(rows) => rows
                        .iter()
                        .map(|c| format!("={}", id(&c.before)))
                        .collect::<Vec<_>>()
                        .join(","),
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
        assert_eq!(told(&ops, &plans(false)).unwrap(), "-2,!3 =4,=5 +1");
        let merged = plan(&ops, &plans(false)).unwrap();
        let Some(Step::Updates(changes)) = merged[0].steps.get(1) else {
            panic!("updates")
        };
        assert_eq!((&changes[1].before, &changes[1].after), (&r(5, 0), &r(5, 2)));
        // What changes a value of another unique key makes room for it first.
        assert_eq!(told(&ops, &plans(true)).unwrap(), "-2,!3,-4,-5 +1,+4,+5");
    }

    #[test]
    fn rows_may_move_and_what_cannot_be_merged_keeps_its_order() {
        let moving = [strict(Some(r(1, 0)), Some(r(2, 0))), strict(None, Some(r(1, 5)))];
        assert_eq!(told(&moving, &plans(false)).unwrap(), "=1 +2");
        let partly = row([Value::Int(2), Value::Absent]);
        let before = row([Value::Int(1), Value::Absent]);
        let unknown = [strict(Some(before), Some(partly)), strict(None, Some(r(1, 5)))];
        assert_eq!(told(&unknown, &plans(false)).unwrap(), "=1 +1");
        let twice = [strict(None, Some(r(1, 0))), strict(None, Some(r(1, 1)))];
        assert_eq!(told(&twice, &plans(false)).unwrap(), "+1,+1");
    }

    #[test]
    fn columns_that_only_the_destination_has_are_kept() {
        let all = plans_with(true, true);
        let ops = [
            strict(Some(r(1, 1)), Some(r(1, 2))),
            strict(Some(r(1, 2)), Some(r(5, 3))),
        ];
        assert_eq!(told(&ops, &all).unwrap(), "=1 =1");
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

    /// A table with strict checks, as a server would make them.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Model(std::collections::BTreeMap<i64, Option<i64>>);

    impl Model {
        fn values(row: &Row) -> (i64, Option<Option<i64>>) {
            let id = match row.get(0) {
                Value::Int(v) => v,
                _ => -1,
            };
            let u = match row.get(1) {
                Value::Int(v) => Some(Some(v)),
                Value::Null => Some(None),
                _ => None,
            };
            (id, u)
        }

        fn insert(&mut self, (id, u): (i64, Option<Option<i64>>), unique: bool) -> Result<(), String> {
            let u = u.ok_or("a value is missing")?;
            let taken = unique && u.is_some() && self.0.values().any(|other| *other == u);
            if taken || self.0.contains_key(&id) {
                return Err(format!("{id} {u:?} is there"));
            }
            self.0.insert(id, u);
            Ok(())
        }

        fn remove(&mut self, id: i64) -> Result<Option<i64>, String> {
            self.0.remove(&id).ok_or_else(|| format!("{id} is missing"))
        }

        fn update(&mut self, before: &Row, after: &Row, unique: bool) -> Result<(), String> {
            let old = Self::values(before).0;
            let kept = self.remove(old)?;
            let (id, u) = Self::values(after);
            let id = if after.get(0).is_absent() { old } else { id };
            self.insert((id, Some(u.unwrap_or(kept))), unique)
        }

        fn run(&mut self, steps: Vec<Step>, unique: bool) -> Result<(), String> {
            for step in steps {
                match step {
                    Step::Insert(rows) => {
                        for (_, row) in rows {
                            self.insert(Self::values(&row), unique)?;
                        }
                    }
                    Step::Delete { rows, .. } => {
                        let wanted = rows.iter().filter(|r| r.2).count();
                        let found = rows
                            .iter()
                            .filter(|r| self.remove(Self::values(&r.1).0).is_ok())
                            .count();
                        if found != wanted {
                            return Err(format!("{found} deleted, {wanted} expected"));
                        }
                    }
                    Step::Updates(changes) => {
                        for c in changes {
                            self.update(&c.before, &c.after, unique)?;
                        }
                    }
                    Step::Update { before, after, .. } => self.update(&before, &after, unique)?,
                    Step::Replace(_) | Step::DeleteIdentical { .. } => return Err("not strict".into()),
                }
            }
            Ok(())
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]

        /// Whatever a source can do in a batch, its steps come to the same rows, and no check fails on the way; and a row
        /// too few or too many at the destination is noticed if the batch ends on it.
        #[test]
        fn steps_come_to_what_the_changes_come_to(
            choices in proptest::collection::vec((0u8..4, 0i64..6, 0i64..6, 0i64..6), 1..40),
            unique in proptest::bool::ANY,
            minimal in proptest::bool::ANY,
            nulls in proptest::bool::ANY,
            stray in 0i64..6,
        ) {
            let mut serial = Model::default();
            for id in 0..3 {
                serial.0.insert(id, Some(id));
            }
            let before_batch = serial.clone();
            let mut ops = Vec::new();
            let value = |u: Option<i64>| u.map_or(Value::Null, Value::Int);
            for (what, id, to, u) in choices {
                let u = if nulls && u == 0 { None } else { Some(u) };
                let mut next = serial.clone();
                let known = serial.0.get(&id).copied();
                let full = |id, u| row([Value::Int(id), value(u)]);
                let op = match (what, known) {
                    (0, None) => {
                        if next.insert((id, Some(u)), unique).is_err() { continue; }
                        strict(None, Some(full(id, u)))
                    }
                    (1, Some(old)) => {
                        next.0.remove(&id);
                        let before = if minimal { row([Value::Int(id), Value::Absent]) } else { full(id, old) };
                        strict(Some(before), None)
                    }
                    (2 | 3, Some(old)) => {
                        let to = if what == 3 { to } else { id };
                        next.0.remove(&id);
                        if next.insert((to, Some(u)), unique).is_err() { continue; }
                        if minimal {
                            let key = if to == id { Value::Absent } else { Value::Int(to) };
                            let changed = if u == old { Value::Absent } else { value(u) };
                            strict(Some(row([Value::Int(id), Value::Absent])), Some(row([key, changed])))
                        } else {
                            strict(Some(full(id, old)), Some(full(to, u)))
                        }
                    }
                    _ => continue,
                };
                serial = next;
                ops.push(op);
            }
            let all = plans(unique);
            let steps = || plan(&ops, &all).unwrap().into_iter().flat_map(|t| t.steps).collect::<Vec<_>>();
            let mut done = before_batch.clone();
            proptest::prop_assert_eq!(done.run(steps(), unique), Ok(()));
            proptest::prop_assert_eq!(&done, &serial);
            // The first change of a key says whether its row was there.
            let first = ops.iter().find(|op| {
                op.before.iter().chain(&op.after).any(|r| Model::values(r).0 == stray)
            });
            if let Some(first) = first
                && Model::values(first.before.as_ref().or(first.after.as_ref()).unwrap()).0 == stray
            {
                let mut wrong = before_batch.clone();
                if wrong.0.remove(&stray).is_none() {
                    wrong.0.insert(stray, Some(99));
                }
                proptest::prop_assert!(wrong.run(steps(), unique).is_err());
            }
        }
    }
}
