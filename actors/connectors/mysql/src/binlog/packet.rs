//! Packets of the MySQL protocol.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::event_header::HEADER_LENGTH;

/// The largest body of one packet; longer ones continue in the next.
const FULL: usize = 0xff_ffff;
const READ_BLOCK: usize = 256 << 10;

/// Reads and writes packets over a byte stream.
///
/// Reading is cancel safe: what was received stays here.
#[derive(Debug)]
pub(crate) struct PacketStream<S> {
    stream: S,
    received: BytesMut,
    /// The front of a packet that continues.
    continued: BytesMut,
    sequence: u8,
    limit: usize,
}

impl<S> PacketStream<S> {
    /// Refuses bodies longer than `limit`.
    pub(crate) fn new(stream: S, limit: usize) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
            continued: BytesMut::new(),
            sequence: 0,
            limit,
        }
    }

    /// Whether bytes were received that no packet took.
    pub(crate) fn has_unread(&self) -> bool {
        !self.received.is_empty()
    }

    /// Gives up packets, for putting encryption underneath.
    pub(crate) fn into_inner(self) -> (S, u8) {
        (self.stream, self.sequence)
    }

    /// Goes on with the numbering of the packets before encryption.
    pub(crate) fn with_sequence(mut self, sequence: u8) -> Self {
        self.sequence = sequence;
        self
    }

    /// A whole packet out of what was received, if there is one.
    fn complete(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(&[a, b, c, sequence]) = self.received.first_chunk::<4>() else {
                return Ok(None);
            };
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            if self.continued.len() + length > self.limit {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a packet exceeds the limit of {} bytes", self.limit),
                ));
            }
            if self.received.len() < 4 + length {
                return Ok(None);
            }
            if sequence != self.sequence {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "packets out of order"));
            }
            self.sequence = sequence.wrapping_add(1);
            self.received.advance(4);
            let body = self.received.split_to(length);
            if length == FULL {
                if self.continued.is_empty() {
                    self.continued.reserve(expected_length(&body).min(self.limit));
                }
                self.continued.extend_from_slice(&body);
                continue;
            }
            if self.continued.is_empty() {
                return Ok(Some(body.freeze()));
            }
            self.continued.extend_from_slice(&body);
            return Ok(Some(std::mem::take(&mut self.continued).freeze()));
        }
    }

    /// Bytes to read for the packet that is arriving.
    fn wanted(&self) -> usize {
        match self.received.first_chunk::<4>() {
            Some(&[a, b, c, _]) => {
                let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
                (4 + length).saturating_sub(self.received.len()).max(1)
            }
            None => 4,
        }
    }
}

/// Bytes of a packet of several parts: an event's header tells its size.
fn expected_length(first: &[u8]) -> usize {
    match first.split_first() {
        Some((0, event)) if event.len() >= HEADER_LENGTH => match event.get(9..13) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize + 1,
            _ => first.len(),
        },
        _ => first.len(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> PacketStream<S> {
    /// The next packet.
    pub(crate) async fn read(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(packet) = self.complete()? {
                return Ok(packet);
            }
            let wanted = self.wanted();
            if self.received.capacity() - self.received.len() < wanted.min(READ_BLOCK) {
                self.received.reserve(wanted.max(READ_BLOCK));
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a packet that continues the exchange.
    pub(crate) async fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let Some(length) = u32::try_from(body.len()).ok().filter(|n| (*n as usize) < FULL) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the packet is too long",
            ));
        };
        let [a, b, c, _] = length.to_le_bytes();
        let mut packet = Vec::with_capacity(body.len() + 4);
        packet.extend([a, b, c, self.sequence]);
        packet.extend(body);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).await?;
        self.stream.flush().await
    }

    /// Sends a command, which starts a new exchange.
    pub(crate) async fn command(&mut self, body: &[u8]) -> io::Result<()> {
        self.sequence = 0;
        self.write(body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8], mut sequence: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = body;
        loop {
            let (part, tail) = rest.split_at(rest.len().min(FULL));
            out.extend(&(part.len() as u32).to_le_bytes()[..3]);
            out.push(sequence);
            sequence = sequence.wrapping_add(1);
            out.extend(part);
            rest = tail;
            if part.len() < FULL {
                return out;
            }
        }
    }

    #[tokio::test]
    async fn packets_of_any_size_come_whole() {
        for length in [0usize, 1, 300_000, FULL - 1, FULL, FULL + 1, 2 * FULL] {
            let body: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let bytes = frame(&body, 0);
            let writer = tokio::spawn(async move { server.write_all(&bytes).await });
            let mut packets = PacketStream::new(client, 1 << 30);
            assert_eq!(packets.read().await.unwrap(), body, "{length}");
            writer.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_dropped_read_loses_nothing() {
        let (client, mut server) = tokio::io::duplex(64);
        let mut packets = PacketStream::new(client, 1 << 20);
        let bytes = frame(b"0123456789", 0);
        for byte in bytes {
            let _ = tokio::time::timeout(std::time::Duration::ZERO, packets.read())
                .await
                .map(|r| panic!("too early: {r:?}"));
            server.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(&packets.read().await.unwrap()[..], b"0123456789");
    }

    #[tokio::test]
    async fn too_long_and_out_of_order_are_refused() {
        let (client, mut server) = tokio::io::duplex(1 << 10);
        server.write_all(&[200, 0, 0, 0]).await.unwrap();
        assert!(PacketStream::new(client, 100).read().await.is_err());
        let (client, mut server) = tokio::io::duplex(1 << 10);
        server.write_all(&frame(b"x", 3)).await.unwrap();
        assert!(PacketStream::new(client, 100).read().await.is_err());
    }
}
