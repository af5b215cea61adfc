//! The files in `deploy/examples` are what they claim to be.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use oms_proto::v1::ProjectSpec;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples")
}

fn spec(name: &str) -> ProjectSpec {
    let bytes = std::fs::read(examples().join(name)).unwrap();
    oms_cli::parse_spec(&bytes, name).unwrap()
}

#[test]
fn spec_files_are_complete() {
    let mut seen = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".toml") || entry.file_type().unwrap().is_dir() {
            continue;
        }
        seen += 1;
        let spec = spec(&name);
        assert!((1..=128).contains(&spec.name.chars().count()), "{name}");
        assert!(
            !spec.source.is_empty() && !spec.destination.is_empty() && spec.source != spec.destination,
            "{name}"
        );
        assert!(
            spec.labels.len() <= 5 && spec.labels.iter().all(|l| (1..=20).contains(&l.len())),
            "{name}"
        );
        assert!(!spec.databases.is_empty(), "{name}");
        for database in &spec.databases {
            assert!(
                !database.name.is_empty() && database.tables.iter().all(|t| !t.name.is_empty()),
                "{name}"
            );
        }
    }
    assert_eq!(seen, 4);
}

/// A new option must appear in the commented file.
#[test]
fn the_commented_file_names_every_option() {
    let text = std::fs::read_to_string(examples().join("mariadb-to-oceanbase.yaml")).unwrap();
    let set = options();
    assert!(set.len() > 30, "{set:?}");
    for option in set {
        assert!(text.contains(&format!("{option}:")), "{option} is missing");
    }
    let spec = spec("mariadb-to-oceanbase.yaml");
    for group in [
        spec.steps.is_some(),
        spec.precheck.is_some(),
        spec.schema.is_some(),
        spec.full.is_some(),
        spec.incremental.is_some(),
        spec.verify.is_some(),
    ] {
        assert!(group);
    }
}

#[test]
fn the_file_for_kafka_names_every_option_of_it() {
    let text = std::fs::read_to_string(examples().join("mariadb-to-kafka.yaml")).unwrap();
    for option in fields::<oms_proto::v1::KafkaOptions>() {
        assert!(text.contains(&format!("{option}:")), "{option} is missing");
    }
    let kafka = spec("mariadb-to-kafka.yaml").kafka.unwrap();
    assert_eq!(kafka.topics[0].key_columns, ["country"]);
}

/// Names of all fields that a message of a spec can have: what its reader offers when it refuses one.
fn fields<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
    let refusal = serde_json::from_str::<T>(r#"{"\u0000": 0}"#)
        .unwrap_err()
        .to_string();
    refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Names of all fields that a spec can have: what the reader of each message offers when it refuses one.
fn options() -> Vec<String> {
    use oms_proto::v1::*;
    [
        fields::<ProjectSpec>(),
        fields::<Steps>(),
        fields::<DatabaseSelection>(),
        fields::<TableSelection>(),
        fields::<MatchRules>(),
        fields::<PrecheckOptions>(),
        fields::<SchemaOptions>(),
        fields::<NameRule>(),
        fields::<FullOptions>(),
        fields::<IncrementalOptions>(),
        fields::<VerifyOptions>(),
    ]
    .concat()
}

#[test]
fn the_configuration_shows_the_defaults() {
    let source = oms_config::Source {
        file: Some(examples().join("omsnode.toml")),
        ..Default::default()
    };
    assert_eq!(
        oms_config::load(&source).unwrap(),
        oms_config::NodeConfig::default()
    );
    let text = std::fs::read_to_string(examples().join("omsnode.toml")).unwrap();
    for key in toml::to_string(&oms_config::NodeConfig::default())
        .unwrap()
        .lines()
        .filter_map(|l| l.split_once(" = "))
    {
        assert!(text.contains(&format!("{} = ", key.0)), "{} is missing", key.0);
    }
}
