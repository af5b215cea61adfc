use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::LogSeq;

/// What retention must leave alone: the marks of the named consumers and the places of open readers.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    pub(crate) consumers: BTreeMap<String, LogSeq>,
    readers: Vec<Weak<AtomicU64>>,
}

impl Pins {
    /// Holds everything from `seq` on until the pin is moved or dropped.
    pub(crate) fn pin(&mut self, seq: LogSeq) -> Pin {
        self.readers.retain(|reader| reader.strong_count() > 0);
        let place = Arc::new(AtomicU64::new(seq.0));
        self.readers.push(Arc::downgrade(&place));
        Pin(place)
    }

    /// The lowest record somebody may still ask for; `None` when nobody holds anything.
    pub(crate) fn lowest(&self) -> Option<LogSeq> {
        let readers = self
            .readers
            .iter()
            .filter_map(Weak::upgrade)
            .map(|place| LogSeq(place.load(Ordering::Acquire)));
        readers.chain(self.consumers.values().copied()).min()
    }
}

/// An open reader's place.
#[derive(Debug)]
pub(crate) struct Pin(Arc<AtomicU64>);

impl Pin {
    pub(crate) fn move_to(&self, seq: LogSeq) {
        self.0.store(seq.0, Ordering::Release);
    }
}
