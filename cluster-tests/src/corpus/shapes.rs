//! Tables and views of every shape: keys, constraints, partitions, comments, difficult names.

use super::{Corpus, quoted};
use crate::server::ServerKind::{self, MariaDb, Mysql97, SeekDb};

/// Adds all of them to a corpus.
pub(super) fn add(kind: ServerKind, corpus: &mut Corpus) {
    keys(corpus);
    foreign_keys(corpus);
    checks_and_comments(corpus);
    partitions(corpus);
    indexes(kind, corpus);
    names(corpus);
    few_rows(corpus);
    if kind != SeekDb {
        collations(corpus);
        limits(corpus);
    }
    if kind == MariaDb || kind == Mysql97 {
        generated_keys(corpus);
    }
    views(corpus);
}

fn table(corpus: &mut Corpus, name: &str, definition: &str, seed: &[&str], mutate: &[&str]) {
    let quoted = quoted(name);
    corpus.create.push(format!("CREATE TABLE {quoted} {definition}"));
    // T stands for the table in the statements.
    let fill = |statement: &&str| statement.replace("{T}", &quoted);
    corpus.seed.extend(seed.iter().map(fill));
    corpus.mutate.extend(mutate.iter().map(fill));
    corpus.tables.push(name.to_owned());
}

fn keys(corpus: &mut Corpus) {
    table(
        corpus,
        "key_composite",
        "(a INT NOT NULL, b VARCHAR(20) NOT NULL, c DATE NOT NULL, v INT, PRIMARY KEY (c, b, a))",
        &["INSERT INTO {T} VALUES (1,'x','2020-01-01',1),(1,'X ','2020-01-02',2),(2,'数','2020-01-01',3)"],
        &[
            "UPDATE {T} SET a = 9, v = 10 WHERE a = 2",
            "DELETE FROM {T} WHERE b = 'x' AND c = '2020-01-01'",
            "INSERT INTO {T} VALUES (1,'x','2020-01-01',4)",
        ],
    );
    table(
        corpus,
        "key_binary",
        "(k VARBINARY(16) NOT NULL PRIMARY KEY, v INT)",
        &["INSERT INTO {T} VALUES (x'',1),(x'00',2),(x'0000',3),(x'ff',4),(x'6120',5),(x'61',6)"],
        &[
            "UPDATE {T} SET k = x'fe' WHERE k = x'ff'",
            "DELETE FROM {T} WHERE k = x'00'",
        ],
    );
    table(
        corpus,
        "key_unsigned",
        "(k BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)",
        &[
            "INSERT INTO {T} VALUES (1,1),(9223372036854775807,2),(9223372036854775808,3),(18446744073709551614,4)",
        ],
        &[
            "UPDATE {T} SET v = 30 WHERE k = 9223372036854775808",
            "DELETE FROM {T} WHERE k = 18446744073709551614",
        ],
    );
    table(
        corpus,
        "key_temporal",
        "(k DATETIME(6) NOT NULL, d DECIMAL(20,4) NOT NULL, v INT, PRIMARY KEY (k, d))",
        &[
            "INSERT INTO {T} VALUES ('2020-01-01 00:00:00.000001',1.0001,1),('2020-01-01 00:00:00.000002',-1.0001,2)",
        ],
        &["UPDATE {T} SET d = 2 WHERE v = 1", "DELETE FROM {T} WHERE v = 2"],
    );
    table(
        corpus,
        "unique_not_null",
        "(a INT NOT NULL, b VARCHAR(10) NOT NULL, v INT, UNIQUE KEY u (a, b))",
        &["INSERT INTO {T} VALUES (1,'a',1),(1,'b',2),(2,'a',3)"],
        &[
            "UPDATE {T} SET a = 3 WHERE a = 2",
            "DELETE FROM {T} WHERE b = 'b'",
            "INSERT INTO {T} VALUES (2,'a',4)",
        ],
    );
    table(
        corpus,
        "unique_nullable",
        "(a INT, b VARCHAR(10), v INT, UNIQUE KEY u (a), UNIQUE KEY w (b, a))",
        &["INSERT INTO {T} VALUES (1,'a',1),(NULL,'b',2),(NULL,'b',2),(2,NULL,3)"],
        &[
            "UPDATE {T} SET a = NULL WHERE a = 1",
            "UPDATE {T} SET v = v + 1 WHERE a IS NULL LIMIT 1",
            "DELETE FROM {T} WHERE a IS NULL AND v = 2 LIMIT 1",
            "INSERT INTO {T} VALUES (1,'a',9)",
        ],
    );
    table(
        corpus,
        "two_uniques",
        "(id INT NOT NULL PRIMARY KEY, u INT NOT NULL, w INT, UNIQUE KEY uu (u), UNIQUE KEY ww (w))",
        &["INSERT INTO {T} VALUES (1,10,100),(2,20,200),(3,30,NULL)"],
        // The values of a unique key pass from row to row; they must not be applied in another order.
        &[
            "DELETE FROM {T} WHERE id = 1",
            "UPDATE {T} SET u = 10, w = 100 WHERE id = 2",
            "INSERT INTO {T} VALUES (4,20,200)",
            "BEGIN",
            "UPDATE {T} SET u = -1 WHERE id = 4",
            "UPDATE {T} SET u = 20 WHERE id = 2",
            "UPDATE {T} SET u = 10 WHERE id = 4",
            "COMMIT",
        ],
    );
    table(
        corpus,
        "no_key",
        "(a INT, b VARCHAR(20), t TEXT)",
        &[
            "INSERT INTO {T} VALUES (1,'same','t'),(1,'same','t'),(1,'same','t'),(NULL,NULL,NULL),(NULL,NULL,NULL)",
        ],
        &[
            "INSERT INTO {T} VALUES (1,'same','t'),(2,'x','y')",
            "DELETE FROM {T} WHERE a = 1 LIMIT 1",
            "UPDATE {T} SET b = 'changed' WHERE a = 1 LIMIT 1",
            "DELETE FROM {T} WHERE a IS NULL LIMIT 1",
        ],
    );
}

