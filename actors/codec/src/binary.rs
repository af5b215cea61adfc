//! Bytes as text.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends base64 of RFC 4648, padded.
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |shift: u32| BASE64[(bits >> shift & 63) as usize];
        out.push(digit(18));
        out.push(digit(12));
        out.push(if three.len() > 1 { digit(6) } else { b'=' });
        out.push(if three.len() > 2 { digit(0) } else { b'=' });
    }
}

/// Appends base 16, upper case.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// The big-endian bytes of a bit field of so many bits: all of them, or without those in front that are zero.
/// At least one.
pub(crate) fn bit_bytes(value: &[u8; 8], bits: u8, whole: bool) -> &[u8] {
    let wanted = if whole {
        usize::from(bits.clamp(1, 64)).div_ceil(8)
    } else {
        let zeros = value.iter().take_while(|b| **b == 0).count();
        8 - zeros.min(7)
    };
    value.get(8 - wanted..).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_is_that_of_others(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            let mut out = Vec::new();
            super::base64(&bytes, &mut out);
            let theirs = base64::engine::general_purpose::STANDARD.encode(&bytes);
            prop_assert_eq!(String::from_utf8(out).unwrap(), theirs);
        }
    }

    #[test]
    fn bits_lose_leading_zero_bytes_only_where_wanted() {
        let five = 5u64.to_be_bytes();
        assert_eq!(super::bit_bytes(&five, 16, false), [5]);
        assert_eq!(super::bit_bytes(&five, 16, true), [0, 5]);
        assert_eq!(super::bit_bytes(&[0; 8], 16, false), [0]);
        assert_eq!(super::bit_bytes(&[255; 8], 64, false), [255; 8]);
    }
}
