//! A Store and incremental synchronization on different nodes, over broken connections and lost disks.
#![allow(clippy::unwrap_used)]

mod bed;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bed::*;
use oms_apply::testing::{MemorySink, MemorySource};
use oms_core::{RowChange, RowChange as Change};

/// Writes transactions of one to sixty rows until it is told to stop; gives their number.
async fn write(source: MemorySource, stop: Arc<AtomicBool>) -> i64 {
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        let rows = if n % 7 == 0 { 60 } else { n % 3 + 1 };
        let mut changes: Vec<RowChange> = (0..rows).map(|i| insert(1, n, i)).collect();
        changes.push(insert(0, n, 0));
        if n > 5 {
            changes.push(Change {
                table: 0,
                before: Some(row(n - 5, 0)),
                after: Some(row(n - 5, n)),
            });
        }
        let wanted = changes.len();
        assert_eq!(source.commit(changes).len(), wanted);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    n
}

fn said(node: &Node, words: &str) -> usize {
    let lines = node.log_lines("incr-sync");
    lines.iter().filter(|l| l.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_arrives_once_whatever_happens_between_the_nodes() {
    let source = MemorySource::new(tables());
    let sink = MemorySink::new(tables(), 7, 0);
    let meta = Meta::new();
    let mut nodes = Vec::new();
    for number in 0..4 {
        nodes.push(Node::new(number, &meta).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    nodes[1].run_store(&source, 1).await;
    nodes[1].log_id().await;
    let writer = tokio::spawn(write(source.clone(), stop.clone()));
    let reader = &nodes[0];
    reader.run_incr_sync(&source, &sink, 1).await;
    let applied = || {
        sink.checkpoint(&id("incr-sync"))
            .map_or(0, |c| c.watermark.applied)
    };
    let progress = async |more: u64| {
        let from = applied();
        until("progress", || applied() >= from + more).await;
    };
    progress(50).await;

    // Connections that break anywhere, also within transactions: one run goes on in the same log.
    for records in [1, 17, 40, 63, 90] {
        let broken = meta.broken.load(Ordering::SeqCst);
        meta.break_after.store(records, Ordering::SeqCst);
        until("a broken connection", || {
            meta.broken.load(Ordering::SeqCst) > broken
        })
        .await;
        meta.break_after.store(i64::MAX, Ordering::SeqCst);
        progress(20).await;
    }
    assert_eq!(said(reader, "claimed as"), 1, "it never restarted");
    assert_eq!(said(reader, "begun anew"), 0);

    // The Store's node is lost with its disk, within a large transaction as often as not.
    let mut logs = vec![nodes[1].log_id().await];
    for (epoch, number) in [(2, 2usize), (3, 3), (4, 2)] {
        let former = nodes.iter().find(|n| n.shelf.get(&project()).is_some()).unwrap();
        former.host.stop(&id("store")).await.unwrap();
        if epoch == 3 {
            std::fs::remove_dir_all(former.log_dir()).unwrap();
        }
        nodes[number].run_store(&source, epoch).await;
        progress(50).await;
        logs.push(nodes[number].log_id().await);
    }
    assert_eq!(said(reader, "claimed as"), 1, "it never restarted");
    assert_eq!(said(reader, "begun anew"), 3);
    logs.dedup();
    assert_eq!(logs.len(), 4, "each log has an identity of its own");

    // Incr-sync goes to the Store's node, and the Store away from there.
    reader.host.stop(&id("incr-sync")).await.unwrap();
    nodes[2].run_incr_sync(&source, &sink, 2).await;
    progress(30).await;
    let opened = meta.opened.load(Ordering::SeqCst);
    nodes[2].host.stop(&id("store")).await.unwrap();
    nodes[3].run_store(&source, 5).await;
    progress(30).await;
    assert!(
        meta.opened.load(Ordering::SeqCst) > opened,
        "it reads from the other node now"
    );

    stop.store(true, Ordering::SeqCst);
    let transactions = writer.await.unwrap();
    assert!(transactions > 300, "{transactions}");
    until("the end", || equal(&source, &sink)).await;
    assert!(meta.applied().is_some_and(|p| p <= source.end()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_noted_is_never_ahead_of_the_destination() {
    let source = MemorySource::new(tables());
    let sink = MemorySink::new(tables(), 7, 300);
    let meta = Meta::new();
    let nodes = [Node::new(0, &meta).await, Node::new(1, &meta).await];
    nodes[1].run_store(&source, 1).await;
    nodes[0].run_incr_sync(&source, &sink, 1).await;
    until("the first note", || meta.applied().is_some()).await;
    assert_eq!(
        meta.applied(),
        meta.start_position(),
        "the first checkpoint is the start"
    );
    for n in 0..40 {
        source.commit(vec![insert(1, n, n), insert(0, n, n)]);
        source.heartbeat();
    }
    let first = meta.applied();
    until("another note", || meta.applied() != first).await;
    // A claim now begins where the destination says, which is not before the note.
    nodes[0].host.stop(&id("incr-sync")).await.unwrap();
    let checkpoint = sink.checkpoint(&id("incr-sync")).unwrap();
    assert!(meta.applied().unwrap() <= checkpoint.watermark.position);
    // A Store that begins there has everything that the next run asks for.
    nodes[1].host.stop(&id("store")).await.unwrap();
    std::fs::remove_dir_all(nodes[1].log_dir()).unwrap();
    source.commit(vec![insert(1, 100, 100)]);
    nodes[0].run_store(&source, 2).await;
    nodes[1].run_incr_sync(&source, &sink, 2).await;
    until("the end", || equal(&source, &sink)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_one_log_is_never_set_in_another() {
    let source = MemorySource::new(tables());
    let sink = MemorySink::new(tables(), 7, 0);
    let meta = Meta::new();
    let nodes = [
        Node::new(0, &meta).await,
        Node::new(1, &meta).await,
        Node::new(2, &meta).await,
    ];
    nodes[1].run_store(&source, 1).await;
    nodes[0].run_incr_sync(&source, &sink, 1).await;
    for n in 0..3_000 {
        source.commit(vec![insert(1, n, n)]);
    }
    until("the copy", || equal(&source, &sink)).await;
    nodes[1].host.stop(&id("store")).await.unwrap();
    nodes[2].run_store(&source, 2).await;
    for n in 3_000..3_010 {
        source.commit(vec![insert(1, n, n)]);
    }
    until("the copy", || equal(&source, &sink)).await;
    // Everything that the mark allows may go; what was begun anew must still be there for a reader that
    // begins where the destination is.
    let log = nodes[2].shelf.wait_for(&project()).await.log;
    let newest = log.durable_seq();
    assert!(log.set_low_watermark("probe", newest.next()).await.is_ok());
    let all = oms_changelog::RetentionPolicy {
        min_age_us: i64::MAX,
        max_bytes: 0,
    };
    log.retain(0, all).await.unwrap();
    nodes[0].host.stop(&id("incr-sync")).await.unwrap();
    source.commit(vec![insert(1, 9_999, 9_999)]);
    nodes[0].run_incr_sync(&source, &sink, 2).await;
    until("the copy", || equal(&source, &sink)).await;
}
