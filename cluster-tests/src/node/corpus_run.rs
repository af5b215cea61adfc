//! The corpus on its way from one server to another.

use anyhow::{Context, bail, ensure};
use oms_proto::v1::{
    IncrementalOptions, ListObjectsRequest, ObjectState, PartialRows, ProjectRequest, ProjectState, StepKind,
    StepState, VerificationResult,
};

use super::Scenario;
use crate::{Corpus, ServerKind, ServerOptions};

/// A schema that is there, with its rows, before the project starts: queries read it.
const COPIED: &str = "copied";
/// A schema whose rows are written while changes are followed: they come through the log.
const LOGGED: &str = "logged";

/// Moves the [`Corpus`] by both paths and has two judges compare every table: the project's full verification and
/// [`crate::compare_tables`].
#[derive(Debug, Clone)]
pub struct CorpusRun {
    source: ServerKind,
    options: ServerOptions,
    destination: ServerKind,
    partial_rows: bool,
    session: Vec<String>,
    excluded: Vec<&'static str>,
}

impl CorpusRun {
    /// A source with the testbed's own options: GTID on, full row images.
    pub fn new(source: ServerKind, destination: ServerKind) -> Self {
        Self {
            source,
            options: ServerOptions::source(),
            destination,
            partial_rows: false,
            session: Vec::new(),
            excluded: Corpus::excluded(source, destination),
        }
    }

    /// Sets a variable of the source server.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.options = self.options.set(variable, value);
        self
    }

    /// Whether a MySQL source gives transactions a GTID; without it positions are files and offsets.
    pub fn gtid(mut self, on: bool) -> Self {
        self.options = self.options.gtid(on);
        self
    }

    /// `incremental.partial_rows: apply`.
    pub fn partial_rows(mut self) -> Self {
        self.partial_rows = true;
        self
    }

    /// A statement that every session which writes rows runs after the corpus' own settings.
    pub fn session(mut self, statement: &str) -> Self {
        self.session.push(statement.to_owned());
        self
    }

    /// Leaves more names out than [`Corpus::excluded`] does. Say why where it is called.
    pub fn exclude(mut self, names: &[&'static str]) -> Self {
        self.excluded.extend(names);
        self.excluded.sort_unstable();
        self.excluded.dedup();
        self
    }

    /// Runs it. An error names everything that either judge found.
    pub async fn run(self) -> anyhow::Result<VerificationResult> {
        let scenario = Scenario::start_with(
            self.source,
            self.options.clone(),
            self.destination,
            ServerOptions::destination(),
        )
        .await?;
        let copied = Corpus::new(self.source, COPIED);
        let logged = Corpus::new(self.source, LOGGED);
        let mut client = scenario.source.client().await?;
        client.run_all(&copied.create).await?;
        client.run_all(&self.in_session(&copied.seed)).await?;
        client.run_all(&logged.create).await?;

        // Not every kind of source has every table, and a spec names only what is there.
        let there = |name: &&&str| {
            copied
                .tables
                .iter()
                .chain(&copied.views)
                .any(|known| known == **name)
        };
        let excluded: Vec<&str> = self.excluded.iter().filter(there).copied().collect();
        if !self.options.gives_gtids() && self.source != ServerKind::MariaDb {
            // Where an InnoDB snapshot stands among files and offsets is known from the list of transactions only.
            let user = scenario.source.oms_user();
            client
                .query_drop(&format!("GRANT PROCESS ON *.* TO '{user}'@'%'"))
                .await?;
        }
        let mut spec = scenario.spec(&[COPIED, LOGGED]);
        for database in &mut spec.databases {
            database.exclude = excluded.iter().map(|name| (*name).to_owned()).collect();
        }
        if self.partial_rows {
            spec.incremental = Some(IncrementalOptions {
                partial_rows: PartialRows::Apply as i32,
                ..Default::default()
            });
        }
        scenario.launch(spec).await?;
        let followed = scenario.followed().await;
        if let Err(error) = followed {
            bail!("{error}\n{}", open_objects(&scenario).await?.join("\n"));
        }
        client.run_all(&self.in_session(&logged.seed)).await?;
        client.run_all(&self.in_session(&logged.mutate)).await?;
        client.run_all(&self.in_session(&copied.mutate)).await?;
        let (project, node) = (&scenario.project, &scenario.node);
        project
            .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
            .await?;
        project.wait_caught_up(node).await?;

        let result = project.verify(node).await?;
        let mut found = open_objects(&scenario).await?;
        if !result.consistent {
            found.push(format!("verification: {result:?}"));
            for table in project.verified_tables(node).await? {
                if let Some(error) = table.error {
                    found.push(format!("{}.{}: {}", table.database, table.table, error.message));
                }
            }
            match project.differences(node, true).await {
                Ok(all) => found.extend(all.iter().map(|d| {
                    let columns: Vec<_> = d
                        .columns
                        .iter()
                        .map(|c| (&c.column, &c.source, &c.destination))
                        .collect();
                    format!(
                        "verification: {}.{} {:?} {:?} {columns:?}",
                        d.database,
                        d.table,
                        d.kind(),
                        d.key
                    )
                })),
                Err(error) => found.push(format!("differences: {error}")),
            }
        }
        let mut tables = 0;
        for corpus in [&copied, &logged] {
            for name in corpus.tables.iter().chain(&corpus.views) {
                if excluded.contains(&name.as_str()) {
                    continue;
                }
                tables += u64::from(corpus.tables.contains(name));
                if let Err(error) = scenario.assert_equal(&corpus.database, &[name]).await {
                    found.push(format!("judge: {error}"));
                }
            }
        }
        if result.tables != tables {
            found.push(format!("verification saw {} tables of {tables}", result.tables));
        }
        ensure!(
            found.is_empty(),
            "{} -> {}:\n{}",
            self.source,
            self.destination,
            found.join("\n")
        );
        Ok(result)
    }

    /// The corpus' own settings come first in a list; ours go behind them.
    fn in_session(&self, statements: &[String]) -> Vec<String> {
        let settings = statements.iter().take_while(|s| s.starts_with("SET ")).count();
        let (begin, rest) = statements.split_at(settings);
        [begin, &self.session, rest].concat()
    }
}

