//! Opening a connection of our own and logging in.

use std::{io, time::Duration};

use bytes::Bytes;
use mysql_async::{Error, IoError, ServerError};
use oms_core::{Failure, codes};
use tokio::net::TcpStream;

use super::{auth::Method, bytes_reader::Reader, encryption::Stream, packet::PacketStream};
use crate::connection::{Endpoint, Meaning, Side, TlsMode, failure, io_meaning};

const LONG_PASSWORD: u32 = 1;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;

/// utf8mb4_general_ci, which every server since 5.5 has.
const COLLATION: u8 = 45;

/// What the server says first.
struct Greeting {
    capabilities: u32,
    nonce: Vec<u8>,
    method: Vec<u8>,
}

impl Greeting {
    fn parse(packet: &[u8]) -> Option<Self> {
        let mut r = Reader::new(packet);
        if r.u8().ok()? != 10 {
            return None;
        }
        r.until_zero().ok()?;
        r.u32().ok()?;
        let mut nonce = r.take(8).ok()?.to_vec();
        r.u8().ok()?;
        let low = u32::from(r.u16().ok()?);
        r.take(3).ok()?;
        let capabilities = low | u32::from(r.u16().ok()?) << 16;
        let nonce_length = usize::from(r.u8().ok()?);
        r.take(10).ok()?;
        if capabilities & SECURE_CONNECTION != 0 {
            let second = r.take(nonce_length.saturating_sub(8).max(13)).ok()?;
            nonce.extend(second.strip_suffix(b"\0").unwrap_or(second));
        }
        let method = match r.until_zero() {
            Ok(name) => name,
            Err(_) => r.rest(),
        };
        Some(Self {
            capabilities,
            nonce,
            method: if method.is_empty() {
                b"mysql_native_password".to_vec()
            } else {
                method.to_vec()
            },
        })
    }
}

/// A server's refusal, as a failure of the source.
pub(crate) fn refusal(packet: &[u8]) -> Failure {
    failure(Error::Server(server_error(packet)), Side::Source)
}

/// The content of an error packet.
pub(crate) fn server_error(packet: &[u8]) -> ServerError {
    let mut r = Reader::new(packet.get(1..).unwrap_or_default());
    let code = r.u16().unwrap_or_default();
    let mut message = r.rest();
    let mut state = "HY000".to_owned();
    if let Some((b'#', rest)) = message.split_first()
        && let Some((text, rest)) = rest.split_at_checked(5)
    {
        state = String::from_utf8_lossy(text).into_owned();
        message = rest;
    }
    ServerError {
        code,
        state,
        message: String::from_utf8_lossy(message).into_owned(),
    }
}

/// An I/O error, as a failure of the source.
pub(crate) fn broken(error: io::Error) -> Failure {
    failure(Error::Io(IoError::Io(error)), Side::Source)
}

/// Opens a connection and logs in.
///
/// # Errors
/// `OMS-SRC-0001` to `-0004`.
pub(crate) async fn open(
    endpoint: &Endpoint,
    limit: usize,
    within: Duration,
) -> Result<PacketStream<Stream>, Failure> {
    let place = format!("{}:{}", endpoint.host, endpoint.port);
    match tokio::time::timeout(within, log_in(endpoint, limit)).await {
        Ok(Ok(packets)) => Ok(packets),
        Ok(Err(failure)) => Err(failure.context(place)),
        Err(_) => Err(Failure::new(
            codes::src::UNREACHABLE,
            format!("{place}: no login within {} s", within.as_secs()),
        )),
    }
}

async fn log_in(endpoint: &Endpoint, limit: usize) -> Result<PacketStream<Stream>, Failure> {
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(broken)?;
    tcp.set_nodelay(true).map_err(broken)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket2::SockRef::from(&tcp)
        .set_tcp_keepalive(&keepalive)
        .map_err(broken)?;
    let mut packets = PacketStream::new(Stream::Plain(tcp), limit);
    let first = packets.read().await.map_err(broken)?;
    if first.first() == Some(&0xff) {
        return Err(refusal(&first));
    }
    let Some(greeting) = Greeting::parse(&first) else {
        return Err(Failure::new(
            codes::src::WRONG_PROTOCOL,
            "the first packet is not a MySQL greeting",
        ));
    };
    let mut flags = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
    flags &= greeting.capabilities;
    let offered = greeting.capabilities & SSL != 0;
    let wanted = match endpoint.tls {
        TlsMode::Disable => false,
        TlsMode::Prefer => offered,
        TlsMode::Require | TlsMode::Verify if !offered => {
            return Err(Failure::new(codes::src::TLS_REQUIRED, "the server offers no TLS"));
        }
        TlsMode::Require | TlsMode::Verify => true,
    };
    let mut head = Vec::with_capacity(128);
    if wanted {
        flags |= SSL;
    }
    head.extend(flags.to_le_bytes());
    head.extend((1u32 << 30).to_le_bytes());
    head.push(COLLATION);
    head.extend([0; 23]);
    if wanted {
        packets.write(&head).await.map_err(broken)?;
        if packets.has_unread() {
            return Err(Failure::new(
                codes::src::WRONG_PROTOCOL,
                "unexpected bytes before encryption",
            ));
        }
        let (stream, sequence) = packets.into_inner();
        let stream = stream.encrypt(endpoint).await.map_err(|e| {
            let code = match io_meaning(&e) {
                Meaning::CertificateRefused => codes::src::CERTIFICATE_REFUSED,
                _ => codes::src::TLS_REQUIRED,
            };
            Failure::new(code, format!("TLS could not be established: {e}"))
        })?;
        packets = PacketStream::new(stream, limit).with_sequence(sequence);
    }
    let method = Method::of(&greeting.method).unwrap_or(Method::NativePassword);
    authenticate(endpoint, &mut packets, head, greeting, method, wanted).await?;
    Ok(packets)
}

