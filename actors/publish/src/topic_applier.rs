//! Changes of one lane to their topics.

use async_trait::async_trait;
use oms_core::{Applier, Failure, LaneState, MessageProducer, RowOp};

use crate::composer::Composer;

pub(crate) struct TopicApplier {
    pub(crate) producer: Box<dyn MessageProducer>,
    pub(crate) composer: Composer,
}

#[async_trait]
impl Applier for TopicApplier {
    async fn begin(&mut self) -> Result<(), Failure> {
        self.producer.begin().await
    }

    async fn write(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        let mut rest = ops;
        while !rest.is_empty() {
            let (messages, done) = self.composer.changes(rest)?;
            self.producer.write(&messages).await?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    async fn commit(&mut self, state: &LaneState) -> Result<(), Failure> {
        self.producer.commit(state).await
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.producer.rollback().await
    }
}
