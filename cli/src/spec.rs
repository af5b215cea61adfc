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

/// A spec as a YAML file that [`parse_spec`] reads again. What has its default is left out.
pub(crate) fn print_spec(spec: &ProjectSpec) -> Result<String, serde_yaml_ng::Error> {
    let mut value = serde_yaml_ng::to_value(spec)?;
    leave_defaults_out(&mut value);
    serde_yaml_ng::to_string(&value)
}

/// Removes fields that say what their absence says. Answers whether nothing is left.
fn leave_defaults_out(value: &mut serde_yaml_ng::Value) -> bool {
    use serde_yaml_ng::Value;
    match value {
        Value::Null => true,
        Value::Bool(on) => !*on,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Sequence(items) => {
            for item in items.iter_mut() {
                leave_defaults_out(item);
            }
            items.is_empty()
        }
        Value::Mapping(fields) => {
            fields.retain(|_, field| !leave_defaults_out(field));
            fields.is_empty()
        }
        Value::Tagged(_) => false,
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

fn parse_json(text_of_file: &str, name: &str) -> Result<ProjectSpec, SpecError> {
    let mut reader = serde_json::Deserializer::from_str(text_of_file);
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
            mistake(name, place_in(text_of_file, line, column), field, message)
        })
}

/// Where a mistake is. The parser counts the end of a line as column 0 of the next.
fn place_in(text: &str, line: usize, column: usize) -> Option<(usize, usize)> {
    match (line, column) {
        (0, _) => None,
        (1, 0) => Some((1, 1)),
        (_, 0) => {
            let ended = text.split('\n').nth(line - 2).unwrap_or_default();
            Some((line - 1, ended.len() + 1))
        }
        place => Some(place),
    }
}

fn parse_yaml(text: &str, name: &str) -> Result<ProjectSpec, SpecError> {
    let spec = read(serde_yaml_ng::Deserializer::from_str(text)).map_err(|(field, error)| {
        let place = error.location().map(|at| (at.line(), at.column()));
        let said = error.to_string();
        let mut message = said.as_str();
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
        mistake(name, refined(text, place, &field, message), field, message)
    })?;
    // The parser takes a missing value for a text: `rename_to:` and `rename_to: null` would name things.
    let written: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).unwrap_or_default();
    let read = serde_json::to_value(&spec).unwrap_or_default();
    match missing_text(&written, &read) {
        None => Ok(spec),
        Some(field) => {
            let key = field.rsplit('.').next().unwrap_or_default();
            let place = only_place(text, key);
            Err(mistake(
                name,
                place,
                field,
                "invalid type: unit value, expected a string",
            ))
        }
    }
}

/// The parser places a duplicate field and an unknown value at the beginning of their group; this finds
/// the line in a group written in block style.
fn refined(text: &str, place: Option<(usize, usize)>, field: &str, message: &str) -> Option<(usize, usize)> {
    let (line, column) = place?;
    let duplicate = message
        .strip_prefix("duplicate field `")
        .and_then(|rest| rest.split('`').next());
    let (key, nth) = match duplicate {
        Some(key) => (key, 1),
        None if message.starts_with("unknown variant") => (field.rsplit('.').next().unwrap_or_default(), 0),
        None => return place,
    };
    let mut lines = text
        .lines()
        .enumerate()
        .skip(line.saturating_sub(1))
        .filter(|(_, text)| {
            let at = text.find(|c| c != ' ' && c != '-').unwrap_or_default();
            let rest = text.get(at..).and_then(|rest| rest.strip_prefix(key));
            at + 1 == column && rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        });
    lines.nth(nth).map(|(i, _)| (i + 1, column)).or(place)
}

/// The first field that is null as written and a text as read.
fn missing_text(written: &serde_yaml_ng::Value, read: &serde_json::Value) -> Option<String> {
    use serde_yaml_ng::Value as Y;
    let below = |step: String, written: &Y, read: &serde_json::Value| {
        let rest = missing_text(written, read)?;
        let dot = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        Some(format!("{step}{dot}{rest}"))
    };
    match written {
        Y::Null if read.is_string() => Some(String::new()),
        Y::Mapping(fields) => fields.iter().find_map(|(key, value)| {
            let key = key.as_str()?;
            below(key.to_owned(), value, read.get(key)?)
        }),
        Y::Sequence(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| below(format!("[{i}]"), item, read.get(i)?)),
        _ => None,
    }
}

