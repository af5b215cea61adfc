//! The judge of contents is strict, the corpus loads on every source, and the loads write.
#![allow(clippy::unwrap_used, reason = "tests")]

use oms_cluster_tests::{
    Client, Corpus, LOAD_TABLES, Load, LoadOptions, Server, ServerKind, ServerOptions, Sysbench,
    SysbenchLoad, compare_tables, table_checksum,
};

async fn run(client: &mut Client, kind: ServerKind, statements: &[String]) {
    for statement in statements {
        if let Err(error) = client.query_drop(statement).await {
            panic!("{kind}: {error}");
        }
    }
}

async fn corpus_loads(kind: ServerKind) {
    let server = Server::start(kind, ServerOptions::source()).await.unwrap();
    let mut client = server.client().await.unwrap();
    let corpus = Corpus::new(kind, "corpus");
    run(&mut client, kind, &corpus.create).await;
    run(&mut client, kind, &corpus.seed).await;
    // A second copy on the same server is equal, table by table.
    let twin = Corpus::new(kind, "twin");
    let mut other = server.client().await.unwrap();
    run(&mut other, kind, &twin.create).await;
    run(&mut other, kind, &twin.seed).await;
    let mut before = Vec::new();
    for table in &corpus.tables {
        if table != "commented" {
            let found = compare_tables((&mut client, "corpus", table), (&mut other, "twin", table))
                .await
                .unwrap();
            assert!(found.is_equal(), "{kind} {table}: {:#?}", found.differences);
        }
        before.push(table_checksum(&mut client, "corpus", table).await.unwrap());
    }
    run(&mut client, kind, &corpus.mutate).await;
    for (table, before) in corpus.tables.iter().zip(before) {
        let after = table_checksum(&mut client, "corpus", table).await.unwrap();
        let stays = ["empty", "empty_no_key", Corpus::large_table()].contains(&table.as_str());
        assert_eq!(after == before, stays, "{kind} {table}");
        if table.starts_with("types_") {
            assert!(before.rows >= 3, "{kind} {table}: {} rows", before.rows);
        }
    }
    for view in &corpus.views {
        client
            .query_rows(&format!("SELECT * FROM corpus.`{view}`"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn corpus_loads_on_mariadb() {
    corpus_loads(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn corpus_loads_on_mysql56() {
    corpus_loads(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn corpus_loads_on_mysql97() {
    corpus_loads(ServerKind::Mysql97).await;
}

#[tokio::test]
async fn corpus_loads_on_seekdb() {
    corpus_loads(ServerKind::SeekDb).await;
}

#[tokio::test]
async fn limits_are_stored_as_written() {
    for kind in ServerKind::SOURCES {
        let server = Server::start(kind, ServerOptions::source()).await.unwrap();
        let mut client = server.client().await.unwrap();
        let corpus = Corpus::new(kind, "corpus");
        run(&mut client, kind, &corpus.create).await;
        run(&mut client, kind, &corpus.seed).await;
        let mut one = async |sql: &str| client.query_one(sql).await.unwrap().unwrap();
        assert_eq!(
            one("SELECT MAX(c10) FROM corpus.types_integer").await,
            "18446744073709551615",
            "{kind}"
        );
        assert_eq!(
            one("SELECT MIN(c09) FROM corpus.types_integer").await,
            "-9223372036854775808",
            "{kind}"
        );
        let widest = format!("{}.{}", "9".repeat(35), "9".repeat(30));
        assert_eq!(
            one("SELECT c01 FROM corpus.types_decimal WHERE id = 2").await,
            widest,
            "{kind}"
        );
        assert_eq!(
            one("SELECT COUNT(*) FROM corpus.types_date WHERE c01 = '2020-00-15'").await,
            "1",
            "{kind}"
        );
        let gbk = "SELECT HEX(c09) FROM corpus.types_charset WHERE c07 LIKE '数据%'";
        assert!(one(gbk).await.starts_with("CAFDBEDD"), "{kind}");
        let set = "SELECT CAST(c06 AS UNSIGNED) FROM corpus.types_choice WHERE id = 4";
        assert_eq!(one(set).await, "18446744073709551615", "{kind}");
        assert_eq!(
            one("SELECT c07 FROM corpus.types_time WHERE id = 6").await,
            "-00:00:00.000001",
            "{kind}"
        );
    }
}

#[tokio::test]
async fn one_changed_byte_is_seen_on_another_kind_of_server() {
    let source = Server::start(ServerKind::MariaDb, ServerOptions::source())
        .await
        .unwrap();
    let create = "CREATE TABLE d.t (id INT NOT NULL PRIMARY KEY, n BIGINT UNSIGNED, x DECIMAL(40,20), f FLOAT, e DOUBLE, \
        b BIT(40), d DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, tm TIME(6), y YEAR, c CHAR(10), v VARCHAR(50), t TEXT, \
        bi BINARY(5), vb VARBINARY(10), bl BLOB, en ENUM('a','b'), se SET('a','b'), j JSON, g GEOMETRY)";
    let insert = "INSERT INTO d.t VALUES (1, 18446744073709551615, -1.5, 0.1, 0.1, b'101', '2020-02-29', \
        '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.5', '-838:59:59', 2155, 'x', 'y  数😀', '', x'6100', x'6100', \
        x'00ff', 'b', 'a,b', '{\"k\": [1, 2.50, null]}', ST_GeomFromText('POINT(1 2)')), \
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
        NULL, NULL)";
    let changes = [
        "n = n - 1",
        "x = x + 0.00000000000000000001",
        "f = 0.10000001",
        "e = 0.10000000000000002",
        "b = b'100'",
        "d = '2020-02-28'",
        "dt = '9999-12-31 23:59:59.999998'",
        "ts = '2038-01-19 03:14:07.501'",
        "tm = '-838:59:58'",
        "y = 2154",
        "c = 'X'",
        "v = 'y 数😀'",
        "t = NULL",
        "bi = x'6101'",
        "vb = x'61'",
        "bl = x'00fe'",
        "en = 'a'",
        "se = 'a'",
        "j = '{\"k\": [1, 2.51, null]}'",
        "g = ST_GeomFromText('POINT(1 3)')",
        "t = ' '",
        "n = 0",
    ];
    let mut left = source.client().await.unwrap();
    left.run_all(&["CREATE DATABASE d", create, "SET time_zone = '+00:00'", insert])
        .await
        .unwrap();
    for kind in ServerKind::DESTINATIONS {
        let server = Server::start(kind, ServerOptions::destination()).await.unwrap();
        let mut right = server.client().await.unwrap();
        right
            .run_all(&["CREATE DATABASE d", create, "SET time_zone = '+00:00'", insert])
            .await
            .unwrap();
        let found = compare_tables((&mut left, "d", "t"), (&mut right, "d", "t"))
            .await
            .unwrap();
        assert!(found.is_equal(), "{kind}: {:#?}", found.differences);
        assert_eq!(found.left.rows, 2);
        for change in changes {
            right.query_drop("SET time_zone = '+00:00'").await.unwrap();
            right
                .query_drop(&format!("UPDATE d.t SET {change} WHERE id = 1"))
                .await
                .unwrap();
            let found = compare_tables((&mut left, "d", "t"), (&mut right, "d", "t"))
                .await
                .unwrap();
            assert!(!found.is_equal(), "{kind}: {change} was not seen");
            right.query_drop("DELETE FROM d.t").await.unwrap();
            right.query_drop(insert).await.unwrap();
        }
        // Rows count as often as they are there.
        right.query_drop("DELETE FROM d.t WHERE id = 2").await.unwrap();
        let found = compare_tables((&mut left, "d", "t"), (&mut right, "d", "t"))
            .await
            .unwrap();
        assert!(
            !found.is_equal() && found.differences.len() == 1,
            "{kind}: {:?}",
            found.differences
        );
    }
}

#[tokio::test]
async fn the_load_changes_every_table_and_counts() {
    for kind in ServerKind::SOURCES {
        let server = Server::start(kind, ServerOptions::source()).await.unwrap();
        let options = LoadOptions {
            rate: 1000,
            ..LoadOptions::default()
        };
        Load::prepare(&server, &options, 1000).await.unwrap();
        let mut client = server.client().await.unwrap();
        let mut before = Vec::new();
        for table in LOAD_TABLES {
            before.push(table_checksum(&mut client, "load", table).await.unwrap());
        }
        assert!(
            before.iter().all(|table| table.rows == 1000),
            "{kind}: {before:?}"
        );
        let load = Load::start(&server, &options).await.unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            loop {
                let done = load.counters();
                let enough = done.commits >= 300 && done.rollbacks >= 3;
                if enough && done.inserts > 50 && done.updates > 50 && done.deletes > 10 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        let done = load.stop().await.unwrap();
        let mut rows = 0;
        for (table, before) in LOAD_TABLES.iter().zip(&before) {
            let after = table_checksum(&mut client, "load", table).await.unwrap();
            assert_ne!(&after, before, "{kind} {table}");
            rows += after.rows;
        }
        assert_eq!(rows, 4000 + done.inserts - done.deletes, "{kind}: {done:?}");
    }
}

#[tokio::test]
async fn sysbench_writes_until_it_is_stopped() {
    for kind in [ServerKind::MariaDb, ServerKind::Mysql56] {
        let server = Server::start(kind, ServerOptions::source()).await.unwrap();
        Sysbench::prepare(&server, "sb", 2, 1000).await.unwrap();
        let mut client = server.client().await.unwrap();
        let before = table_checksum(&mut client, "sb", "sbtest1").await.unwrap();
        assert_eq!(before.rows, 1000, "{kind}");
        let mut load = Sysbench::run(&server, SysbenchLoad::WriteOnly, "sb", (2, 1000), 2, 200).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while table_checksum(&mut client, "sb", "sbtest1").await.unwrap() == before {
                load.check().unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
        load.stop().await.unwrap();
        let resting = table_checksum(&mut client, "sb", "sbtest1").await.unwrap();
        assert_eq!(
            table_checksum(&mut client, "sb", "sbtest1").await.unwrap(),
            resting,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn no_value_of_the_corpus_is_changed_on_its_way_in() {
    for kind in ServerKind::ALL {
        let server = Server::start(kind, ServerOptions::source()).await.unwrap();
        let mut client = server.client().await.unwrap();
        let corpus = Corpus::new(kind, "corpus");
        run(&mut client, kind, &corpus.create).await;
        for statement in corpus.seed.iter().chain(&corpus.mutate) {
            run(&mut client, kind, std::slice::from_ref(statement)).await;
            for warning in client.query_strings("SHOW WARNINGS").await.unwrap() {
                // Only the enum's 0 is out of the ordinary on purpose.
                let wanted = warning[1] == "1265" && statement.contains("types_choice");
                assert!(
                    wanted,
                    "{kind}: {warning:?}: {}",
                    statement.chars().take(200).collect::<String>()
                );
            }
        }
    }
}

#[tokio::test]
async fn values_of_64_mb_are_taken_by_every_source() {
    for kind in ServerKind::SOURCES {
        let mut options = ServerOptions::source();
        if kind == ServerKind::Mysql56 {
            options = options.set("innodb_log_file_size", "700M");
        }
        let server = Server::start(kind, options).await.unwrap();
        let mut client = server.client().await.unwrap();
        let corpus = Corpus::new(kind, "corpus");
        run(&mut client, kind, &corpus.create).await;
        run(&mut client, kind, &corpus.large).await;
        let table = Corpus::large_table();
        let length = format!("SELECT LENGTH(b) FROM corpus.{table} WHERE id = 1");
        assert_eq!(client.query_count(&length).await.unwrap(), 67_108_864, "{kind}");
        let length = format!("SELECT LENGTH(t) FROM corpus.{table} WHERE id = 2");
        assert_eq!(client.query_count(&length).await.unwrap(), 67_108_860, "{kind}");
        let before = table_checksum(&mut client, "corpus", table).await.unwrap();
        // The last byte of 64 MB.
        let update = format!("UPDATE corpus.{table} SET b = INSERT(b, 67108864, 1, x'28') WHERE id = 1");
        client.query_drop(&update).await.unwrap();
        assert_ne!(
            table_checksum(&mut client, "corpus", table).await.unwrap(),
            before,
            "{kind}"
        );
    }
}
