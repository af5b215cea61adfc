//! Prechecks against real servers: a sound pair passes, and each fault is named.

#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Server, ServerKind, ServerOptions};
use oms_core::{PrecheckItem, PrecheckStatus, TableName};
use oms_mysql::{
    connection::{Endpoint, Secret, TlsMode},
    precheck::{PrecheckPlan, Steps, run},
};

fn endpoint(server: &Server, user: &str) -> Endpoint {
    Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: user.into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    }
}

fn plan(tables: &[(&str, &str)], views: &[(&str, &str)]) -> PrecheckPlan {
    let pair = |(s, d): &(&str, &str)| (TableName::new("shop", *s), TableName::new("shop2", *d));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    PrecheckPlan {
        tables: tables.iter().map(pair).collect(),
        views: views.iter().map(pair).collect(),
        steps: Steps {
            schema: true,
            full: true,
            incr: true,
            follows_ddl: true,
        },
        meta_database: "omsnode_meta".into(),
        now_us: now.as_micros() as i64,
        merges: false,
        seen: std::sync::Arc::new(Ok),
    }
}

fn failed(items: &[PrecheckItem]) -> Vec<&'static str> {
    let mut keys: Vec<_> = items
        .iter()
        .filter(|i| i.status == PrecheckStatus::Failed)
        .map(|i| i.key)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn message(items: &[PrecheckItem], key: &str) -> String {
    let of_key = items.iter().filter(|i| i.key == key);
    of_key.map(|i| i.message.as_str()).collect::<Vec<_>>().join(" | ")
}

