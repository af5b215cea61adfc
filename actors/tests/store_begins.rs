//! Where a Store begins on a node that has the log, an old one, or none.
#![allow(clippy::unwrap_used)]

mod bed;

use std::sync::Arc;

use async_trait::async_trait;
use bed::*;
use oms_actors::Facts;
use oms_apply::testing::MemorySource;
use oms_changelog::{LogSeq, ReadFrom};
use oms_core::{
    Capture, CapturedRecord, Failure, LogDecoder, Position, SnapshotReader, Source, TableMap, TableName,
    TableSchema, codes,
};
use tokio::sync::watch;

fn commit(source: &MemorySource, from: i64, to: i64) {
    for n in from..to {
        source.commit(vec![insert(1, n, n)]);
    }
}

/// Waits until the log of the node has come to the end of the source.
async fn captured(node: &Node, source: &MemorySource) {
    let shelved = node.shelf.wait_for(&project()).await;
    let end = source.end();
    until("capture", || shelved.log.resume_position().unwrap() >= end).await;
}

async fn stop(node: &Node) {
    node.host.stop(&id("store")).await.unwrap();
}

/// The position at which the log that is up begins.
async fn begins(node: &Node) -> Position {
    let shelved = node.shelf.wait_for(&project()).await;
    let mut reader = shelved.log.open_reader(ReadFrom::Start).await.unwrap();
    assert_eq!(reader.next_seq(), LogSeq::FIRST, "nothing was removed");
    let first = reader.next_batch(1).await.unwrap().remove(0);
    let mut end = first.position.clone();
    while end.is_none() {
        end = reader.next_batch(1).await.unwrap().remove(0).position;
    }
    end.unwrap().decode().unwrap()
}

fn note_applied(node: &Node, position: Position) {
    node.meta.facts.lock().push(Facts::Applied(position));
}

