//! Statements that a destination has to follow: one for each cell of what is promised of DDL, and of tables.

mod tables;

use std::collections::{BTreeMap, BTreeSet};

use oms_core::TableName;
use oms_schema::{
    ConvertOptions, ConvertedDdl, DatabaseDefinition, DdlRequest, DdlSelection, DdlStatement,
    DestinationTraits, Flavor, Renames, SchemaTracker, SourceTraits, StatementContext, TrackerRules,
    convert_ddl,
};

/// Tables of the source in front of each cell.
pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(20), c int NOT NULL DEFAULT 1, d datetime, e text, KEY ka (a), UNIQUE KEY ub (b), CONSTRAINT ckc CHECK (c < 1000)) COMMENT 'first'",
    "CREATE TABLE p (x int PRIMARY KEY, y int)",
    "CREATE TABLE child (id int PRIMARY KEY, x int, z int, KEY kx (x), CONSTRAINT fk1 FOREIGN KEY (x) REFERENCES p (x))",
    "CREATE TABLE k (a int NOT NULL, b int NOT NULL, c int)",
    "CREATE TABLE r (a int NOT NULL, b int) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
    "CREATE TABLE l (a int NOT NULL, b int) PARTITION BY LIST (a) (PARTITION p0 VALUES IN (1,2), PARTITION p1 VALUES IN (3))",
    "CREATE TABLE h (a int NOT NULL, b int) PARTITION BY HASH (a) PARTITIONS 4",
    "CREATE TABLE `odd.名` (`编 号` int PRIMARY KEY, v varchar(9))",
    "CREATE TABLE _g_gho (id int PRIMARY KEY)",
    "CREATE TABLE outside.o (id int PRIMARY KEY)",
];

