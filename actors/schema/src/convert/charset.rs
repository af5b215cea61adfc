//! Character sets and collations.

use serde::{Deserialize, Serialize};

use crate::DestinationTraits;

/// Rules of the user, in order; the first that matches is taken. A rule that names a character set
/// or collation is always followed. `*` matches what the destination does not have. What no rule
/// matches becomes the closest that the destination has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharsetRules {
    /// (from, to) of character sets.
    pub charsets: Vec<(String, String)>,
    /// (from, to) of collations.
    pub collations: Vec<(String, String)>,
}

/// A character set and collation at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    pub(super) charset: String,
    pub(super) collation: String,
    /// Whether strings that differ at the source may be equal at the destination.
    pub(super) coarser: bool,
}

/// What a collation tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Binary,
    CaseSensitive,
    AccentSensitive,
    Insensitive,
}

fn class(collation: &str) -> Class {
    if collation.ends_with("_bin") || collation == "binary" {
        Class::Binary
    } else if collation.ends_with("_cs") || collation.contains("_cs_") {
        Class::CaseSensitive
    } else if collation.contains("_as_ci") {
        Class::AccentSensitive
    } else {
        Class::Insensitive
    }
}

/// Whether trailing spaces count.
fn is_no_pad(collation: &str) -> bool {
    collation.contains("nopad") || collation.contains("_0900_") || collation == "binary"
}

/// The other name of a character set or collation: `utf8` is `utf8mb3`.
fn alias(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("utf8mb3") {
        return Some(format!("utf8{rest}"));
    }
    match name.strip_prefix("utf8") {
        Some("") => Some("utf8mb3".to_owned()),
        Some(rest) if rest.starts_with('_') => Some(format!("utf8mb3{rest}")),
        _ => None,
    }
}

fn utf8_suffix(collation: &str) -> Option<&str> {
    ["utf8mb4_", "utf8mb3_", "utf8_"]
        .iter()
        .find_map(|prefix| collation.strip_prefix(prefix))
}

fn find(name: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    if has(name) {
        return Some(name.to_owned());
    }
    alias(name).filter(|other| has(other))
}

fn rule<'a>(rules: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let other = alias(name);
    rules
        .iter()
        .find(|(from, _)| from == name || Some(from) == other.as_ref())
        .map(|(_, to)| to.as_str())
}

fn rest_rule(rules: &[(String, String)]) -> Option<&str> {
    rules
        .iter()
        .find(|(from, _)| from == "*")
        .map(|(_, to)| to.as_str())
}

impl CharsetRules {
    pub(super) fn map(&self, charset: &str, collation: &str, destination: &DestinationTraits) -> Mapped {
        let new_charset = self.map_charset(charset, destination);
        let new_collation = self.map_collation(charset, collation, &new_charset, destination);
        // The collations of utf8mb3 and utf8mb4 of one name order the characters of utf8mb3 alike.
        let same = new_collation == collation
            || utf8_suffix(collation).is_some() && utf8_suffix(collation) == utf8_suffix(&new_collation);
        let loses_padding = is_no_pad(collation) && !is_no_pad(&new_collation);
        // All binary collations tell the same strings apart.
        let coarser = !same && (class(&new_collation) != Class::Binary || loses_padding);
        Mapped {
            charset: new_charset,
            collation: new_collation,
            coarser,
        }
    }

    fn map_charset(&self, charset: &str, destination: &DestinationTraits) -> String {
        if let Some(to) = rule(&self.charsets, charset) {
            return to.to_owned();
        }
        if let Some(same) = find(charset, |name| destination.has_charset(name)) {
            return same;
        }
        if let Some(to) = rest_rule(&self.charsets) {
            return to.to_owned();
        }
        match charset {
            "utf16le" if destination.has_charset("utf16") => "utf16".to_owned(),
            _ => "utf8mb4".to_owned(),
        }
    }

