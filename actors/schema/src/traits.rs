//! What is known of the two servers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A family of servers, by the dialect they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavor {
    /// OceanBase in MySQL mode.
    OceanBase,
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// What a definition of the source leaves unsaid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTraits {
    /// Its family.
    pub flavor: Flavor,
    /// The collation that a character set has when none is written
    /// (`information_schema.CHARACTER_SETS.DEFAULT_COLLATE_NAME`).
    pub default_collations: BTreeMap<String, String>,
}

impl SourceTraits {
    /// The default collation of a character set; `<charset>_general_ci` if it is not known.
    pub fn default_collation(&self, charset: &str) -> String {
        let found = self.default_collations.get(charset);
        let alias = match charset {
            "utf8" => self.default_collations.get("utf8mb3"),
            "utf8mb3" => self.default_collations.get("utf8"),
            _ => None,
        };
        found
            .or(alias)
            .cloned()
            .unwrap_or_else(|| format!("{charset}_general_ci"))
    }
}

/// What the destination accepts. Probed when the project starts, never derived from a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationTraits {
    /// Its family.
    pub flavor: Flavor,
    /// Its character sets and the default collation of each
    /// (`information_schema.CHARACTER_SETS`).
    pub default_collations: BTreeMap<String, String>,
    /// Its collations by full name: `information_schema.COLLATIONS.COLLATION_NAME`, on MariaDB
    /// `COLLATION_CHARACTER_SET_APPLICABILITY.FULL_COLLATION_NAME`.
    pub collations: BTreeSet<String>,
    /// Whether it creates names in lower case (`lower_case_table_names` is 1).
    pub lower_case_names: bool,
    /// Constructs it knows.
    pub supports: Supports,
}

impl DestinationTraits {
    /// What servers of a family support, with the character sets that were probed.
    pub fn new(
        flavor: Flavor,
        default_collations: BTreeMap<String, String>,
        collations: BTreeSet<String>,
    ) -> Self {
        Self {
            flavor,
            default_collations,
            collations,
            lower_case_names: false,
            supports: Supports::of(flavor),
        }
    }

    pub(crate) fn has_charset(&self, charset: &str) -> bool {
        self.default_collations.contains_key(charset)
    }

    pub(crate) fn default_collation(&self, charset: &str) -> Option<&str> {
        self.default_collations.get(charset).map(String::as_str)
    }

    /// Statements for the session that executes converted statements: it must be strict, so that
    /// nothing is cut short silently, and yet accept the zero dates of the source.
    pub fn session_statements(&self) -> Vec<&'static str> {
        let mut list = vec!["SET NAMES utf8mb4"];
        match self.flavor {
            Flavor::OceanBase => list.push("SET SESSION sql_mode = 'STRICT_ALL_TABLES'"),
            Flavor::MySql => list.extend([
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
                "SET SESSION restrict_fk_on_non_standard_key = OFF",
                "SET SESSION sql_generate_invisible_primary_key = OFF",
                "SET SESSION sql_require_primary_key = OFF",
            ]),
            Flavor::MariaDb => list.extend([
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
                "SET SESSION explicit_defaults_for_timestamp = ON",
            ]),
        }
        list
    }
}

/// Constructs of a definition that not every server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supports {
    /// A literal default on TEXT, BLOB, JSON and geometry columns.
    pub literal_default_on_large: bool,
    /// An expression default on them.
    pub expression_default_on_large: bool,
    /// Functions that an expression default may not call, lower case.
    pub functions_refused_in_defaults: BTreeSet<String>,
    /// JSON as a type of its own.
    pub json: bool,
    /// UUID, INET4 and INET6.
    pub uuid_and_inet: bool,
    /// A prefix length in the primary key.
    pub primary_key_prefix: bool,
    /// A generated column in the primary key.
    pub generated_primary_key: bool,
    /// A generated column whose expression refers to a generated column.
    pub generated_from_generated: bool,
    /// NOT NULL on a generated column.
    pub generated_not_null: bool,
    /// Descending parts of an index that are really kept descending.
    pub descending_keys: bool,
    /// Indexes over expressions.
    pub functional_indexes: bool,
    /// Indexes over the elements of JSON arrays.
    pub multivalued_indexes: bool,
    /// Adding such an index to a table that is there already.
    pub multivalued_indexes_later: bool,
    /// UNIQUE over whole TEXT and BLOB columns.
    pub unique_over_large: bool,
    /// Parsers of FULLTEXT indexes by name.
    pub fulltext_parsers: BTreeSet<String>,
    /// The SRID attribute with a spatial reference system other than 0.
    pub srid: bool,
    /// CHECK … NOT ENFORCED.
    pub unenforced_checks: bool,
    /// Names of checks are unique in the table only, not in the database.
    pub check_names_per_table: bool,
    /// An invisible column that is NOT NULL and has no default.
    pub invisible_not_null: bool,
    /// LINEAR HASH and LINEAR KEY, KEY ALGORITHM=, and options of partitions.
    pub partition_extras: bool,
    /// A list partition of everything else.
    pub default_list_partition: bool,
    /// ON DELETE/UPDATE SET DEFAULT.
    pub foreign_key_set_default: bool,
    /// Foreign keys between character columns of different lengths.
    pub foreign_key_lengths_differ: bool,
    /// SQL SECURITY and ALGORITHM of views.
    pub view_attributes: bool,
    /// Comments of databases.
    pub database_comments: bool,
    /// System versioning and periods.
    pub periods: bool,
}

impl Supports {
    /// What the servers of a family do: OceanBase kernel 4.3.5, MySQL 8.0.16 and later, MariaDB
    /// 10.8 and later.
    pub fn of(flavor: Flavor) -> Self {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let (oceanbase, mysql, mariadb) = (
            flavor == Flavor::OceanBase,
            flavor == Flavor::MySql,
            flavor == Flavor::MariaDb,
        );
        Self {
            literal_default_on_large: mariadb,
            expression_default_on_large: !oceanbase,
            functions_refused_in_defaults: match flavor {
                Flavor::MySql => set(&[
                    "user",
                    "current_user",
                    "session_user",
                    "system_user",
                    "connection_id",
                ]),
                _ => BTreeSet::new(),
            },
            json: !mariadb,
            uuid_and_inet: mariadb,
            primary_key_prefix: !oceanbase,
            generated_primary_key: mysql,
            generated_from_generated: !oceanbase,
            generated_not_null: !mariadb,
            descending_keys: !oceanbase,
            functional_indexes: !mariadb,
            multivalued_indexes: !mariadb,
            multivalued_indexes_later: mysql,
            unique_over_large: mariadb,
            fulltext_parsers: match flavor {
                Flavor::OceanBase => set(&["space", "ngram", "beng", "ik"]),
                Flavor::MySql => set(&["ngram"]),
                Flavor::MariaDb => BTreeSet::new(),
            },
            srid: mysql,
            unenforced_checks: !mariadb,
            check_names_per_table: mariadb,
            invisible_not_null: !mariadb,
            partition_extras: !oceanbase,
            default_list_partition: !mysql,
            foreign_key_set_default: false,
            foreign_key_lengths_differ: !oceanbase,
            view_attributes: !oceanbase,
            database_comments: mariadb,
            periods: mariadb,
        }
    }
}