/// (section, statements of which the last one is looked at). Sections are those of the specification of DDL.
pub(crate) const CELLS: &[(&str, &[&str])] = &[
    (
        "create table",
        &[
            "CREATE TABLE n (id int AUTO_INCREMENT PRIMARY KEY, v varchar(20) DEFAULT 'x', KEY kv (v(5))) COMMENT 'c'",
        ],
    ),
    ("create table", &["CREATE TABLE IF NOT EXISTS t (x int)"]),
    ("create table", &["CREATE TEMPORARY TABLE n (id int)"]),
    ("create table", &["CREATE TABLE n LIKE t"]),
    ("create table", &["CREATE TABLE n AS SELECT 1 AS a"]),
    (
        "create table",
        &["CREATE TABLE n (`a` int DEFAULT NULL) START TRANSACTION"],
    ),
    (
        "create table",
        &[
            "CREATE TABLE n (id int PRIMARY KEY) ENGINE=InnoDB AUTO_INCREMENT=9 ROW_FORMAT=DYNAMIC STATS_PERSISTENT=1 COLLATE=utf8mb4_bin",
        ],
    ),
    (
        "create table",
        &["CREATE TABLE n (id int PRIMARY KEY) ENGINE=MyISAM"],
    ),
    ("create table", &["CREATE TABLE outside.n (id int PRIMARY KEY)"]),
    (
        "create table: columns",
        &[
            "CREATE TABLE n (a int PRIMARY KEY, b int AS (a + 1) VIRTUAL, c int AS (a * 2) STORED, d int INVISIBLE DEFAULT 1, e int UNIQUE, f int CHECK (f > 0), g varchar(5) DEFAULT (concat('a','b')))",
        ],
    ),
    (
        "create table: columns",
        &["CREATE TABLE n (a SERIAL, b json, c geometry, d vector(3))"],
    ),
    (
        "create table: columns",
        &[
            "CREATE TABLE n (a SERIAL, b json, c bit(3) DEFAULT b'1', d year, e timestamp(3) NULL, f set('x','y'), g binary(3))",
        ],
    ),
    (
        "create table: columns",
        &["CREATE TABLE n (a int PRIMARY KEY, b int REFERENCES p (x))"],
    ),
    (
        "create table: partitions",
        &[
            "CREATE TABLE n (a int, b int) PARTITION BY RANGE COLUMNS (a) SUBPARTITION BY HASH (b) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (5) COMMENT = 'x', PARTITION p1 VALUES LESS THAN (MAXVALUE))",
        ],
    ),
    (
        "create table: partitions",
        &["CREATE TABLE n (a int, b int) PARTITION BY LINEAR KEY ALGORITHM=2 (a) PARTITIONS 2"],
    ),
    (
        "create table: keys",
        &[
            "CREATE TABLE n (a int, b text, c varchar(9), PRIMARY KEY (a DESC), KEY kb (b(10)) USING HASH COMMENT 'x', UNIQUE KEY uc (c) INVISIBLE, FULLTEXT KEY ft (b))",
        ],
    ),
    (
        "create table: keys",
        &["CREATE TABLE n (a int PRIMARY KEY, g point NOT NULL, SPATIAL KEY sg (g))"],
    ),
    (
        "create table: keys",
        &["CREATE TABLE n (a int PRIMARY KEY, KEY kf ((a + 1)))"],
    ),
    (
        "create table: keys",
        &[
            "CREATE TABLE n (a int PRIMARY KEY, x int, CONSTRAINT fkn FOREIGN KEY (x) REFERENCES p (x) ON DELETE CASCADE ON UPDATE SET NULL, CONSTRAINT ckn CHECK (a > 0))",
        ],
    ),
    (
        "create table: keys",
        &["CREATE TABLE n (a int PRIMARY KEY, x int, FOREIGN KEY (x) REFERENCES outside.o (id))"],
    ),
    ("drop table", &["DROP TABLE t"]),
    ("drop table", &["DROP TABLE IF EXISTS t, outside.o, k"]),
    ("drop table", &["DROP TABLE outside.o"]),
    ("drop table", &["DROP TEMPORARY TABLE IF EXISTS x"]),
    ("truncate table", &["TRUNCATE TABLE t"]),
    ("truncate table", &["TRUNCATE TABLE outside.o"]),
    ("rename table", &["RENAME TABLE t TO t2"]),
    ("rename table", &["RENAME TABLE t TO t_x, k TO t, t_x TO k"]),
    ("rename table", &["RENAME TABLE child TO child2"]),
    ("rename table", &["RENAME TABLE t TO outside.t"]),
    ("rename table", &["RENAME TABLE outside.o TO o"]),
    ("rename table", &["RENAME TABLE outside.o TO outside.o2"]),
    ("rename table", &["ALTER TABLE t RENAME TO t2"]),
    ("rename table", &["ALTER TABLE t RENAME TO t2, ADD n int"]),
    ("add column", &["ALTER TABLE t ADD COLUMN n int"]),
    (
        "add column",
        &["ALTER TABLE t ADD n varchar(10) NOT NULL DEFAULT 'x' COMMENT 'it''s' FIRST, ADD m int AFTER a"],
    ),
    ("add column", &["ALTER TABLE t ADD (n int, m text)"]),
    ("add column", &["ALTER TABLE t ADD n int NOT NULL"]),
    (
        "add column",
        &["ALTER TABLE t ADD n int AS (a + 1) STORED, ADD m int AS (a + 2)"],
    ),
    (
        "add column",
        &["ALTER TABLE t ADD n datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"],
    ),
    (
        "add column",
        &["ALTER TABLE t ADD n varchar(40) DEFAULT (uuid())"],
    ),
    (
        "add column",
        &["ALTER TABLE k ADD n int AUTO_INCREMENT PRIMARY KEY"],
    ),
    ("add column", &["ALTER TABLE t ADD n int UNIQUE"]),
    ("add column", &["ALTER TABLE t ADD n int INVISIBLE"]),
    ("add column", &["ALTER TABLE t ADD n int CHECK (n > 0)"]),
    ("add column", &["ALTER TABLE t ADD n int REFERENCES p (x)"]),
    (
        "add column",
        &["ALTER TABLE t ADD n varchar(9) CHARACTER SET latin1"],
    ),
    ("add column", &["ALTER TABLE outside.o ADD n int"]),
    (
        "add column",
        &["ALTER TABLE `odd.名` ADD `新 列` int AFTER `编 号`"],
    ),
    ("drop column", &["ALTER TABLE t DROP COLUMN d"]),
    ("drop column", &["ALTER TABLE t DROP d, DROP e"]),
    ("drop column", &["ALTER TABLE t DROP a"]),
    ("drop column", &["ALTER TABLE t DROP b, DROP c"]),
    ("drop column", &["ALTER TABLE t DROP d, ADD d int"]),
    ("modify column", &["ALTER TABLE t MODIFY b varchar(50)"]),
    ("modify column", &["ALTER TABLE t MODIFY d datetime(3)"]),
    (
        "modify column",
        &["ALTER TABLE t MODIFY a bigint NOT NULL COMMENT 'x'"],
    ),
    ("modify column", &["ALTER TABLE t MODIFY id bigint"]),
    ("modify column", &["ALTER TABLE t MODIFY c int NULL"]),
    ("modify column", &["ALTER TABLE t MODIFY c bigint FIRST"]),
    ("modify column", &["ALTER TABLE t MODIFY e mediumtext AFTER id"]),
    (
        "modify column",
        &["ALTER TABLE t MODIFY b varchar(20) COLLATE utf8mb4_bin"],
    ),
    (
        "modify column",
        &["ALTER TABLE k MODIFY c varchar(30), MODIFY b bigint NOT NULL"],
    ),
    ("modify column", &["ALTER TABLE t MODIFY b varchar(5)"]),
    ("modify column", &["ALTER TABLE t MODIFY id int AUTO_INCREMENT"]),
    ("change column", &["ALTER TABLE t CHANGE d dd datetime"]),
    ("change column", &["ALTER TABLE t CHANGE a aa bigint AFTER b"]),
    ("change column", &["ALTER TABLE k CHANGE a b int, CHANGE b a int"]),
    ("rename column", &["ALTER TABLE t RENAME COLUMN a TO aa"]),
    (
        "rename column",
        &["ALTER TABLE t RENAME COLUMN a TO aa, RENAME COLUMN d TO dd, ADD n int AFTER aa"],
    ),
    (
        "rename column",
        &["ALTER TABLE t RENAME COLUMN a TO aa, ADD a int"],
    ),
    ("defaults", &["ALTER TABLE t ALTER c SET DEFAULT 7"]),
    ("defaults", &["ALTER TABLE t ALTER c DROP DEFAULT"]),
    ("defaults", &["ALTER TABLE t ALTER COLUMN a SET INVISIBLE"]),
    (
        "add index",
        &["ALTER TABLE t ADD INDEX kc (c), ADD UNIQUE INDEX ud (d)"],
    ),
    ("add index", &["ALTER TABLE t ADD INDEX (b(5), c DESC)"]),
    ("add index", &["ALTER TABLE t ADD FULLTEXT INDEX ft (e)"]),
    ("add index", &["ALTER TABLE t ADD INDEX kf ((c + 1))"]),
    ("add index", &["CREATE INDEX kc ON t (c DESC) COMMENT 'x'"]),
    (
        "add index",
        &["CREATE UNIQUE INDEX kc ON t (c) USING HASH ALGORITHM=INPLACE LOCK=NONE"],
    ),
    ("add index", &["CREATE FULLTEXT INDEX ft ON t (e)"]),
    ("add index", &["CREATE INDEX x ON outside.o (id)"]),
    ("drop index", &["DROP INDEX ka ON t"]),
    ("drop index", &["ALTER TABLE t DROP INDEX ka, DROP KEY ub"]),
    ("drop index", &["ALTER TABLE t DROP INDEX ka, ADD INDEX ka (c)"]),
    ("change index", &["ALTER TABLE t RENAME INDEX ka TO kz"]),
    ("change index", &["ALTER TABLE t ALTER INDEX ka INVISIBLE"]),
    ("primary key", &["ALTER TABLE t DROP PRIMARY KEY"]),
    ("primary key", &["ALTER TABLE k ADD PRIMARY KEY (a)"]),
    (
        "primary key",
        &["ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, c)"],
    ),
    (
        "primary key",
        &["ALTER TABLE t DROP id, ADD n int NOT NULL FIRST, ADD PRIMARY KEY (c)"],
    ),
    (
        "foreign key",
        &["ALTER TABLE child ADD CONSTRAINT fk2 FOREIGN KEY (z) REFERENCES p (x) ON DELETE CASCADE"],
    ),
    (
        "foreign key",
        &["ALTER TABLE child ADD FOREIGN KEY (z) REFERENCES p (x) ON DELETE SET NULL"],
    ),
    ("foreign key", &["ALTER TABLE child DROP FOREIGN KEY fk1"]),
    (
        "foreign key",
        &["ALTER TABLE child DROP FOREIGN KEY fk1, DROP INDEX kx"],
    ),
    (
        "foreign key",
        &["ALTER TABLE child ADD FOREIGN KEY (z) REFERENCES outside.o (id)"],
    ),
    ("check", &["ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0)"]),
    ("check", &["ALTER TABLE t DROP CHECK ckc"]),
    (
        "check",
        &["ALTER TABLE t DROP CONSTRAINT ckc, ADD CONSTRAINT ckc CHECK (c > 5)"],
    ),
    ("check", &["ALTER TABLE t ALTER CHECK ckc NOT ENFORCED"]),
    ("table options", &["ALTER TABLE t COMMENT 'it''s new'"]),
    ("table options", &["ALTER TABLE t AUTO_INCREMENT = 500"]),
    (
        "table options",
        &["ALTER TABLE t DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
    ),
    (
        "table options",
        &["ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
    ),
    ("table options", &["ALTER TABLE t ENGINE=InnoDB"]),
    ("table options", &["ALTER TABLE t ENGINE=MyISAM"]),
    (
        "table options",
        &["ALTER TABLE t ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8"],
    ),
    (
        "table options",
        &["ALTER TABLE t FORCE, ALGORITHM=COPY, LOCK=SHARED"],
    ),
    ("table options", &["ALTER TABLE t ADD n int, ALGORITHM=INSTANT"]),
    ("table options", &["ALTER TABLE t ORDER BY a"]),
    ("table options", &["ALTER TABLE t DISABLE KEYS"]),
    ("table options", &["ALTER TABLE t DISCARD TABLESPACE"]),
    ("table options", &["ALTER TABLE t IMPORT TABLESPACE"]),
    (
        "partitions",
        &[
            "ALTER TABLE r ADD PARTITION (PARTITION p2 VALUES LESS THAN (30), PARTITION p3 VALUES LESS THAN MAXVALUE)",
        ],
    ),
    (
        "partitions",
        &["ALTER TABLE l ADD PARTITION (PARTITION p2 VALUES IN (7))"],
    ),
    ("partitions", &["ALTER TABLE h ADD PARTITION PARTITIONS 2"]),
    ("partitions", &["ALTER TABLE h COALESCE PARTITION 1"]),
    ("partitions", &["ALTER TABLE r DROP PARTITION p0"]),
    ("partitions", &["ALTER TABLE r TRUNCATE PARTITION p0"]),
    ("partitions", &["ALTER TABLE r TRUNCATE PARTITION ALL"]),
    ("partitions", &["ALTER TABLE h TRUNCATE PARTITION p1"]),
    (
        "partitions",
        &["ALTER TABLE r REORGANIZE PARTITION p0, p1 INTO (PARTITION n VALUES LESS THAN (20))"],
    ),
    (
        "partitions",
        &["ALTER TABLE r EXCHANGE PARTITION p0 WITH TABLE k"],
    ),
    ("partitions", &["ALTER TABLE r ANALYZE PARTITION p0"]),
    ("partitions", &["ALTER TABLE r REBUILD PARTITION ALL"]),
    ("partitions", &["ALTER TABLE r DISCARD PARTITION p0 TABLESPACE"]),
    ("partitions", &["ALTER TABLE r REMOVE PARTITIONING"]),
    (
        "partitions",
        &["ALTER TABLE k PARTITION BY HASH (a) PARTITIONS 3"],
    ),
    (
        "several clauses",
        &[
            "ALTER TABLE t ADD n int AFTER a, DROP d, MODIFY b varchar(30), CHANGE c cc int NOT NULL DEFAULT 1, DROP INDEX ka, ADD INDEX kn (n, a), DROP CHECK ckc, COMMENT 'all'",
        ],
    ),
    (
        "online change",
        &["CREATE TABLE _t_ghc (id bigint AUTO_INCREMENT PRIMARY KEY)"],
    ),
    (
        "online change",
        &["CREATE TABLE _t_gho LIKE t", "ALTER TABLE _t_gho ADD n int"],
    ),
    (
        "online change",
        &[
            "CREATE TABLE _t_gho LIKE t",
            "ALTER TABLE _t_gho ADD n int, DROP d",
            "ALTER TABLE _t_gho ADD INDEX kn (n)",
            "RENAME TABLE t TO _t_del, _t_gho TO t",
        ],
    ),
    (
        "online change",
        &[
            "CREATE TABLE __k_new (a int NOT NULL, b int NOT NULL, c int)",
            "ALTER TABLE __k_new MODIFY c bigint",
            "RENAME TABLE k TO _k_old, __k_new TO k",
        ],
    ),
    (
        "online change",
        &[
            "CREATE TABLE _t_gho LIKE t",
            "RENAME TABLE t TO _t_del, _t_gho TO t",
            "DROP TABLE _t_del",
        ],
    ),
    ("databases", &["CREATE DATABASE moved2 CHARACTER SET utf8mb4"]),
    ("databases", &["ALTER DATABASE d COLLATE utf8mb4_bin"]),
    ("databases", &["DROP DATABASE d"]),
    ("databases", &["DROP DATABASE outside"]),
    ("other objects", &["CREATE VIEW v AS SELECT 1"]),
    ("other objects", &["DROP VIEW IF EXISTS v"]),
    (
        "other objects",
        &["CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1"],
    ),
    ("other objects", &["CREATE USER u"]),
    ("other objects", &["ANALYZE TABLE t"]),
    ("other objects", &["INSERT INTO t (id) VALUES (1)"]),
    ("other objects", &["UPDATE t SET a = 1"]),
];

/// One cell: statements of a source, of which the last one is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) section: &'static str,
    pub(crate) source: Flavor,
    pub(crate) statements: Vec<&'static str>,
}

/// Tables that schema migration creates.
pub(crate) fn tables_of(source: Flavor) -> Vec<Cell> {
    let list = match source {
        Flavor::MariaDb => tables::MARIADB,
        _ => tables::MYSQL,
    };
    list.iter()
        .map(|(section, statement)| Cell {
            section,
            source,
            statements: vec![statement],
        })
        .collect()
}

/// Statements of the log.
pub(crate) fn statements() -> Vec<Cell> {
    CELLS
        .iter()
        .map(|(section, statements)| Cell {
            section,
            source: Flavor::MySql,
            statements: statements.to_vec(),
        })
        .collect()
}

/// All cells.
pub(crate) fn all() -> Vec<Cell> {
    [tables_of(Flavor::MySql), tables_of(Flavor::MariaDb), statements()].concat()
}

/// Everything in `d` is moved to `dest`, everything in `moved2` keeps its name, the rest is not.
pub(crate) struct Everything;

impl DdlSelection for Everything {
    fn destination(&self, table: &TableName) -> Option<TableName> {
        (table.database == "d").then(|| TableName::new("dest", &table.table))
    }

    fn database(&self, name: &str) -> Option<String> {
        match name {
            "d" => Some("dest".to_owned()),
            "moved2" => Some(name.to_owned()),
            _ => None,
        }
    }
}

/// The version of a source of the cells.
fn version(source: Flavor) -> u32 {
    if source == Flavor::MariaDb {
        101_100
    } else {
        90_700
    }
}

pub(crate) fn context() -> StatementContext {
    context_of(Flavor::MySql)
}

pub(crate) fn context_of(source: Flavor) -> StatementContext {
    let mut context = StatementContext::new(source, version(source)).in_database("d");
    context.explicit_timestamps = true;
    context
}

pub(crate) fn source() -> SourceTraits {
    source_of(Flavor::MySql)
}

pub(crate) fn source_of(flavor: Flavor) -> SourceTraits {
    let pairs = [
        ("utf8mb4", "utf8mb4_general_ci"),
        ("latin1", "latin1_swedish_ci"),
        ("utf8mb3", "utf8mb3_general_ci"),
    ];
    SourceTraits {
        flavor,
        default_collations: pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect(),
    }
}

/// What a destination says about itself, as far as the cells need it.
pub(crate) fn destination(flavor: Flavor) -> DestinationTraits {
    let small = flavor == Flavor::OceanBase;
    let mut charsets: BTreeMap<String, String> = source().default_collations;
    let mut collations: BTreeSet<String> = charsets.values().cloned().collect();
    collations.extend(["utf8mb4_bin", "latin1_bin", "binary"].map(str::to_owned));
    if small {
        charsets.retain(|name, _| name == "utf8mb4");
        collations.retain(|name| name.starts_with("utf8mb4") || name == "binary");
    }
    DestinationTraits::new(flavor, charsets, collations)
}

pub(crate) fn options() -> ConvertOptions {
    ConvertOptions {
        renames: Renames {
            databases: [("d".to_owned(), "dest".to_owned())].into(),
            ..Renames::default()
        },
        ..ConvertOptions::default()
    }
}

pub(crate) fn tracker() -> SchemaTracker {
    tracker_of(Flavor::MySql)
}

pub(crate) fn tracker_of(flavor: Flavor) -> SchemaTracker {
    let rules = TrackerRules::new(flavor, version(flavor), source().default_collations);
    let mut tracker = SchemaTracker::new(rules);
    for name in ["d", "outside"] {
        let shown = format!("CREATE DATABASE `{name}` /*!40100 DEFAULT CHARACTER SET utf8mb4 */");
        tracker.load_database(&DatabaseDefinition::parse(&shown).unwrap());
    }
    for sql in TABLES {
        follow(&mut tracker, sql);
    }
    tracker
}

pub(crate) fn follow(tracker: &mut SchemaTracker, sql: &str) -> DdlStatement {
    let statement = DdlStatement::parse(sql, &context()).unwrap_or_else(|e| panic!("{sql}\n{e}"));
    tracker
        .apply(&statement, &context())
        .unwrap_or_else(|e| panic!("{sql}\n{e}"));
    statement
}

/// What becomes of the last statement of a cell, and the source in front of it.
pub(crate) fn convert(
    statements: &[&'static str],
    traits: &DestinationTraits,
) -> (ConvertedDdl, SchemaTracker, DdlStatement) {
    let cell = Cell {
        section: "",
        source: Flavor::MySql,
        statements: statements.to_vec(),
    };
    convert_cell(&cell, traits)
}

/// The same of any source.
pub(crate) fn convert_cell(
    cell: &Cell,
    traits: &DestinationTraits,
) -> (ConvertedDdl, SchemaTracker, DdlStatement) {
    let (last, first) = cell.statements.split_last().unwrap();
    let context = context_of(cell.source);
    let mut before = tracker_of(cell.source);
    for sql in first {
        follow(&mut before, sql);
    }
    let statement = DdlStatement::parse(last, &context).unwrap_or_else(|e| panic!("{last}\n{e}"));
    let mut after = before.clone();
    // Where it cannot be followed the conversion refuses it too.
    let _ = after.apply(&statement, &context);
    let converted = convert_ddl(&DdlRequest {
        statement: &statement,
        context: &context,
        before: &before,
        after: &after,
        source: &source_of(cell.source),
        destination: traits,
        options: &options(),
        selection: &Everything,
    });
    (converted, before, statement)
}
