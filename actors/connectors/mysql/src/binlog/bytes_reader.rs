//! Reading numbers and slices from untrusted bytes.

/// The bytes end before what was to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// A cursor over borrowed bytes. Every read either succeeds completely or leaves the cursor alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Short)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Short)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        let (&head, tail) = self.rest.split_first().ok_or(Short)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A little-endian number of 0 to 8 bytes.
    #[inline]
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64, Short> {
        let head = self.take(bytes)?;
        Ok(head.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// A big-endian number of 0 to 8 bytes.
    #[inline]
    pub(crate) fn uint_be(&mut self, bytes: usize) -> Result<u64, Short> {
        let head = self.take(bytes)?;
        Ok(head.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// A length-encoded number.
    pub(crate) fn lenenc(&mut self) -> Result<u64, Short> {
        let before = *self;
        let number = match self.u8()? {
            0xfc => self.uint(2),
            0xfd => self.uint(3),
            0xfe => self.uint(8),
            small @ ..=0xfa => Ok(u64::from(small)),
            _ => Err(Short),
        };
        if number.is_err() {
            *self = before;
        }
        number
    }

    /// Bytes behind their length-encoded length.
    pub(crate) fn lenenc_bytes(&mut self) -> Result<&'a [u8], Short> {
        let before = *self;
        let n = self.lenenc()?;
        match usize::try_from(n).map_err(|_| Short).and_then(|n| self.take(n)) {
            Ok(bytes) => Ok(bytes),
            Err(short) => {
                *self = before;
                Err(short)
            }
        }
    }

    /// Bytes up to a zero byte, which is consumed.
    pub(crate) fn until_zero(&mut self) -> Result<&'a [u8], Short> {
        let end = self.rest.iter().position(|b| *b == 0).ok_or(Short)?;
        let head = self.take(end)?;
        self.take(1)?;
        Ok(head)
    }

    /// The variable-length numbers of MySQL's serialization library: as many one bits in the low
    /// end of the first byte as bytes follow it.
    pub(crate) fn varlen(&mut self) -> Result<u64, Short> {
        let first = *self.rest.first().ok_or(Short)?;
        let more = first.trailing_ones() as usize;
        if more == 8 {
            let mut ahead = *self;
            ahead.take(1)?;
            let number = ahead.u64()?;
            *self = ahead;
            return Ok(number);
        }
        Ok(self.uint(more + 1)? >> (more + 1))
    }

    /// A signed number of the same library: zigzag.
    pub(crate) fn varlen_signed(&mut self) -> Result<i64, Short> {
        let n = self.varlen()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_encodings() {
        assert_eq!(Reader::new(&[0xfc, 1, 2]).lenenc(), Ok(0x201));
        assert_eq!(Reader::new(&[0xfd, 1, 2, 3]).lenenc(), Ok(0x30201));
        assert_eq!(Reader::new(&[0xfb]).lenenc(), Err(Short));
        assert_eq!(Reader::new(&[0x04]).varlen(), Ok(2));
        assert_eq!(Reader::new(&[0b0000_0101, 1]).varlen(), Ok(0x41));
        assert_eq!(Reader::new(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0]).varlen(), Ok(1));
        assert_eq!(Reader::new(&[1, 2, 3]).uint_be(3), Ok(0x0001_0203));
        assert_eq!(Reader::new(&[1, 2, 3]).uint(3), Ok(0x0003_0201));
        assert_eq!(Reader::new(b"ab\0c").until_zero(), Ok(&b"ab"[..]));
    }

    #[test]
    fn a_failed_read_leaves_the_cursor() {
        let mut r = Reader::new(&[0xfc, 1]);
        assert_eq!(r.lenenc(), Err(Short));
        assert_eq!(r.len(), 2);
        let mut r = Reader::new(&[5, 1]);
        assert_eq!(r.lenenc_bytes(), Err(Short));
        assert_eq!(r.len(), 2);
    }
}