fn foreign_keys(corpus: &mut Corpus) {
    table(
        corpus,
        "fk_parent",
        "(id INT NOT NULL PRIMARY KEY, code VARCHAR(10) NOT NULL, UNIQUE KEY c (code))",
        &["INSERT INTO {T} VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d')"],
        &["INSERT INTO {T} VALUES (5,'e')"],
    );
    table(
        corpus,
        "fk_child",
        "(id INT NOT NULL PRIMARY KEY, parent INT, code VARCHAR(10), KEY p (parent), KEY c (code), \
         CONSTRAINT child_parent FOREIGN KEY (parent) REFERENCES fk_parent (id) ON DELETE SET NULL, \
         CONSTRAINT child_code FOREIGN KEY (code) REFERENCES fk_parent (code) ON UPDATE CASCADE ON DELETE CASCADE)",
        &["INSERT INTO {T} VALUES (1,1,'a'),(2,2,'b'),(3,NULL,NULL),(4,3,'d')"],
        &[
            "INSERT INTO {T} VALUES (5,5,'e')",
            "UPDATE fk_parent SET code = 'aa' WHERE id = 1",
            "DELETE FROM fk_parent WHERE id = 3",
            "DELETE FROM fk_parent WHERE id = 4",
        ],
    );
    table(
        corpus,
        "fk_self",
        "(id INT NOT NULL PRIMARY KEY, boss INT, KEY b (boss), \
         CONSTRAINT self_boss FOREIGN KEY (boss) REFERENCES fk_self (id))",
        &[
            "INSERT INTO {T} VALUES (1,NULL)",
            "INSERT INTO {T} VALUES (2,1),(3,2)",
            "INSERT INTO {T} VALUES (9,9)",
        ],
        &[
            "INSERT INTO {T} VALUES (4,3)",
            "UPDATE {T} SET boss = 1 WHERE id = 3",
            "DELETE FROM {T} WHERE id = 4",
        ],
    );
}

