//! A schema with every supported type, at its limits, and every shape of key and object, per kind of source.

mod shapes;
mod type_table;
mod types;

use crate::server::ServerKind;

/// Statements for one kind of source. Run each list in order on one connection; each begins with the session settings it
/// needs (`sql_mode=''`, so that zero and partial dates are stored; UTC; utf8mb4).
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Database of all objects; created by `create`.
    pub database: String,
    /// Makes database, tables and views.
    pub create: Vec<String>,
    /// Fills the tables.
    pub seed: Vec<String>,
    /// Changes rows: updates of every column, deletes, inserts, changed keys, transactions. To be run once, after `seed`,
    /// while changes are being followed.
    pub mutate: Vec<String>,
    /// Every table, also the empty ones.
    pub tables: Vec<String>,
    /// Every view.
    pub views: Vec<String>,
    /// Values of 64 MB, for [`Corpus::large_table`]. Not part of `seed`, because MySQL 5.6 takes them only with
    /// `innodb_log_file_size=700M`.
    pub large: Vec<String>,
}

impl Corpus {
    /// The table of `large`; made by `create`, empty after `seed` and `mutate`.
    pub const fn large_table() -> &'static str {
        "large_values"
    }

    /// Names that a project between two kinds of servers has to leave out.
    ///
    /// MariaDB and MySQL before 9.6 run the rules of foreign keys in the engine and log nothing of their effects, so
    /// that a child whose rows change by CASCADE or SET NULL cannot be followed: the precheck refuses it. A view over
    /// it goes with it.
    ///
    /// seekdb knows no spatial reference system but 0 and refuses shapes that lie in another (error 1416).
    pub fn excluded(source: ServerKind, destination: ServerKind) -> Vec<&'static str> {
        let mut names = match source {
            ServerKind::MariaDb | ServerKind::Mysql56 => vec!["fk_child", "view_joined"],
            ServerKind::Mysql97 | ServerKind::SeekDb => Vec::new(),
        };
        if destination == ServerKind::SeekDb {
            names.push("types_srid");
        }
        names
    }

    /// The corpus in a database named `database`, in the dialect of a source kind.
    ///
    /// seekdb, which is no source of a binlog, gets one too, without the character sets and dates that it refuses.
    pub fn new(kind: ServerKind, database: &str) -> Self {
        let session = [
            "SET NAMES utf8mb4",
            "SET SESSION sql_mode = ''",
            "SET SESSION time_zone = '+00:00'",
        ];
        let mut begin: Vec<String> = session.iter().map(|s| (*s).to_owned()).collect();
        let mut corpus = Self {
            database: database.to_owned(),
            create: begin.clone(),
            seed: Vec::new(),
            mutate: Vec::new(),
            tables: Vec::new(),
            views: Vec::new(),
            large: Vec::new(),
        };
        corpus.create.push(format!(
            "CREATE DATABASE `{database}` DEFAULT CHARACTER SET utf8mb4"
        ));
        begin.push(format!("USE `{database}`"));
        corpus.create.push(format!("USE `{database}`"));
        corpus.seed.clone_from(&begin);
        corpus.mutate.clone_from(&begin);
        corpus.large.clone_from(&begin);
        for table in types::tables(kind) {
            corpus.create.push(table.create());
            corpus.seed.extend(table.seed());
            corpus.mutate.extend(table.mutate());
            corpus.tables.push(table.name.to_owned());
        }
        shapes::add(kind, &mut corpus);
        corpus.create.push(format!(
            "CREATE TABLE {} (id INT NOT NULL PRIMARY KEY, b LONGBLOB, t LONGTEXT)",
            Self::large_table()
        ));
        corpus.tables.push(Self::large_table().to_owned());
        corpus.large.push(format!(
            "INSERT INTO {} VALUES (1, REPEAT(x'00ff5c27', 16777216), NULL), (2, NULL, REPEAT('ab数', 13421772))",
            Self::large_table()
        ));
        corpus
    }
}

/// A name in backticks, its own backticks doubled.
fn quoted(name: &str) -> String {
    crate::checksum::identifier(name)
}
