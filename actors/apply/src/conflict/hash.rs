//! Hashing of key values: fast, stable within a process, without protection against collisions on
//! purpose (a collision is only one more conflict).

use std::hash::{BuildHasherDefault, Hasher};

/// Folds bytes into 64 bits by 128-bit multiplication.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash(u64);

const K0: u64 = 0x9E37_79B9_7F4A_7C15;
const K1: u64 = 0xD6E8_FEB8_6659_FD93;

fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl KeyHash {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ K0, K1))
    }

    /// Adds one number.
    pub(super) fn number(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value ^ K0, K1).wrapping_add(value.rotate_left(32));
    }

    /// Adds bytes and their length, so that neighbouring values do not run together.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.0 = mix(self.0 ^ u64::from_le_bytes(*word), K1);
        }
        let mut tail = [0u8; 8];
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        self.0 = mix(self.0 ^ u64::from_le_bytes(tail), K0);
        self.number(bytes.len() as u64);
    }

    pub(super) fn finish(self) -> u64 {
        mix(self.0 ^ K1, K0)
    }
}

/// For maps whose keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub(super) type HashedMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<Identity>>;
