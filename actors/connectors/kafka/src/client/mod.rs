//! What talks to librdkafka.

mod claim;
mod connect;
mod failure;
mod positions;
mod producer;
mod sink;

pub use sink::{KafkaFacts, KafkaSink};
