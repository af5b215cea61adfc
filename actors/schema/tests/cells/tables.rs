//! Tables that schema migration creates: one for each cell of what is promised of types, defaults, keys and options.

/// (section, statement), as a MySQL source has it.
pub(crate) const MYSQL: &[(&str, &str)] = &[
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c tinyint, d tinyint unsigned, e tinyint(1))",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c smallint, d smallint unsigned)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c mediumint, d mediumint unsigned)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c integer, d int unsigned, e int(7) unsigned zerofill)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id bigint PRIMARY KEY, c bigint unsigned)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c bool, d boolean)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c decimal(65,30), d numeric(10), e dec unsigned)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c float, d double, e double precision, f real)",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c float(7,3), d double(20,5))",
    ),
    (
        "types: numbers",
        "CREATE TABLE n (id int PRIMARY KEY, c bit, d bit(64))",
    ),
    ("types: numbers", "CREATE TABLE n (id serial, PRIMARY KEY (id))"),
    (
        "types: text",
        "CREATE TABLE n (id int PRIMARY KEY, c char(255), d varchar(10000), e char(0))",
    ),
    (
        "types: text",
        "CREATE TABLE n (id int PRIMARY KEY, c nchar(10), d national varchar(10))",
    ),
    (
        "types: text",
        "CREATE TABLE n (id int PRIMARY KEY, c tinytext, d text, e mediumtext, f longtext)",
    ),
    (
        "types: text",
        "CREATE TABLE n (id int PRIMARY KEY, c long varchar)",
    ),
    (
        "types: text",
        "CREATE TABLE n (id int PRIMARY KEY, c enum('a','it''s','数'), d set('x','y'))",
    ),
    (
        "types: bytes",
        "CREATE TABLE n (id int PRIMARY KEY, c binary(16), d varbinary(60000))",
    ),
    (
        "types: bytes",
        "CREATE TABLE n (id int PRIMARY KEY, c tinyblob, d blob, e mediumblob, f longblob)",
    ),
    (
        "types: bytes",
        "CREATE TABLE n (id int PRIMARY KEY, c long varbinary)",
    ),
    (
        "types: time",
        "CREATE TABLE n (id int PRIMARY KEY, c year, d date)",
    ),
    (
        "types: time",
        "CREATE TABLE n (id int PRIMARY KEY, c time, d time(6))",
    ),
    (
        "types: time",
        "CREATE TABLE n (id int PRIMARY KEY, c datetime, d datetime(6))",
    ),
    (
        "types: time",
        "CREATE TABLE n (id int PRIMARY KEY, c timestamp NULL, d timestamp(6) NULL)",
    ),
    ("types: other", "CREATE TABLE n (id int PRIMARY KEY, c json)"),
    (
        "types: other",
        "CREATE TABLE n (id int PRIMARY KEY, c geometry, d point, e linestring, f polygon)",
    ),
    (
        "types: other",
        "CREATE TABLE n (id int PRIMARY KEY, c multipoint, d multilinestring, e multipolygon, f geometrycollection)",
    ),
    (
        "types: other",
        "CREATE TABLE n (id int PRIMARY KEY, c point NOT NULL SRID 4326)",
    ),
    ("types: other", "CREATE TABLE n (id int PRIMARY KEY, c vector(3))"),
    (
        "character sets",
        "CREATE TABLE n (id int PRIMARY KEY, c varchar(9)) DEFAULT CHARSET=latin1",
    ),
    (
        "character sets",
        "CREATE TABLE n (c varchar(9) CHARACTER SET latin1 NOT NULL PRIMARY KEY)",
    ),
    (
        "character sets",
        "CREATE TABLE n (id int PRIMARY KEY, c text CHARACTER SET latin1)",
    ),
    (
        "character sets",
        "CREATE TABLE n (id int PRIMARY KEY, c varchar(9) CHARACTER SET utf8mb3)",
    ),
    (
        "character sets",
        "CREATE TABLE n (c varchar(9) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY)",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c int NOT NULL DEFAULT 0, d varchar(9) DEFAULT 'it''s', e bit(3) DEFAULT b'101')",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c datetime NOT NULL DEFAULT '0000-00-00 00:00:00')",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c int DEFAULT (1 + 2), d varchar(40) DEFAULT (uuid()))",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c text DEFAULT ('x'), d json DEFAULT (json_array()))",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c datetime(3) DEFAULT (now(3) + interval 1 day))",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int AS (id + 1) VIRTUAL, d int AS (id * 2) STORED)",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int AS (id + 1) STORED NOT NULL)",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int AS (id + 1) STORED, d int AS (c + 1) STORED)",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c float AS (id / 3) STORED, d int AS (c + 1) STORED)",
    ),
    (
        "generated columns",
        "CREATE TABLE n (a int NOT NULL, c int AS (a + 1) STORED NOT NULL, PRIMARY KEY (c))",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int AS (id + 1) STORED, UNIQUE KEY uc (c))",
    ),
    (
        "generated columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int AS (id + 1) VIRTUAL, KEY kc (c))",
    ),
    (
        "columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int INVISIBLE, d int NOT NULL INVISIBLE)",
    ),
    (
        "columns",
        "CREATE TABLE n (id int PRIMARY KEY COMMENT 'it''s', c int COLUMN_FORMAT FIXED) COMMENT='数'",
    ),
    (
        "columns",
        "CREATE TABLE n (id int AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=500",
    ),
    (
        "columns",
        "CREATE TABLE n (`from` int PRIMARY KEY, `odd``.\"名` int)",
    ),
    ("keys", "CREATE TABLE n (a int, b int)"),
    ("keys", "CREATE TABLE n (a int, b int, UNIQUE KEY ua (a))"),
    (
        "keys",
        "CREATE TABLE n (a varchar(40) NOT NULL, b int NOT NULL, PRIMARY KEY (a(4), b))",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, t text, UNIQUE KEY ut (t(20)), KEY kt (t(5)))",
    ),
    (
        "keys",
        "CREATE TABLE n (a int, b int, PRIMARY KEY (a DESC), KEY kb (b DESC, a))",
    ),
    ("keys", "CREATE TABLE n (f float NOT NULL PRIMARY KEY)"),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, a int, KEY ka (a) INVISIBLE, KEY kb (a) USING HASH KEY_BLOCK_SIZE=4 COMMENT 'x')",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, a int, KEY ke ((a + 1)), UNIQUE KEY ue ((a * 2)))",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, j json, KEY km ((cast(json_extract(j, '$.a') as unsigned array))))",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, t text, FULLTEXT KEY ft (t), FULLTEXT KEY fn (t) WITH PARSER ngram)",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, g point NOT NULL, SPATIAL KEY sg (g))",
    ),
    (
        "checks",
        "CREATE TABLE n (id int PRIMARY KEY, a int, CONSTRAINT ck CHECK (a > 0), CHECK (a < 9))",
    ),
    (
        "checks",
        "CREATE TABLE n (id int PRIMARY KEY, a int, CONSTRAINT ck CHECK (a > 0) NOT ENFORCED)",
    ),
    (
        "foreign keys",
        "CREATE TABLE n (id int PRIMARY KEY, x int, CONSTRAINT fn FOREIGN KEY (x) REFERENCES p (x))",
    ),
    (
        "foreign keys",
        "CREATE TABLE n (id int PRIMARY KEY, x int, CONSTRAINT fn FOREIGN KEY (x) REFERENCES p (x) ON DELETE CASCADE ON UPDATE CASCADE)",
    ),
    (
        "foreign keys",
        "CREATE TABLE n (id int PRIMARY KEY, x int, CONSTRAINT fn FOREIGN KEY (x) REFERENCES p (x) ON DELETE SET NULL ON UPDATE RESTRICT)",
    ),
    (
        "foreign keys",
        "CREATE TABLE n (id int PRIMARY KEY, x int, CONSTRAINT fn FOREIGN KEY (x) REFERENCES p (x) ON DELETE SET DEFAULT)",
    ),
    (
        "foreign keys",
        "CREATE TABLE n (id int PRIMARY KEY, x int, CONSTRAINT fn FOREIGN KEY (x) REFERENCES n (id))",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL, b varchar(9) NOT NULL) PARTITION BY LIST COLUMNS (b) (PARTITION p0 VALUES IN ('a','b'))",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL) PARTITION BY HASH (a) PARTITIONS 4",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL) PARTITION BY LINEAR HASH (a) PARTITIONS 4",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL) PARTITION BY KEY ALGORITHM=1 (a) PARTITIONS 4",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL, b int NOT NULL) PARTITION BY RANGE (a) SUBPARTITION BY KEY (b) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (5) COMMENT = 'x' MAX_ROWS = 9)",
    ),
    (
        "options",
        "CREATE TABLE n (id int PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 STATS_PERSISTENT=1 MAX_ROWS=9",
    ),
    (
        "options",
        "CREATE TABLE n (id int PRIMARY KEY) COMPRESSION='zlib' ENCRYPTION='N'",
    ),
    ("options", "CREATE TABLE n (id int PRIMARY KEY) ENGINE=MyISAM"),
    ("options", "CREATE TABLE n (id int PRIMARY KEY) ENGINE=MEMORY"),
];

