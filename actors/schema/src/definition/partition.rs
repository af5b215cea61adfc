//! Partitions.

use serde::{Deserialize, Serialize};

/// PARTITION BY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partitioning {
    /// How rows are spread.
    pub method: PartitionMethod,
    /// LINEAR, of HASH and KEY.
    pub linear: bool,
    /// ALGORITHM, of KEY.
    pub algorithm: Option<u8>,
    /// PARTITIONS, if written.
    pub count: Option<u32>,
    /// SUBPARTITION BY.
    pub sub: Option<SubPartitioning>,
    /// The partitions, if they are listed.
    pub definitions: Vec<PartitionDefinition>,
}

/// How rows are spread over partitions. Expressions are without the parentheses around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionMethod {
    /// RANGE (expression).
    Range(String),
    /// RANGE COLUMNS (columns).
    RangeColumns(Vec<String>),
    /// LIST (expression).
    List(String),
    /// LIST COLUMNS (columns).
    ListColumns(Vec<String>),
    /// HASH (expression).
    Hash(String),
    /// KEY (columns); none means the primary key.
    Key(Vec<String>),
    /// SYSTEM_TIME with its interval or limit (MariaDB).
    SystemTime(String),
}

/// SUBPARTITION BY; its method is HASH or KEY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubPartitioning {
    /// How rows are spread.
    pub method: PartitionMethod,
    /// LINEAR.
    pub linear: bool,
    /// ALGORITHM, of KEY.
    pub algorithm: Option<u8>,
    /// SUBPARTITIONS, if written.
    pub count: Option<u32>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionDefinition {
    /// Its name.
    pub name: String,
    /// Which rows it holds.
    pub values: PartitionValues,
    /// Its options as (name, value), the value a number, a word or a text; ENGINE among them.
    pub options: Vec<(String, String)>,
    /// Its subpartitions, if they are listed.
    pub subpartitions: Vec<SubpartitionDefinition>,
}

/// One subpartition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubpartitionDefinition {
    /// Its name.
    pub name: String,
    /// Its options, as of a partition.
    pub options: Vec<(String, String)>,
}

/// Which rows a partition holds. Items are source text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionValues {
    /// Not said (HASH, KEY).
    None,
    /// VALUES LESS THAN (…).
    LessThan(Vec<String>),
    /// VALUES IN (…).
    In(Vec<String>),
    /// DEFAULT (MariaDB's list partition of everything else).
    Default,
    /// HISTORY (MariaDB).
    History,
    /// CURRENT (MariaDB).
    Current,
}
