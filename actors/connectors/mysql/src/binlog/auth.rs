//! Proving who we are, by the methods servers ask for.

use std::io;

use bytes::Bytes;
use mysql_common::{crypto, scramble};
use oms_core::{Failure, codes};
use tokio::io::{AsyncRead, AsyncWrite};

use super::packet::PacketStream;

/// A method of MySQL and MariaDB servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    NativePassword,
    CachingSha2,
    ClearPassword,
}

impl Method {
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"mysql_native_password" => Some(Self::NativePassword),
            b"caching_sha2_password" => Some(Self::CachingSha2),
            b"mysql_clear_password" => Some(Self::ClearPassword),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativePassword => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::ClearPassword => "mysql_clear_password",
        }
    }

    /// The first answer to the server's nonce.
    pub(crate) fn answer(self, nonce: &[u8], password: &str, encrypted: bool) -> Result<Vec<u8>, Failure> {
        let secret = password.as_bytes();
        Ok(match self {
            _ if password.is_empty() && self != Self::ClearPassword => Vec::new(),
            Self::NativePassword => scramble::scramble_native(nonce, secret)
                .map(|s| s.to_vec())
                .unwrap_or_default(),
            Self::CachingSha2 => scramble::scramble_sha256(nonce, secret)
                .map(|s| s.to_vec())
                .unwrap_or_default(),
            Self::ClearPassword if encrypted => [secret, b"\0"].concat(),
            Self::ClearPassword => {
                return Err(Failure::new(
                    codes::src::TLS_REQUIRED,
                    "the server wants the password in clear, which is only sent over TLS",
                ));
            }
        })
    }

    /// Answers the server's "more data" (behind its marker byte), if it wants an answer.
    pub(crate) async fn more<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        data: &Bytes,
        nonce: &[u8],
        password: &str,
        encrypted: bool,
        packets: &mut PacketStream<S>,
    ) -> io::Result<()> {
        match (self, data.as_ref()) {
            (Self::CachingSha2, [3]) => Ok(()),
            (Self::CachingSha2, [4]) if encrypted => {
                packets.write(&[password.as_bytes(), b"\0"].concat()).await
            }
            (Self::CachingSha2, [4]) => packets.write(&[2]).await,
            (Self::CachingSha2, key) if key.starts_with(b"-----BEGIN") => {
                let mut clear = [password.as_bytes(), b"\0"].concat();
                for (byte, mask) in clear.iter_mut().zip(nonce.iter().cycle()) {
                    *byte ^= mask;
                }
                check_public_key(key)?;
                packets.write(&crypto::encrypt(&clear, key)).await
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server's authentication data is not understood",
            )),
        }
    }
}

/// Whether the key is one the encryption can read: a PEM of a sane length with base64 inside.
fn check_public_key(pem: &[u8]) -> io::Result<()> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bad = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the server's public key is not readable",
        )
    };
    let text = std::str::from_utf8(pem)
        .map_err(|_| bad())?
        .trim_end_matches('\0');
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let [first, inner @ .., last] = lines.as_slice() else {
        return Err(bad());
    };
    if *first != "-----BEGIN PUBLIC KEY-----" || *last != "-----END PUBLIC KEY-----" {
        return Err(bad());
    }
    let der = STANDARD.decode(inner.concat()).map_err(|_| bad())?;
    // SubjectPublicKeyInfo of RSA with 1024 to 16384 bits.
    if der.first() != Some(&0x30) || !(140..=2200).contains(&der.len()) {
        return Err(bad());
    }
    Ok(())
}
