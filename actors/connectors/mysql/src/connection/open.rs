//! Opening a connection.

use std::time::Duration;

use mysql_async::{Conn, DriverError, Error, OptsBuilder, SslOpts};
use oms_core::Failure;
use tokio::time::Instant;

use super::{
    Endpoint, Side, TlsMode,
    failure::{Meaning, failure},
    greeting::{Answer, ask},
    session,
};

/// How long opening a connection may take, from name resolution to the end of the login.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol's own limit. The driver otherwise refuses to *read* rows longer than the server's
/// `max_allowed_packet`, which does not limit what a server sends. What may be *sent* is in
/// [`super::ServerInfo::max_allowed_packet`].
const PROTOCOL_PACKET_LIMIT: usize = 1 << 30;

/// Statements that one connection keeps prepared. OceanBase refuses more than 50 (`open_cursors`).
const PREPARED_STATEMENTS: usize = 24;

/// Opens a connection and prepares its session.
///
/// Afterwards on both sides: names and results are utf8mb4, the time zone is +00:00, autocommit is
/// on, time limits on statements are lifted and the server does not give up a slow reader for a
/// day. At a destination also: strict SQL mode without zero-date rules and with
/// `NO_AUTO_VALUE_ON_ZERO`, foreign keys unchecked, unique keys checked, lock waits end after half
/// a minute, and affected rows count rows *found*.
///
/// # Errors
/// `OMS-SRC-0001` to `-0004` or `OMS-DST-0001` to `-0004`, as far as the cause can be told. One that nobody answered says
/// how long that lasted.
pub async fn connect(endpoint: &Endpoint, side: Side) -> Result<Conn, Failure> {
    let place = format!("{}:{}", endpoint.host, endpoint.port);
    let begun = Instant::now();
    let mut conn = match open(endpoint, endpoint.tls, side).await {
        Ok(conn) => conn,
        Err(error) => return Err(explain(endpoint, side, error, begun).await.context(place)),
    };
    match session::prepare(&mut conn, side).await {
        Ok(()) => Ok(conn),
        Err(error) => Err(failure(error, side).context(place)),
    }
}

/// `None` instead of an error: the time was up.
async fn open(endpoint: &Endpoint, tls: TlsMode, side: Side) -> Result<Conn, Option<Error>> {
    match tokio::time::timeout(CONNECT_TIMEOUT, Conn::new(options(endpoint, tls, side))).await {
        Err(_) => Err(None),
        Ok(Err(Error::Driver(DriverError::NoClientSslFlagFromServer))) if tls == TlsMode::Prefer => {
            let plain = Conn::new(options(endpoint, TlsMode::Disable, side));
            match tokio::time::timeout(CONNECT_TIMEOUT, plain).await {
                Err(_) => Err(None),
                Ok(result) => result.map_err(Some),
            }
        }
        Ok(result) => result.map_err(Some),
    }
}

fn options(endpoint: &Endpoint, tls: TlsMode, side: Side) -> OptsBuilder {
    let ssl = match tls {
        TlsMode::Disable => None,
        TlsMode::Prefer | TlsMode::Require => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        TlsMode::Verify if endpoint.tls_ca_pem.trim().is_empty() => Some(SslOpts::default()),
        TlsMode::Verify => Some(
            SslOpts::default()
                .with_root_certs(vec![endpoint.tls_ca_pem.clone().into_bytes().into()])
                .with_disable_built_in_roots(true),
        ),
    };
    if ssl.is_some() && rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another connection leaves the same provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    OptsBuilder::default()
        .ip_or_hostname(endpoint.host.clone())
        .tcp_port(endpoint.port)
        .user(Some(endpoint.user.clone()))
        .pass(Some(endpoint.password.expose().to_owned()))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .max_allowed_packet(Some(PROTOCOL_PACKET_LIMIT))
        .wait_timeout(Some(86_400))
        .stmt_cache_size(PREPARED_STATEMENTS)
        .client_found_rows(side == Side::Destination)
        .ssl_opts(ssl)
}

/// Finds the cause behind a failed connection.
async fn explain(endpoint: &Endpoint, side: Side, error: Option<Error>, begun: Instant) -> Failure {
    let of = |meaning: Meaning, detail: String| Failure::new(meaning.code(side), detail);
    let Some(error) = error else {
        let seconds = CONNECT_TIMEOUT.as_secs();
        return match ask(&endpoint.host, endpoint.port).await {
            Answer::Other(name) => of(Meaning::WrongProtocol, format!("{name} answers here")),
            // Either not a database, or one that hangs. A hanging server comes back by itself, so
            // this must not stop a component for good.
            Answer::Silent => of(
                Meaning::Unreachable,
                format!(
                    "the port accepts connections but nothing greeted within {seconds} s: it is not a \
                     MySQL port, or the server hangs"
                ),
            )
            .lasting_for(begun.elapsed()),
            Answer::Nothing => {
                of(Meaning::Unreachable, format!("no answer within {seconds} s")).lasting_for(begun.elapsed())
            }
            Answer::Mysql => of(Meaning::Unreachable, format!("no answer within {seconds} s")),
        };
    };
    if let Error::Server(server) = &error {
        // Accounts with REQUIRE SSL are refused with the same number as a wrong password.
        if server.code == 1045
            && endpoint.tls == TlsMode::Disable
            && open(endpoint, TlsMode::Require, side).await.is_ok()
        {
            return of(
                Meaning::TlsRequired,
                "the account must use an encrypted connection".into(),
            );
        }
        return failure(error, side);
    }
    let told = failure(error, side);
    let unclear = [
        Meaning::Unreachable.code(side),
        Meaning::WrongProtocol.code(side),
        Meaning::StatementFailed.code(side),
        Meaning::TlsRequired.code(side),
    ];
    if !unclear.contains(&told.code()) {
        return told;
    }
    match ask(&endpoint.host, endpoint.port).await {
        Answer::Other(name) => of(Meaning::WrongProtocol, format!("{name} answers here")),
        Answer::Nothing => of(Meaning::Unreachable, told.detail().to_owned()),
        // The server speaks MySQL, so what failed is the connection.
        Answer::Mysql if told.code() == Meaning::WrongProtocol.code(side) => {
            of(Meaning::Unreachable, told.detail().to_owned())
        }
        Answer::Mysql | Answer::Silent => told,
    }
}