fn checks_and_comments(corpus: &mut Corpus) {
    table(
        corpus,
        "checked",
        "(id INT NOT NULL PRIMARY KEY, n INT, s VARCHAR(10), CONSTRAINT n_positive CHECK (n > 0), \
         CONSTRAINT n_small CHECK (n < 1000 AND n <> 13))",
        &["INSERT INTO {T} VALUES (1,1,'a'),(2,999,NULL),(3,NULL,'c')"],
        &[
            "UPDATE {T} SET n = 500 WHERE id = 2",
            "DELETE FROM {T} WHERE id = 3",
        ],
    );
    table(
        corpus,
        "commented",
        "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'the key', \
         v VARCHAR(50) NOT NULL DEFAULT 'it''s' COMMENT 'quote '' backslash \\\\ 中文', n INT DEFAULT -1, \
         made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         changed DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), \
         d DATE DEFAULT '2020-02-02', KEY by_v (v) COMMENT 'index comment') \
         COMMENT='table: quote '' and 注释' AUTO_INCREMENT=1000",
        &[
            "INSERT INTO {T} (v) VALUES ('a'),('b')",
            "INSERT INTO {T} (n) VALUES (5)",
        ],
        &[
            "UPDATE {T} SET n = 6 WHERE v = 'a'",
            "INSERT INTO {T} () VALUES ()",
        ],
    );
}

fn partitions(corpus: &mut Corpus) {
    let seed = "INSERT INTO {T} VALUES (1,1,'a'),(2,15,'b'),(3,25,'c'),(4,5,'d')";
    let mutate = [
        "UPDATE {T} SET p = 22 WHERE p = 15",
        "DELETE FROM {T} WHERE p = 1",
        "INSERT INTO {T} VALUES (5,12,'e')",
        "UPDATE {T} SET v = 'moved' WHERE p = 25",
    ];
    let columns = "(id INT NOT NULL, p INT NOT NULL, v VARCHAR(20), PRIMARY KEY (id, p)) PARTITION BY";
    for (name, by) in [
        (
            "part_range",
            "RANGE (p) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), \
             PARTITION p2 VALUES LESS THAN MAXVALUE)",
        ),
        (
            "part_list",
            "LIST (p) (PARTITION l0 VALUES IN (1,5,12), PARTITION l1 VALUES IN (15,22,25))",
        ),
        ("part_hash", "HASH (p) PARTITIONS 4"),
        ("part_key", "KEY (id) PARTITIONS 3"),
        (
            "part_columns",
            "RANGE COLUMNS (p) (PARTITION c0 VALUES LESS THAN (13), PARTITION c1 VALUES LESS THAN (MAXVALUE))",
        ),
    ] {
        table(corpus, name, &format!("{columns} {by}"), &[seed], &mutate);
    }
}

fn indexes(kind: ServerKind, corpus: &mut Corpus) {
    table(
        corpus,
        "index_prefix",
        "(id INT NOT NULL PRIMARY KEY, t TEXT, b BLOB, v VARCHAR(200), KEY t10 (t(10)), KEY b5 (b(5), v(3)), \
         UNIQUE KEY v50 (v(50)))",
        &["INSERT INTO {T} VALUES (1,'long text one',x'00ff','v1'),(2,NULL,NULL,'v2'),(3,'','','')"],
        &[
            "UPDATE {T} SET t = REPEAT('z', 5000) WHERE id = 1",
            "DELETE FROM {T} WHERE id = 2",
        ],
    );
    if kind == Mysql97 {
        table(
            corpus,
            "index_functional",
            "(id INT NOT NULL PRIMARY KEY, v VARCHAR(50), n INT, j JSON, KEY f ((LOWER(v))), \
             UNIQUE KEY g ((n + 1)), KEY d (n DESC), KEY hidden (v) INVISIBLE, \
             KEY multi ((CAST(j->'$.a' AS UNSIGNED ARRAY))))",
            &["INSERT INTO {T} VALUES (1,'Ab',1,'{\"a\": [1, 2]}'),(2,'CD',2,NULL)"],
            &[
                "UPDATE {T} SET v = 'x', n = 5 WHERE id = 1",
                "DELETE FROM {T} WHERE id = 2",
            ],
        );
        // A long document, so that a partial update is smaller than the whole.
        table(
            corpus,
            "json_partial",
            "(id INT NOT NULL PRIMARY KEY, j JSON)",
            &[
                "INSERT INTO {T} VALUES (1, JSON_OBJECT('a', REPEAT('x', 500), 'b', 1, 'c', JSON_ARRAY(1, 2, 3))), \
               (2, JSON_OBJECT('k', REPEAT('y', 500), 'n', JSON_OBJECT('m', 1))), (3, NULL)",
            ],
            &[
                "UPDATE {T} SET j = JSON_SET(j, '$.b', 2) WHERE id = 1",
                "UPDATE {T} SET j = JSON_REPLACE(j, '$.a', 'short', '$.c[1]', 'two') WHERE id = 1",
                "UPDATE {T} SET j = JSON_REMOVE(j, '$.n') WHERE id = 2",
                "UPDATE {T} SET j = JSON_SET(j, '$.new', JSON_ARRAY(1.25, NULL, 'z')) WHERE id = 2",
            ],
        );
    }
    if kind == MariaDb || kind == Mysql97 {
        table(
            corpus,
            "default_expression",
            "(id INT NOT NULL PRIMARY KEY, v VARCHAR(40) DEFAULT (CONCAT('a', 'b')), n INT DEFAULT (1 + 2))",
            &["INSERT INTO {T} (id) VALUES (1),(2)"],
            &[
                "UPDATE {T} SET n = 9 WHERE id = 1",
                "INSERT INTO {T} (id) VALUES (3)",
            ],
        );
    }
}

