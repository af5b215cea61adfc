//! `tls: verify` with certificates of an authority: host names are checked, on both kinds of connection.
#![allow(clippy::unwrap_used, reason = "tests")]

mod binlog_bed;

use std::{path::Path, process::Command};

use binlog_bed::Bed;
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{ErrorCode, codes};
use oms_mysql::{
    binlog::{BinlogCapture, CaptureOptions},
    connection::{Endpoint, Side, TlsMode, connect},
};

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("the program openssl");
    assert!(
        done.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A certificate authority's own certificate.
fn authority(folder: &Path, name: &str) -> String {
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name}"),
    );
    std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap()
}

/// A server's certificate for these names, signed by the authority.
fn signed(folder: &Path, authority: &str, name: &str, names: &str) {
    openssl(
        folder,
        &format!("req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
    );
    let extensions = format!("basicConstraints=CA:FALSE\nsubjectAltName={names}\n");
    std::fs::write(folder.join(format!("{name}.ext")), extensions).unwrap();
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem \
             -days 30 -extfile {name}.ext"
        ),
    );
}

fn with_certificate(folder: &Path, name: &str) -> ServerOptions {
    let path = |file: &str| folder.join(file).to_string_lossy().into_owned();
    ServerOptions::source()
        .set("ssl_cert", &path(&format!("{name}.pem")))
        .set("ssl_key", &path(&format!("{name}.key")))
        .set("ssl_ca", &path("known.pem"))
}

/// The answer of both kinds of connection, which must agree: queries of either side, and the log.
async fn answer(bed: &Bed, endpoint: &Endpoint) -> Result<(), ErrorCode> {
    let position = bed.position().await;
    let as_source = connect(endpoint, Side::Source).await.map(drop);
    let as_destination = connect(endpoint, Side::Destination).await.map(drop);
    let options = CaptureOptions {
        server_id: 900_001,
        ..CaptureOptions::default()
    };
    let log = BinlogCapture::open(endpoint, &options, &position).await.map(drop);
    match (as_source, as_destination, log) {
        (Ok(()), Ok(()), Ok(())) => Ok(()),
        (Err(source), Err(destination), Err(log)) => {
            assert_eq!(
                destination.code(),
                codes::dst::CERTIFICATE_REFUSED,
                "{destination}"
            );
            assert_eq!(source.code(), log.code(), "{source}\n{log}");
            Err(source.code())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_host_names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let known = authority(folder, "known");
    let stranger = authority(folder, "stranger");
    signed(folder, "known", "right", "DNS:localhost,IP:127.0.0.1");
    signed(folder, "known", "elsewhere", "DNS:db.example.com");
    let mut bed = Bed::start(ServerKind::MariaDb, with_certificate(folder, "right")).await;
    let at = |host: &str, ca: &str| Endpoint {
        host: host.to_owned(),
        tls: TlsMode::Verify,
        tls_ca_pem: ca.to_owned(),
        ..bed.endpoint.clone()
    };
    let (address, name) = (at("127.0.0.1", &known), at("localhost", &known));
    let strangers = at("127.0.0.1", &stranger);
    let public = at("127.0.0.1", "");
    assert_eq!(answer(&bed, &address).await, Ok(()));
    assert_eq!(answer(&bed, &name).await, Ok(()));
    for refused in [&strangers, &public] {
        assert_eq!(answer(&bed, refused).await, Err(codes::src::CERTIFICATE_REFUSED));
    }
    // Signed by the right authority, for another host.
    bed.server
        .restart_with(with_certificate(folder, "elsewhere"))
        .await
        .unwrap();
    assert_eq!(answer(&bed, &address).await, Err(codes::src::CERTIFICATE_REFUSED));
    let text = connect(&address, Side::Source).await.unwrap_err().to_string();
    assert!(text.contains("127.0.0.1"), "{text}");
    // Encryption without the check still works.
    let unchecked = Endpoint {
        tls: TlsMode::Require,
        ..address
    };
    connect(&unchecked, Side::Source).await.unwrap();
}
