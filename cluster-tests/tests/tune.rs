//! Limits of a project change while it works.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{Concurrency, FullOptions, FullTuning, StepKind, StepState, Steps, TuneProjectRequest};

#[tokio::test(flavor = "multi_thread")]
async fn full_import_goes_on_with_a_new_limit_without_a_restart() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    Load::prepare(&scenario.source, &LoadOptions::default(), 4_000)
        .await
        .unwrap();
    let mut spec = scenario.spec(&["load"]);
    spec.steps = Some(Steps {
        schema: true,
        full: true,
        ..Default::default()
    });
    // At this rate it would take hours.
    spec.full = Some(FullOptions {
        max_rows_per_second: 1,
        workers: 1,
        ..Default::default()
    });
    scenario.launch(spec).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::FullTransfer, &[StepState::Running])
        .await
        .unwrap();
    let epoch = || async {
        let request = oms_proto::v1::ListComponentsRequest::default();
        let list = node.components().await.unwrap().list_components(request).await;
        let list = list.unwrap().into_inner().components;
        list.iter().find(|c| c.kind == "full-import").map(|c| c.epoch)
    };
    let before = epoch().await.unwrap();
    let tuned = node
        .projects()
        .await
        .unwrap()
        .tune_project(TuneProjectRequest {
            project: project.name.clone(),
            full: Some(FullTuning {
                max_rows_per_second: Some(0),
                concurrency: Some(Concurrency::Auto as i32),
                ..Default::default()
            }),
        })
        .await
        .unwrap()
        .into_inner();
    let full = tuned.spec.unwrap().full.unwrap();
    assert_eq!((full.max_rows_per_second, full.workers), (0, 0));
    assert_eq!(full.concurrency(), Concurrency::Auto);
    let begun = Instant::now();
    project
        .wait_step(node, StepKind::FullTransfer, &[StepState::Finished])
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(120),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(epoch().await.unwrap(), before);
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
    // Nothing is left to tune.
    let late = TuneProjectRequest {
        project: project.name.clone(),
        full: Some(FullTuning {
            workers: Some(2),
            ..Default::default()
        }),
    };
    let mut projects = node.projects().await.unwrap();
    let refused = projects.tune_project(late).await.unwrap_err();
    assert!(refused.message().contains("full import has ended"), "{refused}");
}