fn names(corpus: &mut Corpus) {
    let columns = [
        "a.b",
        "it's",
        "back`tick",
        "dou\"ble",
        "中文列",
        "select",
        "with space",
        "a-b",
        "Ünï",
    ];
    let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let definition: Vec<String> = list.iter().map(|name| format!("{name} VARCHAR(20)")).collect();
    let definition = format!(
        "(`key` INT NOT NULL PRIMARY KEY, {}, KEY `in``dex.1` ({}, {}))",
        definition.join(", "),
        list[0],
        list[2]
    );
    let insert = format!("INSERT INTO {{T}} (`key`, {}) VALUES", list.join(", "));
    let (first, second) = (
        format!("{insert} (1,'1','2','3','4','5','6','7','8','9'),(2,'','','','','','','','','')"),
        format!("{insert} (3,'a','b','c','d','e','f','g','h','i')"),
    );
    let update = format!(
        "UPDATE {{T}} SET {} = 'u', {} = 'w' WHERE `key` = 1",
        list[2], list[4]
    );
    for name in [
        "order",
        "tab`le",
        "tab.le",
        "中文表",
        "sp ace",
        "qu'ote",
        "dash-$",
    ] {
        table(
            corpus,
            name,
            &definition,
            &[&first],
            &[&update, &second, "DELETE FROM {T} WHERE `key` = 2"],
        );
    }
}

fn few_rows(corpus: &mut Corpus) {
    table(
        corpus,
        "empty",
        "(id INT NOT NULL PRIMARY KEY, v VARCHAR(10))",
        &[],
        &[],
    );
    table(corpus, "empty_no_key", "(id INT, v VARCHAR(10))", &[], &[]);
    table(
        corpus,
        "filled_later",
        "(id INT NOT NULL PRIMARY KEY, v VARCHAR(10))",
        &[],
        &[
            "INSERT INTO {T} VALUES (1,'a'),(2,'b')",
            "DELETE FROM {T} WHERE id = 1",
        ],
    );
    table(
        corpus,
        "emptied_later",
        "(id INT NOT NULL PRIMARY KEY, v VARCHAR(10))",
        &["INSERT INTO {T} VALUES (1,'a'),(2,'b')"],
        &["DELETE FROM {T}"],
    );
    table(
        corpus,
        "one_row",
        "(id INT NOT NULL PRIMARY KEY, v VARCHAR(10))",
        &["INSERT INTO {T} VALUES (1,'only')"],
        &["UPDATE {T} SET v = 'still' WHERE id = 1"],
    );
    table(
        corpus,
        "one_column",
        "(id BIGINT NOT NULL PRIMARY KEY)",
        &["INSERT INTO {T} VALUES (-5),(0),(5)"],
        &[
            "UPDATE {T} SET id = 6 WHERE id = 5",
            "DELETE FROM {T} WHERE id = 0",
        ],
    );
}

