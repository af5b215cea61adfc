//! Projects whose destination is a queue of messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use oms_actors::{Behavior, Completion, Context, Mapping};
use oms_codec::TablePlan;
use oms_core::{
    Failure, MessageSink, PrecheckItem, PrecheckSide, PrecheckStatus, Source, TableName, TopicPlan, codes,
};
use oms_kafka::KafkaSink;
use oms_mysql::precheck::Seen;
use oms_proto::v1::{DdlSynchronization, KafkaOptions, ProjectSpec, StepKind};
use oms_publish::{Clock, NewTopics, PlanOf, Publication, PublishedTable, TopicSink};

use crate::{
    connectors::Connector,
    selection::{
        MOST_PUBLISHING_WORKERS, USUAL_PARTITIONS, message_settings, partition_rule, published, split_bytes,
    },
};

fn tables(options: &KafkaOptions, mappings: Vec<Mapping>) -> Result<Vec<PublishedTable>, Failure> {
    published(options, mappings.into_iter().map(|m| (m.source, m.destination)))
}

/// What becomes of tables that come while the project runs; `creates` says whether their topics are created.
fn new_topics(options: &KafkaOptions, creates: bool) -> NewTopics {
    let (for_topics, for_plans) = (options.clone(), options.clone());
    let plan_of: PlanOf = Arc::new(move |topic: &str| plan(topic, &for_plans));
    NewTopics {
        topic_of: Arc::new(move |source: &TableName, table: &TableName| {
            let found = published(&for_topics, [(source.clone(), table.clone())])?;
            found
                .into_iter()
                .next()
                .ok_or_else(|| Failure::new(codes::apply::INTERNAL, format!("{table} was given no topic")))
        }),
        plan: (creates && !options.existing_topics_only).then_some(plan_of),
    }
}

/// The topics of the tables, as the project's components write to them.
pub(super) fn topic_sink(
    destination: &Connector,
    source: Arc<dyn Source>,
    spec: &ProjectSpec,
    options: &KafkaOptions,
    mappings: Vec<Mapping>,
    clock: Clock,
) -> Result<TopicSink, Failure> {
    let follows = spec
        .incremental
        .is_some_and(|i| i.ddl() == DdlSynchronization::Follow);
    let creates = oms_meta::steps_of(spec)
        .iter()
        .any(|s| s.kind() == StepKind::StructTransfer);
    let publication = Publication {
        settings: message_settings(options),
        rule: partition_rule(options),
        split_key_change: options.split_key_change,
        tables: tables(options, mappings)?,
        split_bytes: split_bytes(options),
        follows: follows.then(|| new_topics(options, creates)),
        import_lanes: MOST_PUBLISHING_WORKERS,
    };
    let queue = Arc::new(destination.kafka()?);
    Ok(TopicSink::new(queue, source, publication, clock))
}

/// Bytes that a message may have beside its content without being told.
const PART_EXTRA: u64 = 1_000;

/// How long brokers may take to learn of a topic, and how often they are asked.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Creates the topics that are missing.
pub(super) struct TopicCreation {
    kafka: KafkaSink,
    options: KafkaOptions,
    tables: Vec<PublishedTable>,
}

impl TopicCreation {
    pub(super) fn new(
        destination: &Connector,
        options: KafkaOptions,
        mappings: Vec<Mapping>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            kafka: destination.kafka()?,
            tables: tables(&options, mappings)?,
            options,
        })
    }
}