async fn pair_is_judged(from: ServerKind, to: ServerKind) {
    let source = Server::start(from, ServerOptions::source()).await.unwrap();
    let destination = Server::start(to, ServerOptions::destination()).await.unwrap();
    let mut client = source.client().await.unwrap();
    let setup = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.a (id INT PRIMARY KEY, t LONGTEXT, e ENUM('?') CHARACTER SET utf8mb4) ENGINE=InnoDB",
        "CREATE TABLE shop.b (id INT PRIMARY KEY, a INT, FOREIGN KEY ra (a) REFERENCES shop.a (id)) ENGINE=InnoDB",
        "CREATE TABLE shop.c (id INT PRIMARY KEY, a INT, CONSTRAINT rc FOREIGN KEY (a) REFERENCES shop.a (id) \
         ON DELETE CASCADE) ENGINE=InnoDB",
        "CREATE TABLE shop.f (x FLOAT NOT NULL PRIMARY KEY) ENGINE=InnoDB",
        "CREATE TABLE shop.m (id INT PRIMARY KEY) ENGINE=MyISAM",
        "CREATE TABLE shop.n (v INT) ENGINE=InnoDB",
        "CREATE VIEW shop.v AS SELECT id FROM shop.a",
        "CREATE USER poor IDENTIFIED BY 'poor'",
    ];
    client.run_all(&setup).await.unwrap();
    let mut client = destination.client().await.unwrap();
    client.query_drop("CREATE DATABASE shop2").await.unwrap();
    let (s, d) = (endpoint(&source, "root"), endpoint(&destination, "root"));

    let good = run(
        &s,
        &d,
        &plan(&[("a", "a"), ("b", "b"), ("n", "n")], &[("v", "v")]),
    )
    .await;
    assert_eq!(failed(&good), [] as [&str; 0], "{from} to {to}: {good:#?}");
    assert!(message(&good, "DB_UK_INDEX").contains("`n`"));
    assert!(message(&good, "DB_DATA_TYPE").contains("`e`"));

    let tables = [
        ("b", "x"),
        ("c", "X"),
        ("f", "x"),
        ("m", "m"),
        ("v", "w"),
        ("zz", "zz"),
    ];
    let bad = run(&s, &d, &plan(&tables, &[("v", "v")])).await;
    let keys = failed(&bad);
    for key in [
        "DB_DATA_TYPE_INDEX",
        "DB_ENGINE",
        "DB_FOREIGN_REFERENCE",
        "DB_TABLE_NAME_UNIQUE",
        "DB_TABLE_TYPE",
        "RDB_OBJECT_DEPENDENCY_INTEGRITY",
        "RDB_TABLE_EXIST",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    // Only where the server logs what foreign keys do, cascades are harmless.
    assert_eq!(
        keys.contains(&"DB_NO_FOREIGN_KEY"),
        from != ServerKind::Mysql97,
        "{keys:?}"
    );
    assert!(message(&bad, "RDB_TABLE_EXIST").contains("`zz`"));

    let mut poor = endpoint(&source, "poor");
    poor.password = Secret::new("poor");
    let items = run(&poor, &d, &plan(&[("a", "a")], &[])).await;
    assert!(
        message(&items, "DB_ACCOUNT_INCR_READ_PRIVILEGE").contains("REPLICATION SLAVE"),
        "{items:#?}"
    );
    assert!(
        message(&items, "DB_ACCOUNT_FULL_READ_PRIVILEGE").contains("SELECT ON `shop`.`a`"),
        "{items:#?}"
    );

    let mut wrong = s.clone();
    wrong.password = Secret::new("wrong");
    let items = run(&wrong, &d, &plan(&[("a", "a")], &[])).await;
    let connect = items
        .iter()
        .find(|i| i.key == "RDB_CONNECT" && i.status == PrecheckStatus::Failed);
    assert_eq!(
        connect.and_then(|i| i.code).map(|c| c.as_str()),
        Some("OMS-SRC-0002")
    );

    let mut there = destination.client().await.unwrap();
    there
        .run_all(&[
            "CREATE USER poor IDENTIFIED BY 'poor'",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON shop2.* TO poor",
        ])
        .await
        .unwrap();
    let mut poor = endpoint(&destination, "poor");
    poor.password = Secret::new("poor");
    let items = run(&s, &poor, &plan(&[("a", "a")], &[])).await;
    let item = items
        .iter()
        .find(|i| i.key == "DB_ACCOUNT_DDL_PRIVILEGE")
        .unwrap();
    assert_eq!(item.status, PrecheckStatus::Failed, "{item:?}");
    // Statements that are followed need it all, and the statement that grants it is there to be run.
    for part in ["ALTER ON `shop2`.*", "DROP ON `shop2`.*"] {
        assert!(item.message.contains(part), "{part}: {item:?}");
    }
    assert!(
        !item.message.contains("CREATE ON") && !item.message.contains("INDEX ON"),
        "{item:?}"
    );
    let wanted = item.action.split("Run at the destination: ").nth(1).unwrap();
    let grant = wanted.split(" Or set").next().unwrap().trim_end_matches(';');
    assert!(grant.starts_with("GRANT ALTER, DROP"), "{grant}");
    there.query_drop(grant).await.unwrap();
    let items = run(&s, &poor, &plan(&[("a", "a")], &[])).await;
    let item = items
        .iter()
        .find(|i| i.key == "DB_ACCOUNT_DDL_PRIVILEGE")
        .unwrap();
    assert_eq!(item.status, PrecheckStatus::Passed, "{item:?}");

    let oms = run(
        &endpoint(&source, "oms"),
        &endpoint(&destination, "oms"),
        &plan(&[("a", "a")], &[]),
    )
    .await;
    assert_eq!(failed(&oms), [] as [&str; 0], "{from} to {to}: {oms:#?}");
}

#[tokio::test]
async fn mysql_56_to_oceanbase() {
    pair_is_judged(ServerKind::Mysql56, ServerKind::SeekDb).await;
}

#[tokio::test]
async fn mysql_97_to_mariadb() {
    pair_is_judged(ServerKind::Mysql97, ServerKind::MariaDb).await;
}

#[tokio::test]
async fn mariadb_to_mysql_97() {
    pair_is_judged(ServerKind::MariaDb, ServerKind::Mysql97).await;
}
