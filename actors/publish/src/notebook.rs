//! A component's notes under a claim.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use oms_core::{Failure, LaneId, Message, MessageClaim};
use parking_lot::Mutex;

/// Notes by name, of whoever has a part in writing them.
pub(crate) type Notes = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// A component's notes under a claim, and the lane over which they are written while others carry changes.
#[derive(Debug)]
pub(crate) struct Notebook {
    claim: Arc<dyn MessageClaim>,
    lane: LaneId,
    notes: Notes,
    /// One transaction at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Notebook {
    /// Of a claim that has this lane, which nobody else uses.
    pub(crate) fn new(claim: Arc<dyn MessageClaim>, lane: LaneId) -> Self {
        let notes = Arc::new(Mutex::new(claim.notes().clone()));
        Self {
            claim,
            lane,
            notes,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// As they are now.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Writes messages and notes in one transaction; `None` removes a note.
    ///
    /// # Errors
    /// Those of [`oms_core::MessageProducer`].
    pub(crate) async fn write(
        &self,
        messages: Vec<Message>,
        notes: Vec<(String, Option<Bytes>)>,
    ) -> Result<(), Failure> {
        if messages.is_empty() && notes.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let mut producer = self.claim.producer(self.lane)?;
        producer.begin().await?;
        if !messages.is_empty() {
            producer.write(&messages).await?;
        }
        producer.commit_notes(&notes).await?;
        let mut now = self.notes.lock();
        for (name, note) in notes {
            match note {
                Some(note) => now.insert(name, note),
                None => now.remove(&name),
            };
        }
        Ok(())
    }
}
