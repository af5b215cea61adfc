//! From a spec's options about messages to the topics of its tables.

use std::{collections::BTreeMap, num::NonZeroUsize};

use oms_codec::{DbType, Format, PartitionRule, SchemaBlock, Settings};
use oms_core::{Failure, TableName, codes};
use oms_proto::v1::{
    CommitOrder, Concurrency, DebeziumSchema, KafkaOptions, MessageFormat, MessagePartition, OnExistingRows,
    OversizedMessages, ProjectSpec, SchemaOptions,
};
use oms_publish::PublishedTable;

use super::rule::Rule;

/// The topic of tables of which the spec says nothing.
const USUAL_TOPIC: &str = "Topic_${database}_${table}";
/// Partitions of topics that are created, where the spec says nothing.
pub(crate) const USUAL_PARTITIONS: u32 = 3;
/// Bytes of a part, where the spec says nothing: a batch of Kafka's usual size holds it with its key.
const USUAL_PART: usize = 900_000;
/// A part of less is a slip; more than this no client takes.
const PARTS: std::ops::RangeInclusive<u32> = 1_000..=50_000_000;
/// Characters of a topic's name, which Kafka bounds.
const LONGEST_TOPIC: usize = 249;
/// Kafka's own bound is memory; this one catches a slip.
const MOST_PARTITIONS: u32 = 10_000;

/// The settings of the messages.
pub(crate) fn settings(options: &KafkaOptions) -> Settings {
    let format = match options.format() {
        MessageFormat::Unspecified | MessageFormat::Default => Format::Default,
        MessageFormat::DefaultWithSchema => Format::DefaultWithSchema,
        MessageFormat::Canal => Format::Canal,
        MessageFormat::DataworksV2 => Format::DataworksV2,
        MessageFormat::Shareplex => Format::Shareplex,
        MessageFormat::Debezium => Format::Debezium,
        MessageFormat::DebeziumFlatten => Format::DebeziumFlatten,
        MessageFormat::DebeziumSmt => Format::DebeziumSmt,
        MessageFormat::Maxwell => Format::Maxwell,
    };
    Settings {
        business: (!options.business.is_empty()).then(|| options.business.clone()),
        schema: match options.debezium_schema() {
            DebeziumSchema::Unspecified | DebeziumSchema::None => SchemaBlock::None,
            DebeziumSchema::Oms => SchemaBlock::Oms,
            DebeziumSchema::Connect => SchemaBlock::Connect,
        },
        ..Settings::new(format, DbType::Mysql)
    }
}

/// In parts of how many bytes contents are sent that are larger; `None`: whole.
pub(crate) fn split_bytes(options: &KafkaOptions) -> Option<NonZeroUsize> {
    match options.oversized() {
        OversizedMessages::Unspecified | OversizedMessages::Fail => None,
        OversizedMessages::Split => {
            let bytes = usize::try_from(options.split_bytes).unwrap_or(usize::MAX);
            NonZeroUsize::new(bytes).or(NonZeroUsize::new(USUAL_PART))
        }
    }
}

/// How messages are spread over partitions.
pub(crate) fn partition_rule(options: &KafkaOptions) -> PartitionRule {
    match options.partition() {
        MessagePartition::Unspecified | MessagePartition::Hash => PartitionRule::Hash,
        MessagePartition::Table => PartitionRule::Table,
        MessagePartition::One => PartitionRule::One {
            partition: options.partition_number,
        },
    }
}

/// A topic's name from a pattern whose placeholders are known.
fn topic_name(pattern: &str, table: &TableName) -> String {
    let pattern = if pattern.is_empty() { USUAL_TOPIC } else { pattern };
    // Names may hold what looks like a placeholder, so none is looked for in what was put in.
    let mut name = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        name.push_str(before);
        rest = if let Some(behind) = from.strip_prefix("${database}") {
            name.push_str(&table.database);
            behind
        } else if let Some(behind) = from.strip_prefix("${table}") {
            name.push_str(&table.table);
            behind
        } else {
            name.push_str("${");
            from.get(2..).unwrap_or_default()
        };
    }
    name.push_str(rest);
    name
}

fn name_problem(name: &str) -> Option<&'static str> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_TOPIC {
        Some("a topic's name has 1 to 249 characters")
    } else if name == "." || name == ".." || !name.chars().all(known) {
        Some("a topic's name has only ASCII letters, digits, `.`, `_` and `-`")
    } else if name.starts_with("__omsnode.") {
        Some("topics whose names begin with `__omsnode.` hold positions")
    } else {
        None
    }
}

