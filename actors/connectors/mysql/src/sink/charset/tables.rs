//! The packed tables.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

/// All tables, packed by [`pack`] one after the other and compressed with zstd.
const PACKED: &[u8] = include_bytes!("tables.bin");

/// Decompressed size is about 0.4 MB; more is not ours.
const LIMIT: u64 = 4 << 20;

/// The table of a character set: byte sequence, as a big-endian number, to character.
pub(super) fn find(charset: &str) -> Option<BTreeMap<u32, char>> {
    let mut bytes = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(PACKED).ok()?;
    decoder.take(LIMIT).read_to_end(&mut bytes).ok()?;
    unpack(&bytes)?.remove(charset)
}

/// Appends a named table: lengths and differences as variable-length numbers.
pub fn pack(charset: &str, table: &BTreeMap<u32, char>, out: &mut Vec<u8>) {
    put(out, charset.len() as u64);
    out.extend_from_slice(charset.as_bytes());
    put(out, table.len() as u64);
    let (mut last_code, mut last_char) = (0u32, 0i64);
    for (code, c) in table {
        put(out, u64::from(code - last_code));
        let difference = i64::from(u32::from(*c)) - last_char;
        put(out, ((difference << 1) ^ (difference >> 63)) as u64);
        last_code = *code;
        last_char = i64::from(u32::from(*c));
    }
}

/// Reads tables that [`pack`] wrote; `None` when they are damaged.
pub fn unpack(bytes: &[u8]) -> Option<HashMap<String, BTreeMap<u32, char>>> {
    let mut rest = bytes;
    let mut all = HashMap::new();
    while !rest.is_empty() {
        let length = usize::try_from(take(&mut rest)?).ok()?;
        let name = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
        rest = rest.get(length..)?;
        let count = take(&mut rest)?;
        let mut table = BTreeMap::new();
        let (mut code, mut last) = (0u32, 0i64);
        for _ in 0..count {
            code = code.checked_add(u32::try_from(take(&mut rest)?).ok()?)?;
            let zigzag = take(&mut rest)?;
            last += (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            table.insert(code, char::from_u32(u32::try_from(last).ok()?)?);
        }
        all.insert(name, table);
    }
    Some(all)
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
