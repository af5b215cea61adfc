//! Kafka's errors in public terms.

use oms_core::{ErrorCode, Failure, codes};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Whether the error says that a newer producer has the same transactional id.
pub(crate) fn is_fence(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
    )
}

/// The public code of an error.
fn code_of(code: Code) -> ErrorCode {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            codes::message::TOPIC_MISSING
        }
        Code::MessageSizeTooLarge => codes::message::TOO_LARGE,
        Code::Authentication | Code::SaslAuthenticationFailed => codes::dst::ACCESS_DENIED,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => codes::dst::PRIVILEGE_MISSING,
        Code::SSL => codes::dst::TLS_REQUIRED,
        Code::InvalidReplicationFactor
        | Code::InvalidPartitions
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::InvalidTopic => codes::message::BROKER_REFUSED,
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve => codes::dst::UNREACHABLE,
        // Elections, moving coordinators, time-outs: they pass.
        _ => codes::dst::TRANSIENT,
    }
}

/// A failure while doing something.
pub(crate) fn failure(doing: &str, error: KafkaError) -> Failure {
    let code = match &error {
        KafkaError::AdminOp(code) => code_of(*code),
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => codes::message::BROKER_REFUSED,
        other => other.rdkafka_error_code().map_or(codes::dst::TRANSIENT, code_of),
    };
    Failure::new(code, doing.to_owned()).with_source(error)
}

/// A failure that the brokers reported for one thing.
pub(crate) fn refused(doing: &str, code: Code) -> Failure {
    Failure::new(code_of(code), format!("{doing}: {code}"))
}
