//! A Kafka cluster as destination.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{
    ApplyCheckpoint, ClaimToken, ComponentId, Failure, MessageClaim, MessageSink, TopicPlan, codes,
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::{
    claim::KafkaClaim,
    connect,
    failure::{failure, refused},
    positions,
    producer::CALL_BOUND,
};
use crate::KafkaSettings;

/// How long a look at the cluster may take: somebody waits for it.
const LOOK_BOUND: Duration = Duration::from_secs(10);

/// What a cluster says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaFacts {
    /// Its brokers that are up.
    pub brokers: usize,
}

/// A Kafka cluster.
#[derive(Clone, Debug)]
pub struct KafkaSink {
    settings: KafkaSettings,
}

impl KafkaSink {
    /// The cluster of these settings. Connects when it is first used.
    pub fn new(settings: KafkaSettings) -> Self {
        Self { settings }
    }

    /// Looks at the cluster: how many brokers it has. Connects.
    ///
    /// # Errors
    /// Those of connecting.
    pub async fn look(&self) -> Result<KafkaFacts, Failure> {
        let admin = self.admin()?;
        blocking(move || {
            let found = admin
                .inner()
                .fetch_metadata(None, LOOK_BOUND)
                .map_err(|e| failure("looking at the brokers", e))?;
            Ok(KafkaFacts {
                brokers: found.brokers().len(),
            })
        })
        .await
    }

    /// The largest batch of messages that a topic takes, in bytes, as its brokers tell. `None`: they do not.
    ///
    /// # Errors
    /// `OMS-DST-0005` when its settings may not be read.
    pub async fn largest_batch(&self, topic: &str) -> Result<Option<u64>, Failure> {
        let doing = format!("reading the settings of topic `{topic}`");
        let options = AdminOptions::new().request_timeout(Some(CALL_BOUND));
        let found = self
            .admin()?
            .describe_configs(&[ResourceSpecifier::Topic(topic)], &options)
            .await
            .map_err(|e| failure(&doing, e))?;
        match found.into_iter().next() {
            None => Ok(None),
            Some(Err(code)) => Err(refused(&doing, code)),
            Some(Ok(resource)) => Ok(resource
                .get("max.message.bytes")
                .and_then(|e| e.value.as_ref()?.parse().ok())),
        }
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Failure> {
        connect::base(&self.settings)
            .create()
            .map_err(|e| failure("opening a client", e))
    }
}

/// Runs what blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Failure::new(codes::apply::INTERNAL, "talking to Kafka").with_source(e))
        .flatten()
}

#[async_trait]
impl MessageSink for KafkaSink {
    async fn partitions(&self, topic: &str) -> Result<Option<u32>, Failure> {
        let (admin, topic) = (self.admin()?, topic.to_owned());
        blocking(move || {
            let doing = format!("looking for topic `{topic}`");
            let found = admin
                .inner()
                .fetch_metadata(Some(&topic), CALL_BOUND)
                .map_err(|e| failure(&doing, e))?;
            let Some(found) = found.topics().first() else {
                return Ok(None);
            };
            match found.error().map(RDKafkaErrorCode::from) {
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
                Some(code) => Err(refused(&doing, code)),
                None => Ok(u32::try_from(found.partitions().len()).ok()),
            }
        })
        .await
    }

    async fn create_topic(&self, topic: &TopicPlan) -> Result<(), Failure> {
        let doing = format!("creating topic `{}`", topic.name);
        let number = |n: u32| {
            i32::try_from(n).map_err(|_| {
                Failure::new(
                    codes::message::BROKER_REFUSED,
                    format!("{doing}: {n} is too many"),
                )
            })
        };
        let replication = topic.replication.map_or(Ok(-1), number)?;
        let mut new = NewTopic::new(
            &topic.name,
            number(topic.partitions)?,
            TopicReplication::Fixed(replication),
        );
        for (name, value) in &topic.config {
            new = new.set(name, value);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(CALL_BOUND))
            .operation_timeout(Some(CALL_BOUND));
        let results = self
            .admin()?
            .create_topics([&new], &options)
            .await
            .map_err(|e| failure(&doing, e))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(refused(&doing, code)),
            }
        }
        Ok(())
    }

    async fn claim(&self, token: ClaimToken, lanes: u32) -> Result<Arc<dyn MessageClaim>, Failure> {
        let plan = TopicPlan {
            name: positions::topic_of(&token.component),
            partitions: 1,
            replication: self.settings.position_replication,
            // Small segments, so that what is outdated goes soon and a claim reads little.
            config: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("segment.bytes".to_owned(), "16777216".to_owned()),
                ("min.cleanable.dirty.ratio".to_owned(), "0.1".to_owned()),
            ]),
        };
        self.create_topic(&plan).await?;
        let settings = self.settings.clone();
        let claim = blocking(move || KafkaClaim::new(settings, &token, lanes)).await?;
        Ok(Arc::new(claim))
    }

    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        let topic = positions::topic_of(component);
        if self.partitions(&topic).await?.is_none() {
            return Ok(None);
        }
        let settings = self.settings.clone();
        blocking(move || Ok(positions::read(&settings, &topic)?.checkpoint())).await
    }

    async fn notes(&self, component: &ComponentId) -> Result<BTreeMap<String, Bytes>, Failure> {
        let topic = positions::topic_of(component);
        if self.partitions(&topic).await?.is_none() {
            return Ok(BTreeMap::new());
        }
        let settings = self.settings.clone();
        blocking(move || Ok(positions::read(&settings, &topic)?.notes)).await
    }

    async fn forget(&self, component: &ComponentId) -> Result<(), Failure> {
        let topic = positions::topic_of(component);
        let doing = format!("removing topic `{topic}`");
        let options = AdminOptions::new()
            .request_timeout(Some(CALL_BOUND))
            .operation_timeout(Some(CALL_BOUND));
        let results = self
            .admin()?
            .delete_topics(&[&topic], &options)
            .await
            .map_err(|e| failure(&doing, e))?;
        for result in results {
            match result {
                Ok(_)
                | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((_, code)) => return Err(refused(&doing, code)),
            }
        }
        Ok(())
    }

    fn keeps(&self, component: &ComponentId) -> String {
        format!("the topic `{}`", positions::topic_of(component))
    }
}
