//! The contract of [`RecordReader`] and [`RecordWriter`].
//!
//! Each function checks one promise and panics where it is broken. All of them, in order, are
//! [`run_all`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ComponentId, Epoch, Failure, Record, RecordReader, RecordWriter, codes};

/// Where records are kept.
#[async_trait]
pub trait RecordBed: Send + Sync {
    /// The writer of a new claim.
    async fn claim(&self, component: &ComponentId, epoch: Epoch) -> Result<Arc<dyn RecordWriter>, Failure>;

    /// A reader.
    fn reader(&self, component: &ComponentId) -> Arc<dyn RecordReader>;

    /// Removes everything of the component.
    async fn forget(&self, component: &ComponentId);
}

/// Runs every check.
pub async fn run_all(bed: &dyn RecordBed) {
    records_are_read_in_order_from_anywhere(bed).await;
    newer_claims_fence_writers(bed).await;
    removing_takes_what_was_named(bed).await;
    several_callers_share_a_writer(bed).await;
}

fn component(name: &str) -> ComponentId {
    format!("p_{name}.full-verification")
        .parse()
        .expect("a component's name")
}

fn record(list: &str, number: u64, content: &[u8]) -> Record {
    Record {
        list: list.to_owned(),
        number,
        content: Bytes::copy_from_slice(content),
    }
}

async fn fresh(bed: &dyn RecordBed, name: &str) -> (Arc<dyn RecordWriter>, Arc<dyn RecordReader>) {
    let component = component(name);
    bed.forget(&component).await;
    let writer = bed.claim(&component, Epoch(1)).await.expect("claim");
    (writer, bed.reader(&component))
}

async fn numbers(reader: &dyn RecordReader, list: &str) -> Vec<u64> {
    let found = reader.read(list, 0, 10_000).await.expect("read");
    found.iter().map(|r| r.number).collect()
}

/// What was written is read by number, page by page, with its bytes; other lists and components are others.
pub async fn records_are_read_in_order_from_anywhere(bed: &dyn RecordBed) {
    let (writer, reader) = fresh(bed, "order").await;
    assert!(reader.read("a", 0, 10).await.expect("read").is_empty());
    let every: Vec<u8> = (0..=255).chain(*b"it's \\ \"quoted\"; -- \0 %_").collect();
    let all = [
        record("a", 7, &every),
        record("a", 1, b""),
        record("a", u64::MAX, b"last"),
        record("a/x", 2, b"other list"),
        record("A", 3, b"lists are told apart by bytes"),
    ];
    writer.put(&all).await.expect("put");
    writer.put(&[]).await.expect("nothing");
    let expected = [all[1].clone(), all[0].clone(), all[2].clone()];
    assert_eq!(reader.read("a", 0, 10).await.expect("read"), expected);
    assert_eq!(reader.read("a", 2, 1).await.expect("read"), expected[1..2]);
    assert_eq!(reader.read("A", 0, 10).await.expect("read"), all[4..]);
    writer.put(&[record("a", 7, b"new")]).await.expect("replace");
    assert_eq!(reader.read("a", 7, 1).await.expect("read")[0].content, "new");
    let stranger = bed.reader(&component("stranger"));
    assert!(stranger.read("a", 0, 10).await.expect("read").is_empty());
    // Large enough for several statements, written together.
    let large: Vec<Record> = (0..40)
        .map(|n| record("large", n, &vec![b'\''; 60_000]))
        .collect();
    writer.put(&large).await.expect("put");
    assert_eq!(reader.read("large", 0, 100).await.expect("read"), large);
}

/// After a newer claim, of the same epoch or a higher one, an earlier writer changes nothing any more.
pub async fn newer_claims_fence_writers(bed: &dyn RecordBed) {
    let (first, reader) = fresh(bed, "fences").await;
    let id = component("fences");
    first.put(&[record("7/a", 1, b"first")]).await.expect("put");
    for epoch in [1, 2] {
        let earlier = bed.claim(&id, Epoch(epoch)).await.expect("claim");
        earlier.put(&[record("7/a", 2, b"x")]).await.expect("put");
        let newer = bed.claim(&id, Epoch(2)).await.expect("claim");
        for fenced in [&first, &earlier] {
            let refused = [
                fenced.put(&[record("7/a", 1, b"late")]).await,
                fenced.remove_below("7/a", 10).await,
                fenced.remove_group("7").await,
            ];
            for outcome in refused {
                let failure = outcome.expect_err("a former owner writes");
                assert_eq!(failure.code(), codes::apply::FENCED, "{failure}");
            }
        }
        newer.put(&[record("7/a", 3, b"y")]).await.expect("put");
    }
    assert_eq!(numbers(&*reader, "7/a").await, [1, 2, 3]);
    assert_eq!(reader.read("7/a", 1, 1).await.expect("read")[0].content, "first");
    let last = bed.claim(&id, Epoch(3)).await.expect("claim");
    bed.forget(&id).await;
    assert!(numbers(&*reader, "7/a").await.is_empty());
    let failure = last
        .put(&[record("7/a", 1, b"late")])
        .await
        .expect_err("nothing is written for a component that is forgotten");
    assert_eq!(failure.code(), codes::apply::FENCED, "{failure}");
}

/// Removing takes the records below a number of one list, or all lists of one group.
pub async fn removing_takes_what_was_named(bed: &dyn RecordBed) {
    let (writer, reader) = fresh(bed, "removes").await;
    let lists = ["1/a", "1/a/b", "1/b", "10/a", "1", "1a/c"];
    for list in lists {
        let all: Vec<Record> = (0..1_300).map(|n| record(list, n, b"x")).collect();
        writer.put(&all).await.expect("put");
    }
    writer.remove_below("1/a", 1_298).await.expect("remove");
    assert_eq!(numbers(&*reader, "1/a").await, [1_298, 1_299]);
    for list in &lists[1..] {
        assert_eq!(numbers(&*reader, list).await.len(), 1_300, "{list}");
    }
    writer.remove_group("1").await.expect("remove");
    writer.remove_group("1").await.expect("remove twice");
    for (list, left) in lists.iter().zip([0, 0, 0, 1_300, 1_300, 1_300]) {
        assert_eq!(numbers(&*reader, list).await.len(), left, "{list}");
    }
    writer.remove_below("1", u64::MAX).await.expect("remove");
    assert!(numbers(&*reader, "1").await.is_empty());
}

/// Calls at the same time do not disturb each other, and a call that is dropped leaves the writer usable.
pub async fn several_callers_share_a_writer(bed: &dyn RecordBed) {
    let (writer, reader) = fresh(bed, "shared").await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..30u64 {
        let writer = writer.clone();
        calls.spawn(async move {
            let pair = [record("s", 2 * n, b"even"), record("s", 2 * n + 1, b"odd")];
            if n % 3 == 0 {
                let patience = std::time::Duration::from_micros(n * 200);
                let put = tokio::time::timeout(patience, writer.put(&pair)).await;
                put.is_ok_and(|outcome| outcome.map(|()| true).expect("put"))
            } else {
                writer.put(&pair).await.map(|()| true).expect("put")
            }
        });
    }
    let mut done = 0;
    while let Some(joined) = calls.join_next().await {
        done += usize::from(joined.expect("a call"));
    }
    assert!(done >= 20);
    writer.put(&[record("end", 0, b"")]).await.expect("put");
    let found = numbers(&*reader, "s").await;
    assert!(found.len() >= done * 2);
    for pair in found.chunks(2) {
        assert_eq!(pair[0] + 1, pair[1], "both records of a call or none");
    }
}
