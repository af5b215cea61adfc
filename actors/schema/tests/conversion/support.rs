//! The corpus: definitions as real servers printed them, and the three destinations.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use oms_core::{ObjectKind, ObjectName};
use oms_schema::{
    ConvertOptions, DestinationTraits, Flavor, MigrationPlan, PlanRequest, SourceObject, SourceTraits, plan,
};

/// Sources by folder name.
pub(crate) const SOURCES: [(&str, Flavor); 3] = [
    ("mysql-5.6", Flavor::MySql),
    ("mysql-9.7", Flavor::MySql),
    ("mariadb-10.11", Flavor::MariaDb),
];

/// Destinations by name.
pub(crate) const DESTINATIONS: [&str; 3] = ["seekdb", "mysql-9.7", "mariadb-10.11"];

pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// All definitions of a source, by file name.
pub(crate) fn definitions(source: &str) -> BTreeMap<String, String> {
    fs::read_dir(corpus().join(source))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read_to_string(path).unwrap())
        })
        .collect()
}

pub(crate) fn object(text: &str) -> SourceObject {
    let is_view = text.contains(" VIEW `");
    let kind = if is_view {
        ObjectKind::View
    } else {
        ObjectKind::Table
    };
    let mark = if is_view { "VIEW `" } else { "TABLE `" };
    let rest = text.split_once(mark).unwrap().1;
    let end = rest
        .match_indices('`')
        .find(|(i, _)| !doubled(rest, *i))
        .unwrap()
        .0;
    let table = rest[..end].replace("``", "`");
    SourceObject {
        name: ObjectName {
            kind,
            database: "corpus".into(),
            table,
            part: String::new(),
        },
        definition: Ok(text.to_owned()),
    }
}

fn doubled(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.get(at + 1) == Some(&b'`') || at > 0 && bytes[at - 1] == b'`'
}

pub(crate) fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

pub(crate) fn source_traits(source: &str, flavor: Flavor) -> SourceTraits {
    let utf8mb4 = if source == "mysql-9.7" {
        "utf8mb4_0900_ai_ci"
    } else {
        "utf8mb4_general_ci"
    };
    let default_collations = pairs(&[
        ("utf8mb4", utf8mb4),
        ("utf8mb3", "utf8mb3_general_ci"),
        ("latin1", "latin1_swedish_ci"),
        ("gbk", "gbk_chinese_ci"),
        ("cp1251", "cp1251_general_ci"),
        ("ucs2", "ucs2_general_ci"),
        ("utf16", "utf16_general_ci"),
        ("utf32", "utf32_general_ci"),
        ("koi8r", "koi8r_general_ci"),
        ("ascii", "ascii_general_ci"),
        ("big5", "big5_chinese_ci"),
    ]);
    SourceTraits {
        flavor,
        default_collations,
    }
}

/// What the destinations of the tests say about themselves, as far as the corpus needs it.
pub(crate) fn destination_traits(name: &str) -> DestinationTraits {
    let set = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect::<BTreeSet<_>>();
    let all = source_traits("", Flavor::MySql).default_collations;
    let mut collations: BTreeSet<String> = all.values().cloned().collect();
    collations.extend(set(&[
        "utf8mb4_general_ci",
        "utf8mb4_bin",
        "utf8mb4_unicode_ci",
        "utf8mb4_unicode_520_ci",
        "utf8mb3_bin",
        "latin1_bin",
        "latin1_general_cs",
        "big5_bin",
    ]));
    match name {
        "seekdb" => DestinationTraits::new(
            Flavor::OceanBase,
            pairs(&[("utf8mb4", "utf8mb4_general_ci"), ("binary", "binary")]),
            set(&["utf8mb4_general_ci", "utf8mb4_bin", "binary"]),
        ),
        "mysql-9.7" => {
            let mut charsets = all;
            charsets.insert("utf8mb4".into(), "utf8mb4_0900_ai_ci".into());
            collations.extend(set(&[
                "utf8mb4_0900_ai_ci",
                "utf8mb4_0900_as_cs",
                "utf8mb4_0900_as_ci",
                "utf8mb4_0900_bin",
                "utf8mb4_ja_0900_as_cs",
            ]));
            DestinationTraits::new(Flavor::MySql, charsets, collations)
        }
        "mariadb-10.11" => {
            collations.extend(set(&[
                "utf8mb4_uca1400_ai_ci",
                "utf8mb4_uca1400_as_ci",
                "utf8mb4_uca1400_as_cs",
                "utf8mb4_uca1400_nopad_ai_ci",
                "utf8mb4_uca1400_nopad_as_cs",
                "utf8mb4_nopad_bin",
            ]));
            DestinationTraits::new(Flavor::MariaDb, all, collations)
        }
        other => panic!("no destination {other}"),
    }
}

/// The corpus of a source, planned for a destination.
pub(crate) fn plan_corpus(source: &str, destination: &str, options: &ConvertOptions) -> MigrationPlan {
    let flavor = SOURCES.iter().find(|(name, _)| *name == source).unwrap().1;
    let mut objects: Vec<_> = definitions(source).values().map(|text| object(text)).collect();
    let far = "CREATE TABLE `far` (\n  `x` int NOT NULL,\n  PRIMARY KEY (`x`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1";
    let mut far = object(far);
    far.name.database = "corpus_other".into();
    objects.push(far);
    for (database, charset) in [("corpus", "utf8mb4"), ("corpus_other", "latin1")] {
        let text = format!("CREATE DATABASE `{database}` /*!40100 DEFAULT CHARACTER SET {charset} */");
        let name = ObjectName {
            kind: ObjectKind::Database,
            database: database.into(),
            table: String::new(),
            part: String::new(),
        };
        objects.push(SourceObject {
            name,
            definition: Ok(text),
        });
    }
    plan(PlanRequest {
        objects,
        source: &source_traits(source, flavor),
        destination: &destination_traits(destination),
        options,
        existing_tables: &BTreeMap::new(),
        existing_objects: &BTreeSet::new(),
    })
}
