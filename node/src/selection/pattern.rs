//! Shell patterns over names.

use std::fmt;

/// A pattern as match rules write it, for the whole of a name. `*` is any run of characters, also none; `?` is
/// exactly one; `[abc]` and `[a-z]` are one of a set, `[!abc]` one that is not in it. Case counts. A backslash takes
/// the next character literally. Characters are Unicode's, not bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Run,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(l) => *l == c,
            Self::One => true,
            Self::Run => false,
            Self::Set { negated, ranges } => ranges.iter().any(|(a, z)| (*a..=*z).contains(&c)) != *negated,
        }
    }
}

/// What is wrong with a pattern, and at which character, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Pattern {
    /// A pattern that is one name and nothing else.
    pub(crate) fn exact(name: &str) -> Self {
        Self(name.chars().map(Part::Literal).collect())
    }

    /// Reads a pattern.
    pub(crate) fn parse(text: &[char]) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&c) = text.get(at) {
            let part = match c {
                '*' => Part::Run,
                '?' => Part::One,
                '[' => {
                    let (set, length) =
                        parse_set(text.get(at + 1..).unwrap_or_default()).map_err(|e| PatternError {
                            at: at + 1 + e.at,
                            ..e
                        })?;
                    at += length;
                    set
                }
                '\\' => {
                    at += 1;
                    let what = "nothing follows the backslash";
                    Part::Literal(*text.get(at).ok_or(PatternError { at: at - 1, what })?)
                }
                c => Part::Literal(c),
            };
            at += 1;
            // Two runs side by side are one; a long row of them must not cost anything.
            if part != Part::Run || parts.last() != Some(&Part::Run) {
                parts.push(part);
            }
        }
        Ok(Self(parts))
    }

    /// The one name that the pattern stands for, if it is not a set of names.
    pub(crate) fn name(&self) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(c) => Some(*c),
                _ => None,
            })
            .collect()
    }

    /// Whether the pattern stands for this name. Takes at most the product of both lengths in steps.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // The last run, and how far it reached when it was tried last.
        let mut run: Option<(usize, usize)> = None;
        while at < name.len() || part < self.0.len() {
            match (self.0.get(part), name.get(at)) {
                (Some(Part::Run), _) => {
                    run = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(p), Some(c)) if p.takes(*c) => {
                    part += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match run {
                Some((of, reached)) if reached < name.len() => {
                    run = Some((of, reached + 1));
                    part = of + 1;
                    at = reached + 1;
                }
                _ => return false,
            }
        }
        true
    }
}

/// The set behind a `[`, and how many characters it takes with its `]`.
fn parse_set(text: &[char]) -> Result<(Part, usize), PatternError> {
    let error = |at, what| Err(PatternError { at, what });
    let negated = text.first() == Some(&'!');
    let start = usize::from(negated);
    if !negated && text.first() == Some(&'^') {
        return error(0, "write [!...] for a character that is not in the set");
    }
    let mut ranges = Vec::new();
    let mut at = start;
    loop {
        let (c, length) = match text.get(at) {
            None => return error(at, "the set has no closing ]"),
            // As the shell has it, a ] at the beginning belongs to the set.
            Some(']') if at > start => return Ok((Part::Set { negated, ranges }, at + 1)),
            Some('\\') => match text.get(at + 1) {
                Some(c) => (*c, 2),
                None => return error(at, "nothing follows the backslash"),
            },
            Some(c) => (*c, 1),
        };
        at += length;
        let last = match (text.get(at), text.get(at + 1)) {
            (Some('-'), Some(z)) if *z != ']' => {
                let (z, length) = match z {
                    '\\' => match text.get(at + 2) {
                        Some(z) => (*z, 3),
                        None => return error(at + 1, "nothing follows the backslash"),
                    },
                    z => (*z, 2),
                };
                if z < c {
                    return error(at - 1, "the range ends before it begins");
                }
                at += length;
                z
            }
            _ => c,
        };
        ranges.push((c, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(&text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn every_wildcard() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("order?", "order", false),
            ("order?", "order1", true),
            ("order?", "order12", false),
            ("order?", "order订", true),
            ("order[0-9][0-9]", "order07", true),
            ("order[0-9][0-9]", "order7", false),
            ("order[0-9][0-9]", "order0x", false),
            ("[abc]", "b", true),
            ("[abc]", "B", false),
            ("[!abc]", "d", true),
            ("[!abc]", "a", false),
            ("[!abc]", "", false),
            ("[!a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[!]a]", "]", false),
            ("[a-]", "-", true),
            ("[a\\]b]", "]", true),
            ("[\\a-\\c]", "b", true),
            ("*log", "catalog", true),
            ("*log", "logs", false),
            ("*log*", "logs", true),
            ("history_*", "history_", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("a**b", "ab", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("订单*", "订单表", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, at) in [
            ("a[bc", 4),
            ("a\\", 1),
            ("[z-a]", 1),
            ("[^a]", 1),
            ("[", 1),
            ("[!", 2),
            ("[]", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn only_a_pattern_without_wildcards_is_a_name() {
        assert_eq!(parse("a\\*b").unwrap().name().as_deref(), Some("a*b"));
        assert_eq!(Pattern::exact("a*b").name().as_deref(), Some("a*b"));
        assert_eq!(parse("a*b").unwrap().name(), None);
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_the_product_of_lengths() {
        let pattern = parse(&"a*".repeat(500)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(499))));
    }
}
