//! A project's spec file.

use std::fmt;

use oms_proto::v1::ProjectSpec;
use serde::Deserializer;

use crate::nearest::nearest;

/// Larger files are no spec files.
const MAX_BYTES: usize = 16 << 20;

/// What is wrong with a spec file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The file, as the user named it.
    pub file: String,
    /// Line and column from 1, where known.
    pub place: Option<(usize, usize)>,
    /// The field, for example `databases[0].name`; empty: the file as a whole.
    pub field: String,
    /// What is wrong, with the names or values that are allowed.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecError {}

/// Reads a spec from YAML or JSON. `name` decides by its extension which one it is and appears in
/// errors; with another extension, a file that begins with `{` is JSON.
///
/// Fields that do not exist, fields that appear twice, values of a wrong type and files with several
/// documents are refused. What a spec must contain is checked by the daemon.
///
/// # Errors
/// The first mistake, with line, column and field as far as they are known.
pub fn parse_spec(bytes: &[u8], name: &str) -> Result<ProjectSpec, SpecError> {
    let whole = |message: &str| SpecError {
        file: name.to_owned(),
        place: None,
        field: String::new(),
        message: message.to_owned(),
        hint: None,
    };
    if bytes.len() > MAX_BYTES {
        return Err(whole("the file is larger than 16 MiB, which no spec file is"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.len() - line_start + 1;
        SpecError {
            place: Some((line, column)),
            ..whole("the file is not UTF-8 text")
        }
    })?;
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Err(whole("the file is empty"));
    }
    if is_json(text, name) {
        parse_json(text, name)
    } else {
        parse_yaml(text, name)
    }
}

fn is_json(text: &str, name: &str) -> bool {
    let lower = name.to_lowercase();
    if lower.ends_with(".json") {
        true
    } else if lower.ends_with(".yaml") || lower.ends_with(".yml") {
        false
    } else {
        text.trim_start().starts_with('{')
    }
}

fn parse_json(text: &str, name: &str) -> Result<ProjectSpec, SpecError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    read(&mut reader)
        .and_then(|spec| match reader.end() {
            Ok(()) => Ok(spec),
            Err(error) => Err((String::new(), error)),
        })
        .map_err(|(field, error)| {
            let (line, column) = (error.line(), error.column());
            let text = error.to_string();
            let message = text
                .strip_suffix(&format!(" at line {line} column {column}"))
                .unwrap_or(&text);
            mistake(name, (line > 0).then_some((line, column)), field, message)
        })
}

fn parse_yaml(text: &str, name: &str) -> Result<ProjectSpec, SpecError> {
    read(serde_yaml_ng::Deserializer::from_str(text)).map_err(|(field, error)| {
        let place = error.location().map(|at| (at.line(), at.column()));
        let text = error.to_string();
        let mut message = text.as_str();
        if let Some((line, column)) = place {
            message = message
                .strip_suffix(&format!(" at line {line} column {column}"))
                .unwrap_or(message);
        }
        if let Some((path, rest)) = message.split_once(": ")
            && !path.is_empty()
            && field.starts_with(path)
        {
            message = rest;
        }
        mistake(name, place, field, message)
    })
}

/// Reads with the path of the field at which it fails.
fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<ProjectSpec, (String, D::Error)> {
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        (if path == "." { String::new() } else { path }, error.into_inner())
    })
}

