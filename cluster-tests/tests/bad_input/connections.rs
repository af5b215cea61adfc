//! Connections that cannot be used.

use oms_cluster_tests::{OmsNode, Server, ServerKind, ServerOptions, data_source_kind};
use oms_proto::error_of;
use oms_proto::v1::{
    Connection, CreateDataSourceRequest, CreateProjectRequest, DataSourceKind, DeleteDataSourceRequest,
    ListDataSourcesRequest, ProjectSpec, StepKind, StepState, TlsMode, UpdateDataSourceRequest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::Status;

use crate::words::{says, whole};

fn connection(server: &Server) -> Connection {
    Connection {
        kind: data_source_kind(server.kind()) as i32,
        host: server.host().to_owned(),
        port: u32::from(server.port()),
        user: server.oms_user().to_owned(),
        ..Default::default()
    }
}

async fn create(node: &OmsNode, name: &str, connection: Connection, password: &str) -> Result<(), Status> {
    let request = CreateDataSourceRequest {
        name: name.to_owned(),
        connection: Some(connection),
        password: password.to_owned(),
        ..Default::default()
    };
    let mut client = node.data_sources().await.unwrap();
    client.create_data_source(request).await.map(|_| ())
}

/// Listens and treats every connection in the same way until the test ends.
async fn listener(greeting: &'static [u8], answer: &'static [u8]) -> u32 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(greeting).await.ok()?;
                let mut asked = [0; 512];
                while stream.read(&mut asked).await.ok()? > 0 {
                    stream.write_all(answer).await.ok()?;
                }
                Some(())
            });
        }
    });
    u32::from(port)
}

/// A data source that cannot be used is refused with the reason, and not stored.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let node = OmsNode::start(&folder.path().join("node")).await.unwrap();
    let server = Server::start(ServerKind::Mysql97, ServerOptions::source())
        .await
        .unwrap();
    let good = connection(&server);
    let password = server.password();
    let port = |port: u32| Connection { port, ..good.clone() };

    says(
        create(&node, "a", good.clone(), "wrong").await,
        "OMS-SRC-0002",
        &["oms", "1045"],
    );
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = u32::from(closed.local_addr().unwrap().port());
    drop(closed);
    says(
        create(&node, "a", port(free), password).await,
        "OMS-SRC-0001",
        &[&free.to_string(), "refused"],
    );
    let nowhere = Connection {
        host: "no-such-host.invalid".into(),
        ..good.clone()
    };
    says(
        create(&node, "a", nowhere, password).await,
        "OMS-SRC-0001",
        &["no-such-host.invalid"],
    );
    let ssh = listener(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"").await;
    says(
        create(&node, "a", port(ssh), password).await,
        "OMS-SRC-0004",
        &["SSH", &ssh.to_string()],
    );
    let http = listener(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"").await;
    says(
        create(&node, "a", port(http), password).await,
        "OMS-SRC-0004",
        &["HTTP"],
    );
    let silent = listener(b"", b"").await;
    says(
        create(&node, "a", port(silent), password).await,
        "OMS-SRC-0001",
        &["greeted", "not a MySQL port"],
    );
    for wrong in [0, 65_536] {
        says(
            create(&node, "a", port(wrong), password).await,
            "OMS-API-0001",
            &["not a port"],
        );
    }
    let as_mariadb = Connection {
        kind: DataSourceKind::Mariadb as i32,
        ..good.clone()
    };
    says(
        create(&node, "a", as_mariadb, password).await,
        "OMS-API-0001",
        &["MySQL", "mariadb"],
    );
    for name in ["", "white space", &"x".repeat(33)] {
        says(
            create(&node, name, good.clone(), password).await,
            "OMS-API-0001",
            &["32"],
        );
    }
    let mut client = node.data_sources().await.unwrap();
    let stored = client
        .list_data_sources(ListDataSourcesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .data_sources;
    assert!(stored.is_empty(), "{stored:?}");

    create(&node, "a", good.clone(), password).await.unwrap();
    says(
        create(&node, "a", good.clone(), password).await,
        "OMS-API-0003",
        &["\"a\""],
    );
    // A change is tested, too, and a refused one changes nothing.
    let update = UpdateDataSourceRequest {
        name: "a".into(),
        password: Some("wrong".into()),
        ..Default::default()
    };
    says(client.update_data_source(update).await, "OMS-SRC-0002", &["1045"]);
    let request = oms_proto::v1::TestDataSourceRequest {
        name: "a".into(),
        ..Default::default()
    };
    client.test_data_source(request).await.unwrap();
    let delete = |name: &str| DeleteDataSourceRequest { name: name.into() };
    says(
        client.delete_data_source(delete("b")).await,
        "OMS-API-0002",
        &["\"b\""],
    );
    client.delete_data_source(delete("a")).await.unwrap();
}

/// Servers that insist on TLS say so, and with it a whole project runs.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_required_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let node = OmsNode::start(&folder.path().join("node")).await.unwrap();
    let options = ServerOptions::source().set("require_secure_transport", "OFF");
    let source = Server::start(ServerKind::Mysql97, options).await.unwrap();
    // MariaDB makes no certificates of its own: it borrows those of the source.
    let pem = |name: &str| source.data_folder().join(name).display().to_string();
    let options = ServerOptions::destination()
        .set("ssl_ca", &pem("ca.pem"))
        .set("ssl_cert", &pem("server-cert.pem"))
        .set("ssl_key", &pem("server-key.pem"));
    let destination = Server::start(ServerKind::MariaDb, options).await.unwrap();
    let mut root = source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO shop.t VALUES (1, 'one'), (2, 'two')",
        "SET GLOBAL require_secure_transport = ON",
    ];
    root.run_all(&statements).await.unwrap();
    let mut other = destination.client().await.unwrap();
    other
        .query_drop("SET GLOBAL require_secure_transport = ON")
        .await
        .unwrap();

    for (name, server) in [("src", &source), ("dst", &destination)] {
        let with = |tls: TlsMode| Connection {
            tls: tls as i32,
            ..connection(server)
        };
        says(
            create(&node, name, with(TlsMode::Disable), server.password()).await,
            "OMS-SRC-0003",
            &[],
        );
        // The certificate is signed by nobody that the usual roots know.
        says(
            create(&node, name, with(TlsMode::Verify), server.password()).await,
            "OMS-SRC-0017",
            &["certificate"],
        );
        let broken = Connection {
            tls_ca_pem: "no certificate".into(),
            ..with(TlsMode::Verify)
        };
        let error = create(&node, name, broken, server.password()).await.unwrap_err();
        assert!(error_of(&error).code.starts_with("OMS-"), "{error:?}");
        create(&node, name, with(TlsMode::Require), server.password())
            .await
            .unwrap();
    }
    let project = oms_cluster_tests::ProjectClient { name: "tls".into() };
    let spec = ProjectSpec {
        name: project.name.clone(),
        source: "src".into(),
        destination: "dst".into(),
        databases: vec![whole("shop")],
        ..Default::default()
    };
    let request = CreateProjectRequest { spec: Some(spec) };
    node.projects()
        .await
        .unwrap()
        .create_project(request)
        .await
        .unwrap();
    project.start(&node).await.unwrap().unwrap();
    project
        .wait_step(&node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    root.query_drop("UPDATE shop.t SET v = 'zwei' WHERE id = 2")
        .await
        .unwrap();
    project.wait_caught_up(&node).await.unwrap();
    let v = other
        .query_one("SELECT v FROM shop.t WHERE id = 2")
        .await
        .unwrap();
    assert_eq!(v.as_deref(), Some("zwei"));
}
