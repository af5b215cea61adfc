//! Indexes.

use serde::{Deserialize, Serialize};

/// An index as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Its kind.
    pub kind: IndexKind,
    /// Its name; empty for the primary key.
    pub name: String,
    /// What is indexed, in order.
    pub parts: Vec<IndexPart>,
    /// USING, if written.
    pub algorithm: Option<IndexAlgorithm>,
    /// KEY_BLOCK_SIZE, if written.
    pub key_block_size: Option<u64>,
    /// WITH PARSER, if written.
    pub parser: Option<String>,
    /// COMMENT; empty when there is none.
    pub comment: String,
    /// INVISIBLE, which MariaDB calls IGNORED.
    pub invisible: bool,
}

impl IndexDefinition {
    /// Names of the columns it covers wholly; `None` if a part is a prefix or an expression.
    pub fn whole_columns(&self) -> Option<Vec<&str>> {
        self.parts
            .iter()
            .map(|part| match (&part.key, part.prefix) {
                (IndexPartKey::Column(name), None) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Whether it is the primary key or a unique key.
    pub fn is_unique(&self) -> bool {
        matches!(self.kind, IndexKind::Primary | IndexKind::Unique)
    }
}

/// Kinds of indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE KEY.
    Unique,
    /// KEY.
    Plain,
    /// FULLTEXT KEY.
    FullText,
    /// SPATIAL KEY.
    Spatial,
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// What is indexed.
    pub key: IndexPartKey,
    /// How many characters or bytes of it, if not all.
    pub prefix: Option<u32>,
    /// DESC.
    pub descending: bool,
    /// WITHOUT OVERLAPS, of a period (MariaDB).
    pub without_overlaps: bool,
}

impl IndexPart {
    /// A whole column, ascending.
    pub fn column(name: impl Into<String>) -> Self {
        Self {
            key: IndexPartKey::Column(name.into()),
            prefix: None,
            descending: false,
            without_overlaps: false,
        }
    }
}

/// What a part of an index is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexPartKey {
    /// A column.
    Column(String),
    /// An expression, without the parentheses around it.
    Expression(String),
}

/// USING.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexAlgorithm {
    /// BTREE.
    BTree,
    /// HASH.
    Hash,
    /// RTREE.
    RTree,
}

impl IndexAlgorithm {
    /// The word of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::BTree => "BTREE",
            Self::Hash => "HASH",
            Self::RTree => "RTREE",
        }
    }
}
