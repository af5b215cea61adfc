//! Whether asking for digests is worth while.

use std::sync::atomic::{AtomicI32, Ordering};

/// Chunks in a row that may differ before digests are left out for a while.
const PATIENCE: i32 = 16;
/// Chunks that are then read at once.
const REST: i32 = 64;

/// Remembers of one table how digests went. Many workers at once; it decides about speed only.
#[derive(Debug, Default)]
pub(crate) struct Digesting {
    /// Up with each chunk that had to be read all the same, down with each that had not. Below zero it rests.
    missed: AtomicI32,
}

impl Digesting {
    /// Whether the next chunk should be digested.
    pub(crate) fn is_wanted(&self) -> bool {
        if self.missed.load(Ordering::Relaxed) < 0 {
            // At the end of the rest one more miss brings the next one.
            let rested = self.missed.fetch_add(1, Ordering::Relaxed) + 1;
            if rested >= 0 {
                self.missed.store(PATIENCE - 1, Ordering::Relaxed);
            }
            return false;
        }
        true
    }

    /// A chunk's digests were equal.
    pub(crate) fn equal(&self) {
        let down = |missed: i32| (missed > 0).then(|| missed - 1);
        let _ = self
            .missed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, down);
    }

    /// They were not, so that the rows had to be read as well.
    pub(crate) fn missed(&self) {
        if self.missed.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
            self.missed.store(-REST, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_chunks_bring_a_rest_and_equal_ones_end_it() {
        let digesting = Digesting::default();
        for _ in 0..PATIENCE {
            assert!(digesting.is_wanted());
            digesting.missed();
        }
        for _ in 0..REST {
            assert!(!digesting.is_wanted());
        }
        assert!(digesting.is_wanted());
        digesting.missed();
        assert!(!digesting.is_wanted());
        for _ in 1..REST {
            assert!(!digesting.is_wanted());
        }
        for _ in 0..2 * PATIENCE {
            assert!(digesting.is_wanted());
            digesting.equal();
        }
        for _ in 1..PATIENCE {
            digesting.missed();
            assert!(digesting.is_wanted());
        }
    }
}
