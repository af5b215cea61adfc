//! Every way in which a connection can fail has its code.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use oms_cluster_tests::{Server, ServerKind, ServerOptions};
use oms_core::{Capture as _, ErrorCode, RecordFlags, codes};
use oms_mysql::binlog::{BinlogCapture, CaptureOptions, current_position};
use oms_mysql::connection::{Endpoint, Secret, ServerInfo, Side, TlsMode, connect};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn endpoint(host: &str, port: u16, user: &str, password: &str, tls: TlsMode) -> Endpoint {
    Endpoint {
        host: host.into(),
        port,
        user: user.into(),
        password: Secret::new(password),
        tls,
        tls_ca_pem: String::new(),
    }
}

async fn code(endpoint: &Endpoint) -> ErrorCode {
    connect(endpoint, Side::Source).await.unwrap_err().code()
}

/// A server that sends `greeting`, then, if asked anything, `answer`.
async fn pretend(greeting: &'static [u8], answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(greeting).await;
                let mut asked = [0u8; 64];
                while let Ok(n) = stream.read(&mut asked).await {
                    if n == 0 || stream.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn ports_that_are_no_database() {
    let at = |port| endpoint("127.0.0.1", port, "root", "", TlsMode::Disable);
    // A port that was free a moment ago.
    let free = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert_eq!(code(&at(free)).await, codes::src::UNREACHABLE);
    let nowhere = endpoint("no-such-host.invalid", 3306, "root", "", TlsMode::Disable);
    assert_eq!(code(&nowhere).await, codes::src::UNREACHABLE);
    let ssh = pretend(b"SSH-2.0-OpenSSH_9.2\r\n", b"").await;
    assert_eq!(code(&at(ssh)).await, codes::src::WRONG_PROTOCOL);
    let (http, postgres, silent) = (
        pretend(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        pretend(b"", b"N").await,
        pretend(b"", b"").await,
    );
    let (http, postgres, silent) = (at(http), at(postgres), at(silent));
    // Each waits for the whole time a connection may take, so they wait together.
    let (http, postgres, silent) =
        tokio::join!(code(&http), code(&postgres), connect(&silent, Side::Destination));
    assert_eq!(http, codes::src::WRONG_PROTOCOL);
    assert_eq!(postgres, codes::src::WRONG_PROTOCOL);
    // It may be a server that hangs, so this is not final.
    let silent = silent.unwrap_err();
    assert_eq!(silent.code(), codes::dst::UNREACHABLE);
    assert!(silent.detail().contains("not a MySQL port"), "{silent}");
}

#[tokio::test]
async fn passwords_and_encryption() {
    let server = Server::start(ServerKind::Mysql97, ServerOptions::source())
        .await
        .unwrap();
    let mut client = server.client().await.unwrap();
    let setup = [
        "CREATE USER strict IDENTIFIED BY 'p' REQUIRE SSL",
        "CREATE USER locked IDENTIFIED BY 'p' ACCOUNT LOCK",
    ];
    client.run_all(&setup).await.unwrap();
    let at = |user: &str, password: &str, tls| endpoint("127.0.0.1", server.port(), user, password, tls);
    let wrong = connect(&at("root", "wrong-secret", TlsMode::Disable), Side::Source)
        .await
        .unwrap_err();
    assert_eq!(wrong.code(), codes::src::ACCESS_DENIED);
    assert!(!wrong.to_string().contains("wrong-secret"), "{wrong}");
    assert_eq!(
        code(&at("locked", "p", TlsMode::Disable)).await,
        codes::src::ACCESS_DENIED
    );
    assert_eq!(
        code(&at("strict", "p", TlsMode::Disable)).await,
        codes::src::TLS_REQUIRED
    );
    for tls in [TlsMode::Prefer, TlsMode::Require] {
        connect(&at("strict", "p", tls), Side::Source).await.unwrap();
    }
    // Its certificate is signed by nobody we know.
    assert_eq!(
        code(&at("strict", "p", TlsMode::Verify)).await,
        codes::src::CERTIFICATE_REFUSED
    );
    client
        .query_drop("SET GLOBAL require_secure_transport = ON")
        .await
        .unwrap();
    assert_eq!(
        code(&at("root", server.password(), TlsMode::Disable)).await,
        codes::src::TLS_REQUIRED
    );
}

#[tokio::test]
async fn servers_without_encryption_and_frozen_servers() {
    let mut server = Server::start(ServerKind::MariaDb, ServerOptions::source())
        .await
        .unwrap();
    let at = |tls| endpoint("127.0.0.1", server.port(), server.user(), server.password(), tls);
    let (prefer, require) = (at(TlsMode::Prefer), at(TlsMode::Require));
    connect(&prefer, Side::Source).await.unwrap();
    assert_eq!(code(&require).await, codes::src::TLS_REQUIRED);
    server.freeze().unwrap();
    let frozen = tokio::time::timeout(Duration::from_secs(40), code(&prefer))
        .await
        .unwrap();
    assert_eq!(frozen, codes::src::UNREACHABLE);
    server.thaw().unwrap();
    connect(&prefer, Side::Source).await.unwrap();
}

/// While a server may be looking for the start of its log it is silent, and a lost one is silent, too.
#[tokio::test]
async fn a_source_that_is_lost_before_its_log_begins() {
    let mut server = Server::start(ServerKind::MariaDb, ServerOptions::source())
        .await
        .unwrap();
    let endpoint = endpoint(
        "127.0.0.1",
        server.port(),
        server.user(),
        server.password(),
        TlsMode::Disable,
    );
    let mut conn = connect(&endpoint, Side::Source).await.unwrap();
    let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
    let start = current_position(&mut conn, &info).await.unwrap();
    // The server says nothing of its own accord for longer than this test takes.
    let options = CaptureOptions {
        server_id: 4_711,
        heartbeat: Duration::from_secs(600),
        ..CaptureOptions::default()
    };
    let mut capture = BinlogCapture::open(&endpoint, &options, &start).await.unwrap();
    server.freeze().unwrap();
    let lost = async {
        loop {
            match capture.next().await {
                Ok(record) => assert!(record.flags.has(RecordFlags::CONTEXT), "{record:?}"),
                Err(failure) => return failure,
            }
        }
    };
    let failure = tokio::time::timeout(Duration::from_secs(15), lost).await.unwrap();
    assert_eq!(failure.code(), codes::src::UNREACHABLE);
    // Long enough that its component moves without a second attempt.
    assert!(failure.lasting() >= Duration::from_secs(5), "{failure}");
    server.thaw().unwrap();
}