/// The topic and key of each table, given as source and published names.
///
/// # Errors
/// `OMS-API-0001` with all names that no topic can have.
pub(crate) fn published(
    options: &KafkaOptions,
    tables: impl IntoIterator<Item = (TableName, TableName)>,
) -> Result<Vec<PublishedTable>, Failure> {
    let mut problems = Vec::new();
    let mut rules = Vec::new();
    for rule in &options.topics {
        match Rule::parse(&rule.tables) {
            Ok(parsed) => rules.push((parsed, rule)),
            Err(error) => problems.push(format!("kafka.topics {:?}: {error}", rule.tables)),
        }
    }
    let mut all = Vec::new();
    for (source, published) in tables {
        let found = rules
            .iter()
            .find(|(r, _)| r.database == source.database && r.pattern.matches(&source.table))
            .map(|(_, rule)| *rule);
        let pattern = found.map(|r| r.topic.as_str()).filter(|t| !t.is_empty());
        let topic = topic_name(pattern.unwrap_or(&options.topic), &published);
        if let Some(problem) = name_problem(&topic) {
            problems.push(format!("{source}: topic {topic:?}: {problem}"));
        }
        all.push(PublishedTable {
            source,
            published,
            topic,
            key_columns: found.map(|r| r.key_columns.clone()).unwrap_or_default(),
        });
    }
    // Kafka names metrics with `_` for `.`: two topics that differ in that only are refused by it, one after the other.
    let mut similar: BTreeMap<String, &str> = BTreeMap::new();
    for table in &all {
        let first = similar
            .entry(table.topic.replace('.', "_"))
            .or_insert(&table.topic);
        if *first != table.topic {
            problems.push(format!(
                "topics {first:?} and {:?} differ only in `.` and `_`, which Kafka refuses",
                table.topic
            ));
        }
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

/// Checks what can be said of a project to Kafka without its tables.
pub(super) fn check_kafka(spec: &ProjectSpec, options: &KafkaOptions, problems: &mut Vec<String>) {
    let mut problem = |text: &str| problems.push(text.to_owned());
    if spec.steps.is_some_and(|s| s.verification) {
        problem("steps.verification: messages cannot be compared with rows; leave the step out");
    }
    if spec.verify.is_some() {
        problem("verify: has no effect on a project to Kafka");
    }
    if spec
        .schema
        .as_ref()
        .is_some_and(|s| *s != SchemaOptions::default())
    {
        problem("schema: has no effect on a project to Kafka; topics are described in `kafka`");
    }
    if let Some(full) = &spec.full {
        if full.on_existing_rows() != OnExistingRows::Unspecified || full.max_conflicts != 0 {
            problem(
                "full.on_existing_rows, full.max_conflicts: a topic has no rows that could be in the way",
            );
        }
        if full.workers > super::MOST_PUBLISHING_WORKERS {
            problems.push(format!(
                "full.workers: at most {} for a project to Kafka",
                super::MOST_PUBLISHING_WORKERS
            ));
        }
    }
    if let Some(incremental) = &spec.incremental {
        let mut problem = |text: &str| problems.push(text.to_owned());
        if incremental.lanes > 1 || incremental.concurrency() != Concurrency::Unspecified {
            problem(
                "incremental.lanes, incremental.concurrency: a project to Kafka writes in one lane, in order",
            );
        }
        if incremental.commit_order() == CommitOrder::Relaxed {
            problem("incremental.commit_order: a project to Kafka writes in the source's order");
        }
    }
    let known = MessageFormat::try_from(options.format).is_ok()
        && MessagePartition::try_from(options.partition).is_ok()
        && DebeziumSchema::try_from(options.debezium_schema).is_ok()
        && OversizedMessages::try_from(options.oversized).is_ok();
    if !known {
        problems.push("kafka: a format, partition rule, schema or policy of no known number".to_owned());
    }
    if options.partition_number != 0 && options.partition() != MessagePartition::One {
        problems.push("kafka.partition_number: counts only with `partition: one`".to_owned());
    }
    if options.partitions > MOST_PARTITIONS {
        problems.push(format!("kafka.partitions: at most {MOST_PARTITIONS}"));
    }
    if options.replication > 100 {
        problems.push("kafka.replication: at most 100".to_owned());
    }
    let created = options.partitions != 0 || options.replication != 0 || !options.topic_config.is_empty();
    if options.existing_topics_only && created {
        problems.push(
            "kafka.existing_topics_only: then no topic is created; leave partitions, replication and topic_config out"
                .to_owned(),
        );
    }
    if options.topic_config.iter().any(|s| s.name.is_empty()) {
        problems.push("kafka.topic_config: a setting has no name".to_owned());
    }
    if options.split_bytes != 0 && options.oversized() != OversizedMessages::Split {
        problems.push("kafka.split_bytes: counts only with `oversized: split`".to_owned());
    } else if options.split_bytes != 0 && !PARTS.contains(&options.split_bytes) {
        problems.push(format!(
            "kafka.split_bytes: between {} and {}",
            PARTS.start(),
            PARTS.end()
        ));
    }
    if !options.business.is_empty() && options.format() != MessageFormat::DataworksV2 {
        problems.push("kafka.business: counts only with `format: dataworks_v2`".to_owned());
    }
    if let Err(error) = settings(options).check() {
        problems.push(format!("kafka: {error}"));
    }
    let patterns = std::iter::once(("kafka.topic".to_owned(), &options.topic)).chain(
        options
            .topics
            .iter()
            .enumerate()
            .map(|(i, r)| (format!("kafka.topics[{i}].topic"), &r.topic)),
    );
    for (place, pattern) in patterns {
        let shown = topic_name(pattern, &TableName::new("d", "t"));
        if let Some(problem) = name_problem(&shown) {
            problems.push(format!(
                "{place}: {problem}; placeholders are ${{database}} and ${{table}}"
            ));
        }
    }
    for (i, rule) in options.topics.iter().enumerate() {
        match Rule::parse(&rule.tables) {
            Err(error) => problems.push(format!("kafka.topics[{i}].tables {:?}: {error}", rule.tables)),
            Ok(parsed) if parsed.target.is_some() => problems.push(format!(
                "kafka.topics[{i}].tables {:?}: the topic stands in `topic`, not behind `=`",
                rule.tables
            )),
            Ok(_) if rule.topic.is_empty() && rule.key_columns.is_empty() => {
                problems.push(format!(
                    "kafka.topics[{i}]: says neither `topic` nor `key_columns`"
                ));
            }
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::{FullOptions, IncrementalOptions, Steps, TopicRule, VerifyOptions};

    use super::*;

    fn pair(database: &str, table: &str) -> (TableName, TableName) {
        (TableName::new(database, table), TableName::new(database, table))
    }

    #[test]
    fn tables_find_their_topics() {
        let rule = |tables: &str, topic: &str, keys: &[&str]| TopicRule {
            tables: tables.into(),
            topic: topic.into(),
            key_columns: keys.iter().map(|k| (*k).to_owned()).collect(),
        };
        let options = KafkaOptions {
            topics: vec![
                rule("shop.orders", "all-orders", &[]),
                rule("shop.log_*", "log.${table}", &["day"]),
                rule("shop.*", "", &["id"]),
            ],
            ..Default::default()
        };
        let tables = ["orders", "log_1", "items"].map(|t| pair("shop", t));
        let found = published(&options, tables.into_iter().chain([pair("audit", "${table}x")]));
        // A name is not read for placeholders.
        assert!(found.unwrap_err().detail().contains("Topic_audit_${table}x"));
        let tables = ["orders", "log_1", "items"].map(|t| pair("shop", t));
        let found = published(&options, tables.into_iter().chain([pair("audit", "t")])).unwrap();
        let brief: Vec<_> = found
            .iter()
            .map(|t| (t.topic.as_str(), t.key_columns.len()))
            .collect();
        assert_eq!(
            brief,
            [
                ("all-orders", 0),
                ("log.log_1", 1),
                ("Topic_shop_items", 1),
                ("Topic_audit_t", 0)
            ]
        );
        let alike = KafkaOptions {
            topic: "${database}.${table}".into(),
            ..Default::default()
        };
        let refused = published(&alike, [pair("a_b", "c"), pair("a", "b.c"), pair("a", "b_c")]).unwrap_err();
        assert!(refused.detail().contains("differ only in"), "{refused}");
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let options = KafkaOptions {
            topic: "orders of ${table}".into(),
            partition_number: 3,
            partitions: 1_000_000,
            existing_topics_only: true,
            business: "shop".into(),
            split_bytes: 7,
            debezium_schema: DebeziumSchema::Connect as i32,
            topics: vec![
                TopicRule {
                    tables: "nodot".into(),
                    ..Default::default()
                },
                TopicRule {
                    tables: "a.b".into(),
                    ..Default::default()
                },
            ],
            ..Default::default()
        };
        let spec = ProjectSpec {
            steps: Some(Steps {
                verification: true,
                ..Default::default()
            }),
            full: Some(FullOptions {
                max_conflicts: 3,
                workers: 60,
                ..Default::default()
            }),
            incremental: Some(IncrementalOptions {
                lanes: 4,
                ..Default::default()
            }),
            verify: Some(VerifyOptions::default()),
            ..Default::default()
        };
        let mut problems = Vec::new();
        check_kafka(&spec, &options, &mut problems);
        let all = problems.join("; ");
        for part in [
            "steps.verification:",
            "verify: has no effect",
            "full.max_conflicts",
            "full.workers: at most",
            "incremental.lanes",
            "kafka.partition_number",
            "kafka.partitions: at most",
            "kafka.existing_topics_only",
            "kafka.business",
            "kafka.split_bytes",
            "only the format DEBEZIUM",
            "kafka.topic: a topic's name has only",
            "kafka.topics[0].tables \"nodot\"",
            "kafka.topics[1]: says neither",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
