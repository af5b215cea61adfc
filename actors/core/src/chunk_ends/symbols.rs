//! Texts and byte strings as sequences of symbols.

use std::collections::{BTreeMap, BTreeSet};

/// Places of a text at which what stands there is remembered.
const PLACES: usize = 96;
/// Symbols of a guess behind those it has in common with both keys.
const GUESSED: usize = 12;

/// How bytes divide into symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Byte strings: each byte may be anything.
    Raw,
    /// A byte is a character.
    Single,
    Utf8,
    Utf16 {
        little: bool,
    },
    Utf32,
    /// A lead byte says how many follow.
    Lead {
        half_width: bool,
        triple: bool,
        quadruple: bool,
    },
}

impl Form {
    fn of(charset: Option<&str>) -> Self {
        let lead = |half_width, triple, quadruple| Self::Lead {
            half_width,
            triple,
            quadruple,
        };
        match charset {
            None | Some("binary") => Self::Raw,
            Some("utf8" | "utf8mb3" | "utf8mb4") => Self::Utf8,
            Some("ucs2" | "utf16") => Self::Utf16 { little: false },
            Some("utf16le") => Self::Utf16 { little: true },
            Some("utf32") => Self::Utf32,
            Some("sjis" | "cp932") => lead(true, false, false),
            Some("ujis" | "eucjpms") => lead(false, true, false),
            Some("gb18030" | "gb18030_2022") => lead(false, false, true),
            Some("gbk" | "gb2312" | "big5" | "euckr") => lead(false, false, false),
            Some(_) => Self::Single,
        }
    }

    fn split(self, bytes: &[u8]) -> Option<Vec<u32>> {
        let pairs = |make: fn([u8; 2]) -> u16| {
            let units = bytes.chunks(2).map(|c| Some(make([*c.first()?, *c.get(1)?])));
            let units: Vec<u16> = units.collect::<Option<_>>()?;
            let chars = char::decode_utf16(units).map(|c| c.ok().map(u32::from));
            chars.collect()
        };
        match self {
            Self::Raw | Self::Single => Some(bytes.iter().map(|b| u32::from(*b)).collect()),
            Self::Utf8 => Some(std::str::from_utf8(bytes).ok()?.chars().map(u32::from).collect()),
            Self::Utf16 { little: false } => pairs(u16::from_be_bytes),
            Self::Utf16 { little: true } => pairs(u16::from_le_bytes),
            Self::Utf32 => bytes
                .chunks(4)
                .map(|c| Some(u32::from_be_bytes(c.try_into().ok()?)))
                .collect(),
            Self::Lead {
                half_width,
                triple,
                quadruple,
            } => {
                let mut symbols = Vec::with_capacity(bytes.len());
                let mut rest = bytes;
                while let Some(lead) = rest.first() {
                    let length = match lead {
                        0..0x80 => 1,
                        0xa1..=0xdf if half_width => 1,
                        0x8f if triple => 3,
                        _ if quadruple && rest.get(1).is_some_and(u8::is_ascii_digit) => 4,
                        _ => 2,
                    };
                    let (symbol, behind) = rest.split_at_checked(length)?;
                    symbols.push(symbol.iter().fold(0, |all, b| all << 8 | u32::from(*b)));
                    rest = behind;
                }
                Some(symbols)
            }
        }
    }

    fn join(self, symbols: &[u32]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            match self {
                Self::Raw | Self::Single => bytes.push(u8::try_from(*symbol).ok()?),
                Self::Utf8 => {
                    let character = char::from_u32(*symbol)?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Self::Utf16 { little } => {
                    for unit in char::from_u32(*symbol)?.encode_utf16(&mut [0; 2]) {
                        bytes.extend(match little {
                            true => unit.to_le_bytes(),
                            false => unit.to_be_bytes(),
                        });
                    }
                }
                Self::Utf32 => bytes.extend(symbol.to_be_bytes()),
                Self::Lead { .. } => {
                    // A lead byte is never zero.
                    let all = symbol.to_be_bytes();
                    let zeros = all.iter().take(3).take_while(|b| **b == 0).count();
                    bytes.extend(all.iter().skip(zeros));
                }
            }
        }
        Some(bytes)
    }
}

/// The symbols that the keys of one column are made of, as far as keys were seen, and an order of them. Guesses are made
/// of these symbols alone, so that they are valid characters of the column's character set.
///
/// The order only resembles that of the server: what is guessed by it is worth little where the two differ.
#[derive(Debug)]
pub(super) struct Alphabet {
    form: Form,
    /// Letters of both cases stand in one place.
    fold: bool,
    /// All symbols, by place in the order.
    all: BTreeMap<u32, u32>,
    places: Vec<Place>,
}