/// Where a key without a value is, if there is only one such line.
fn only_place(text: &str, key: &str) -> Option<(usize, usize)> {
    let mut places = text.lines().enumerate().filter_map(|(i, line)| {
        let at = line.find(key)?;
        let before = line.get(..at)?;
        let rest = line.get(at + key.len()..)?.trim_start().strip_prefix(':')?;
        let value = rest.split('#').next().unwrap_or_default().trim();
        let alone = before.trim_matches([' ', '-']).is_empty()
            && matches!(value, "" | "~" | "null" | "Null" | "NULL");
        alone.then_some((i + 1, at + 1))
    });
    let first = places.next()?;
    places.next().is_none().then_some(first)
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
    let (found, wanted) = message.rsplit_once("expected ").unwrap_or((message, ""));
    let mut hint = None;
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let [wrong, allowed @ ..] = quoted.as_slice() {
            hint = nearest(wrong, allowed.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        }
    } else if message.starts_with("invalid type") {
        if message.contains("unit value") || message.contains(": null") {
            hint = Some("the value is missing".to_owned());
        } else if wanted == "a string" && !found.contains("map") && !found.contains("sequence") {
            hint = Some("put the value between quotes".to_owned());
        } else if wanted == "a sequence" {
            hint = Some("a list is wanted: `[…]`, or lines that begin with `- `".to_owned());
        }
    }
    let plain = match wanted {
        "u32" => Some(format!("a whole number from 0 to {}", u32::MAX)),
        "u64" => Some(format!("a whole number from 0 to {}", u64::MAX)),
        "a boolean" => Some("true or false".to_owned()),
        _ if wanted.starts_with("struct ") => Some("fields and their values".to_owned()),
        _ => None,
    };
    let words = if message.contains("more than one document") {
        "the file holds several documents (`---`); a spec file holds one project".to_owned()
    } else if let Some(plain) = plain {
        format!("{found}expected {plain}")
    } else {
        message.to_owned()
    };
    let message = words
        .replace("unknown variant", "unknown value")
        .replace("unit value", "nothing");
    SpecError {
        file: file.to_owned(),
        place,
        field,
        message,
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
                "a.json:2:21: databases[0].nam: unknown field `nam`, expected one of `name`, `rename_to`, `tables`, `exclude` (did you mean `name`?)",
            ),
            (
                "a.yaml",
                "full:\n  workers: 1\n  on_existing_rows: stopp\n",
                "a.yaml:3:3: full.on_existing_rows: unknown value `stopp`, expected `stop` or `ignore` (did you mean `stop`?)",
            ),
            (
                "a.yaml",
                "full:\n  workers: many\n",
                "a.yaml:2:12: full.workers: invalid type: string \"many\", expected a whole number from 0 to 4294967295",
            ),
            (
                "a.yaml",
                "full:\n  workers: -1\n",
                "a.yaml:2:12: full.workers: invalid type: integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            (
                "a.json",
                "{\"name\": 12}",
                "a.json:1:11: name: invalid type: integer `12`, expected a string (put the value between quotes)",
            ),
            (
                "a.yaml",
                "name:\n",
                "a.yaml:1:1: name: invalid type: nothing, expected a string (the value is missing)",
            ),
            (
                "a.yaml",
                "databases:\n  - name: a\n    rename_to: null # none\n",
                "a.yaml:3:5: databases[0].rename_to: invalid type: nothing, expected a string (the value is missing)",
            ),
            (
                "a.yaml",
                "labels: [a, ~]\n",
                "a.yaml: labels[1]: invalid type: nothing, expected a string (the value is missing)",
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
            (
                "a.json",
                "{\n\"name\": \"a\n\"}",
                "a.json:2:11: name: control character (\\u0000-\\u001F) found while parsing a string",
            ),
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
    fn an_empty_group_is_no_mistake() {
        let spec = parse_spec(b"name: null-free\nfull:\n# lanes: 4\nverify: ~\n", "a.yaml").unwrap();
        assert_eq!((spec.full, spec.verify), (None, None));
    }

    #[test]
    fn a_printed_spec_is_short_and_reads_the_same() {
        let text = "name: a\nsource: s\ndestination: d\nsteps:\n  full: true\n\
                    rules:\n  include:\n  - shop.*\n  - '`a`.`b`=c.d'\nfull:\n  concurrency: fast\n";
        let spec = parse_spec(text.as_bytes(), "a.yaml").unwrap();
        let printed = print_spec(&spec).unwrap();
        assert_eq!(parse_spec(printed.as_bytes(), "a.yaml").unwrap(), spec);
        assert_eq!(printed.lines().count(), text.lines().count(), "{printed}");
    }

    #[test]
    fn broken_syntax_is_placed() {
        let error = refused("name: a\nlabels: [a\nsource: b\n", "a.yaml");
        assert!(error.starts_with("a.yaml:3:"), "{error}");
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
