//! Facts of components into the metadata.

use async_trait::async_trait;
use oms_actors::{Facts, Mapping, Reporter, RunState};
use oms_core::{ComponentId, Epoch, Failure, TableName};
use oms_meta::MetaCommand;
use oms_proto::{
    meta::{
        ComponentFacts, QualifiedName, ReportComponent, SelectedObject, SetFollowedTables, SetVerifiedTables,
        SnapshotPosition,
    },
    v1::{ComponentState, ErrorInfo, StepState, VerificationResult, VerifiedTable},
};

use oms_verify::{TableResult, TableVerdict};

use crate::metadata::Metadata;

/// Tables of one command.
const TABLES: usize = 500;

/// Reports under the epoch that the component was started with.
pub(crate) struct MetaReporter {
    pub(crate) metadata: Metadata,
    pub(crate) id: ComponentId,
    pub(crate) epoch: Epoch,
}

impl MetaReporter {
    async fn send(&self, change: impl FnOnce(&mut ReportComponent)) -> Result<(), Failure> {
        let mut report = ReportComponent {
            project: self.id.project().to_string(),
            kind: self.id.kind().as_str().to_owned(),
            epoch: self.epoch.0,
            ..Default::default()
        };
        change(&mut report);
        self.metadata
            .propose(MetaCommand::ReportComponent(report))
            .await
            .map(drop)
    }

    /// Records the results of verified tables, in commands of bounded size.
    async fn tables(&self, tables: &[TableResult]) -> Result<(), Failure> {
        let mut first = true;
        for batch in tables.chunks(500) {
            let command = SetVerifiedTables {
                project: self.id.project().to_string(),
                epoch: self.epoch.0,
                tables: batch.iter().map(verified_table).collect(),
                replace: std::mem::take(&mut first),
            };
            self.metadata
                .propose(MetaCommand::SetVerifiedTables(command))
                .await?;
        }
        Ok(())
    }

    /// Records which tables came and went, in commands of bounded size.
    async fn followed(&self, added: Vec<Mapping>, gone: Vec<TableName>) -> Result<(), Failure> {
        let name = |table: &TableName| QualifiedName {
            database: table.database.clone(),
            table: table.table.clone(),
        };
        let command = |added: &[Mapping], gone: &[TableName]| SetFollowedTables {
            project: self.id.project().to_string(),
            epoch: self.epoch.0,
            added: added
                .iter()
                .map(|m| SelectedObject {
                    source: Some(name(&m.source)),
                    destination: Some(name(&m.destination)),
                    view: false,
                    gone: false,
                })
                .collect(),
            gone: gone.iter().map(name).collect(),
        };
        // What is gone first: a new table may take its place at the destination.
        let commands = gone
            .chunks(TABLES)
            .map(|gone| command(&[], gone))
            .chain(added.chunks(TABLES).map(|added| command(added, &[])));
        for command in commands {
            self.metadata
                .propose(MetaCommand::SetFollowedTables(command))
                .await?;
        }
        Ok(())
    }

    /// Facts that only one kind of component has.
    pub(crate) async fn typed(&self, facts: ComponentFacts) -> Result<(), Failure> {
        self.send(|r| r.facts = Some(facts)).await
    }
}

fn verified_table(t: &TableResult) -> VerifiedTable {
    let state = match t.verdict {
        TableVerdict::Unfinished => StepState::Running,
        TableVerdict::Consistent | TableVerdict::Different => StepState::Finished,
        TableVerdict::Failed => StepState::Failed,
    };
    VerifiedTable {
        database: t.source.database.clone(),
        table: t.source.table.clone(),
        destination_database: t.destination.database.clone(),
        destination_table: t.destination.table.clone(),
        state: state as i32,
        rows: t.rows,
        source_only: t.source_only,
        destination_only: t.destination_only,
        mismatched: t.mismatched,
        error: t.error_code.as_ref().map(|code| ErrorInfo {
            code: code.clone(),
            message: t.error.clone().unwrap_or_default(),
            failed_at_ms: 0,
        }),
    }
}

#[async_trait]
impl Reporter for MetaReporter {
    async fn state(&self, state: &RunState, summary: &str) -> Result<(), Failure> {
        let now = self.metadata.now_ms();
        self.send(|r| {
            r.state = match state {
                RunState::Running => ComponentState::Running,
                RunState::Stopped => ComponentState::Stopped,
                RunState::Completed => ComponentState::Completed,
                RunState::Failed(..) => ComponentState::Failed,
            } as i32;
            if let RunState::Failed(code, message) = state {
                r.error = Some(ErrorInfo {
                    code: code.as_str().to_owned(),
                    message: message.clone(),
                    failed_at_ms: now,
                });
            }
            if !summary.is_empty() {
                r.facts = Some(ComponentFacts {
                    summary: summary.to_owned(),
                    ..Default::default()
                });
            }
        })
        .await
    }

    async fn facts(&self, facts: Facts) -> Result<(), Failure> {
        let facts = match facts {
            Facts::Tables { added, gone } => return self.followed(added, gone).await,
            Facts::StoreStart(position) => ComponentFacts {
                store_start: position.encode(),
                ..Default::default()
            },
            Facts::Verified { summary, tables } => {
                self.tables(&tables).await?;
                let verification = VerificationResult {
                    run: summary.run,
                    tables: summary.tables,
                    rows: summary.rows,
                    source_only: summary.source_only,
                    destination_only: summary.destination_only,
                    mismatched: summary.mismatched,
                    failed_tables: summary.failed_tables,
                    consistent: summary.consistent,
                };
                ComponentFacts {
                    verification: Some(verification),
                    ..Default::default()
                }
            }
            Facts::Applied(position) => ComponentFacts {
                applied: position.encode(),
                ..Default::default()
            },
            Facts::Settled(position) => ComponentFacts {
                settled: position.encode(),
                applied: position.encode(),
                ..Default::default()
            },
            Facts::CaughtUp => ComponentFacts {
                caught_up: true,
                ..Default::default()
            },
            Facts::Imported {
                safe_until,
                snapshots,
            } => ComponentFacts {
                safe_until: safe_until.encode(),
                snapshots: snapshots
                    .into_iter()
                    .map(|(table, position)| SnapshotPosition {
                        table: Some(QualifiedName {
                            database: table.database,
                            table: table.table,
                        }),
                        position: position.encode(),
                    })
                    .collect(),
                ..Default::default()
            },
        };
        self.typed(facts).await
    }

    async fn removed(&self) -> Result<(), Failure> {
        self.send(|r| r.removed = true).await
    }
}
