//! What a project chooses about its messages.

use serde::{Deserialize, Serialize};

use crate::CodecError;

/// A message format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Format {
    /// OMS's own: both images, metadata beside them.
    Default,
    /// Default with the columns' types.
    DefaultWithSchema,
    /// Canal's flat message, in OMS's variant.
    Canal,
    /// DataWorks 2.0.
    DataworksV2,
    /// SharePlex.
    Shareplex,
    /// Debezium's envelope, in OMS's variant.
    Debezium,
    /// Debezium's envelope without `payload` around it.
    #[serde(rename = "DEBEZIUMFLATTEN")]
    DebeziumFlatten,
    /// The row alone, with a mark on deleted ones.
    #[serde(rename = "DEBEZIUMSMT")]
    DebeziumSmt,
    /// Maxwell, in OMS's variant. Kafka only.
    Maxwell,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Default,
        Self::DefaultWithSchema,
        Self::Canal,
        Self::DataworksV2,
        Self::Shareplex,
        Self::Debezium,
        Self::DebeziumFlatten,
        Self::DebeziumSmt,
        Self::Maxwell,
    ];

    /// Its name, as OMS's API has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::DefaultWithSchema => "DEFAULT_WITH_SCHEMA",
            Self::Canal => "CANAL",
            Self::DataworksV2 => "DATAWORKS_V2",
            Self::Shareplex => "SHAREPLEX",
            Self::Debezium => "DEBEZIUM",
            Self::DebeziumFlatten => "DEBEZIUMFLATTEN",
            Self::DebeziumSmt => "DEBEZIUMSMT",
            Self::Maxwell => "MAXWELL",
        }
    }

    /// The format of this name; case does not matter.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// Whether RocketMQ takes it, too.
    pub fn on_rocketmq(self) -> bool {
        self != Self::Maxwell
    }

    /// Whether it is one of the Debezium family, which has no DDL.
    pub(crate) fn is_debezium(self) -> bool {
        matches!(self, Self::Debezium | Self::DebeziumFlatten | Self::DebeziumSmt)
    }
}

/// The kind of source that messages name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DbType {
    /// MySQL or MariaDB.
    Mysql,
    /// OceanBase, in its MySQL mode.
    ObMysql,
}

impl DbType {
    pub(crate) fn upper(self) -> &'static str {
        match self {
            Self::Mysql => "MYSQL",
            Self::ObMysql => "OB_MYSQL",
        }
    }

    pub(crate) fn lower(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::ObMysql => "ob_mysql",
        }
    }
}

/// Whether Debezium messages carry a `schema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaBlock {
    /// None.
    #[default]
    None,
    /// As OMS writes it: nothing optional, whatever the columns are.
    Oms,
    /// As Kafka Connect's `JsonConverter` reads it: types and optionality are those of the values.
    Connect,
}

/// What is written for a column that the log does not carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unchanged {
    /// `null`, as OMS does. [`crate::Encoder::unchanged`] names the columns for a header.
    #[default]
    Null,
    /// The column is left out.
    Omit,
}

/// What a project chooses about its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The format.
    pub format: Format,
    /// The source.
    pub db_type: DbType,
    /// OceanBase's tenant, which Default puts in front of the database.
    pub tenant: Option<String>,
    /// SharePlex: the zone in which times are written, in seconds east of UTC.
    pub zone_seconds: i32,
    /// SharePlex: whether changes are numbered in their transaction.
    pub number_in_transaction: bool,
    /// DataWorks: name of the business system, 1 to 20 characters.
    pub business: Option<String>,
    /// DataWorks: whether changes of rows carry their sequence as `scn`; OMS's do not.
    pub dataworks_sequence: bool,
    /// Debezium: whether there is a schema.
    pub schema: SchemaBlock,
    /// Maxwell: whether changes carry a `uuid`; heartbeats always do.
    pub message_ids: bool,
    /// Maxwell: the label of a grey release.
    pub mesh: Option<String>,
    /// What is written for a column that the log does not carry.
    pub unchanged: Unchanged,
}

impl Settings {
    /// A format, everything else as OMS has it.
    pub fn new(format: Format, db_type: DbType) -> Self {
        Self {
            format,
            db_type,
            tenant: None,
            zone_seconds: 8 * 3_600,
            number_in_transaction: false,
            business: None,
            dataworks_sequence: false,
            schema: SchemaBlock::None,
            message_ids: false,
            mesh: None,
            unchanged: Unchanged::Null,
        }
    }

    /// Whether messages can be written with them.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn check(&self) -> Result<(), CodecError> {
        let wrong = |text: &str| Err(CodecError::Setting(text.to_owned()));
        if self.zone_seconds.abs() > 18 * 3_600 {
            return wrong("the zone is more than 18 hours from UTC");
        }
        if let Some(name) = &self.business
            && !(1..=20).contains(&name.chars().count())
        {
            return wrong("the name of the business system has 1 to 20 characters");
        }
        if self
            .tenant
            .as_ref()
            .is_some_and(|t| t.is_empty() || t.contains('.'))
        {
            return wrong("a tenant's name is not empty and has no dot");
        }
        if self.schema != SchemaBlock::None && self.format != Format::Debezium {
            return wrong("only the format DEBEZIUM can carry a schema");
        }
        Ok(())
    }
}