fn collations(corpus: &mut Corpus) {
    // Keys that are equal or not by collation only.
    table(
        corpus,
        "key_case_insensitive",
        "(k VARCHAR(40) COLLATE utf8mb4_unicode_ci NOT NULL PRIMARY KEY, v INT)",
        &["INSERT INTO {T} VALUES ('straße',1),('Éa',2),('b',3)"],
        &[
            "UPDATE {T} SET k = 'STRASSE' WHERE v = 1",
            "DELETE FROM {T} WHERE k = 'ea'",
            "INSERT INTO {T} VALUES ('eA',4)",
            "UPDATE {T} SET k = 'B' WHERE k = 'b'",
        ],
    );
    table(
        corpus,
        "key_latin1",
        "(k VARCHAR(40) NOT NULL PRIMARY KEY, v INT) DEFAULT CHARSET=latin1",
        &["INSERT INTO {T} VALUES ('é',1),('ß',2),('€',3)"],
        &[
            "UPDATE {T} SET k = 'ÿ' WHERE v = 1",
            "DELETE FROM {T} WHERE k = 'ß'",
        ],
    );
    table(
        corpus,
        "key_gbk",
        "(k VARCHAR(40) NOT NULL PRIMARY KEY, v INT) DEFAULT CHARSET=gbk",
        &["INSERT INTO {T} VALUES ('数据',1),('狛',2)"],
        &[
            "UPDATE {T} SET k = '迁移' WHERE v = 1",
            "DELETE FROM {T} WHERE k = '狛'",
        ],
    );
}

/// Tables at the limits of rows, and keys that identify a row only in part.
fn limits(corpus: &mut Corpus) {
    let columns: Vec<String> = (1..=1010).map(|n| format!("c{n} INT")).collect();
    // Every column is named, because an image of what changed only would lack the others.
    let row = |id: i32, values: &[(usize, &str)]| {
        let mut all = vec!["NULL"; columns.len()];
        for (number, value) in values {
            all[number - 1] = value;
        }
        format!("({id}, {})", all.join(", "))
    };
    let rows = [
        row(1, &[(1, "1"), (500, "500"), (1010, "1010")]),
        row(2, &[(1, "-1"), (1010, "0")]),
        row(3, &[(500, "7")]),
    ];
    table(
        corpus,
        "wide",
        &format!("(id INT NOT NULL PRIMARY KEY, {})", columns.join(", ")),
        &[&format!("INSERT INTO {{T}} VALUES {}", rows.join(", "))],
        &[
            "UPDATE {T} SET c1010 = -2147483648, c9 = 9 WHERE id = 1",
            &format!("INSERT INTO {{T}} VALUES {}", row(4, &[(1009, "2147483647")])),
            "DELETE FROM {T} WHERE id = 2",
        ],
    );
    // 65 531 bytes: what a row may have.
    table(
        corpus,
        "row_limit",
        "(id INT NOT NULL PRIMARY KEY, a VARCHAR(10000), b VARCHAR(6000), c VARCHAR(380))",
        &[
            "INSERT INTO {T} VALUES (1, REPEAT('😀', 10000), REPEAT('数', 6000), REPEAT('é', 380)), (2, '', NULL, 'x')",
        ],
        &[
            "UPDATE {T} SET a = REPEAT('😁', 10000) WHERE id = 1",
            "UPDATE {T} SET b = REPEAT('😀', 6000), c = REPEAT('😀', 380) WHERE id = 2",
        ],
    );
    table(
        corpus,
        "key_prefix",
        "(k VARCHAR(40) NOT NULL, n INT NOT NULL, v INT, PRIMARY KEY (k(4), n))",
        &["INSERT INTO {T} VALUES ('alpha one',1,1),('alpha two',2,2),('beta',1,3),('',1,4)"],
        &[
            "UPDATE {T} SET k = 'alphabet' WHERE v = 1",
            "UPDATE {T} SET k = 'gamma', v = 30 WHERE v = 3",
            "DELETE FROM {T} WHERE k = ''",
            "INSERT INTO {T} VALUES ('beta two',1,5)",
        ],
    );
    table(
        corpus,
        "unique_nullable_prefix",
        "(a VARCHAR(50), b INT, UNIQUE KEY u (a(3)))",
        &["INSERT INTO {T} VALUES ('one',1),('two',2),(NULL,3),(NULL,3)"],
        &[
            "UPDATE {T} SET a = 'one and more' WHERE b = 1",
            "UPDATE {T} SET a = NULL WHERE b = 2",
            "DELETE FROM {T} WHERE b = 3 LIMIT 1",
            "INSERT INTO {T} VALUES ('two',4)",
        ],
    );
    // Without a key a row is found by all its values, whatever they are.
    table(
        corpus,
        "no_key_values",
        "(f FLOAT, d DOUBLE, n DECIMAL(10,3), t LONGTEXT, b BLOB, at DATETIME(6), tm TIMESTAMP(3) NULL, s SET('a','b'), \
         bits BIT(9), y YEAR, c CHAR(5))",
        &[
            "INSERT INTO {T} VALUES (0.1,0.1,1.5,'long',x'00ff','2020-01-01 00:00:00.000001','2020-01-01 00:00:00.001',\
             'a,b',b'100000001',2020,'x ')",
            "INSERT INTO {T} SELECT * FROM {T}",
            "INSERT INTO {T} VALUES (1e-20,1e300,-0.001,REPEAT('数',70000),'','0000-00-00',NULL,'',b'0',0,'')",
            "INSERT INTO {T} VALUES (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)",
        ],
        &[
            "DELETE FROM {T} WHERE n = 1.5 LIMIT 1",
            "UPDATE {T} SET f = 0.2, t = 'Long' WHERE n = 1.5",
            "UPDATE {T} SET d = 1e-300 WHERE n < 0",
            "DELETE FROM {T} WHERE n IS NULL",
        ],
    );
    // The server fills in what the statement does not name; at the destination the log's value counts.
    table(
        corpus,
        "touched",
        "(id INT NOT NULL PRIMARY KEY, v INT, made DATETIME DEFAULT CURRENT_TIMESTAMP, \
         changed TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), UNIQUE KEY u (v))",
        &[
            "SET timestamp = 1500000000.123",
            "INSERT INTO {T} (id, v) VALUES (1,1),(2,2),(3,3)",
            "SET timestamp = DEFAULT",
        ],
        &[
            "SET timestamp = 1600000000.456",
            "UPDATE {T} SET v = 10 WHERE id = 1",
            "SET timestamp = DEFAULT",
            "UPDATE {T} SET v = v + 20 WHERE id > 1",
        ],
    );
}

