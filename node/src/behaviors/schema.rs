//! Schema migration: databases, tables, foreign keys, views, and indexes after the rows.

mod hindrance;
mod planning;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use mysql_async::{Conn, Error, prelude::Queryable as _};
use oms_actors::{Behavior, Completion, Context};
use oms_core::{Failure, TableName, codes};
use oms_meta::MetaCommand;
use oms_mysql::connection::{ServerInfo, Side, connect, failure};
use oms_proto::{
    meta::UpsertObjects,
    v1::{self, ErrorInfo, ObjectState, SchemaObject},
};

use hindrance::{LOOK_EVERY, killed_session};
pub(crate) use planning::SchemaPlanning;
pub(crate) use shown::{losses, shown, summary};

use super::traits::destination_traits;
use crate::metadata::Metadata;

/// Objects of one metadata command: keeps a command far below its limit.
const BATCH_BYTES: usize = 512 << 10;

/// From this feature level on, objects are recorded with their conversions.
const RECORDS_CONVERSIONS: u32 = 4;

/// Creates what the plan says.
///
/// Each run plans anew from the definitions of both sides, so that a run that was cut off needs no
/// memory of it: what was created is found to be there. What the user decided about an object is
/// taken from the recorded objects.
pub(crate) struct SchemaMigration {
    pub(crate) metadata: Metadata,
    pub(crate) planning: SchemaPlanning,
    /// What is recorded of earlier runs.
    pub(crate) recorded: Vec<SchemaObject>,
    /// What it creates: each object has its moment.
    pub(crate) moment: Moment,
}

/// When objects are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the rows.
    First,
    /// When the rows have been copied.
    AfterRows,
    /// When nothing is applied any more and both sides were found equal.
    Switchover,
}

/// `ER_DUP_KEYNAME`.
const DUPLICATE_KEY_NAME: u16 = 1061;

/// What servers say of an object that is there: `ER_DB_CREATE_EXISTS`, `ER_TABLE_EXISTS_ERROR`, `ER_FK_DUP_NAME`.
const EXISTS: [u16; 3] = [1007, 1050, 1826];

/// A key by which planned and recorded objects find each other: names at the source.
type Key = (i32, String, String, String);

impl SchemaMigration {
    /// The connection that creates objects.
    async fn session(&self) -> Result<Conn, Failure> {
        let mut conn = connect(&self.planning.destination.endpoint, Side::Destination).await?;
        let info = ServerInfo::probe(&mut conn, Side::Destination).await?;
        for statement in destination_traits(&mut conn, &info).await?.session_statements() {
            set(&mut conn, statement).await?;
        }
        Ok(conn)
    }