fn said(node: &Node, words: &str) -> bool {
    node.log_lines("store").iter().any(|l| l.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_that_is_there_goes_on() {
    let (meta, source) = (Meta::new(), MemorySource::new(tables()));
    let node = Node::new(1, &meta).await;
    commit(&source, 0, 3);
    node.run_store(&source, 1).await;
    let first = node.log_id().await;
    assert_eq!(meta.start_position().unwrap(), source.end(), "capture begins now");
    commit(&source, 3, 6);
    captured(&node, &source).await;
    stop(&node).await;
    commit(&source, 6, 9);
    node.run_store(&source, 2).await;
    assert_eq!(node.log_id().await, first);
    captured(&node, &source).await;
    assert!(!said(&node, "discarded"));
    let starts: Vec<_> = meta.facts.lock().iter().cloned().collect();
    let same = |f: &Facts| matches!(f, Facts::StoreStart(p) if Some(p) == meta.start_position().as_ref());
    assert!(starts.iter().all(same), "the start never changes: {starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_the_start_comes_again_until_something_is_applied() {
    let (meta, source) = (Meta::new(), MemorySource::new(tables()));
    let nodes = [
        Node::new(1, &meta).await,
        Node::new(2, &meta).await,
        Node::new(3, &meta).await,
    ];
    commit(&source, 0, 3);
    nodes[0].run_store(&source, 1).await;
    let first = nodes[0].log_id().await;
    let start = meta.start_position().unwrap();
    commit(&source, 3, 6);
    let next = {
        let probe = MemorySource::new(tables());
        commit(&probe, 0, 4);
        probe.end()
    };
    captured(&nodes[0], &source).await;
    stop(&nodes[0]).await;

    // Full import may be reading now: what it read may have changed since the start.
    nodes[1].run_store(&source, 2).await;
    let second = nodes[1].log_id().await;
    assert_ne!(first, second, "its numbers begin anew");
    assert_eq!(
        (first.0[..8].to_vec(), second.0[..8].to_vec()),
        (FAMILY.to_vec(), FAMILY.to_vec())
    );
    captured(&nodes[1], &source).await;
    assert_eq!(
        begins(&nodes[1]).await,
        next,
        "the transaction behind the start is there"
    );
    assert_eq!(meta.start_position().unwrap(), start);
    stop(&nodes[1]).await;

    let applied = source.end();
    note_applied(&nodes[2], applied.clone());
    commit(&source, 6, 8);
    nodes[2].run_store(&source, 3).await;
    captured(&nodes[2], &source).await;
    assert!(
        begins(&nodes[2]).await > applied,
        "what is applied does not come again"
    );
    assert_eq!(meta.start_position().unwrap(), start, "the start never changes");
    assert!(said(&nodes[2], "there is no change log on this node"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_an_earlier_life_is_resumed_or_discarded() {
    let (meta, source) = (Meta::new(), MemorySource::new(tables()));
    let node = Node::new(1, &meta).await;
    let other = Node::new(2, &meta).await;
    node.run_store(&source, 1).await;
    let first = node.log_id().await;
    commit(&source, 0, 5);
    let covered = source.end();
    commit(&source, 5, 10);
    captured(&node, &source).await;
    stop(&node).await;
    other.run_store(&source, 2).await;
    commit(&source, 10, 15);
    captured(&other, &source).await;
    stop(&other).await;

    // It holds what follows what is applied.
    note_applied(&node, covered);
    node.run_store(&source, 3).await;
    assert_eq!(node.log_id().await, first);
    captured(&node, &source).await;
    stop(&node).await;

    // It ends before what is applied: what lies between would be captured for nobody.
    other.run_store(&source, 4).await;
    commit(&source, 15, 20);
    captured(&other, &source).await;
    stop(&other).await;
    note_applied(&node, source.end());
    commit(&source, 20, 25);
    node.run_store(&source, 5).await;
    assert_ne!(node.log_id().await, first);
    captured(&node, &source).await;
    assert!(begins(&node).await > meta.applied().unwrap());
    assert!(said(&node, "ends before what is needed; it is discarded"));
    assert!(!node.log_dir().with_file_name("p_1.discarded").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_kept_when_the_source_cannot_give_what_it_lacks() {
    let (meta, source) = (Meta::new(), MemorySource::new(tables()));
    let node = Node::new(1, &meta).await;
    commit(&source, 0, 2);
    let early = source.end();
    commit(&source, 2, 4);
    node.run_store(&source, 1).await;
    let first = node.log_id().await;
    commit(&source, 4, 6);
    captured(&node, &source).await;
    stop(&node).await;
    source.purge();
    note_applied(&node, early);
    node.run_store(&source, 2).await;
    assert_eq!(node.log_id().await, first);
    assert!(said(
        &node,
        "it is kept, because the source cannot give what is missing"
    ));
    commit(&source, 6, 8);
    captured(&node, &source).await;
}

/// A source that gives its log to the latest reader only, as servers do that know readers by a number.
#[derive(Debug)]
struct OneReader {
    source: MemorySource,
    readers: watch::Sender<u64>,
}

struct Reader {
    capture: Box<dyn Capture>,
    number: u64,
    readers: watch::Receiver<u64>,
}

#[async_trait]
impl Capture for Reader {
    async fn next(&mut self) -> Result<CapturedRecord, Failure> {
        let number = self.number;
        tokio::select! {
            record = self.capture.next() => record,
            _ = self.readers.wait_for(|latest| *latest != number) => {
                Err(Failure::new(codes::src::TRANSIENT, "another reader has come under this number"))
            }
        }
    }

    async fn acknowledge(&mut self, position: &Position) -> Result<(), Failure> {
        self.capture.acknowledge(position).await
    }
}

#[async_trait]
impl Source for OneReader {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        self.source.load_tables(names).await
    }
    async fn current_position(&self) -> Result<Position, Failure> {
        self.source.current_position().await
    }
    async fn check_position(&self, position: &Position) -> Result<(), Failure> {
        self.source.check_position(position).await
    }
    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure> {
        let capture = self.source.open_capture(from).await?;
        self.readers.send_modify(|latest| *latest += 1);
        Ok(Box::new(Reader {
            capture,
            number: *self.readers.borrow(),
            readers: self.readers.subscribe(),
        }))
    }
    fn decoder(&self, tables: Arc<TableMap>, from: &Position) -> Result<Box<dyn LogDecoder>, Failure> {
        self.source.decoder(tables, from)
    }
    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        self.source.open_snapshot().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_owner_does_not_take_the_source_from_its_successor() {
    let (meta, memory) = (Meta::new(), MemorySource::new(tables()));
    let source = Arc::new(OneReader {
        source: memory.clone(),
        readers: watch::Sender::new(0),
    });
    let (old, new) = (Node::new(1, &meta).await, Node::new(2, &meta).await);
    old.run_store_from(source.clone(), 1).await;
    until("a capture", || *source.readers.borrow() == 1).await;
    commit(&memory, 0, 3);
    captured(&old, &memory).await;
    // Nobody has told the old one: it may have been asleep, or cut off.
    new.run_store_from(source.clone(), 2).await;
    until("the old one ends", || said(&old, "ended as fenced")).await;
    assert!(said(&old, "another reader has come"), "it tried again first");
    assert_eq!(
        *source.readers.borrow(),
        2,
        "and did not get as far as the source"
    );
    commit(&memory, 3, 6);
    captured(&new, &memory).await;
    assert!(!said(&new, "trying again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_discarded_when_nobody_has_it_open() {
    let (meta, source) = (Meta::new(), MemorySource::new(tables()));
    let node = Node::new(1, &meta).await;
    node.run_store(&source, 1).await;
    node.log_id().await;
    let refused = oms_actors::Store::discard(&node.log_dir()).await.unwrap_err();
    assert_eq!(refused.code(), codes::store::IN_USE);
    stop(&node).await;
    for _ in 0..2 {
        oms_actors::Store::discard(&node.log_dir()).await.unwrap();
        assert!(!node.log_dir().exists());
    }
}
