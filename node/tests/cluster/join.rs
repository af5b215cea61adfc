//! Who is let in.

use std::time::Duration;

use oms_node::JoinOptions;
use oms_types::codes::cluster as codes;

use crate::bed::{Node, PATIENCE, config, launch, options};

/// The code that a join ends with; the folder stays empty.
async fn refused(options: JoinOptions) -> &'static str {
    let dir = tempfile::tempdir().unwrap();
    refused_at(&config(dir.path()), options).await
}

async fn refused_at(config: &oms_config::NodeConfig, options: JoinOptions) -> &'static str {
    match launch(config.clone(), Some(options)).await {
        Ok(_) => panic!("let in"),
        Err(error) => error.code().as_str(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_good_token_lets_a_node_in() {
    let first = Node::first().await;
    let seed = first.address();
    let good = first.token(1).await;

    let mut altered = good.clone();
    let last = if altered.pop() == Some('A') { 'Q' } else { 'A' };
    let wrong_secret = {
        // The last character also carries unused bits, so another one in the middle is altered.
        let at = good.len() - 10;
        let other = if &good[at..=at] == "x" { "y" } else { "x" };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    };
    altered.push(last);
    for token in ["", "omsnode-join.x", wrong_secret.as_str()] {
        assert_eq!(
            refused(options(seed, token)).await,
            codes::TOKEN_UNKNOWN.as_str(),
            "{token:?}"
        );
    }
    let (_, rest) = good.split_once('.').unwrap();
    let (_, secret) = rest.split_once('.').unwrap();
    let other_id = format!("omsnode-join.000000000000.{secret}");
    assert_eq!(
        refused(options(seed, &other_id)).await,
        codes::TOKEN_UNKNOWN.as_str()
    );

    let another = Node::first().await;
    assert_eq!(
        refused(options(another.address(), &good)).await,
        codes::TOKEN_UNKNOWN.as_str(),
        "another cluster"
    );

    // Its address is in use by the first node.
    let dir = tempfile::tempdir().unwrap();
    let mut same = config(dir.path());
    same.advertise = seed.to_owned();
    assert_eq!(
        refused_at(&same, options(seed, &good)).await,
        codes::DUPLICATE_ADDRESS.as_str()
    );

    // None of the refusals used it up; once is enough.
    let dir = tempfile::tempdir().unwrap();
    let (runtime, daemon) = launch(config(dir.path()), Some(options(seed, &good)))
        .await
        .unwrap();
    assert_eq!(daemon.node_id(), 2);
    assert_eq!(refused(options(seed, &good)).await, codes::TOKEN_USED.as_str());
    runtime.shutdown_background();

    let short = first.try_token(1, 1).await.unwrap();
    let expired = async {
        loop {
            // A token that still works lets the node in; the next one will be late.
            let dir = tempfile::tempdir().unwrap();
            match launch(config(dir.path()), Some(options(seed, &short))).await {
                Ok((runtime, _daemon)) => runtime.shutdown_background(),
                Err(error) if error.code() == codes::TOKEN_USED => {}
                Err(error) => return error.code().as_str(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let code = tokio::time::timeout(PATIENCE, expired).await.unwrap();
    assert_eq!(code, codes::TOKEN_EXPIRED.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_that_do_not_answer_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::first().await;
    let good = first.token(1).await;
    // Port 1 of this machine refuses.
    let Err(error) = launch(config(dir.path()), Some(options("127.0.0.1:1", &good))).await else {
        panic!("let in by nobody");
    };
    assert_eq!(error.code(), codes::SEED_UNREACHABLE);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");

    // One good seed is enough, and the folder is still good for a join.
    let both = JoinOptions {
        seeds: vec!["127.0.0.1:1".to_owned(), first.address().to_owned()],
        ..options("", &good)
    };
    let (runtime, daemon) = launch(config(dir.path()), Some(both)).await.unwrap();
    assert_eq!(daemon.node_id(), 2);
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_cluster() {
    let first = Node::first().await;
    let mut other = Node::first().await;
    let token = first.token(1).await;
    other.crash();

    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("thesis.txt"), "x").unwrap();
    assert_eq!(
        refused_at(&config(full.path()), options(first.address(), &token)).await,
        codes::FOLDER_NOT_EMPTY.as_str()
    );

    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let code = refused_at(&config(other.dir.path()), options(first.address(), &token)).await;
        if code == codes::WRONG_CLUSTER.as_str() {
            break;
        }
        assert_eq!(code, codes::DATA_DIR_IN_USE.as_str());
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_join_goes_on_as_the_same_node() {
    let first = Node::first().await;
    let token = first.token(1).await;
    let dir = tempfile::tempdir().unwrap();
    let (runtime, daemon) = launch(config(dir.path()), Some(options(first.address(), &token)))
        .await
        .unwrap();
    assert_eq!(daemon.node_id(), 2);
    runtime.shutdown_background();
    drop(daemon);

    // As if the answer had been lost: the folder knows only its own id.
    let path = dir.path().join("identity");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut identity: serde_json::Value = serde_json::from_str(&text).unwrap();
    identity["cluster"] = "".into();
    identity["node"] = 0.into();
    std::fs::write(&path, identity.to_string()).unwrap();
    std::fs::remove_file(dir.path().join("secret.key")).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while dir.path().join("meta").exists() {
        let _ = std::fs::remove_dir_all(dir.path().join("meta"));
        assert!(tokio::time::Instant::now() < deadline);
    }

    let Err(unfinished) = launch(config(dir.path()), None).await else {
        panic!("started without being a member");
    };
    assert!(unfinished.to_string().contains("omsnode join"), "{unfinished}");
    let (runtime, daemon) = launch(config(dir.path()), Some(options(first.address(), &token)))
        .await
        .unwrap();
    assert_eq!(daemon.node_id(), 2);
    first
        .until_nodes("the node is back", |nodes| {
            nodes
                .iter()
                .any(|n| n.id == 2 && n.generation > 0 && n.address == daemon.address().to_string())
        })
        .await;
    assert_eq!(first.list().await.len(), 2);
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_joins_again_without_token_or_seed() {
    let first = Node::first().await;
    let mut second = first.another().await;
    second.stop().await;
    let nobody = JoinOptions {
        seeds: vec!["127.0.0.1:1".to_owned()],
        token: String::new(),
        witness: false,
    };
    let (runtime, daemon) = launch(config(second.dir.path()), Some(nobody)).await.unwrap();
    assert_eq!(daemon.node_id(), 2);
    runtime.shutdown_background();
}
