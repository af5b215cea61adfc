//! What a switchover does at the databases: looks before it, stops writes at the source, looks at the source's log, and
//! undoes.
//!
//! The records decide what is to be done ([`switchover_order`]); nothing is remembered here, so that the next owner goes on
//! where this one ended.

mod look;
mod precheck;
mod source_writes;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_actors::{Behavior, Completion, Context};
use oms_core::{ComponentId, ComponentKind, Failure, Position, TableName, codes};
use oms_meta::{MetaCommand, SwitchoverOrder, SwitchoverWork, switchover_order};
use oms_proto::{
    meta::{ProjectRecord, ReportSwitchover, report_switchover::Outcome as Said},
    v1::{ErrorInfo, PartialRows, SwitchStepKind, SwitchoverItem},
};

pub(crate) use precheck::deferred;

use super::{chosen, followed, mappings, partial_rows, position, server_id};
use crate::{connectors::Connector, metadata::Metadata, secrets::Vault};

/// Between two looks at what is to be done, where nothing changes.
const LOOK: Duration = Duration::from_secs(2);
/// Before trying again what the metadata refused because it had moved on.
const MOVED_ON: Duration = Duration::from_millis(200);

/// Works for the switchover of a project until it is stopped.
pub(crate) struct Switchover {
    pub(crate) metadata: Metadata,
    pub(crate) vault: Arc<Vault>,
}

/// Both ends of a project and what is known of it.
struct Ends {
    id: ComponentId,
    source: Connector,
    destination: Connector,
    record: ProjectRecord,
}

impl Ends {
    /// The source as the project has chosen rows, columns and changes of it.
    fn reads(&self) -> Result<Arc<dyn oms_core::Source>, Failure> {
        let spec = self.record.public.as_ref().and_then(|p| p.spec.as_ref());
        let partial = spec.map_or(Default::default(), partial_rows);
        let number = server_id(&self.id.to_string());
        let source = self
            .source
            .following(number, partial, &followed(&self.record), None)?;
        Ok(chosen(source, &self.record).0)
    }

    /// Where the destination's log ends, as its readers would begin there.
    async fn destination_end(&self) -> Result<Position, Failure> {
        let tables: Vec<TableName> = mappings(&self.record)
            .into_iter()
            .map(|m| m.destination)
            .collect();
        let number = server_id(&self.id.to_string());
        let log = self
            .destination
            .following(number, PartialRows::Refuse, &tables, None)?;
        log.current_position().await
    }

    fn tables(&self) -> Vec<TableName> {
        mappings(&self.record).into_iter().map(|m| m.source).collect()
    }

    fn incr_sync(&self) -> ComponentId {
        ComponentId::new(self.id.project().clone(), ComponentKind::IncrSync)
    }
}

/// What is to be reported.
struct Report {
    said: Said,
    items: Vec<SwitchoverItem>,
    /// Where the destination's log ends; empty: nobody asked, or it cannot be read.
    destination_end: String,
}

impl From<Said> for Report {
    fn from(said: Said) -> Self {
        Self {
            said,
            items: Vec::new(),
            destination_end: String::new(),
        }
    }
}

impl Switchover {
    async fn ends(&self, id: &ComponentId) -> Result<Option<Ends>, Failure> {
        let state = self.metadata.latest().await?;
        let Some(record) = state.project(id.project().as_str()) else {
            return Ok(None);
        };
        Ok(Some(Ends {
            id: id.clone(),
            source: Connector::of(&state, &self.vault, &record.source_id)?,
            destination: Connector::of(&state, &self.vault, &record.destination_id)?,
            record: record.clone(),
        }))
    }

