//! Finding out what is wrong with a port that does not let us in.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What answers at an address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A MySQL greeting or a MySQL error packet.
    Mysql,
    /// Something that is certainly not MySQL; its name if known.
    Other(&'static str),
    /// Connections are accepted and nothing is ever said.
    Silent,
    /// Connections are refused, or closed without a word.
    Nothing,
}

const STEP: Duration = Duration::from_secs(3);

/// Connects and listens, and speaks only if the other side keeps silent. For the diagnosis after a
/// failed connection, not for the normal path: a server counts aborted handshakes.
pub(crate) async fn ask(host: &str, port: u16) -> Answer {
    let mut first = [0u8; 5];
    let Ok(Ok(mut stream)) = timeout(STEP, TcpStream::connect((host, port))).await else {
        return Answer::Nothing;
    };
    match timeout(STEP, stream.read_exact(&mut first)).await {
        Ok(Ok(_)) => return classify(first),
        Ok(Err(_)) => return Answer::Nothing,
        Err(_) => {}
    }
    // Silent so far: servers of client-speaks-first protocols answer to their own greetings.
    // PostgreSQL answers an SSLRequest (https://www.postgresql.org/docs/current/protocol-message-formats.html)
    // with one byte.
    let probes: [(&[u8], &'static str); 2] = [
        (&[0, 0, 0, 8, 4, 210, 22, 47], "PostgreSQL"),
        (b"GET / HTTP/1.0\r\n\r\n", "HTTP"),
    ];
    for (probe, name) in probes {
        let Ok(Ok(mut stream)) = timeout(STEP, TcpStream::connect((host, port))).await else {
            return Answer::Nothing;
        };
        if stream.write_all(probe).await.is_err() {
            continue;
        }
        let mut answer = [0u8; 5];
        let Ok(Ok(n)) = timeout(STEP, stream.read(&mut answer)).await else {
            continue;
        };
        let answer = answer.get(..n).unwrap_or_default();
        let matches = match name {
            "PostgreSQL" => answer == b"S" || answer == b"N",
            _ => answer.starts_with(b"HTTP"),
        };
        if matches {
            return Answer::Other(name);
        }
        if !answer.is_empty() && answer.starts_with(b"HTTP") {
            return Answer::Other("HTTP");
        }
    }
    Answer::Silent
}

/// A MySQL packet starts with a three-byte length and sequence number 0; the greeting's first byte
/// is the protocol version 10, an error's is 255.
fn classify(first: [u8; 5]) -> Answer {
    match first {
        [_, _, 0, 0, 10 | 255] => Answer::Mysql,
        [b'S', b'S', b'H', ..] => Answer::Other("SSH"),
        [b'H', b'T', b'T', b'P', _] => Answer::Other("HTTP"),
        _ => Answer::Other("an unknown protocol"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_told_apart() {
        assert_eq!(classify([0x4a, 0, 0, 0, 10]), Answer::Mysql);
        assert_eq!(classify([0x20, 0, 0, 0, 255]), Answer::Mysql);
        assert_eq!(classify(*b"SSH-2"), Answer::Other("SSH"));
        assert_eq!(classify(*b"220 m"), Answer::Other("an unknown protocol"));
    }
}