impl Scenario {
    /// Waits until changes are being followed.
    async fn followed(&self) -> anyhow::Result<()> {
        self.project
            .wait(&self.node, "following", |p| {
                p.state() == ProjectState::Failed
                    || p.steps
                        .iter()
                        .any(|s| s.kind() == StepKind::IncrTransfer && s.state() == StepState::Monitoring)
            })
            .await
            .and_then(|p| match p.error {
                Some(error) if p.state() == ProjectState::Failed => bail!("{} {}", error.code, error.message),
                _ => Ok(()),
            })
    }
}

/// Objects of the schema migration that are not at the destination.
async fn open_objects(scenario: &Scenario) -> anyhow::Result<Vec<String>> {
    let request = ListObjectsRequest {
        project: scenario.project.name.clone(),
        with_statements: true,
        ..Default::default()
    };
    let mut projects = scenario.node.projects().await?;
    let listed = projects.list_objects(request).await?.into_inner();
    let done = [ObjectState::Completed, ObjectState::Converted];
    let open = listed.objects.into_iter().filter(|o| !done.contains(&o.state()));
    Ok(open
        .map(|o| {
            let error = o.error.clone().unwrap_or_default();
            format!(
                "{:?} {}.{} {} is {:?}: {} {:?}",
                o.kind(),
                o.database,
                o.table,
                o.part,
                o.state(),
                error.message,
                o.statements
            )
        })
        .collect())
}

impl Corpus {
    /// Starts a project over the corpus with nothing left out, and gives the precheck's items that failed.
    pub async fn precheck_failures(scenario: &Scenario) -> anyhow::Result<Vec<String>> {
        let corpus = Self::new(scenario.source.kind(), COPIED);
        let mut client = scenario.source.client().await?;
        client.run_all(&corpus.create).await?;
        scenario.launch(scenario.spec(&[COPIED])).await?;
        let (code, message) = scenario.project.wait_failed(&scenario.node).await?;
        ensure!(code == "OMS-PRECHECK-0001", "{code} {message}");
        let request = ProjectRequest {
            project: scenario.project.name.clone(),
        };
        let mut projects = scenario.node.projects().await.context("the node")?;
        let items = projects.list_precheck_items(request).await?.into_inner().items;
        Ok(items
            .into_iter()
            .filter(|i| i.status() == oms_proto::v1::PrecheckStatus::Failed)
            .map(|i| format!("{}: {}", i.key, i.message))
            .collect())
    }
}
