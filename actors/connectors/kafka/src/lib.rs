//! Kafka as destination of messages.
//!
//! [`KafkaSettings`] say where and as whom. With the feature `client` (librdkafka, which is C) [`KafkaSink`] writes: exactly
//! once for consumers that read committed messages, in order per partition. The argument is on the page
//! `node/docs/kafka-delivery.md`.

#[cfg(feature = "client")]
mod client;
mod settings;

#[cfg(feature = "measure")]
pub use client::{BareKafka, ReadyMessage};
#[cfg(feature = "client")]
pub use client::{KafkaFacts, KafkaSink};
pub use settings::{KafkaSettings, Mechanism, Sasl, Tls};
