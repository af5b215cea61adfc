//! Definitions as real servers give them.

#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Server, ServerKind, ServerOptions};
use oms_core::{ColumnType, Generated, TableName, codes};
use oms_mysql::{
    catalog::{Catalog, ForeignKeyRule, ObjectType},
    connection::{Endpoint, Secret, ServerInfo, Side, TlsMode, connect},
};

async fn start(kind: ServerKind, statements: &[&str]) -> (Server, mysql_async::Conn, ServerInfo) {
    let options = match kind {
        ServerKind::SeekDb => ServerOptions::destination(),
        _ => ServerOptions::source(),
    };
    let server = Server::start(kind, options).await.unwrap();
    let mut client = server.client().await.unwrap();
    client.query_drop("CREATE DATABASE d").await.unwrap();
    client.query_drop("USE d").await.unwrap();
    client.run_all(statements).await.unwrap();
    let endpoint = Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let mut conn = connect(&endpoint, Side::Source).await.unwrap();
    let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
    (server, conn, info)
}

#[tokio::test]
async fn what_every_server_has() {
    for kind in ServerKind::ALL {
        let (_server, mut conn, info) = start(
            kind,
            &[
                "CREATE TABLE t (b INT NOT NULL, a VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL, c INT NULL, \
                 e ENUM('it''s','c,d','') NOT NULL, UNIQUE KEY z (c), UNIQUE KEY y (a(3)), UNIQUE KEY m (b, a), \
                 UNIQUE KEY k (b)) COMMENT = 'it''s'",
                "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), \
                 PARTITION p1 VALUES LESS THAN MAXVALUE)",
                "CREATE TABLE p2 (id INT PRIMARY KEY)",
                "CREATE TABLE r (id INT PRIMARY KEY, x INT, CONSTRAINT fk1 FOREIGN KEY (x) REFERENCES p2 (id) \
                 ON DELETE CASCADE)",
                "CREATE VIEW v AS SELECT r.id, '`d`.`p`' AS s FROM r JOIN t ON t.b = r.id",
            ],
        )
        .await;
        let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
        let t = catalog
            .load_tables(&[TableName::new("d", "t")])
            .await
            .unwrap()
            .remove(0);
        let names: Vec<_> = t.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c", "e"], "{kind}");
        let ColumnType::Enum { members, .. } = &t.columns[3].ty else {
            panic!("{:?}", t.columns[3])
        };
        assert_eq!(members, &["it's", "c,d", ""], "{kind}");
        assert!(t.columns[2].nullable && !t.columns[0].nullable);
        assert_eq!(t.keys.len(), 4);
        let y = t.keys.iter().find(|k| k.name == "y").unwrap();
        assert_eq!(
            (y.parts[0].column, y.parts[0].prefix),
            (Some(1), Some(3)),
            "{kind}"
        );
        // `z` may be NULL and `y` is a part of its column only.
        assert!(["m", "k"].contains(&t.row_key().unwrap().name.as_str()), "{kind}");

        let partitions = catalog
            .partitioning(&TableName::new("d", "p"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(partitions.partitions, ["p0", "p1"], "{kind}");
        assert!(
            catalog
                .partitioning(&TableName::new("d", "t"))
                .await
                .unwrap()
                .is_none()
        );
        let keys = catalog.foreign_keys("d").await.unwrap();
        assert_eq!(keys.len(), 1, "{kind} {keys:?}");
        assert_eq!(
            (keys[0].on_delete, keys[0].on_update),
            (ForeignKeyRule::Changes, ForeignKeyRule::Restrict)
        );
        assert_eq!(keys[0].referenced, TableName::new("d", "p2"));
        let objects = catalog.objects("d").await.unwrap();
        let view = objects.iter().find(|o| o.name.table == "v").unwrap();
        assert_eq!(view.object_type, ObjectType::View);
        assert_eq!(
            objects.iter().find(|o| o.name.table == "t").unwrap().comment,
            "it's"
        );
        let existing = objects.iter().map(|o| o.name.clone()).collect();
        let needs = catalog.view_dependencies(&view.name, &existing).await.unwrap();
        let needs: Vec<_> = needs.iter().map(|n| n.table.as_str()).collect();
        assert_eq!(needs, ["r", "t"], "{kind}");
        assert!(
            catalog
                .create_table(&t.name)
                .await
                .unwrap()
                .starts_with("CREATE TABLE")
        );
        assert!(catalog.create_database("d").await.unwrap().contains("DATABASE"));
        assert!(
            catalog
                .databases()
                .await
                .unwrap()
                .iter()
                .any(|d| d.name == "d" && !d.system)
        );
    }
}

#[tokio::test]
async fn what_mysql_97_adds() {
    let (_server, mut conn, info) = start(
        ServerKind::Mysql97,
        &[
            "CREATE TABLE g (id INT PRIMARY KEY, v INT AS (id + 1) VIRTUAL, s INT AS (id + 2) STORED, i INT INVISIBLE, \
             j JSON, p POINT NOT NULL SRID 4326, d DATETIME DEFAULT (NOW()), UNIQUE KEY f ((id * 2)))",
            "CREATE TABLE w (id INT PRIMARY KEY, x VECTOR(3))",
        ],
    )
    .await;
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let g = catalog
        .load_tables(&[TableName::new("d", "g")])
        .await
        .unwrap()
        .remove(0);
    let generated: Vec<_> = g.columns.iter().map(|c| c.generated).collect();
    let (v, s) = (Some(Generated::Virtual), Some(Generated::Stored));
    assert_eq!(generated, [None, v, s, None, None, None, None]);
    assert!(g.columns[3].invisible && g.columns[4].ty == ColumnType::Json);
    assert_eq!(g.columns[5].ty, ColumnType::Geometry { kind: "point".into() });
    let f = g.keys.iter().find(|k| k.name == "f").unwrap();
    assert_eq!(f.parts[0].column, None);
    assert_eq!(g.row_key().unwrap().name, "PRIMARY");
    let e = catalog
        .load_tables(&[TableName::new("d", "w")])
        .await
        .unwrap_err();
    assert_eq!(e.code(), codes::src::TYPE_NOT_SUPPORTED);
    assert!(
        e.detail().contains("`x`") && e.detail().contains("vector(3)"),
        "{e}"
    );
}

#[tokio::test]
async fn what_mariadb_adds() {
    let (_server, mut conn, info) = start(
        ServerKind::MariaDb,
        &[
            "CREATE TABLE g (id INT PRIMARY KEY, v INT AS (id + 1) VIRTUAL, s INT AS (id + 2) PERSISTENT, \
             i INT INVISIBLE, j JSON, u UUID, i4 INET4, i6 INET6, c BLOB COMPRESSED, k VARCHAR(99) COMPRESSED)",
            "CREATE SEQUENCE q",
        ],
    )
    .await;
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let g = catalog
        .load_tables(&[TableName::new("d", "g")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(g.columns[1].generated, Some(Generated::Virtual));
    assert_eq!(g.columns[2].generated, Some(Generated::Stored));
    assert!(g.columns[3].invisible);
    let types: Vec<_> = g.columns[4..].iter().map(|c| &c.ty).collect();
    assert!(matches!(types[0], ColumnType::Text { tier: 4, .. }));
    assert_eq!(
        types[1..4],
        [&ColumnType::Uuid, &ColumnType::Inet4, &ColumnType::Inet6]
    );
    assert!(matches!(types[4], ColumnType::Blob { tier: 2 }));
    assert!(matches!(types[5], ColumnType::VarChar { length: 99, .. }));
    let objects = catalog.objects("d").await.unwrap();
    let q = objects.iter().find(|o| o.name.table == "q").unwrap();
    assert_eq!(q.object_type, ObjectType::Other("SEQUENCE".into()));
}