/// The same, as a MariaDB source has it.
pub(crate) const MARIADB: &[(&str, &str)] = &[
    (
        "types",
        "CREATE TABLE n (id int PRIMARY KEY, c uuid, d inet4, e inet6)",
    ),
    (
        "types",
        "CREATE TABLE n (id int PRIMARY KEY, c longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin CHECK (json_valid(`c`)))",
    ),
    (
        "types",
        "CREATE TABLE n (id int PRIMARY KEY, c varchar(200) /*M!100301 COMPRESSED*/)",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c text DEFAULT 'x', d blob DEFAULT 'y')",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c int DEFAULT nextval(s))",
    ),
    (
        "defaults",
        "CREATE TABLE n (id int PRIMARY KEY, c varchar(90) DEFAULT user())",
    ),
    (
        "columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int NOT NULL DEFAULT 1 INVISIBLE)",
    ),
    (
        "columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int GENERATED ALWAYS AS (id + 1) VIRTUAL, d int GENERATED ALWAYS AS (id + 2) STORED)",
    ),
    (
        "columns",
        "CREATE TABLE n (id int PRIMARY KEY, c int CHECK (c > 0), d int, CONSTRAINT CONSTRAINT_1 CHECK (d > 0))",
    ),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, t text, UNIQUE KEY ut (t))",
    ),
    ("keys", "CREATE TABLE n (t text NOT NULL, UNIQUE KEY ut (t))"),
    (
        "keys",
        "CREATE TABLE n (id int PRIMARY KEY, a int, KEY ka (a) IGNORED)",
    ),
    (
        "partitions",
        "CREATE TABLE n (a int NOT NULL) PARTITION BY LIST (a) (PARTITION p0 VALUES IN (1,2), PARTITION pd DEFAULT)",
    ),
    (
        "options",
        "CREATE TABLE n (id int PRIMARY KEY) ENGINE=InnoDB PAGE_COMPRESSED=1",
    ),
    ("options", "CREATE TABLE n (id int PRIMARY KEY) ENGINE=Aria"),
    (
        "temporal tables",
        "CREATE TABLE n (id int PRIMARY KEY) WITH SYSTEM VERSIONING",
    ),
    (
        "temporal tables",
        "CREATE TABLE n (id int PRIMARY KEY, a date NOT NULL, b date NOT NULL, PERIOD FOR `p` (`a`, `b`))",
    ),
];
