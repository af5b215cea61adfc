//! The node that executes a statement that defines tables dies in the middle of it; another one goes on with what is
//! recorded, and the data stays exact.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{Auditor, Bank, BankOptions, Deployment, DeploymentOptions};
use oms_proto::v1::{
    DdlState, DdlStatement, DdlSynchronization, IncrementalOptions, ListDdlRequest, ProjectSpec,
};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(120);

async fn history(d: &Deployment, asked: u8) -> Vec<DdlStatement> {
    let request = ListDdlRequest {
        project: d.project.name.clone(),
        ..Default::default()
    };
    let mut projects = d.cluster.node(asked).projects().await.unwrap();
    projects.list_ddl(request).await.unwrap().into_inner().statements
}

/// A reader of the destination keeps an ALTER waiting there, so that its node surely dies while it runs. Twice: the second
/// time the reader goes before there is a new owner.
#[tokio::test(flavor = "multi_thread")]
async fn an_alter_survives_its_node() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let options = BankOptions::default();
    Bank::prepare(&d.source, &options).await.unwrap();
    let bank = Bank::start(&d.source, &options).await.unwrap();
    let spec = ProjectSpec {
        incremental: Some(IncrementalOptions {
            ddl: DdlSynchronization::Follow as i32,
            ..Default::default()
        }),
        ..d.spec(&["bank"])
    };
    d.launch(1, spec).await.unwrap();
    d.following().await.unwrap();
    let first = d.cluster.other_than(&[]).unwrap();
    d.project.wait_caught_up(d.cluster.node(first)).await.unwrap();
    let auditor = Auditor::start(&d.destination, "bank").await.unwrap();
    let mut source = d.source.client().await.unwrap();
    let mut watcher = d.destination.client().await.unwrap();
    for round in 0..2u32 {
        let mut reader = d.destination.client().await.unwrap();
        reader.query_drop("BEGIN").await.unwrap();
        reader.query_rows("SELECT * FROM bank.accounts").await.unwrap();
        let alter =
            format!("ALTER TABLE bank.accounts ADD COLUMN added_{round} INT NOT NULL DEFAULT {round}");
        source.query_drop(&alter).await.unwrap();
        source
            .query_drop(&format!(
                "UPDATE bank.accounts SET added_{round} = added_{round} + id"
            ))
            .await
            .unwrap();
        let running = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%ALTER TABLE%added\\_{round}%' \
             AND info NOT LIKE '%processlist%'"
        );
        let deadline = Instant::now() + PATIENCE;
        while watcher.query_count(&running).await.unwrap() == 0 {
            assert!(
                Instant::now() < deadline,
                "no ALTER came: {}\n{}",
                d.describe().await,
                d.cluster.logs()
            );
            sleep(Duration::from_millis(10)).await;
        }
        let asked = d.cluster.other_than(&[]).unwrap();
        let (victim, before) = d.cluster.owner(asked, "incr-sync").await.unwrap();
        d.cluster.node_mut(victim).kill().unwrap();
        if round == 1 {
            reader.query_drop("COMMIT").await.unwrap();
        }
        let asked = d.cluster.other_than(&[victim]).unwrap();
        let cluster = &d.cluster;
        cluster
            .wait("incr-sync on another node", async || {
                let (owner, after) = cluster.owner(asked, "incr-sync").await?;
                ensure!(owner != victim && after.epoch > before.epoch, "{after:?}");
                Ok(())
            })
            .await
            .unwrap();
        if round == 0 {
            reader.query_drop("COMMIT").await.unwrap();
        }
        reader.close().await.unwrap();
        d.flows(&bank, PATIENCE).await.unwrap();
        d.cluster.start(victim, None).await.unwrap();
        d.cluster.settled().await.unwrap();
    }
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    let asked = d.cluster.other_than(&[]).unwrap();
    let transfers = d.settle_bank(bank, asked).await.unwrap();
    let list = history(&d, asked).await;
    assert_eq!(list.len(), 2, "{list:#?}");
    assert!(list.iter().all(|s| s.state() == DdlState::Done), "{list:#?}");
    println!("{transfers} transfers are there once");
}
