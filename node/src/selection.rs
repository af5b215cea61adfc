//! From a spec's selection to the objects that move.

mod choice;
mod new_tables;
mod pattern;
mod resolve;
mod rule;
mod topics;

use std::collections::BTreeSet;

use oms_core::{Failure, codes};
use oms_meta::{check_full, check_incremental};
use oms_mysql::{catalog::Database, precheck::KEYS};
use oms_proto::v1::{
    Concurrency, ConstraintMoment, DdlSynchronization, LossyConversions, MatchRules, ProjectSpec,
    SchemaOptions, StepKind,
};

pub(crate) use choice::{check_against, choices};
pub(crate) use new_tables::NewTables;
pub(crate) use resolve::{Resolved, databases, resolve};
use rule::Rule;
pub(crate) use topics::{
    USUAL_PARTITIONS, partition_rule, published, settings as message_settings, split_bytes,
};

/// Most workers of full import to a queue: each is a producer.
pub(crate) const MOST_PUBLISHING_WORKERS: u32 = 4;

/// Checks a spec as far as that needs no database. All problems are reported at once.
pub(crate) fn check_spec(spec: &ProjectSpec) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if !(1..=128).contains(&spec.name.chars().count()) {
        problems.push("name: 1 to 128 characters".to_owned());
    }
    if spec.labels.len() > 5 {
        problems.push("labels: at most 5".to_owned());
    }
    for label in &spec.labels {
        if !(1..=20).contains(&label.chars().count()) || label.contains(char::is_whitespace) {
            problems.push(format!(
                "labels: {label:?} must have 1 to 20 characters without white space"
            ));
        }
    }
    for (field, text) in [("source", &spec.source), ("destination", &spec.destination)] {
        if text.is_empty() {
            problems.push(format!("{field}: the name of a data source is missing"));
        }
    }
    if !spec.source.is_empty() && spec.source == spec.destination {
        problems.push("destination: must not be the source".to_owned());
    }
    match &spec.rules {
        None if spec.databases.is_empty() => {
            problems.push(
                "databases: nothing is selected; name databases here, or patterns in `rules`".to_owned(),
            );
        }
        None => {}
        Some(_) if !spec.databases.is_empty() => {
            problems
                .push("rules: select by name in `databases` or by patterns in `rules`, not both".to_owned());
        }
        Some(rules) => check_rules(rules, &mut problems),
    }
    if let Some(Err(problem)) = spec.full.as_ref().map(check_full) {
        problems.push(problem);
    }
    if let Some(Err(problem)) = spec.incremental.as_ref().map(check_incremental) {
        problems.push(problem);
    }
    let follows = spec
        .incremental
        .is_some_and(|i| i.ddl() == DdlSynchronization::Follow);
    if follows
        && !oms_meta::steps_of(spec)
            .iter()
            .any(|s| s.kind() == StepKind::IncrTransfer)
    {
        problems.push("incremental.ddl: has no effect without the step `incremental`".to_owned());
    }
    if follows && oms_meta::chooses_rows_or_columns(spec) {
        problems.push(
            "incremental.ddl: `follow` and a choice of rows, columns or changes do not go together"
                .to_owned(),
        );
    }
    if spec.merge_tables {
        check_merging(spec, follows, &mut problems);
    }
    if let Some(schema) = &spec.schema {
        check_schema(schema, &mut problems);
    }
    let verifies = spec.verify.as_ref().map(|v| v.concurrency());
    if matches!(verifies, Some(Concurrency::Auto | Concurrency::Custom)) {
        problems.push("verify.concurrency: stable, normal or fast".to_owned());
    }
    let mut seen = BTreeSet::new();
    for (i, database) in spec.databases.iter().enumerate() {
        if database.name.is_empty() {
            problems.push(format!("databases[{i}].name: missing"));
        } else if Database::is_system(&database.name) {
            problems.push(format!(
                "databases[{i}].name: {:?} belongs to the server",
                database.name
            ));
        }
        if !seen.insert(&database.name) {
            problems.push(format!("databases[{i}].name: {:?} is named twice", database.name));
        }
        let mut tables = BTreeSet::new();
        for (j, table) in database.tables.iter().enumerate() {
            if table.name.is_empty() {
                problems.push(format!("databases[{i}].tables[{j}].name: missing"));
            }
            if !tables.insert(&table.name) {
                problems.push(format!(
                    "databases[{i}].tables[{j}].name: {:?} is named twice",
                    table.name
                ));
            }
            if database.exclude.contains(&table.name) {
                problems.push(format!(
                    "databases[{i}].exclude: {:?} is selected too",
                    table.name
                ));
            }
        }
    }
    choice::check_choices(spec, &mut problems);
    if let Some(options) = &spec.kafka {
        topics::check_kafka(spec, options, &mut problems);
    }
    let skipped = spec.precheck.iter().flat_map(|p| &p.skip);
    for key in skipped.filter(|k| !KEYS.iter().any(|known| known.eq_ignore_ascii_case(k))) {
        problems.push(format!(
            "precheck.skip: {key:?} is not a precheck; there are {}",
            KEYS.join(", ")
        ));
    }
    let steps = spec.steps.unwrap_or_default();
    if steps.schema && !(steps.full || steps.incremental || steps.verification) && spec.full.is_some() {
        problems.push("full: has no effect without the step `full`".to_owned());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

/// Checks what does not go together with tables that become one.
fn check_merging(spec: &ProjectSpec, follows: bool, problems: &mut Vec<String>) {
    if follows {
        problems.push(
            "merge_tables: a statement about one of the tables cannot be followed: set `incremental.ddl: stop`".to_owned(),
        );
    }
    let steps = oms_meta::steps_of(spec);
    let has = |kind: StepKind| steps.iter().any(|s| s.kind() == kind);
    if (has(StepKind::FullTransfer) || has(StepKind::IncrTransfer)) && !has(StepKind::FullVerifier) {
        problems.push(
            "merge_tables: needs the step `verification`, which tells whether a key is in several of the tables".to_owned(),
        );
    }
}

/// Checks the options of schema migration.
fn check_schema(schema: &SchemaOptions, problems: &mut Vec<String>) {
    if LossyConversions::try_from(schema.lossy).is_err() {
        problems.push("schema.lossy: allow or stop".to_owned());
    }
    for (field, moment) in [("foreign_keys", schema.foreign_keys), ("checks", schema.checks)] {
        if ConstraintMoment::try_from(moment).is_err() {
            problems.push(format!("schema.{field}: schema or switchover"));
        }
    }
    if schema.omit_foreign_keys && schema.foreign_keys() != ConstraintMoment::Unspecified {
        problems
            .push("schema.foreign_keys: has no effect with `omit_foreign_keys`; say one of them".to_owned());
    }
    for (field, rules) in [("charsets", &schema.charsets), ("collations", &schema.collations)] {
        let mut seen = BTreeSet::new();
        for (i, rule) in rules.iter().enumerate() {
            if rule.from.is_empty() || rule.to.is_empty() {
                problems.push(format!("schema.{field}[{i}]: from and to must be named"));
            } else if rule.to == "*" {
                problems.push(format!(
                    "schema.{field}[{i}].to: `*` stands for what is missing, it is no name"
                ));
            } else if !seen.insert(rule.from.as_str()) {
                problems.push(format!(
                    "schema.{field}[{i}].from: {:?} is named twice",
                    rule.from
                ));
            }
        }
    }
}

/// Checks what can be said of rules without knowing what exists.
fn check_rules(rules: &MatchRules, problems: &mut Vec<String>) {
    if rules.include.is_empty() {
        problems.push("rules.include: nothing is selected".to_owned());
    }
    for (list, texts, excludes) in [
        ("include", &rules.include, false),
        ("exclude", &rules.exclude, true),
    ] {
        let mut seen = BTreeSet::new();
        for (i, text) in texts.iter().enumerate() {
            let problem = match Rule::parse(text) {
                Err(error) => error.to_string(),
                Ok(rule) if Database::is_system(&rule.database) => {
                    format!("{:?} belongs to the server", rule.database)
                }
                Ok(rule) if excludes && rule.target.is_some() => {
                    "what is excluded has no name at the destination: remove `=` and what follows".to_owned()
                }
                Ok(_) if !seen.insert(text) => "the rule is there twice".to_owned(),
                Ok(_) => continue,
            };
            problems.push(format!("rules.{list}[{i}] {text:?}: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::DatabaseSelection;

    use super::*;

    #[test]
    fn all_problems_of_a_spec_are_reported_at_once() {
        let error = check_spec(&ProjectSpec {
            source: "a".into(),
            destination: "a".into(),
            databases: vec![DatabaseSelection {
                name: "mysql".into(),
                ..Default::default()
            }],
            ..Default::default()
        })
        .unwrap_err();
        for part in ["name:", "destination:", "belongs to the server"] {
            assert!(error.detail().contains(part), "{error}");
        }
    }
    #[test]
    fn merged_tables_are_verified_and_their_statements_not_followed() {
        let spec = |ddl: DdlSynchronization, verification| ProjectSpec {
            name: "n".into(),
            source: "a".into(),
            destination: "b".into(),
            merge_tables: true,
            databases: vec![DatabaseSelection {
                name: "d".into(),
                ..Default::default()
            }],
            steps: Some(oms_proto::v1::Steps {
                full: true,
                incremental: true,
                verification,
                ..Default::default()
            }),
            incremental: Some(oms_proto::v1::IncrementalOptions {
                ddl: ddl as i32,
                ..Default::default()
            }),
            ..Default::default()
        };
        let error = check_spec(&spec(DdlSynchronization::Follow, false)).unwrap_err();
        for part in ["cannot be followed", "needs the step `verification`"] {
            assert!(error.detail().contains(part), "{part}: {error}");
        }
        check_spec(&spec(DdlSynchronization::Stop, true)).unwrap();
    }
    #[test]
    fn mistakes_in_options_of_the_schema_are_all_named() {
        let rule = |from: &str, to: &str| oms_proto::v1::NameRule {
            from: from.into(),
            to: to.into(),
        };
        let error = check_spec(&ProjectSpec {
            name: "n".into(),
            source: "a".into(),
            destination: "b".into(),
            schema: Some(SchemaOptions {
                omit_foreign_keys: true,
                foreign_keys: ConstraintMoment::Switchover as i32,
                checks: 9,
                lossy: 9,
                charsets: vec![rule("latin1", "utf8mb4"), rule("latin1", "gbk"), rule("", "x")],
                collations: vec![rule("*", "*")],
                ..Default::default()
            }),
            ..Default::default()
        })
        .unwrap_err();
        for part in [
            "schema.lossy: allow or stop",
            "schema.checks: schema or switchover",
            "schema.foreign_keys: has no effect",
            "schema.charsets[1].from: \"latin1\" is named twice",
            "schema.charsets[2]: from and to",
            "schema.collations[0].to:",
        ] {
            assert!(error.detail().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn mistakes_in_rules_are_named_with_their_place() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        let error = check_spec(&ProjectSpec {
            name: "n".into(),
            source: "a".into(),
            destination: "b".into(),
            rules: Some(MatchRules {
                include: texts(&["shop.*", "sh*p.a", "mysql.*", "shop.*", "a.b.c"]),
                exclude: texts(&["shop.x=y.z", "shop.[a"]),
            }),
            ..Default::default()
        })
        .unwrap_err();
        for part in [
            "rules.include[1] \"sh*p.a\": character 3",
            "rules.include[2] \"mysql.*\": \"mysql\" belongs",
            "rules.include[3] \"shop.*\": the rule is there twice",
            "rules.include[4] \"a.b.c\": character 4",
            "rules.exclude[0] \"shop.x=y.z\": what is excluded has no name",
            "rules.exclude[1] \"shop.[a\": character 8: the set has no closing ]",
        ] {
            assert!(error.detail().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn names_and_rules_exclude_each_other() {
        let both = ProjectSpec {
            databases: vec![DatabaseSelection {
                name: "d".into(),
                ..Default::default()
            }],
            rules: Some(MatchRules {
                include: vec!["d.*".into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        assert!(check_spec(&both).unwrap_err().detail().contains("not both"));
        let neither = ProjectSpec {
            rules: Some(MatchRules::default()),
            ..Default::default()
        };
        assert!(
            check_spec(&neither)
                .unwrap_err()
                .detail()
                .contains("rules.include: nothing")
        );
    }
}
