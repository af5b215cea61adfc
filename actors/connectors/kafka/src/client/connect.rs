//! Settings of librdkafka.

use rdkafka::ClientConfig;

use crate::{KafkaSettings, Mechanism};

/// What every client of a cluster is made with.
pub(crate) fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.bootstrap);
    config.set("client.id", "omsnode");
    // A broker that comes back is found again soon.
    config.set("reconnect.backoff.max.ms", "2000");
    let protocol = match (&settings.tls, &settings.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &settings.tls {
        if let Some(pem) = &tls.ca_pem {
            config.set("ssl.ca.pem", pem);
        }
        if tls.any_host {
            config.set("ssl.endpoint.identification.algorithm", "none");
        }
        if tls.unchecked {
            config.set("enable.ssl.certificate.verification", "false");
        }
    }
    if let Some(sasl) = &settings.sasl {
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        config.set("sasl.mechanisms", mechanism);
        config.set("sasl.username", &sasl.user);
        config.set("sasl.password", &sasl.password);
    }
    config
}

/// A producer of one transactional id. Idempotent and with `acks=all`, as transactions demand; librdkafka then keeps the
/// order of a partition through retries.
pub(crate) fn producer(settings: &KafkaSettings, transactional_id: &str) -> ClientConfig {
    let mut config = base(settings);
    config.set("transactional.id", transactional_id);
    config.set(
        "transaction.timeout.ms",
        settings.transaction_timeout_ms.to_string(),
    );
    // Below the transaction's own bound, so that a message's error is told before the brokers give the transaction up.
    let bound = settings.transaction_timeout_ms.min(60_000);
    config.set("delivery.timeout.ms", bound.to_string());
    config.set("linger.ms", "5");
    config.set("queue.buffering.max.kbytes", "65536");
    // How large a message may be is said by the topic, not here; only the queue bounds it.
    config.set("message.max.bytes", "60000000");
    config
}

/// A reader of one topic's committed messages.
pub(crate) fn reader(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config.set("group.id", "omsnode-positions");
    config.set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed");
    config.set("enable.partition.eof", "true");
    config.set("auto.offset.reset", "earliest");
    config
}