/// Puts a parser's message into our words.
fn mistake(file: &str, place: Option<(usize, usize)>, field: String, message: &str) -> SpecError {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let suggestion = match quoted.as_slice() {
        [wrong, allowed @ ..] => nearest(wrong, allowed.iter().copied()),
        [] => None,
    };
    let mut hint = None;
    let mut words = message
        .replace("unknown variant", "unknown value")
        .replace("unit value", "nothing");
    if message.contains("more than one document") {
        words = "the file holds several documents (`---`); a spec file holds one project".to_owned();
    } else if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        hint = suggestion.map(|name| format!("did you mean `{name}`?"));
    } else if message.starts_with("invalid type") {
        let wanted = message.rsplit("expected ").next().unwrap_or_default();
        hint = if message.contains("unit value") || message.contains(": null") {
            Some("the value is missing".to_owned())
        } else if wanted == "a string" && !message.contains("map") && !message.contains("sequence") {
            Some("put the value between quotes".to_owned())
        } else if wanted == "a sequence" {
            Some("a list is wanted: `[…]`, or lines that begin with `- `".to_owned())
        } else if wanted.starts_with("struct ") {
            words = format!(
                "{}expected fields and their values",
                message
                    .strip_suffix(wanted)
                    .unwrap_or_default()
                    .replace("expected ", "")
            );
            None
        } else {
            None
        };
    }
    SpecError {
        file: file.to_owned(),
        place,
        field,
        message: words,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str, name: &str) -> String {
        parse_spec(text.as_bytes(), name).unwrap_err().to_string()
    }

    #[test]
    fn reads_both_formats() {
        let yaml = "name: x\nsource: a\ndatabases:\n  - name: shop\n    tables: [{name: t, rename_to: u}]\n";
        let json = r#"{"name":"x","source":"a","databases":[{"name":"shop","tables":[{"name":"t","rename_to":"u"}]}]}"#;
        let expected = parse_spec(yaml.as_bytes(), "a.yaml").unwrap();
        assert_eq!(expected.databases[0].tables[0].rename_to, "u");
        assert_eq!(parse_spec(json.as_bytes(), "a.json").unwrap(), expected);
        assert_eq!(parse_spec(json.as_bytes(), "-").unwrap(), expected);
        assert_eq!(parse_spec(yaml.as_bytes(), "-").unwrap(), expected);
        let bom = [b"\xef\xbb\xbf", yaml.as_bytes()].concat();
        assert_eq!(parse_spec(&bom, "a.yaml").unwrap(), expected);
    }

    #[test]
    fn names_line_column_field_and_what_was_meant() {
        for (name, text, expected) in [
            (
                "a.yaml",
                "name: x\ndatabases:\n  - nam: shop\n",
                "a.yaml:3:5: databases[0].nam: unknown field `nam`, expected one of `name`, `rename_to`, `tables`, `exclude` (did you mean `name`?)",
            ),
            (
                "a.json",
                "{\"name\": \"x\",\n \"databases\": [{\"nam\": \"shop\"}]}",
                "a.json:2:22: databases[0].nam: unknown field `nam`, expected one of `name`, `rename_to`, `tables`, `exclude` (did you mean `name`?)",
            ),
            (
                "a.yaml",
                "full:\n  on_existing_rows: stopp\n",
                "a.yaml:2:21: full.on_existing_rows: unknown value `stopp`, expected `stop` or `ignore` (did you mean `stop`?)",
            ),
            (
                "a.yaml",
                "full:\n  workers: many\n",
                "a.yaml:2:12: full.workers: invalid type: string \"many\", expected u32",
            ),
            (
                "a.yaml",
                "full:\n  workers: -1\n",
                "a.yaml:2:12: full.workers: invalid value: integer `-1`, expected u32",
            ),
            (
                "a.yaml",
                "name: 12\n",
                "a.yaml:1:7: name: invalid type: integer `12`, expected a string (put the value between quotes)",
            ),
            (
                "a.yaml",
                "name:\n",
                "a.yaml:1:6: name: invalid type: nothing, expected a string (the value is missing)",
            ),
            (
                "a.json",
                "{\"name\": null}",
                "a.json:1:13: name: invalid type: null, expected a string (the value is missing)",
            ),
            (
                "a.yaml",
                "databases: shop\n",
                "a.yaml:1:12: databases: invalid type: string \"shop\", expected a sequence (a list is wanted: `[…]`, or lines that begin with `- `)",
            ),
            (
                "a.yaml",
                "full: fast\n",
                "a.yaml:1:7: full: invalid type: string \"fast\", expected fields and their values",
            ),
            (
                "a.yaml",
                "name: a\nname: b\n",
                "a.yaml:2:1: duplicate field `name`",
            ),
            (
                "a.json",
                "{\"name\":\"a\",\"name\":\"b\"}",
                "a.json:1:18: duplicate field `name`",
            ),
            (
                "a.yaml",
                "name: a\n---\nname: b\n",
                "a.yaml: the file holds several documents (`---`); a spec file holds one project",
            ),
            ("a.json", "{} {}", "a.json:1:4: trailing characters"),
            ("a.yaml", "", "a.yaml: the file is empty"),
            ("a.json", " \n", "a.json: the file is empty"),
            ("a.yaml", "# nothing\n", "a.yaml: the file is empty"),
            (
                "a.yaml",
                "- name: a\n",
                "a.yaml:1:1: invalid type: sequence, expected fields and their values",
            ),
        ] {
            assert_eq!(refused(text, name), expected);
        }
    }

    #[test]
    fn broken_syntax_is_placed() {
        assert!(refused("name: [a\nsource: b\n", "a.yaml").starts_with("a.yaml:2:"));
        assert!(refused("{\"name\": }", "a.json").starts_with("a.json:1:10:"));
        let error = parse_spec(b"name: a\nsource: \xff\n", "a.yaml").unwrap_err();
        assert_eq!(error.to_string(), "a.yaml:2:9: the file is not UTF-8 text");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for pair in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"].map(|p| p.split_at(1)) {
            let (from, to) = pair;
            bomb += &format!(
                "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}]\n"
            );
        }
        refused(&bomb, "a.yaml");
        refused(&"[".repeat(200_000), "a.json");
        refused(&"[".repeat(5_000), "a.yaml");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), json in any::<bool>()) {
            let _ = parse_spec(&bytes, if json { "a.json" } else { "a.yaml" });
        }

        #[test]
        fn arbitrary_structures_never_panic(text in "[a-z:{}\\[\\]\"'`,& *!|>0-9\\n-]{0,120}", json in any::<bool>()) {
            if let Err(error) = parse_spec(text.as_bytes(), if json { "a.json" } else { "a.yaml" }) {
                prop_assert!(!error.to_string().is_empty());
            }
        }

        #[test]
        fn what_is_written_is_read(name in "\\PC{1,20}", source in "\\PC{0,10}", lanes in any::<u32>()) {
            let spec = ProjectSpec {
                name,
                source,
                incremental: Some(oms_proto::v1::IncrementalOptions { lanes, ..Default::default() }),
                ..Default::default()
            };
            let json = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(&parse_spec(json.as_bytes(), "a.json").unwrap(), &spec);
            let yaml = serde_yaml_ng::to_string(&spec).unwrap();
            prop_assert_eq!(&parse_spec(yaml.as_bytes(), "a.yaml").unwrap(), &spec);
        }
    }
}
