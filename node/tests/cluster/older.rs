//! What older versions wrote is taken over.
//!
//! `fixtures/level2` was written by a version of feature level 2: a cluster of one with two data sources, a project that
//! follows its source, and a token, as the node's folder with its log and as a backup. It is never changed.

use std::{fs, path::Path, path::PathBuf};

use oms_proto::v1::{
    GetProjectRequest, ListComponentsRequest, ListDataSourcesRequest, ListTokensRequest, ProjectState,
    StepKind, StepState, component_service_client::ComponentServiceClient,
    data_source_service_client::DataSourceServiceClient, project_service_client::ProjectServiceClient,
    token_service_client::TokenServiceClient,
};
use tempfile::TempDir;

use crate::bed::{Node, config};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster/fixtures/level2")
        .join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            fs::write(there, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Everything that the older version knew is known.
async fn knows_everything(node: &Node, epochs: impl Fn(u64) -> bool) {
    let channel = node.channel().await;
    let mut client = DataSourceServiceClient::new(channel.clone());
    let sources = client
        .list_data_sources(ListDataSourcesRequest::default())
        .await
        .unwrap();
    let names: Vec<_> = sources
        .into_inner()
        .data_sources
        .into_iter()
        .map(|d| (d.name, d.region))
        .collect();
    let north = || "north".to_owned();
    assert_eq!(names, [("src".to_owned(), north()), ("dst".to_owned(), north())]);
    let mut client = ProjectServiceClient::new(channel.clone());
    let request = GetProjectRequest {
        project: "shop-move".to_owned(),
    };
    let project = client.get_project(request).await.unwrap().into_inner();
    assert_eq!(project.state(), ProjectState::Running, "{project:?}");
    let spec = project.spec.unwrap();
    assert_eq!(
        (spec.labels.as_slice(), spec.source.as_str()),
        (&["moved".to_owned()][..], "src")
    );
    let done: Vec<_> = project.steps.iter().map(|s| (s.kind(), s.state())).collect();
    assert!(
        done.contains(&(StepKind::FullTransfer, StepState::Finished)),
        "{done:?}"
    );
    let mut client = ComponentServiceClient::new(channel);
    let components = client
        .list_components(ListComponentsRequest::default())
        .await
        .unwrap();
    let components = components.into_inner().components;
    for kind in ["store", "incr-sync"] {
        let found = components.iter().find(|c| c.kind == kind).unwrap();
        assert!(epochs(found.epoch), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_an_older_version_is_started() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture("folder"), dir.path());
    let mut node = Node::on(dir, "north").await;
    let cluster = node.cluster().await;
    assert_eq!(
        (node.id(), cluster.leader, cluster.feature_level),
        (1, 1, oms_meta::FEATURE_LEVEL)
    );
    assert_eq!(cluster.id, "33f25628-e273-4293-a303-1bb45d2db96d");
    knows_everything(&node, |epoch| epoch < 100).await;
    let tokens = TokenServiceClient::new(node.channel().await)
        .list_tokens(ListTokensRequest {})
        .await;
    assert_eq!(tokens.unwrap().into_inner().tokens.len(), 1);
    // What it writes itself comes behind that.
    node.stop().await;
    node.restart().await;
    knows_everything(&node, |epoch| epoch < 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_of_an_older_version_is_restored() {
    let (file, key) = (
        fs::read(fixture("backup")).unwrap(),
        fs::read(fixture("folder/secret.key")).unwrap(),
    );
    let dir: TempDir = tempfile::tempdir().unwrap();
    let restored = oms_node::restore_backup(&config(dir.path()), &file, Some(&key)).unwrap();
    assert_eq!(
        (restored.projects, restored.data_sources, restored.has_key),
        (1, 2, true)
    );
    let node = Node::on(dir, "north").await;
    assert_eq!(node.cluster().await.feature_level, oms_meta::FEATURE_LEVEL);
    knows_everything(&node, |epoch| epoch > 1_000).await;
}