    fn map_collation(
        &self,
        charset: &str,
        collation: &str,
        new_charset: &str,
        destination: &DestinationTraits,
    ) -> String {
        if let Some(to) = rule(&self.collations, collation) {
            return to.to_owned();
        }
        let has = |name: &str| destination.collations.contains(name);
        let kept = new_charset == charset || alias(charset).as_deref() == Some(new_charset);
        // A collation of utf8mb3 exists for utf8mb4 under the corresponding name.
        let suffix = collation
            .strip_prefix(charset)
            .or_else(|| alias(charset).and_then(|other| collation.strip_prefix(other.as_str())));
        if kept && let Some(same) = find(collation, has) {
            return same;
        }
        if let Some(suffix) = suffix
            && charset.starts_with("utf8")
            && has(&format!("{new_charset}{suffix}"))
        {
            return format!("{new_charset}{suffix}");
        }
        if let Some(to) = rest_rule(&self.collations)
            && to.starts_with(new_charset)
        {
            return to.to_owned();
        }
        let no_pad = is_no_pad(collation);
        let unicode = ["unicode", "0900", "uca1400"]
            .iter()
            .any(|family| collation.contains(family));
        let candidates: &[&str] = match (class(collation), no_pad, unicode) {
            (Class::Binary, true, _) => &["_0900_bin", "_nopad_bin", "_bin"],
            (Class::Binary, false, _) => &["_bin"],
            (Class::CaseSensitive, true, _) => &["_0900_as_cs", "_uca1400_nopad_as_cs", "_bin"],
            (Class::CaseSensitive, false, _) => &["_uca1400_as_cs", "_0900_as_cs", "_bin"],
            (Class::AccentSensitive, true, _) => &["_0900_as_ci", "_uca1400_nopad_as_ci", "_bin"],
            (Class::AccentSensitive, false, _) => &["_uca1400_as_ci", "_0900_as_ci", "_bin"],
            (Class::Insensitive, true, true) => &[
                "_0900_ai_ci",
                "_uca1400_nopad_ai_ci",
                "_unicode_520_nopad_ci",
                "_unicode_520_ci",
                "_unicode_ci",
                "_general_ci",
            ],
            (Class::Insensitive, false, true) => &[
                "_uca1400_ai_ci",
                "_0900_ai_ci",
                "_unicode_520_ci",
                "_unicode_ci",
                "_general_ci",
            ],
            (Class::Insensitive, true, false) => &["_general_nopad_ci", "_general_ci"],
            (Class::Insensitive, false, false) => &["_general_ci"],
        };
        candidates
            .iter()
            .map(|suffix| format!("{new_charset}{suffix}"))
            .find(|name| has(name))
            .or_else(|| destination.default_collation(new_charset).map(str::to_owned))
            .unwrap_or_else(|| format!("{new_charset}_general_ci"))
    }
}

/// Whether text of a character set may need more bytes in UTF-8.
pub(super) fn grows(from: &str, to: &str) -> bool {
    let from_is_small = !matches!(
        from,
        "utf8" | "utf8mb3" | "utf8mb4" | "ascii" | "utf32" | "binary"
    );
    from != to && to.starts_with("utf8") && from_is_small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flavor;

    fn traits(collations: &[&str]) -> DestinationTraits {
        DestinationTraits::new(
            Flavor::OceanBase,
            [
                ("utf8mb4".into(), "utf8mb4_general_ci".into()),
                ("binary".into(), "binary".into()),
            ]
            .into(),
            collations.iter().map(|c| (*c).to_owned()).collect(),
        )
    }

    #[test]
    fn the_closest_collation_is_taken() {
        let small = traits(&["utf8mb4_general_ci", "utf8mb4_bin", "binary"]);
        let rules = CharsetRules::default();
        for (charset, collation, expected, coarser) in [
            ("utf8mb4", "utf8mb4_general_ci", "utf8mb4_general_ci", false),
            ("utf8mb4", "utf8mb4_0900_ai_ci", "utf8mb4_general_ci", true),
            ("utf8mb4", "utf8mb4_0900_as_cs", "utf8mb4_bin", true),
            ("utf8mb4", "utf8mb4_0900_bin", "utf8mb4_bin", true),
            ("utf8mb4", "utf8mb4_uca1400_as_ci", "utf8mb4_bin", false),
            ("utf8", "utf8_bin", "utf8mb4_bin", false),
            ("utf8mb3", "utf8mb3_general_ci", "utf8mb4_general_ci", false),
            ("latin1", "latin1_swedish_ci", "utf8mb4_general_ci", true),
            ("latin1", "latin1_general_cs", "utf8mb4_bin", false),
            ("cp1251", "cp1251_bin", "utf8mb4_bin", false),
        ] {
            let mapped = rules.map(charset, collation, &small);
            assert_eq!(
                (mapped.charset.as_str(), mapped.collation.as_str()),
                ("utf8mb4", expected),
                "{collation}"
            );
            assert_eq!(mapped.coarser, coarser, "{collation}");
        }
    }

    #[test]
    fn rules_go_first_and_the_star_takes_only_what_is_missing() {
        let traits = traits(&["utf8mb4_general_ci", "utf8mb4_bin", "binary"]);
        let rules = CharsetRules {
            charsets: vec![("*".into(), "utf8mb4".into())],
            collations: vec![
                ("latin1_swedish_ci".into(), "utf8mb4_bin".into()),
                ("*".into(), "utf8mb4_bin".into()),
            ],
        };
        assert_eq!(
            rules.map("latin1", "latin1_swedish_ci", &traits).collation,
            "utf8mb4_bin"
        );
        assert_eq!(
            rules.map("utf8mb4", "utf8mb4_0900_ai_ci", &traits).collation,
            "utf8mb4_bin"
        );
        assert_eq!(
            rules.map("utf8mb4", "utf8mb4_general_ci", &traits).collation,
            "utf8mb4_general_ci"
        );
    }
}
