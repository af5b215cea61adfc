//! What a verification found.

use std::sync::Arc;

use futures::StreamExt as _;
use oms_actors::{Mapping, load_pairs_each};
use oms_core::{ComponentId, ComponentKind, Failure, TablePair, codes};
use oms_proto::v1::{
    ColumnDifference, ColumnValue, Difference, DifferenceKind, ListDifferencesRequest, PartialRows,
};
use oms_types::ProjectId;
use oms_verify::{
    Difference as Recorded, DifferenceKind as Kind, InspectedDifference, Inspector, KeyValue, PREAMBLE,
    Results, RunResults, SourceAndSink,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Projects, Streaming, find, public};
use crate::{
    api::status,
    behaviors::{chosen, mappings, server_charsets},
    connectors::Connector,
};

/// Differences that are read, inspected and sent together.
const BATCH: usize = 100;

/// Sends the differences of the chosen tables, batch by batch.
struct Listing {
    run: RunResults,
    inspector: Inspector,
    tables: Vec<(Mapping, Result<TablePair, Failure>)>,
    request: ListDifferencesRequest,
    out: mpsc::Sender<Result<Difference, Status>>,
}

impl Projects {
    pub(super) async fn differences(
        &self,
        request: ListDifferencesRequest,
    ) -> Result<Streaming<Difference>, Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, &request.project)?;
        let project = public(record)?;
        let source =
            Connector::of(&state, &self.0.vault, &record.source_id)?.source(0, PartialRows::Refuse)?;
        let (source, _) = chosen(source, record);
        let sink = Connector::of(&state, &self.0.vault, &record.destination_id)?.sink()?;
        let id: ProjectId = project
            .id
            .parse()
            .map_err(|e| Failure::new(codes::api::INTERNAL, format!("{}: {e}", project.id)))?;
        // The destination keeps the results, so it does not matter which node is asked.
        let results = Results::at(&*sink, &ComponentId::new(id, ComponentKind::FullVerification))?;
        let Some(number) = results.runs().await?.last().copied() else {
            return Err(Failure::new(
                codes::api::NOT_FOUND,
                format!("no verification of project {:?} has begun yet", request.project),
            ));
        };
        let run = results.run(number).await?;
        let wanted: Vec<Mapping> = mappings(record)
            .into_iter()
            .filter(|m| request.database.is_empty() || m.source.database == request.database)
            .filter(|m| request.table.is_empty() || m.source.table == request.table)
            .collect();
        if wanted.is_empty() {
            let words = format!(
                "`{}`.`{}` is not a table of this project",
                request.database, request.table
            );
            return Err(Failure::new(codes::api::NOT_FOUND, words));
        }
        let tables = load_pairs_each(&*source, &*sink, &wanted).await?;
        let inspector = Inspector::new(Arc::new(SourceAndSink { source, sink }), server_charsets());
        let (out, receiver) = mpsc::channel(BATCH);
        let listing = Listing {
            run,
            inspector,
            tables,
            request,
            out,
        };
        tokio::spawn(async move {
            let out = listing.out.clone();
            if let Err(failure) = listing.send().await {
                // The reader may be gone; then nobody wants to know.
                let _ = out.send(Err(status(failure))).await;
            }
        });
        Ok(ReceiverStream::new(receiver).boxed())
    }
}

impl Listing {
    async fn send(self) -> Result<(), Failure> {
        let mut left = if self.request.limit == 0 {
            u64::MAX
        } else {
            self.request.limit
        };
        let mut preamble = self.request.with_correction;
        for (mapping, pair) in &self.tables {
            let Ok(pair) = pair else { continue };
            if !self.run.holds(&mapping.source) {
                // Not part of the last run, for example of a repetition of a few tables.
                continue;
            }
            let mut reader = self.run.differences(&mapping.source).await?;
            loop {
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH);
                if room == 0 {
                    return Ok(());
                }
                let batch = reader.take(room).await?;
                if batch.is_empty() {
                    break;
                }
                left -= batch.len() as u64;
                for mut difference in self.show(mapping, pair, &batch).await? {
                    if preamble && !difference.correction.is_empty() {
                        difference.correction = format!("{PREAMBLE}\n{}", difference.correction);
                        preamble = false;
                    }
                    if self.out.send(Ok(difference)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn show(
        &self,
        mapping: &Mapping,
        pair: &TablePair,
        batch: &[Recorded],
    ) -> Result<Vec<Difference>, Failure> {
        let base = |kind: Kind, key: &[KeyValue]| Difference {
            database: mapping.source.database.clone(),
            table: mapping.source.table.clone(),
            kind: kind_of(kind) as i32,
            key: key
                .iter()
                .map(|k| ColumnValue {
                    column: k.column.clone(),
                    value: k.value.clone(),
                })
                .collect(),
            ..Default::default()
        };
        if !(self.request.with_values || self.request.with_correction) {
            let keys = self.inspector.keys(pair, batch)?;
            let plain = |(d, key): (&Recorded, Vec<KeyValue>)| Difference {
                source_count: d.source_count,
                destination_count: d.destination_count,
                ..base(d.kind, &key)
            };
            return Ok(batch.iter().zip(keys).map(plain).collect());
        }
        let inspected = self
            .inspector
            .inspect(pair, batch, self.request.with_correction)
            .await?;
        Ok(inspected
            .into_iter()
            .map(|i| self.full(base(i.recorded.kind, &i.key), i))
            .collect())
    }

    fn full(&self, base: Difference, i: InspectedDifference) -> Difference {
        let absent = || "(no such row)".to_owned();
        let columns = if self.request.with_values {
            i.columns
                .into_iter()
                .map(|c| ColumnDifference {
                    column: c.column,
                    source: c.source.unwrap_or_else(absent),
                    destination: c.destination.unwrap_or_else(absent),
                })
                .collect()
        } else {
            Vec::new()
        };
        let gone = i.now.is_none().then(|| "-- both sides are equal now".to_owned());
        let why_not = i.no_correction.map(|why| format!("-- no statement: {why}"));
        let correction = if self.request.with_correction {
            i.correction.or(gone).or(why_not).unwrap_or_default()
        } else {
            String::new()
        };
        Difference {
            columns,
            correction,
            source_count: i.source_count,
            destination_count: i.destination_count,
            ..base
        }
    }
}

fn kind_of(kind: Kind) -> DifferenceKind {
    match kind {
        Kind::SourceOnly => DifferenceKind::SourceOnly,
        Kind::DestinationOnly => DifferenceKind::DestinationOnly,
        Kind::Mismatched => DifferenceKind::Mismatched,
    }
}
