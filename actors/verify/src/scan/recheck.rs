//! Reading candidates again until they agree or are proven.

use std::{future::Future, time::Duration};

use super::{
    Pace, Readers,
    fetch::{Fetch, Found, Wanted},
};
use crate::{
    Barrier, Difference, DifferenceKey, DifferenceKind, Pause, Side, VerifyError, VerifyOptions,
    compare::{KeyRule, RowDigest, TableRule},
};

/// Waiting between and within rounds.
#[derive(Clone, Copy)]
pub(crate) struct Rounds<'r> {
    pub(crate) options: &'r VerifyOptions,
    pub(crate) barrier: Option<&'r dyn Barrier>,
    pub(crate) pause: &'r dyn Pause,
}

impl Rounds<'_> {
    /// Waits until what was committed at the source is applied. `false`: it is not known to be.
    pub(crate) async fn settle(&self) -> Result<bool, VerifyError> {
        let Some(barrier) = self.barrier else {
            return Ok(false);
        };
        let longest = self.options.barrier_wait.max(Duration::from_millis(1));
        match within(longest, barrier.settled()).await {
            Some(Ok(())) => Ok(true),
            Some(Err(failure)) if failure.is_transient() => {
                tracing::debug!("a round proves nothing: {failure}");
                Ok(false)
            }
            Some(Err(failure)) => Err(failure.into()),
            None => Ok(false),
        }
    }

    pub(crate) async fn rest(&self) {
        self.pause.pause(self.options.recheck_pause).await;
    }

    /// Whether a state that was seen `streak` rounds in a row, each proven by the barrier, is real.
    pub(crate) fn is_proof(&self, streak: u32) -> bool {
        self.barrier.is_some() && streak >= self.options.confirmations.max(1)
    }
}

async fn within<T>(longest: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(longest, future).await.ok()
}

/// Re-checks candidates of a table with a key.
pub(crate) struct Recheck<'r> {
    pub(crate) rule: &'r TableRule,
    pub(crate) key: &'r KeyRule,
    pub(crate) pace: &'r Pace,
    pub(crate) rounds: Rounds<'r>,
}

struct Suspect {
    key: DifferenceKey,
    side: Side,
    at_source: Wanted,
    at_destination: Wanted,
    before: Option<RowDigest>,
    streak: u32,
}

/// What a round saw of a suspect.
enum Seen {
    Agrees,
    Differs { difference: Difference },
}

