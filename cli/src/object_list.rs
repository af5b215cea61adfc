//! Lists of objects as CSV: which tables and views move, and to where.

use std::{collections::BTreeMap, fmt};

use oms_proto::v1::MatchRules;

/// The columns, in the order in which lists are written.
const COLUMNS: [&str; 4] = [
    "source_database",
    "source_table",
    "destination_database",
    "destination_table",
];

/// Mistakes that are shown; a list in a wrong format has one in every line.
const SHOWN: usize = 50;

/// All mistakes of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectListError {
    /// The file, as the user named it.
    pub file: String,
    /// Lines from 1, and what is wrong there.
    pub mistakes: Vec<(u64, String)>,
}

impl fmt::Display for ObjectListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (line, what)) in self.mistakes.iter().take(SHOWN).enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{line}: {what}", self.file)?;
        }
        match self.mistakes.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{more} more lines with mistakes"),
        }
    }
}

impl std::error::Error for ObjectListError {}

/// Reads a list: the first line names the columns in any order, each further one an object by its names. Columns
/// for the destination may be missing or empty: the same names. Fields may be quoted with `"`.
///
/// # Errors
/// All lines that cannot be used.
pub fn parse_object_list(bytes: &[u8], file: &str) -> Result<MatchRules, ObjectListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut mistakes = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .from_reader(bytes);
    let mut places: Option<[Option<usize>; 4]> = None;
    let mut include = Vec::new();
    let mut seen: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut width = 0;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let what = match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
                    _ => error.to_string(),
                };
                mistakes.push((line, what));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let Some(places) = &places else {
            width = record.len();
            match columns(&record) {
                Ok(found) => places = Some(found),
                Err(what) => {
                    return Err(ObjectListError {
                        file: file.to_owned(),
                        mistakes: vec![(line, what)],
                    });
                }
            }
            continue;
        };
        let cell = |column: usize| {
            places
                .get(column)
                .copied()
                .flatten()
                .and_then(|i| record.get(i))
                .unwrap_or("")
        };
        let [database, table, to_database, to_table] = [cell(0), cell(1), cell(2), cell(3)];
        if record.len() != width {
            mistakes.push((
                line,
                format!("{} fields where the first line has {width}", record.len()),
            ));
            continue;
        }
        let empty = |name: &str, text: &str| text.is_empty().then(|| format!("{name} is empty"));
        if let Some(what) = empty(COLUMNS[0], database).or_else(|| empty(COLUMNS[1], table)) {
            mistakes.push((line, what));
            continue;
        }
        let key = (database.to_owned(), table.to_owned());
        if let Some(first) = seen.insert(key, line) {
            mistakes.push((line, format!("{database}.{table} is in line {first} already")));
            continue;
        }
        let or = |text: &str, same: &str| quoted(if text.is_empty() { same } else { text });
        include.push(format!(
            "{}.{}={}.{}",
            quoted(database),
            quoted(table),
            or(to_database, database),
            or(to_table, table)
        ));
    }
    if mistakes.is_empty() && include.is_empty() {
        mistakes.push((1, "the list names no objects".to_owned()));
    }
    if mistakes.is_empty() {
        Ok(MatchRules {
            include,
            exclude: Vec::new(),
        })
    } else {
        Err(ObjectListError {
            file: file.to_owned(),
            mistakes,
        })
    }
}

/// Where the columns are.
fn columns(header: &csv::StringRecord) -> Result<[Option<usize>; 4], String> {
    let mut places = [None; 4];
    for (i, name) in header.iter().enumerate() {
        let known = COLUMNS.iter().position(|c| c.eq_ignore_ascii_case(name.trim()));
        match known.and_then(|k| places.get_mut(k)) {
            None => {
                return Err(format!(
                    "unknown column {name:?}; there are {}",
                    COLUMNS.join(", ")
                ));
            }
            Some(Some(_)) => return Err(format!("the column {name:?} is there twice")),
            Some(place) => *place = Some(i),
        }
    }
    match places {
        [Some(_), Some(_), ..] => Ok(places),
        _ => Err(format!(
            "the first line must name the columns {} and {}",
            COLUMNS[0], COLUMNS[1]
        )),
    }
}

/// A name as match rules take it literally.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Writes a list with these objects: database and table at the source, then at the destination.
///
/// # Errors
/// None for texts that fit into memory.
pub fn write_object_list<'a>(objects: impl IntoIterator<Item = [&'a str; 4]>) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for object in objects {
        writer.write_record(object)?;
    }
    writer.into_inner().map_err(|e| e.into_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_rules_for_exactly_its_objects() {
        let text = "source_table,source_database,destination_table\r\n\
                    a,shop,\r\n\"b,*\"\"`\",shop,c.d\r\n订单,商店,x\r\n";
        let rules = parse_object_list(text.as_bytes(), "f").unwrap();
        assert_eq!(
            rules.include,
            [
                "`shop`.`a`=`shop`.`a`",
                "`shop`.`b,*\"```=`shop`.`c.d`",
                "`商店`.`订单`=`商店`.`x`"
            ]
        );
    }

    #[test]
    fn all_bad_lines_are_reported() {
        let text = "source_database,source_table\nshop,a\nshop\nshop,\n,b\nshop,a\nshop,b,c\n";
        let error = parse_object_list(text.as_bytes(), "list.csv").unwrap_err();
        let lines: Vec<u64> = error.mistakes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        let text = error.to_string();
        for part in [
            "list.csv:3: 1 fields where the first line has 2",
            "list.csv:4: source_table is empty",
            "list.csv:5: source_database is empty",
            "list.csv:6: shop.a is in line 2 already",
            "list.csv:7: 3 fields",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn bad_headers_and_empty_lists() {
        for (text, part) in [
            ("", "names no objects"),
            ("source_database,source_table\n", "names no objects"),
            ("source_database\n", "must name the columns"),
            (
                "source_database,source_table,filter\n",
                "unknown column \"filter\"",
            ),
            ("source_database,source_table,source_table\n", "there twice"),
        ] {
            let error = parse_object_list(text.as_bytes(), "f").unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let error = parse_object_list(b"source_database,source_table\na,\xff\n", "f").unwrap_err();
        assert_eq!(error.to_string(), "f:2: not UTF-8 text");
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(names in proptest::collection::btree_set(("[^\\x00]{1,6}", "[^\\x00]{1,6}"), 1..5)) {
            let objects = names.iter().map(|(d, t)| [d.as_str(), t.as_str(), t.as_str(), d.as_str()]);
            let bytes = write_object_list(objects).unwrap();
            let rules = parse_object_list(&bytes, "f").unwrap();
            let expected: Vec<String> = names
                .iter()
                .map(|(d, t)| [quoted(d), ".".into(), quoted(t), "=".into(), quoted(t), ".".into(), quoted(d)].concat())
                .collect();
            proptest::prop_assert_eq!(rules.include, expected);
        }
    }
}