    async fn carry_out(
        &self,
        context: &Context,
        ends: &Ends,
        order: &SwitchoverOrder,
    ) -> Result<Report, Failure> {
        let started = order.step.name().replace('_', "-");
        context.progress.update(|p| p.detail = started);
        match &order.work {
            SwitchoverWork::Precheck => precheck::look(ends).await,
            SwitchoverWork::StopWrites {
                set_read_only: true,
                before: None,
            } => {
                let before = source_writes::now(&ends.source).await?;
                context.log.info("the source's settings are noted");
                Ok(Said::Before(before).into())
            }
            SwitchoverWork::StopWrites { set_read_only, .. } => {
                if *set_read_only {
                    source_writes::forbid(&ends.source).await?;
                    context.log.info("the source is read-only");
                }
                let stopped = ends.reads()?.current_position().await?;
                context.log.info(format!("writes have stopped at {stopped}"));
                Ok(Said::StoppedAt(stopped.encode()).into())
            }
            SwitchoverWork::LookAtLog { stop_position } => {
                let stop = position(Some(stop_position))?
                    .ok_or_else(|| Failure::new(codes::api::INTERNAL, "the stop position is empty"))?;
                let report = self.look(context, ends, &stop).await?;
                if order.step != SwitchStepKind::Objects {
                    return Ok(report);
                }
                // Nothing writes there on our behalf any more, and applications not yet: what comes behind it is theirs.
                let destination_end = match ends.destination_end().await {
                    Ok(end) => end.encode(),
                    Err(failure) => {
                        let words = "the destination's log cannot be read; no reverse project can be made of this one";
                        context.log.warn(format!("{words}: {failure}"));
                        String::new()
                    }
                };
                Ok(Report {
                    destination_end,
                    ..report
                })
            }
            SwitchoverWork::Undo { before } => {
                let words = source_writes::restore(&ends.source, before).await?;
                context.log.info(words.clone());
                Ok(Said::Undone(words).into())
            }
        }
    }

    async fn look(&self, context: &Context, ends: &Ends, stop: &Position) -> Result<Report, Failure> {
        let source = ends.reads()?;
        Ok(match look::look(&*source, &ends.tables(), stop).await? {
            look::Seen::Quiet(until) => {
                context.log.info(format!("the source was quiet until {until}"));
                Said::QuietUntil(until.encode()).into()
            }
            look::Seen::Written(words) => {
                context.log.warn(words.clone());
                Said::Written(self.error(codes::switchover::SOURCE_WRITTEN, words)).into()
            }
        })
    }

    fn error(&self, code: oms_core::ErrorCode, message: String) -> ErrorInfo {
        ErrorInfo {
            code: code.as_str().to_owned(),
            message,
            failed_at_ms: self.metadata.now_ms(),
        }
    }

    /// Reports; false when the switchover has moved on meanwhile.
    async fn report(
        &self,
        context: &Context,
        order: &SwitchoverOrder,
        report: Report,
    ) -> Result<bool, Failure> {
        let body = MetaCommand::ReportSwitchover(ReportSwitchover {
            project: context.id.project().to_string(),
            epoch: context.epoch.0,
            number: order.number,
            step: order.step as i32,
            attempt: order.attempt,
            outcome: Some(report.said),
            items: report.items,
            destination_end: report.destination_end,
        });
        match self.metadata.propose(body).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.code() == codes::api::CONFLICT => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Does what is to be done now, if anything; how long to wait for the next change at most.
    async fn once(&self, context: &Context) -> Result<Option<Duration>, Failure> {
        let Some(ends) = self.ends(&context.id).await? else {
            return Ok(Some(LOOK));
        };
        let Some(order) = switchover_order(&ends.record) else {
            context.progress.update(|p| p.detail.clear());
            return Ok(Some(LOOK));
        };
        let undoes = matches!(order.work, SwitchoverWork::Undo { .. });
        let report = match self.carry_out(context, &ends, &order).await {
            Ok(report) => report,
            // Undoing has no sub-step that could fail: the project fails with it, and goes on when it is resumed.
            Err(failure) if failure.is_transient() || undoes => return Err(failure),
            Err(failure) => {
                context.log.error(failure.to_string());
                Said::Failed(self.error(failure.code(), failure.text())).into()
            }
        };
        let taken = self.report(context, &order, report).await?;
        Ok((!taken).then_some(MOVED_ON))
    }
}

#[async_trait]
impl Behavior for Switchover {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let mut changes = self.metadata.watch();
        loop {
            changes.borrow_and_update();
            let done = tokio::select! {
                done = self.once(context) => done?,
                () = context.cancel.cancelled() => return Ok(Completion::Stopped),
            };
            let Some(pause) = done else { continue };
            tokio::select! {
                () = context.cancel.cancelled() => return Ok(Completion::Stopped),
                changed = changes.changed() => if changed.is_err() { return Ok(Completion::Stopped) },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        // It keeps nothing anywhere.
        Ok(())
    }
}

/// A sub-step's name as the command line has it.
pub(crate) fn sub_step(kind: SwitchStepKind) -> String {
    kind.name().replace('_', "-")
}