async fn authenticate(
    endpoint: &Endpoint,
    packets: &mut PacketStream<Stream>,
    mut response: Vec<u8>,
    greeting: Greeting,
    mut method: Method,
    encrypted: bool,
) -> Result<(), Failure> {
    let password = endpoint.password.expose();
    let mut nonce = greeting.nonce;
    let answer = method.answer(&nonce, password, encrypted)?;
    response.extend(endpoint.user.as_bytes());
    response.push(0);
    response.push(u8::try_from(answer.len()).unwrap_or_default());
    response.extend(&answer);
    response.extend(method.name().as_bytes());
    response.push(0);
    packets.write(&response).await.map_err(broken)?;
    // A server asks at most for another method, then for more data twice.
    for _ in 0..6 {
        let packet = packets.read().await.map_err(broken)?;
        match packet.first() {
            Some(0x00) => return Ok(()),
            Some(0xff) => return Err(refusal(&packet)),
            Some(0xfe) => {
                let mut r = Reader::new(packet.get(1..).unwrap_or_default());
                let name = r.until_zero().unwrap_or(b"mysql_old_password");
                method = Method::of(name).ok_or_else(|| {
                    Failure::new(
                        codes::src::ACCESS_DENIED,
                        format!(
                            "the account uses the authentication method {}, which is not supported for \
                             reading the binary log; give it mysql_native_password or \
                             caching_sha2_password",
                            String::from_utf8_lossy(name)
                        ),
                    )
                })?;
                nonce = r.rest().strip_suffix(b"\0").unwrap_or(r.rest()).to_vec();
                let answer = method.answer(&nonce, password, encrypted)?;
                packets.write(&answer).await.map_err(broken)?;
            }
            Some(0x01) => {
                let data: Bytes = packet.slice(1..);
                method
                    .more(&data, &nonce, password, encrypted, packets)
                    .await
                    .map_err(broken)?;
            }
            _ => break,
        }
    }
    Err(Failure::new(
        codes::src::WRONG_PROTOCOL,
        "the login ended in an unexpected packet",
    ))
}

#[cfg(test)]
mod tests {
    use oms_cluster_tests::{Server, ServerKind, ServerOptions};

    use super::*;
    use crate::connection::Secret;

    fn endpoint(server: &Server, user: &str, password: &str, tls: TlsMode) -> Endpoint {
        Endpoint {
            host: server.host().into(),
            port: server.port(),
            user: user.into(),
            password: Secret::new(password),
            tls,
            tls_ca_pem: String::new(),
        }
    }

    async fn log_in_as(endpoint: &Endpoint) -> Result<(), Failure> {
        open(endpoint, 1 << 20, Duration::from_secs(20)).await.map(drop)
    }

    /// A server that does not remember the password asks for all of it: encrypted with its key, or
    /// in clear under TLS.
    #[tokio::test]
    async fn a_server_that_has_forgotten_the_password_is_given_it() {
        let server = Server::start(ServerKind::Mysql97, ServerOptions::source())
            .await
            .unwrap();
        let mut client = server.client().await.unwrap();
        let create = "CREATE USER u@'%' IDENTIFIED WITH caching_sha2_password BY 'a long secret, longer than a scramble'";
        client.query_drop(create).await.unwrap();
        let secret = "a long secret, longer than a scramble";
        for tls in [TlsMode::Disable, TlsMode::Require] {
            client.query_drop("FLUSH PRIVILEGES").await.unwrap();
            let wrong = log_in_as(&endpoint(&server, "u", "wrong", tls))
                .await
                .unwrap_err();
            assert_eq!(wrong.code(), codes::src::ACCESS_DENIED, "{tls:?}");
            let right = endpoint(&server, "u", secret, tls);
            log_in_as(&right).await.unwrap();
            log_in_as(&right).await.unwrap();
        }
        client
            .query_drop("CREATE USER e@'%' IDENTIFIED BY ''")
            .await
            .unwrap();
        log_in_as(&endpoint(&server, "e", "", TlsMode::Disable))
            .await
            .unwrap();
        let unverified = log_in_as(&endpoint(&server, "u", secret, TlsMode::Verify))
            .await
            .unwrap_err();
        assert_eq!(unverified.code(), codes::src::CERTIFICATE_REFUSED, "{unverified}");
        let ca = std::fs::read_to_string(server.data_folder().join("ca.pem")).unwrap();
        let mut known = endpoint(&server, "u", secret, TlsMode::Verify);
        known.tls_ca_pem = ca;
        // The server's own certificate names no host.
        assert_eq!(
            log_in_as(&known).await.unwrap_err().code(),
            codes::src::CERTIFICATE_REFUSED
        );
    }

    #[tokio::test]
    async fn other_greetings_and_silence_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port,
            user: "u".into(),
            password: Secret::default(),
            tls: TlsMode::Disable,
            tls_ca_pem: String::new(),
        };
        let silent = open(&endpoint, 100, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(silent.code(), codes::src::UNREACHABLE);
        drop(listener);
        let nobody = open(&endpoint, 100, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(nobody.code(), codes::src::UNREACHABLE);
        assert!(Greeting::parse(&[9, 0]).is_none());
        assert!(Greeting::parse(b"\x0a5.6\0\x01\0\0\0abc").is_none());
    }
}