    /// Waits for a statement, and says what it waits for where that can be seen.
    async fn watched<T>(&self, context: &Context, statement: impl Future<Output = T>) -> T {
        let mut statement = std::pin::pin!(statement);
        let mut hindered = false;
        loop {
            tokio::select! {
                ended = &mut statement => return ended,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if hindered {
                continue;
            }
            if let Some(why) = killed_session(&self.planning.destination.endpoint).await {
                hindered = true;
                context.log.warn(format!("{why}; waiting for it"));
                context
                    .progress
                    .update(|p| p.detail = format!("{} waits: {why}", p.detail));
            }
        }
    }

    /// Whether the destination has by now what was to be created, and it is what this object would have become. A server
    /// carries out a statement to its end although the client is gone: the run before this one was cut off in the middle of
    /// it, and the plan of this run was made before it ended.
    async fn came_meanwhile(&self, object: &SchemaObject) -> Result<bool, Failure> {
        let (plan, tables) = self.planning.plan().await?;
        let key = key_of(object);
        let Some(mut fresh) = plan.objects.iter().map(shown).find(|o| key_of(o) == key) else {
            return Ok(false);
        };
        overlay(&mut fresh, &BTreeMap::from([(key, object)]), &tables);
        Ok(matches!(
            fresh.state(),
            ObjectState::Completed | ObjectState::Converted
        ))
    }

    async fn record(
        &self,
        context: &Context,
        objects: Vec<SchemaObject>,
        replace: bool,
    ) -> Result<(), Failure> {
        if objects.is_empty() && !replace {
            return Ok(());
        }
        let objects = if self.metadata.state()?.feature_level() < RECORDS_CONVERSIONS {
            plain(objects)
        } else {
            objects
        };
        let mut replace = replace;
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut batches = Vec::new();
        for object in objects {
            bytes += object.source_definition.len()
                + object.statements.iter().map(String::len).sum::<usize>()
                + 256;
            batch.push(object);
            if bytes > BATCH_BYTES {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        batches.push(batch);
        // Replacing forgets what is not named: only possible when one command names everything.
        replace &= batches.len() == 1;
        for objects in batches {
            let command = UpsertObjects {
                project: context.id.project().to_string(),
                epoch: context.epoch.0,
                objects,
                replace,
            };
            self.metadata.propose(MetaCommand::UpsertObjects(command)).await?;
        }
        Ok(())
    }
}

/// Carries out a session setting.
///
/// Some settings do not exist on every version, and some may not be changed by every account. Going on without them is
/// right where the server then refuses an object that it could not have created as wanted; it is wrong where the server
/// would silently create something else, and that is only the key it may add to tables without one.
async fn set(conn: &mut Conn, statement: &str) -> Result<(), Failure> {
    match conn.query_drop(statement).await {
        Ok(()) => Ok(()),
        // Unknown here.
        Err(Error::Server(e)) if e.code == 1193 => Ok(()),
        Err(Error::Server(e)) if e.code == 1227 => {
            const ADDED_KEY: &str = "sql_generate_invisible_primary_key";
            let asked = format!("SELECT @@SESSION.{ADDED_KEY}");
            if statement.contains(ADDED_KEY)
                && conn
                    .query_first::<bool, _>(asked)
                    .await
                    .map_err(|e| failure(e, Side::Destination))?
                    .unwrap_or_default()
            {
                return Err(Failure::new(
                    codes::dst::PRIVILEGE_MISSING,
                    format!(
                        "{ADDED_KEY} is ON and adds a column to tables without a key; switch it off at the server, or \
                         GRANT SESSION_VARIABLES_ADMIN ON *.* to the account"
                    ),
                ));
            }
            Ok(())
        }
        Err(e) => Err(failure(e, Side::Destination).context(statement)),
    }
}

fn key_of(o: &SchemaObject) -> Key {
    (o.kind, o.database.clone(), o.table.clone(), o.part.clone())
}

pub(crate) fn label(o: &SchemaObject) -> String {
    let part = if o.part.is_empty() {
        String::new()
    } else {
        format!(" `{}`", o.part)
    };
    let table = if o.table.is_empty() {
        String::new()
    } else {
        format!(".`{}`", o.table)
    };
    format!("{} `{}`{table}{part}", o.kind().name(), o.database)
}

fn is(object: &SchemaObject, code: &str) -> bool {
    object.error.as_ref().is_some_and(|e| e.code == code)
}

/// Whether it is a table that the destination has.
fn is_there(object: &SchemaObject, tables: &BTreeSet<TableName>) -> bool {
    let name = TableName::new(&object.destination_database, &object.destination_table);
    object.kind() == v1::ObjectKind::Table && tables.contains(&name)
}

/// Whether it belongs to this run.
fn is_due(object: &SchemaObject, moment: Moment) -> bool {
    match moment {
        Moment::First => !object.at_switchover && !object.postponed,
        Moment::AfterRows => !object.at_switchover && object.postponed,
        // Triggers are the user's.
        Moment::Switchover => object.at_switchover && object.kind() != v1::ObjectKind::Trigger,
    }
}

/// Fails what would be created with a loss, unless the user has seen exactly these losses and tried again.
fn stop_at_losses(objects: &mut [SchemaObject], recorded: &BTreeMap<Key, &SchemaObject>, now_ms: i64) {
    for object in objects.iter_mut() {
        if object.state() != ObjectState::Ready || object.edited || object.at_switchover {
            continue;
        }
        let named: Vec<String> = losses(object)
            .map(|c| format!("{}: {}", c.part, c.what))
            .collect();
        if named.is_empty() {
            continue;
        }
        // A retried object keeps its error until it has been created, also when a run is cut off in front of it.
        let accepted = recorded
            .get(&key_of(object))
            .filter(|old| old.state() == ObjectState::Ready && old.conversions == object.conversions)
            .and_then(|old| old.error.clone());
        if accepted.is_none() {
            object.set_state(ObjectState::Failed);
        }
        object.error = accepted.or_else(|| {
            Some(ErrorInfo {
                code: codes::schema::CONVERSION_LOSES.as_str().to_owned(),
                message: named.join("; "),
                failed_at_ms: now_ms,
            })
        });
    }
}

/// What nodes of an older version would forget is not recorded as long as there are some.
fn plain(objects: Vec<SchemaObject>) -> Vec<SchemaObject> {
    let known = |o: &SchemaObject| !matches!(o.kind(), v1::ObjectKind::Check | v1::ObjectKind::Trigger);
    let forget = |o: SchemaObject| SchemaObject {
        conversions: Vec::new(),
        started_at_ms: 0,
        ended_at_ms: 0,
        ..o
    };
    objects.into_iter().filter(known).map(forget).collect()
}

/// What is recorded before an edited table is created that was not there. Found with the table there, it says who
/// created it.
fn begun(object: &SchemaObject, now_ms: i64) -> SchemaObject {
    SchemaObject {
        error: Some(ErrorInfo {
            code: codes::schema::OBJECT_FAILED.as_str().to_owned(),
            message: "its statement was begun, and how it ended was not recorded".to_owned(),
            failed_at_ms: now_ms,
        }),
        ..object.clone()
    }
}

/// Puts the user's decisions from the records over a fresh plan.
fn overlay(fresh: &mut SchemaObject, recorded: &BTreeMap<Key, &SchemaObject>, tables: &BTreeSet<TableName>) {
    let Some(old) = recorded.get(&key_of(fresh)) else {
        return;
    };
    (fresh.started_at_ms, fresh.ended_at_ms) = (old.started_at_ms, old.ended_at_ms);
    let differs = codes::schema::DESTINATION_DIFFERS.as_str();
    match old.state() {
        ObjectState::Skipped | ObjectState::Removed => {
            fresh.set_state(old.state());
            fresh.error = None;
        }
        ObjectState::Completed | ObjectState::Converted if fresh.state() == ObjectState::Completed => {
            // Found at the destination because an earlier run created it: how is what that run said.
            fresh.set_state(old.state());
        }
        ObjectState::Ready | ObjectState::Completed | ObjectState::Converted
            if fresh.kind() == v1::ObjectKind::View && is(fresh, differs) && !is(old, differs) =>
        {
            // Views cannot be compared. An earlier run of this project saw that there was none and created it, even if
            // it ended before it could say so.
            fresh.set_state(match old.state() {
                ObjectState::Ready if fresh.notes.is_empty() => ObjectState::Completed,
                ObjectState::Ready => ObjectState::Converted,
                done => done,
            });
            fresh.error = None;
        }
        _ if old.edited => {
            fresh.edited = true;
            fresh.statements.clone_from(&old.statements);
            let there = is(fresh, differs) || is_there(fresh, tables);
            let created = matches!(old.state(), ObjectState::Completed | ObjectState::Converted);
            if created && there {
                // The user's statements made it so: they ran in an earlier run and must not run again.
                fresh.set_state(old.state());
                fresh.error = None;
            } else if there && is(old, codes::schema::OBJECT_FAILED.as_str()) {
                // The same, but that run ended before it could say so.
                fresh.set_state(ObjectState::Converted);
                fresh.error = None;
            } else if !matches!(fresh.state(), ObjectState::Completed | ObjectState::Converted) {
                fresh.set_state(ObjectState::Ready);
                fresh.error = None;
            }
        }
        _ => {}
    }
}

#[async_trait]
impl Behavior for SchemaMigration {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let (plan, tables) = self.planning.plan().await?;
        let recorded: BTreeMap<Key, &SchemaObject> = self.recorded.iter().map(|o| (key_of(o), o)).collect();
        let mut objects: Vec<SchemaObject> = plan.objects.iter().map(shown).collect();
        objects.extend(self.planning.triggers().await?);
        for object in &mut objects {
            overlay(object, &recorded, &tables);
        }
        if self.planning.stops_at_losses() {
            stop_at_losses(&mut objects, &recorded, context.clock.now_ms());
        }
        self.record(context, objects.clone(), true).await?;
        let total = objects.iter().filter(|o| is_due(o, self.moment)).count() as u64;
        context.progress.update(|p| p.total_objects = total);
        context.log.info(format!("{total} objects"));

        let mut conn = self.session().await?;
        let mut changed = Vec::new();
        for object in objects.iter_mut().filter(|o| is_due(o, self.moment)) {
            if context.cancel.is_cancelled() {
                self.record(context, changed, false).await?;
                return Ok(Completion::Stopped);
            }
            context.progress.update(|p| p.detail = label(object));
            if object.state() == ObjectState::Ready {
                // Of several statements it would not be known how many ran: those are all tried again.
                if object.edited && object.statements.len() == 1 && !is_there(object, &tables) {
                    let begun = begun(object, context.clock.now_ms());
                    self.record(context, vec![begun], false).await?;
                }
                object.started_at_ms = context.clock.now_ms();
                object.ended_at_ms = 0;
                if self.moment != Moment::First {
                    // It may take hours, and somebody may want to know which one it is.
                    self.record(context, std::mem::take(&mut changed), false).await?;
                    self.record(context, vec![object.clone()], false).await?;
                }
                let mut executed = self.watched(context, execute(&mut conn, object)).await;
                if matches!(executed, Err(Refusal::Exists(_))) && self.came_meanwhile(object).await? {
                    executed = Ok(());
                }
                object.ended_at_ms = context.clock.now_ms();
                match executed {
                    Ok(()) => {
                        let converted = object.edited || !object.notes.is_empty();
                        object.set_state(if converted {
                            ObjectState::Converted
                        } else {
                            ObjectState::Completed
                        });
                        object.error = None;
                    }
                    Err(Refusal::Other(f)) if f.is_transient() => {
                        self.record(context, changed, false).await?;
                        return Err(f);
                    }
                    Err(Refusal::Exists(f) | Refusal::Other(f)) => {
                        context.log.error(format!("{}: {f}", label(object)));
                        object.set_state(ObjectState::Failed);
                        object.error = Some(ErrorInfo {
                            code: f.code().as_str().to_owned(),
                            message: f.text(),
                            failed_at_ms: context.clock.now_ms(),
                        });
                    }
                }
                changed.push(object.clone());
                if changed.len() >= 64 || self.moment != Moment::First {
                    self.record(context, std::mem::take(&mut changed), false).await?;
                }
            }
            context.progress.update(|p| p.objects += 1);
        }
        self.record(context, changed, false).await?;
        finish(&objects, self.moment)
    }

    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        // What was created stays: it is the user's.
        Ok(())
    }
}

/// Why an object was not created.
enum Refusal {
    /// There is one of this name by now.
    Exists(Failure),
    Other(Failure),
}

async fn execute(conn: &mut Conn, object: &SchemaObject) -> Result<(), Refusal> {
    for statement in &object.statements {
        match conn.query_drop(statement.as_str()).await {
            Ok(()) => {}
            // A server goes on building an index for a client that is gone: the run before this one was cut off, and by
            // now its index is there, which the plan of this run had not yet seen.
            Err(Error::Server(e))
                if e.code == DUPLICATE_KEY_NAME
                    && object.kind() == v1::ObjectKind::Index
                    && !object.edited => {}
            Err(e) => {
                let exists = matches!(&e, Error::Server(e) if EXISTS.contains(&e.code));
                let failure = failure(e, Side::Destination).context(label(object));
                return Err(if exists && !object.edited {
                    Refusal::Exists(failure)
                } else {
                    Refusal::Other(failure)
                });
            }
        }
    }
    Ok(())
}

fn finish(objects: &[SchemaObject], moment: Moment) -> Result<Completion, Failure> {
    let mine = || objects.iter().filter(|o| is_due(o, moment));
    let open: Vec<_> = mine()
        .filter(|o| {
            matches!(
                o.state(),
                ObjectState::Failed | ObjectState::NotObtained | ObjectState::NotSupported
            )
        })
        .collect();
    if open.is_empty() {
        let count = |s: ObjectState| mine().filter(|o| o.state() == s).count();
        return Ok(Completion::Done(format!(
            "{} objects as they were, {} with conversion, {} skipped, {} removed",
            count(ObjectState::Completed),
            count(ObjectState::Converted),
            count(ObjectState::Skipped),
            count(ObjectState::Removed)
        )));
    }
    let named: Vec<_> = open
        .iter()
        .take(3)
        .map(|o| {
            format!(
                "{}: {}",
                label(o),
                o.error.as_ref().map(|e| e.message.as_str()).unwrap_or_default()
            )
        })
        .collect();
    Err(Failure::new(
        codes::schema::OBJECT_FAILED,
        format!(
            "{} of {} objects failed: {}",
            open.len(),
            mine().count(),
            named.join("; ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: v1::ObjectKind) -> SchemaObject {
        SchemaObject {
            kind: kind as i32,
            database: "d".into(),
            table: "t".into(),
            statements: vec!["CREATE TABLE t (id INT)".into()],
            notes: vec!["something else".into()],
            conversions: vec![v1::Conversion::default()],
            started_at_ms: 1,
            ended_at_ms: 2,
            ..Default::default()
        }
    }

    fn level(objects: Vec<SchemaObject>) -> u32 {
        oms_meta::level_of(&MetaCommand::UpsertObjects(UpsertObjects {
            objects,
            ..Default::default()
        }))
    }

    /// Beside an older node a project goes through its schema: what that node keeps is recorded, and nothing else.
    #[test]
    fn what_is_recorded_beside_an_older_node_is_kept_by_it() {
        let kinds: Vec<v1::ObjectKind> = (1..).map_while(|n| v1::ObjectKind::try_from(n).ok()).collect();
        let all: Vec<SchemaObject> = kinds.iter().map(|kind| object(*kind)).collect();
        assert_eq!(level(all.clone()), RECORDS_CONVERSIONS);
        let recorded = plain(all);
        let left_out = [v1::ObjectKind::Check, v1::ObjectKind::Trigger];
        let expected: Vec<_> = kinds.iter().filter(|k| !left_out.contains(k)).collect();
        assert_eq!(recorded.len(), expected.len());
        for (recorded, kind) in recorded.iter().zip(expected) {
            let all = object(*kind);
            assert_eq!(
                (recorded.kind(), &recorded.statements, &recorded.notes),
                (*kind, &all.statements, &all.notes)
            );
        }
        assert_eq!(level(recorded), 1);
    }

    /// What would be passed over and does something is not made plain: it is refused.
    #[test]
    fn what_waits_for_the_switchover_is_never_taken_for_what_is_due() {
        let waits = SchemaObject {
            at_switchover: true,
            ..object(v1::ObjectKind::ForeignKey)
        };
        assert_eq!(level(plain(vec![waits])), RECORDS_CONVERSIONS);
    }
}
