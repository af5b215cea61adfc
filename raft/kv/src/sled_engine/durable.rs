//! One disk sync for many writers.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::KvResult;

/// Lets concurrent durable writers share a sync: one of those waiting runs it, for everybody whose
/// batch was applied before it started.
pub(super) struct GroupSync {
    progress: Mutex<Progress>,
    changed: Condvar,
}

struct Progress {
    durable: u64,
    running: bool,
}

impl GroupSync {
    /// Everything up to `durable` is on disk already.
    pub(super) fn new(durable: u64) -> Self {
        Self {
            progress: Mutex::new(Progress {
                durable,
                running: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Returns once `sequence` is durable. `harden` makes everything applied so far durable and returns
    /// the highest number it covered; after it failed each waiter runs it again and gets its own error.
    pub(super) fn wait_for(&self, sequence: u64, harden: impl Fn() -> KvResult<u64>) -> KvResult<()> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while progress.durable < sequence {
            if progress.running {
                progress = self
                    .changed
                    .wait(progress)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.running = true;
            drop(progress);
            let outcome = harden();
            progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.running = false;
            if let Ok(durable) = outcome {
                progress.durable = progress.durable.max(durable);
            }
            self.changed.notify_all();
            outcome?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::KvError;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn writers_that_come_during_a_sync_share_the_next_one() {
        const WRITERS: u64 = 32;
        let group = GroupSync::new(0);
        let (applied, syncs) = (AtomicU64::new(1), AtomicU64::new(0));
        let first_is_in = Barrier::new(2);
        let harden = |hold: bool| {
            let covered = applied.load(Ordering::SeqCst);
            syncs.fetch_add(1, Ordering::SeqCst);
            if hold {
                first_is_in.wait();
                first_is_in.wait();
            }
            Ok(covered)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| group.wait_for(1, || harden(true)));
            first_is_in.wait();
            let rest: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let sequence = applied.fetch_add(1, Ordering::SeqCst) + 1;
                    let (group, harden) = (&group, &harden);
                    scope.spawn(move || group.wait_for(sequence, || harden(false)))
                })
                .collect();
            first_is_in.wait();
            for writer in rest {
                writer.join().unwrap().unwrap();
            }
        });
        assert_eq!(
            syncs.load(Ordering::SeqCst),
            2,
            "one for the first, one for all the others"
        );
    }

    #[test]
    fn a_failed_sync_acknowledges_nobody() {
        let group = GroupSync::new(7);
        assert!(group.wait_for(7, || Ok(0)).is_ok());
        let broken = || {
            Err(KvError::Stopped {
                cause: "disk".to_owned(),
            })
        };
        assert!(group.wait_for(8, broken).is_err());
        assert!(group.wait_for(8, broken).is_err());
        assert!(group.wait_for(8, || Ok(8)).is_ok());
    }
}