impl TopicCreation {
    /// Brokers learn of a new topic a moment after it was created.
    async fn wait_for(&self, topic: &str) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + KNOWN_WITHIN;
        while self.kafka.partitions(topic).await?.is_none() {
            if tokio::time::Instant::now() > deadline {
                let what = format!("topic `{topic}` was created, and is not known yet");
                return Err(Failure::new(codes::dst::TRANSIENT, what));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

/// The topics, each once, with the first of its tables.
fn topics(tables: &[PublishedTable]) -> BTreeMap<&str, &TableName> {
    let mut all = BTreeMap::new();
    for table in tables {
        all.entry(table.topic.as_str()).or_insert(&table.source);
    }
    all
}

fn plan(name: &str, options: &KafkaOptions) -> TopicPlan {
    TopicPlan {
        name: name.to_owned(),
        partitions: match options.partitions {
            0 => USUAL_PARTITIONS.max(options.partition_number.saturating_add(1)),
            n => n,
        },
        replication: (options.replication != 0).then_some(options.replication),
        config: options
            .topic_config
            .iter()
            .map(|s| (s.name.clone(), s.value.clone()))
            .collect(),
    }
}

#[async_trait]
impl Behavior for TopicCreation {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let (mut created, mut there) = (0, 0);
        for (topic, table) in topics(&self.tables) {
            if context.cancel.is_cancelled() {
                return Ok(Completion::Stopped);
            }
            if self.kafka.partitions(topic).await?.is_some() {
                there += 1;
                continue;
            }
            if self.options.existing_topics_only {
                return Err(Failure::new(
                    codes::message::TOPIC_MISSING,
                    format!("topic `{topic}` of table {table}, and `kafka.existing_topics_only` is set"),
                ));
            }
            self.kafka.create_topic(&plan(topic, &self.options)).await?;
            self.wait_for(topic).await?;
            context.log.info(format!("created topic {topic}"));
            created += 1;
        }
        Ok(Completion::Done(format!(
            "{created} topics created, {there} were there"
        )))
    }

    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

/// What the precheck finds at the destination, and of the tables as its messages.
pub(super) async fn items(
    options: &KafkaOptions,
    source: &dyn Source,
    seen: &Seen,
    destination: &Connector,
    mappings: Vec<Mapping>,
    creates: bool,
) -> Vec<PrecheckItem> {
    let mut items = vec![formats(options, source, seen, &mappings).await];
    let kafka = match destination.kafka() {
        Ok(kafka) => kafka,
        Err(failure) => {
            items.push(failed("MQ_CONNECT", false, &failure, "Correct the data source."));
            return items;
        }
    };
    match kafka.look().await {
        Ok(facts) => items.push(passed("MQ_CONNECT", format!("{} brokers", facts.brokers))),
        Err(failure) => {
            items.push(failed(
                "MQ_CONNECT",
                false,
                &failure,
                "Check addresses, account and encryption.",
            ));
            return items;
        }
    }
    let tables = match tables(options, mappings) {
        Ok(tables) => tables,
        Err(failure) => {
            items.push(failed(
                "MQ_TOPIC_EXIST",
                false,
                &failure,
                "Correct `kafka.topic`.",
            ));
            return items;
        }
    };
    items.push(topics_exist(&kafka, options, &tables, creates).await);
    items.push(message_size(&kafka, options, &tables).await);
    items
}

async fn topics_exist(
    kafka: &KafkaSink,
    options: &KafkaOptions,
    tables: &[PublishedTable],
    creates: bool,
) -> PrecheckItem {
    let key = "MQ_TOPIC_EXIST";
    let (mut missing, mut there, mut short) = (Vec::new(), 0, Vec::new());
    for topic in topics(tables).into_keys() {
        match kafka.partitions(topic).await {
            Ok(None) => missing.push(topic.to_owned()),
            Ok(Some(n)) if n <= options.partition_number => short.push(topic.to_owned()),
            Ok(Some(_)) => there += 1,
            Err(failure) => return failed(key, false, &failure, "Let the account describe the topics."),
        }
    }
    if !short.is_empty() {
        let what = format!(
            "no partition number {}: {}",
            options.partition_number,
            super::precheck::listed(&short)
        );
        let failure = Failure::new(codes::message::TOPIC_MISSING, what);
        return failed(key, false, &failure, "Add partitions, or choose another number.");
    }
    if missing.is_empty() {
        return passed(key, format!("all {there} topics exist"));
    }
    if creates && !options.existing_topics_only {
        return passed(
            key,
            format!("{} topics exist, {} will be created", there, missing.len()),
        );
    }
    let failure = Failure::new(codes::message::TOPIC_MISSING, super::precheck::listed(&missing));
    let action = "Create the topics, or choose the step `schema` without `kafka.existing_topics_only`.";
    failed(key, false, &failure, action)
}

/// Tells the least bound on messages, which rows may exceed that nobody has seen yet.
async fn message_size(kafka: &KafkaSink, options: &KafkaOptions, tables: &[PublishedTable]) -> PrecheckItem {
    let key = "MQ_MESSAGE_SIZE";
    let mut least: Option<(u64, &str)> = None;
    let names: BTreeSet<&str> = topics(tables).into_keys().collect();
    for topic in names {
        match kafka.partitions(topic).await {
            Ok(Some(_)) => {}
            _ => continue,
        }
        match kafka.largest_batch(topic).await {
            Ok(Some(bytes)) if least.is_none_or(|(b, _)| bytes < b) => least = Some((bytes, topic)),
            Ok(_) => {}
            Err(failure) => {
                return PrecheckItem {
                    status: PrecheckStatus::NotChecked,
                    skippable: true,
                    ..failed(
                        key,
                        true,
                        &failure,
                        "Let the account describe the topics' settings.",
                    )
                };
            }
        }
    }
    let words = match least {
        None => "no topic tells how large its messages may be".to_owned(),
        Some((bytes, topic)) => match split_bytes(options) {
            None => {
                format!("messages may have {bytes} bytes (topic `{topic}`); a larger one stops the project")
            }
            // Key, headers and what a batch adds to a part.
            Some(part) if part.get() as u64 + PART_EXTRA > bytes => {
                let what = format!(
                    "topic `{topic}` takes {bytes} bytes, and parts have up to {part} beside key and headers"
                );
                let failure = Failure::new(codes::message::TOO_LARGE, what);
                let action = "Make `kafka.split_bytes` smaller, or let the topic take more.";
                return failed(key, true, &failure, action);
            }
            Some(part) => {
                format!(
                    "messages may have {bytes} bytes (topic `{topic}`); contents above {part} come in parts"
                )
            }
        },
    };
    passed(key, words)
}

/// Whether the format can hold the tables' columns.
async fn formats(
    options: &KafkaOptions,
    source: &dyn Source,
    seen: &Seen,
    mappings: &[Mapping],
) -> PrecheckItem {
    let key = "MQ_FORMAT";
    let names: Vec<TableName> = mappings.iter().map(|m| m.source.clone()).collect();
    let schemas = match source.load_tables(&names).await {
        Ok(schemas) => schemas,
        Err(failure) => {
            return PrecheckItem {
                side: PrecheckSide::Source,
                status: PrecheckStatus::NotChecked,
                ..failed(key, true, &failure, "")
            };
        }
    };
    let tables = match tables(options, mappings.to_vec()) {
        Ok(tables) => tables,
        Err(failure) => return failed(key, false, &failure, "Correct `kafka.topic`."),
    };
    let settings = message_settings(options);
    let mut refused = Vec::new();
    for (schema, table) in schemas.into_iter().zip(&tables) {
        let made = seen(schema).and_then(|schema| {
            TablePlan::new(Arc::new(schema), &settings, None, &table.key_columns).map_err(Failure::from)
        });
        if let Err(failure) = made {
            refused.push(failure.detail().to_owned());
        }
    }
    if refused.is_empty() {
        return passed(key, format!("{} can hold every column", settings.format.name()));
    }
    let failure = Failure::new(codes::message::TABLE, super::precheck::listed(&refused));
    failed(
        key,
        false,
        &failure,
        "Leave the columns out with `omit_columns`, or choose another format.",
    )
}

fn passed(key: &'static str, message: String) -> PrecheckItem {
    PrecheckItem {
        key,
        side: PrecheckSide::Destination,
        status: PrecheckStatus::Passed,
        skippable: false,
        code: None,
        message,
        action: String::new(),
    }
}

fn failed(key: &'static str, skippable: bool, failure: &Failure, action: &str) -> PrecheckItem {
    PrecheckItem {
        key,
        side: PrecheckSide::Destination,
        status: PrecheckStatus::Failed,
        skippable,
        code: Some(failure.code()),
        message: failure.text(),
        action: action.to_owned(),
    }
}
