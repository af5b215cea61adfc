//! What a data folder says about itself.

/// Written when a folder is created and checked whenever it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    /// Version of everything the engine itself stores (record framing, key prefixes, totals).
    pub format: u32,
}

const MAGIC: &[u8; 8] = b"omsnode\0";

impl DataHeader {
    /// The format this program writes.
    pub const CURRENT: Self = Self { format: 1 };

    /// Stored form: magic, format (big endian), checksum.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.format.to_be_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// The header from its stored form; `None` when the bytes are no header.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(12)?;
        if u32::from_be_bytes(crc.try_into().ok()?) != crc32fast::hash(body) {
            return None;
        }
        let format = body.strip_prefix(MAGIC.as_slice())?;
        Some(Self {
            format: u32::from_be_bytes(format.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_never_changes() {
        let bytes = DataHeader { format: 1 }.to_bytes();
        assert_eq!(&bytes[..12], b"omsnode\0\0\0\0\x01");
        assert_eq!(bytes.len(), 16);
        assert_eq!(DataHeader::from_bytes(&bytes), Some(DataHeader::CURRENT));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let good = DataHeader::CURRENT.to_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(DataHeader::from_bytes(&bad), None, "bit {bit}");
        }
        assert_eq!(DataHeader::from_bytes(&good[..11]), None);
    }
}