/// Keys over generated columns, which are not written but conflict all the same.
fn generated_keys(corpus: &mut Corpus) {
    table(
        corpus,
        "generated_keys",
        "(id INT NOT NULL PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a * 2) VIRTUAL, \
         s INT GENERATED ALWAYS AS (a + 1) STORED, UNIQUE KEY us (s), KEY kv (v))",
        &["INSERT INTO {T} (id, a) VALUES (1,1),(2,2),(3,3),(4,NULL)"],
        // The generated value passes from row to row.
        &[
            "DELETE FROM {T} WHERE id = 1",
            "UPDATE {T} SET a = 1 WHERE id = 2",
            "UPDATE {T} SET a = 2 WHERE id = 3",
            "INSERT INTO {T} (id, a) VALUES (5,3)",
            "UPDATE {T} SET id = 6 WHERE id = 4",
        ],
    );
}

fn views(corpus: &mut Corpus) {
    for (name, query) in [
        ("view_plain", "SELECT id, v FROM one_row"),
        (
            "view_joined",
            "SELECT c.id, p.code FROM fk_child c LEFT JOIN fk_parent p ON p.id = c.parent",
        ),
        ("view_grouped", "SELECT a, COUNT(*) AS n FROM no_key GROUP BY a"),
        ("view_on_view", "SELECT id, CONCAT(v, '!') AS w FROM view_plain"),
        ("视图", "SELECT `中文列` FROM `中文表`"),
    ] {
        corpus
            .create
            .push(format!("CREATE VIEW {} AS {query}", quoted(name)));
        corpus.views.push(name.to_owned());
    }
}
