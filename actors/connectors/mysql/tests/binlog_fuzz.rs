//! The fuzz target's entry point on seeded damage of kept logs: a moment of what
//! `node/docs/fuzzing.md` describes.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/any_log.rs"]
mod any_log;

use std::{fs, path::PathBuf};

use any_log::AnyLog;

const CASES: usize = 1_500;

/// A small generator: every run damages the same bytes.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }

    /// Changes some bytes, or cuts, repeats or mixes parts.
    fn damage(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let end = (at + self.below(64)).min(bytes.len());
        match self.below(10) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len());
                let part = other[from..(from + self.below(200)).min(other.len())].to_vec();
                bytes.splice(at..end, part);
            }
            4 => {
                let number = [0u64, 1, 250, 251, 0xffff, 0x7fff_ffff, u64::MAX][self.below(7)];
                for (byte, with) in bytes[at..].iter_mut().zip(number.to_le_bytes()) {
                    *byte = with;
                }
            }
            5..=7 => bytes[at..end]
                .iter_mut()
                .take(4)
                .for_each(|b| *b = self.below(256) as u8),
            _ => bytes[at..end]
                .iter_mut()
                .take(1)
                .for_each(|b| *b ^= 1 << self.below(8)),
        }
    }
}

fn kept_logs() -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures"].iter().collect();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    paths.sort();
    paths.retain(|p| p.extension().is_some_and(|e| e == "binlog"));
    paths.iter().map(|p| fs::read(p).unwrap()).collect()
}

#[test]
fn damaged_logs_decode_or_fail() {
    let any_log = AnyLog::new();
    let logs = kept_logs();
    assert_eq!(logs.len(), 3);
    for log in &logs {
        assert!(any_log.decode(log) > 10, "a log as it was kept has events");
    }
    let mut random = Random(7);
    let mut decoded = 0;
    for _ in 0..CASES {
        let mut bytes = logs[random.below(logs.len())].clone();
        for _ in 0..=random.below(6) {
            if !bytes.is_empty() {
                random.damage(&mut bytes, &logs);
            }
        }
        decoded += usize::from(any_log.decode(&bytes) > 0);
    }
    // Otherwise the damage would be found before the decoder of rows is reached.
    assert!(
        decoded > CASES / 4,
        "{decoded} of {CASES} damaged logs gave events"
    );
}

#[test]
fn noise_is_refused() {
    let any_log = AnyLog::new();
    let mut random = Random(11);
    for length in 0..400 {
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        any_log.decode(&bytes);
        for (byte, with) in bytes.iter_mut().zip(*b"\xfebin") {
            *byte = with;
        }
        assert_eq!(any_log.decode(&bytes), 0);
    }
}
