//! What talks to librdkafka.

mod claim;
mod connect;
mod failure;
#[cfg(feature = "measure")]
mod measure;
mod positions;
mod producer;
mod sink;

#[cfg(feature = "measure")]
pub use measure::{BareKafka, ReadyMessage};
pub use sink::{KafkaFacts, KafkaSink};
