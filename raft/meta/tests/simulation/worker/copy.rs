//! A full import.

use oms_proto::{
    meta::{ComponentFacts, QualifiedName, SnapshotPosition},
    v1::ComponentState,
};

use super::{Phase, Surroundings, Worker};
use crate::database::{CHUNKS, Effect, Source};

impl Worker {
    pub(super) fn copy(&mut self, s: &mut Surroundings<'_>) -> Option<Effect> {
        let Some(end) = s.source else {
            self.trouble_since.get_or_insert(s.now_us);
            return None;
        };
        let missing = (0..=CHUNKS).find(|chunk| !self.receipts.contains_key(chunk));
        if let Some(chunk) = missing {
            let keys = Source::keys(chunk).filter(|_| chunk < CHUNKS);
            return Some(Effect::Chunk {
                chunk,
                rows: keys.map(|key| (key, Source::value(key, end))).collect(),
                snapshot: end,
            });
        }
        self.phase = Phase::Done;
        self.report = (
            ComponentState::Completed,
            ComponentFacts {
                safe_until: end.to_string(),
                snapshots: vec![SnapshotPosition {
                    table: Some(QualifiedName::default()),
                    position: self.receipts.get(&CHUNKS)?.to_string(),
                }],
                ..Default::default()
            },
        );
        None
    }
}