/// What was seen at one place of the texts.
#[derive(Debug, Default)]
struct Place {
    digits: bool,
    letters: bool,
    high: bool,
    others: BTreeSet<u32>,
}

impl Alphabet {
    pub(super) fn new(charset: Option<&str>, collation: Option<&str>) -> Self {
        let exact =
            |c: &str| c.ends_with("_bin") || c == "binary" || c.contains("_cs") || c.contains("_as_cs");
        Self {
            form: Form::of(charset),
            fold: collation.is_some_and(|c| !exact(c)),
            all: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    fn order(&self, symbol: u32) -> u32 {
        match char::from_u32(symbol) {
            Some(c) if self.fold && c.is_ascii_lowercase() => u32::from(c.to_ascii_uppercase()),
            _ => symbol,
        }
    }

    /// A key has this text.
    pub(super) fn learn(&mut self, text: &[u8]) {
        let Some(symbols) = self.form.split(text) else {
            return;
        };
        for (number, symbol) in symbols.iter().take(PLACES).enumerate() {
            let order = self.order(*symbol);
            self.all.entry(order).or_insert(*symbol);
            if self.places.len() <= number {
                self.places.push(Place::default());
            }
            let Some(place) = self.places.get_mut(number) else {
                continue;
            };
            match char::from_u32(*symbol) {
                Some(c) if c.is_ascii_digit() => {
                    place.digits = true;
                    self.all.extend((0x30..0x3a).map(|digit| (digit, digit)));
                }
                Some(c) if c.is_ascii_alphabetic() => place.letters = true,
                Some(c) if c.is_ascii_graphic() || c == ' ' => {
                    place.others.insert(order);
                }
                _ => {
                    place.high = true;
                    if self.form == Form::Raw {
                        self.all.extend((0..256).map(|byte| (byte, byte)));
                    }
                }
            }
        }
    }

    /// The symbols that may stand at a place, in order: by place in the order, and the symbol.
    fn at(&self, place: usize) -> Vec<(u32, u32)> {
        let known = self.places.get(place);
        let may_stand = |order: u32, symbol: u32| {
            let Some(place) = known else { return true };
            match char::from_u32(symbol) {
                _ if place.high && self.form == Form::Raw => true,
                Some(c) if c.is_ascii_digit() => place.digits,
                Some(c) if c.is_ascii_alphabetic() => place.letters,
                Some(c) if c.is_ascii_graphic() || c == ' ' => place.others.contains(&order),
                _ => place.high,
            }
        };
        let all = self.all.iter().map(|(order, symbol)| (*order, *symbol));
        all.filter(|(order, symbol)| may_stand(*order, *symbol)).collect()
    }

    /// Whether two texts have the same place in the order.
    pub(super) fn same(&self, a: &[u8], b: &[u8]) -> bool {
        let (Some(a), Some(b)) = (self.form.split(a), self.form.split(b)) else {
            return a == b;
        };
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| self.order(*a) == self.order(*b))
    }

    /// A text that lies between two others by that share of the way. `None`: they are no texts of the character set.
    pub(super) fn between(&self, low: &[u8], high: &[u8], share: f64) -> Option<Vec<u8>> {
        let (low, high) = (self.form.split(low)?, self.form.split(high)?);
        let pairs = low.iter().zip(&high);
        let common = pairs
            .take_while(|(a, b)| self.order(**a) == self.order(**b))
            .count();
        let lists: Vec<_> = (common..common + GUESSED).map(|place| self.at(place)).collect();
        let from = self.fraction(low.get(common..)?, &lists);
        let to = self.fraction(high.get(common..)?, &lists);
        let mut rest = (from + (to - from) * share).clamp(0.0, 1.0);
        // What distinguishes the guess from both ends, and a little more.
        let mut left = (to - from).abs().max(1e-15) * share.min(1.0 - share).max(1e-6) / 64.0;
        let mut symbols: Vec<u32> = high.get(..common)?.to_vec();
        for list in &lists {
            let radix = list.len() as f64 + 1.0;
            rest *= radix;
            left *= radix;
            let digit = rest.floor();
            rest -= digit;
            let symbol = (digit as usize).checked_sub(1).and_then(|at| list.get(at));
            let Some((_, symbol)) = symbol else { break };
            symbols.push(*symbol);
            if left > 1.0 {
                break;
            }
        }
        self.form.join(&symbols)
    }

    /// The symbols as the digits of a number from 0 to 1. The end of a text comes before every symbol.
    fn fraction(&self, symbols: &[u32], lists: &[Vec<(u32, u32)>]) -> f64 {
        let (mut sum, mut unit) = (0.0, 1.0);
        for (symbol, list) in symbols.iter().zip(lists) {
            unit /= list.len() as f64 + 1.0;
            let order = self.order(*symbol);
            let below = list.partition_point(|(other, _)| *other < order);
            sum += unit * (below as f64 + 1.0);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learned(charset: Option<&str>, collation: Option<&str>, texts: &[&[u8]]) -> Alphabet {
        let mut alphabet = Alphabet::new(charset, collation);
        texts.iter().for_each(|text| alphabet.learn(text));
        alphabet
    }

    #[test]
    fn guesses_look_like_the_keys() {
        let texts: [&[u8]; 2] = [b"user-000000@x", b"user-999999@x"];
        let alphabet = learned(Some("utf8mb4"), Some("utf8mb4_general_ci"), &texts);
        let guess = alphabet.between(texts[0], texts[1], 0.25).unwrap();
        assert!(guess.starts_with(b"user-2"), "{guess:?}");
        let narrow = alphabet.between(b"user-120000@x", b"user-129999@x", 0.5).unwrap();
        assert!(narrow.starts_with(b"user-12"), "{narrow:?}");
        assert!(matches!(narrow.get(7), Some(b'4'..=b'5')), "{narrow:?}");
    }

    #[test]
    fn bytes_are_divided_evenly() {
        let (least, most) = ([0u8; 16], [255u8; 16]);
        let alphabet = learned(None, None, &[&least, &most]);
        let guess = alphabet.between(&least, &most, 0.5).unwrap();
        assert!(matches!(guess.first(), Some(126..=129)), "{guess:?}");
    }

    #[test]
    fn cases_stand_together_where_the_collation_says_so() {
        let folded = learned(Some("latin1"), Some("latin1_swedish_ci"), &[b"aB", b"Ab"]);
        assert!(folded.same(b"aB", b"Ab"));
        let exact = learned(Some("latin1"), Some("latin1_bin"), &[b"aB", b"Ab"]);
        assert!(!exact.same(b"aB", b"Ab"));
    }

    #[test]
    fn characters_of_many_bytes_stay_whole() {
        for (charset, text) in [
            ("gbk", &[0xb0u8, 0xa1, b'a'][..]),
            ("sjis", &[0xb1, 0x88, 0x9f]),
            ("ujis", &[0x8f, 0xa2, 0xaf, 0xa4, 0xa2]),
            ("gb18030", &[0x81, 0x30, 0x81, 0x30, b'1', 0xb0, 0xa1]),
            ("utf16", &[0xd8, 0x3d, 0xde, 0x00, 0, b'a']),
            ("utf16le", &[0x3d, 0xd8, 0x00, 0xde, b'a', 0]),
            ("utf32", &[0, 1, 0xf6, 0, 0, 0, 0, b'a']),
            ("utf8mb4", "ä😀".as_bytes()),
        ] {
            let form = Form::of(Some(charset));
            let symbols = form.split(text).unwrap();
            assert_eq!(form.join(&symbols).as_deref(), Some(text), "{charset}");
            assert!(symbols.len() < text.len(), "{charset}");
        }
        assert_eq!(Form::of(Some("gbk")).split(&[0xb0]), None);
        assert_eq!(Form::of(Some("utf8")).split(&[0xff]), None);
    }

    proptest! {
        /// Whatever the texts, a guess is made of symbols that keys have, and lies between them by the alphabet's order.
        #[test]
        fn guesses_are_texts_between(
            mut texts in prop::collection::vec("[a-z0-9A-ZäöüΩ_ -]{0,12}", 2..20),
            share in 0.0f64..=1.0,
        ) {
            texts.sort();
            let mut alphabet = Alphabet::new(Some("utf8mb4"), Some("utf8mb4_bin"));
            texts.iter().for_each(|t| alphabet.learn(t.as_bytes()));
            let (low, high) = (texts[0].as_bytes(), texts[texts.len() - 1].as_bytes());
            let guess = alphabet.between(low, high, share).unwrap();
            let guess = String::from_utf8(guess).unwrap();
            let known: String = texts.concat();
            prop_assert!(guess.chars().all(|c| c.is_ascii_digit() || known.contains(c)));
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_taken(
            a in prop::collection::vec(any::<u8>(), 0..40),
            b in prop::collection::vec(any::<u8>(), 0..40),
            share in 0.0f64..=1.0,
            charset in prop::sample::select(vec!["binary", "utf8mb4", "gbk", "sjis", "ujis", "gb18030", "utf16", "utf32", "latin1"]),
        ) {
            let alphabet = learned(Some(charset), Some("x_ci"), &[&a, &b]);
            let _ = alphabet.between(&a, &b, share);
            let _ = alphabet.same(&a, &b);
        }
    }
}