impl Recheck<'_> {
    /// Reads the candidates in rounds. Returns the real differences, at most `limit` and those
    /// of the batch that reached it.
    pub(crate) async fn run(
        &self,
        readers: &mut Readers,
        candidates: Vec<DifferenceKey>,
        limit: u64,
    ) -> Result<Vec<Difference>, VerifyError> {
        let options = self.rounds.options;
        let mut suspects = candidates
            .into_iter()
            .map(|c| self.suspect(c))
            .collect::<Result<Vec<_>, _>>()?;
        let mut real = Vec::new();
        let last = options.recheck_rounds.max(1);
        for round in 1..=last {
            if suspects.is_empty() || real.len() as u64 >= limit {
                break;
            }
            if round > 1 {
                self.rounds.rest().await;
            }
            self.look_before(readers, &mut suspects).await?;
            let settled = self.rounds.settle().await?;
            let mut left = Vec::new();
            let mut all = std::mem::take(&mut suspects).into_iter();
            // What is beyond the limit need not be looked at: the table ends with what was found.
            while (real.len() as u64) < limit {
                let batch: Vec<Suspect> = all.by_ref().take(options.lookup_keys.max(1)).collect();
                if batch.is_empty() {
                    break;
                }
                let seen = self.look(readers, &batch).await?;
                for (mut suspect, seen) in batch.into_iter().zip(seen) {
                    let Seen::Differs { difference } = seen else {
                        continue;
                    };
                    let proven = settled && difference.settled;
                    suspect.streak = if proven { suspect.streak + 1 } else { 0 };
                    if self.rounds.is_proof(suspect.streak) || round == last {
                        real.push(difference);
                    } else {
                        left.push(suspect);
                    }
                }
            }
            suspects = left;
        }
        Ok(real)
    }

    fn suspect(&self, key: DifferenceKey) -> Result<Suspect, VerifyError> {
        let DifferenceKey::Key { side, key: row } = &key else {
            return Err(VerifyError::Internal("a digest where a key was expected"));
        };
        Ok(Suspect {
            side: *side,
            at_source: Wanted::new(self.rule, self.key, *side, row, Side::Source)?,
            at_destination: Wanted::new(self.rule, self.key, *side, row, Side::Destination)?,
            key,
            before: None,
            streak: 0,
        })
    }

    fn fetch(&self) -> Fetch<'_> {
        Fetch {
            rule: self.rule,
            key: self.key,
            pace: self.pace,
            batch_bytes: self.rounds.options.batch_bytes(),
        }
    }

    /// The first look at the source: before the barrier.
    async fn look_before(&self, readers: &mut Readers, suspects: &mut [Suspect]) -> Result<(), VerifyError> {
        for batch in suspects.chunks_mut(self.rounds.options.lookup_keys.max(1)) {
            let wanted: Vec<Wanted> = batch.iter().map(|s| s.at_source.clone()).collect();
            let found = self
                .fetch()
                .rows(readers.get(Side::Source), Side::Source, &wanted)
                .await?;
            for (suspect, found) in batch.iter_mut().zip(found) {
                suspect.before = found.map(|f| f.digest);
            }
        }
        Ok(())
    }

    /// Destination, then source again.
    async fn look(&self, readers: &mut Readers, batch: &[Suspect]) -> Result<Vec<Seen>, VerifyError> {
        let wanted: Vec<Wanted> = batch.iter().map(|s| s.at_destination.clone()).collect();
        let at_destination = self
            .fetch()
            .rows(readers.get(Side::Destination), Side::Destination, &wanted)
            .await?;
        let wanted: Vec<Wanted> = batch.iter().map(|s| s.at_source.clone()).collect();
        let at_source = self
            .fetch()
            .rows(readers.get(Side::Source), Side::Source, &wanted)
            .await?;
        let mut out = Vec::with_capacity(batch.len());
        for ((suspect, destination), source) in batch.iter().zip(at_destination).zip(at_source) {
            out.push(self.judge(readers, suspect, destination, source).await?);
        }
        Ok(out)
    }

    async fn judge(
        &self,
        readers: &mut Readers,
        suspect: &Suspect,
        destination: Option<Found>,
        source: Option<Found>,
    ) -> Result<Seen, VerifyError> {
        let digest = |found: &Option<Found>| found.as_ref().map(|f| f.digest);
        let unchanged = suspect.before == digest(&source);
        if digest(&destination) == digest(&source) || digest(&destination) == suspect.before {
            return Ok(Seen::Agrees);
        }
        // A row of the destination whose key only the source's collation takes for that of a source
        // row belongs to that row only if the destination, too, finds it under that row's key.
        let source = match (suspect.side, source, &destination) {
            (Side::Destination, Some(s), Some(d)) if s.identity != d.identity => {
                let wanted = Wanted::new(self.rule, self.key, Side::Source, &s.key, Side::Destination)?;
                let fetch = self.fetch();
                let found = fetch
                    .rows(readers.get(Side::Destination), Side::Destination, &[wanted])
                    .await?;
                let pair = found.into_iter().flatten().any(|f| f.identity == d.identity);
                pair.then_some(s)
            }
            (_, source, _) => source,
        };
        let (kind, key) = match (source, destination) {
            (Some(s), None) => (
                DifferenceKind::SourceOnly,
                DifferenceKey::Key {
                    side: Side::Source,
                    key: s.key,
                },
            ),
            (None, Some(d)) => {
                if self.rounds.options.ignore_destination_only {
                    return Ok(Seen::Agrees);
                }
                let key = DifferenceKey::Key {
                    side: Side::Destination,
                    key: d.key,
                };
                (DifferenceKind::DestinationOnly, key)
            }
            (Some(s), Some(_)) => (
                DifferenceKind::Mismatched,
                DifferenceKey::Key {
                    side: Side::Source,
                    key: s.key,
                },
            ),
            (None, None) => (DifferenceKind::SourceOnly, suspect.key.clone()),
        };
        let difference = Difference {
            kind,
            key,
            settled: unchanged,
            source_count: u64::from(kind != DifferenceKind::DestinationOnly),
            destination_count: u64::from(kind != DifferenceKind::SourceOnly),
        };
        Ok(Seen::Differs { difference })
    }
}
