//! MariaDB's compression inside events (`log_bin_compress`).

use flate2::{Decompress, FlushDecompress, Status};

use super::{bytes_reader::Reader, error::EventError};

/// Inflates what the server deflated: a byte with the algorithm (high half, 8 = zlib) and the
/// number of bytes of the length (low 3 bits), the length (big endian), a zlib stream.
///
/// A length above `limit` is refused; memory is taken as it is filled, not as it is announced.
pub(crate) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, EventError> {
    let mut r = Reader::new(bytes);
    let head = r.u8()?;
    if head & 0xf8 != 0x80 {
        return Err(EventError::unknown(format!("compression algorithm {head:#04x}")));
    }
    let length = r.uint_be(usize::from(head & 7))?;
    let length = usize::try_from(length)
        .ok()
        .filter(|n| *n <= limit)
        .ok_or_else(|| EventError::corrupt(format!("{length} bytes are announced in a compressed event")))?;
    inflate_stream(r.rest(), length, true)
}

/// Inflates a zlib (or raw deflate) stream to exactly `length` bytes.
pub(crate) fn inflate_stream(bytes: &[u8], length: usize, zlib: bool) -> Result<Vec<u8>, EventError> {
    const STEP: usize = 1 << 20;
    let mut stream = Decompress::new(zlib);
    let mut out = Vec::with_capacity(length.min(STEP));
    loop {
        let consumed = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let input = bytes.get(consumed..).unwrap_or_default();
        let before = out.len();
        if out.capacity() == out.len() {
            out.reserve((length - out.len()).clamp(1, STEP.max(out.len())));
        }
        let status = stream
            .decompress_vec(input, &mut out, FlushDecompress::None)
            .map_err(|_| EventError::corrupt("a compressed part cannot be inflated"))?;
        if out.len() > length {
            return Err(EventError::corrupt("a compressed part is longer than announced"));
        }
        if status == Status::StreamEnd {
            break;
        }
        let stuck = out.len() == before && usize::try_from(stream.total_in()).unwrap_or(0) == consumed;
        if stuck && out.capacity() > out.len() {
            return Err(EventError::corrupt("a compressed part ends too early"));
        }
    }
    if out.len() != length {
        return Err(EventError::corrupt("a compressed part is shorter than announced"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x84];
        bytes.extend((plain.len() as u32).to_be_bytes());
        let mut encoder = flate2::write::ZlibEncoder::new(bytes, flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_deflated_comes_back() {
        for length in [0usize, 1, 1000, 3 << 20] {
            let plain: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            assert_eq!(inflate(&deflated(&plain), 1 << 30).unwrap(), plain);
        }
    }

    #[test]
    fn wrong_lengths_and_cut_streams_are_errors() {
        let whole = deflated(&[7; 5000]);
        assert!(inflate(&whole, 4999).is_err());
        assert!(inflate(&whole[..whole.len() - 6], 1 << 20).is_err());
        for wrong in [4999u32, 5001, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[1..5].copy_from_slice(&wrong.to_be_bytes());
            assert!(inflate(&bytes, 1 << 20).is_err());
        }
    }
}
