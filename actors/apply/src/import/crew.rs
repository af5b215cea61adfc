//! The workers of a pass: as many as the tuning wants.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use oms_core::{Failure, codes};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{ImportTuning, Workers, pass::Pass};
use crate::{ClimbConfig, Climber, Sample, Strain};

/// How often throughput is looked at.
const SAMPLE: Duration = Duration::from_secs(1);
/// Workers to begin with where their number is found.
const START: usize = 4;
/// A batch of rows that took so long to write says that the destination is at its limit.
const SLOW: Duration = Duration::from_secs(3);
/// One that took so long says that it is beyond.
const TOO_SLOW: Duration = Duration::from_secs(12);

/// Starts workers and lets them go. Only used by the pass that made it.
pub(super) struct Crew {
    pass: Arc<Pass>,
    tuning: watch::Receiver<ImportTuning>,
    workers: JoinSet<(usize, Result<(), Failure>)>,
    /// By number, whether a worker is there.
    present: Vec<bool>,
    climber: Option<Climber>,
    /// Work done and troubles seen when the last sample was taken.
    seen: (u64, u64),
}

impl Crew {
    pub(super) fn new(pass: Arc<Pass>, tuning: watch::Receiver<ImportTuning>) -> Self {
        let mut crew = Self {
            seen: (0, 0),
            pass,
            tuning,
            workers: JoinSet::new(),
            present: Vec::new(),
            climber: None,
        };
        crew.adopt();
        crew
    }

    /// Works until nothing is left, a worker cannot go on under this claim, or it is cancelled. When this returns no
    /// worker is left.
    pub(super) async fn work(mut self, cancel: &CancellationToken) -> Result<(), Failure> {
        let mut samples = tokio::time::interval(SAMPLE);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        samples.tick().await;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.workers.shutdown().await;
                    return Ok(());
                }
                Ok(()) = self.tuning.changed() => self.adopt(),
                ended = self.workers.join_next() => {
                    let failed = match ended {
                        None => return Ok(()),
                        Some(Ok((number, Ok(())))) => {
                            if let Some(present) = self.present.get_mut(number) {
                                *present = false;
                            }
                            continue;
                        }
                        Some(Ok((_, Err(failure)))) => failure,
                        Some(Err(error)) => {
                            Failure::new(codes::apply::INTERNAL, format!("a worker broke off: {error}"))
                        }
                    };
                    self.workers.shutdown().await;
                    return Err(failed);
                }
                _ = samples.tick() => self.sample(),
            }
        }
    }

    /// Takes over the present tuning.
    fn adopt(&mut self) {
        let tuning = *self.tuning.borrow_and_update();
        self.pass
            .throttle
            .set(tuning.rows_per_second, tuning.bytes_per_second);
        match tuning.workers {
            Workers::Fixed(workers) => {
                self.climber = None;
                self.staff(workers.max(1));
            }
            Workers::Auto(most) => {
                let config = ClimbConfig {
                    start: START,
                    most: most.max(1),
                    ..ClimbConfig::default()
                };
                // A new limit changes what can be had: begin anew.
                let climber = self.climber.insert(Climber::new(config));
                let level = climber.level();
                self.staff(level);
            }
        }
    }

    /// Looks at the last interval.
    fn sample(&mut self) {
        let load = &self.pass.load;
        let (done, troubles) = (
            load.done.load(Ordering::Relaxed),
            load.troubles.load(Ordering::Relaxed),
        );
        let slowest = Duration::from_micros(load.slowest_us.swap(0, Ordering::Relaxed));
        let before = std::mem::replace(&mut self.seen, (done, troubles));
        let Some(climber) = &mut self.climber else {
            return;
        };
        let strain = if troubles > before.1 || slowest >= TOO_SLOW {
            Strain::Ease
        } else if slowest >= SLOW {
            Strain::Hold
        } else {
            Strain::None
        };
        let from = climber.level();
        let level = climber.observe(Sample {
            throughput: done.saturating_sub(before.0) as f64,
            strain,
        });
        if level != from {
            tracing::debug!(from, to = level, ?strain, "the number of import workers changes");
        }
        self.staff(level);
    }

    /// Makes it so many: those that are too many leave after their chunk, the missing ones are started.
    fn staff(&mut self, wanted: usize) {
        self.pass.load.level.store(wanted, Ordering::Relaxed);
        if self.present.len() < wanted {
            self.present.resize(wanted, false);
        }
        for (number, present) in self.present.iter_mut().enumerate().take(wanted) {
            if !*present && self.pass.work.has_more() {
                *present = true;
                let worker = self.pass.clone().worker(number);
                self.workers.spawn(async move { (number, worker.await) });
            }
        }
        // The first one finds out that nothing is left.
        if self.workers.is_empty()
            && let Some(present) = self.present.first_mut()
        {
            *present = true;
            let worker = self.pass.clone().worker(0);
            self.workers.spawn(async move { (0, worker.await) });
        }
    }
}
