//! The fuzz target's entry point on seeded damage of the example specs: a moment of what
//! `node/docs/fuzzing.md` describes.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/any_spec.rs"]
mod any_spec;

use std::{fs, path::PathBuf};

const CASES: usize = 1_000;
const PIECES: [&str; 24] = [
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "null",
    "~",
    "true",
    "-1",
    "1e9",
    "99999999999999999999",
    "---\n",
    "# ",
    "|\n",
    "\u{feff}",
    "name",
];

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

    /// Changes a byte, or cuts, repeats or inserts a part.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(20)).min(bytes.len());
        match self.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let part = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            2 => bytes[at..end]
                .iter_mut()
                .take(1)
                .for_each(|b| *b = self.below(256) as u8),
            3 => bytes.truncate(bytes.len() - self.below(bytes.len() / 4)),
            _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
        }
    }
}

fn examples() -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "deploy", "examples"]
        .iter()
        .collect();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    paths.sort();
    paths.retain(|p| p.extension().is_some_and(|e| e != "toml"));
    paths.iter().map(|p| fs::read(p).unwrap()).collect()
}

#[test]
fn damaged_specs_are_read_or_refused() {
    let examples = examples();
    assert!(examples.len() >= 3);
    for example in &examples {
        assert!(any_spec::read(example) > 0, "an example is a spec");
    }
    let mut random = Random(7);
    let mut read = 0;
    for _ in 0..CASES {
        let mut bytes = examples[random.below(examples.len())].clone();
        for _ in 0..=random.below(4) {
            random.damage(&mut bytes);
        }
        read += usize::from(any_spec::read(&bytes) > 0);
    }
    assert!(
        read > CASES / 50 && read < CASES,
        "{read} of {CASES} damaged specs were read"
    );
}

#[test]
fn noise_is_read_or_refused() {
    let mut random = Random(11);
    for length in 0..1_000 {
        let noise: Vec<u8> = (0..length % 200).map(|_| random.below(256) as u8).collect();
        any_spec::read(&noise);
        let pieces: String = (0..length % 60)
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        any_spec::read(pieces.as_bytes());
    }
}
