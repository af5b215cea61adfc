//! Lists of objects as CSV: which tables and views move, and to where.

use std::{collections::BTreeMap, fmt};

use oms_proto::v1::{DatabaseSelection, MatchRules, ProjectSpec, TableSelection};

use crate::column_mapping::{read_columns, write_columns};

/// The columns, in the order in which lists are written.
const COLUMNS: [&str; 6] = [
    "source_database",
    "source_table",
    "destination_database",
    "destination_table",
    "column_mapping",
    "filter",
];

/// What a list selects: rules that take each object by its name, or, where something is chosen of a table, the same by
/// database.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectList {
    /// For a spec's `rules`.
    Rules(MatchRules),
    /// For a spec's `databases`.
    Databases(Vec<DatabaseSelection>),
}

impl ObjectList {
    /// Puts it in the place of what a spec selects.
    pub fn replace(self, spec: &mut ProjectSpec) {
        (spec.rules, spec.databases) = match self {
            Self::Rules(rules) => (Some(rules), Vec::new()),
            Self::Databases(databases) => (None, databases),
        };
    }
}

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
/// for the destination may be missing or empty: the same names; `column_mapping` and `filter`: all columns and rows. Fields
/// may be quoted with `"`.
///
/// # Errors
/// All lines that cannot be used.
pub fn parse_object_list(bytes: &[u8], file: &str) -> Result<ObjectList, ObjectListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut mistakes = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .from_reader(bytes);
    let mut places: Option<[Option<usize>; 6]> = None;
    let mut lines = Vec::new();
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
        let or = |text: &str, same: &str| if text.is_empty() { same } else { text }.to_owned();
        let mut selection = TableSelection {
            name: table.to_owned(),
            rename_to: or(to_table, table),
            filter: cell(5).to_owned(),
            ..TableSelection::default()
        };
        if let Err(what) = read_columns(cell(4), &mut selection) {
            mistakes.push((line, what));
            continue;
        }
        lines.push(Line {
            number: line,
            database: database.to_owned(),
            to_database: or(to_database, database),
            table: selection,
        });
    }
    if mistakes.is_empty() && lines.is_empty() {
        mistakes.push((1, "the list names no objects".to_owned()));
    }
    let list = if lines.iter().any(Line::chooses) {
        ObjectList::Databases(by_database(lines, &mut mistakes))
    } else {
        ObjectList::Rules(MatchRules {
            include: lines.iter().map(Line::rule).collect(),
            exclude: Vec::new(),
        })
    };
    if mistakes.is_empty() {
        Ok(list)
    } else {
        Err(ObjectListError {
            file: file.to_owned(),
            mistakes,
        })
    }
}

/// A line of a list.
struct Line {
    number: u64,
    database: String,
    to_database: String,
    table: TableSelection,
}

impl Line {
    /// Whether not everything of the table moves as it is.
    fn chooses(&self) -> bool {
        let plain = TableSelection {
            name: self.table.name.clone(),
            rename_to: self.table.rename_to.clone(),
            ..TableSelection::default()
        };
        self.table != plain
    }

    fn rule(&self) -> String {
        format!(
            "{}.{}={}.{}",
            quoted(&self.database),
            quoted(&self.table.name),
            quoted(&self.to_database),
            quoted(&self.table.rename_to)
        )
    }
}

/// The lines by database, which has one destination then.
fn by_database(lines: Vec<Line>, mistakes: &mut Vec<(u64, String)>) -> Vec<DatabaseSelection> {
    let mut databases: Vec<DatabaseSelection> = Vec::new();
    for line in lines {
        let known = databases.iter_mut().find(|d| d.name == line.database);
        match known {
            Some(database) if database.rename_to == line.to_database => database.tables.push(line.table),
            Some(database) => mistakes.push((
                line.number,
                format!(
                    "in a list with filters or column mappings all tables of {} go to one database, and another line \
                     names {}",
                    line.database, database.rename_to
                ),
            )),
            None => databases.push(DatabaseSelection {
                name: line.database,
                rename_to: line.to_database,
                tables: vec![line.table],
                exclude: Vec::new(),
            }),
        }
    }
    databases
}

/// Where the columns are.
fn columns(header: &csv::StringRecord) -> Result<[Option<usize>; 6], String> {
    let mut places = [None; 6];
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

/// Writes a list with these objects: database and table at the source, then at the destination, and what is chosen of it.
///
/// # Errors
/// None for texts that fit into memory.
pub fn write_object_list<'a>(
    objects: impl IntoIterator<Item = ([&'a str; 4], Option<&'a TableSelection>)>,
) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for (names, chosen) in objects {
        let (mapping, filter) = chosen.map_or((String::new(), ""), |t| (write_columns(t), t.filter.as_str()));
        let cells = names.into_iter().chain([mapping.as_str(), filter]);
        writer.write_record(cells)?;
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
        let ObjectList::Rules(rules) = parse_object_list(text.as_bytes(), "f").unwrap() else {
            panic!("nothing is chosen")
        };
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
    fn filters_and_mappings_are_written_and_read() {
        let chosen = TableSelection {
            filter: "name = 'a,\"b\"' AND id > 7".into(),
            omit_columns: vec!["secret".into()],
            ..Default::default()
        };
        let objects = [
            (["shop", "orders", "new", "o"], Some(&chosen)),
            (["shop", "items", "new", "items"], None),
        ];
        let bytes = write_object_list(objects).unwrap();
        let mut spec = ProjectSpec {
            rules: Some(MatchRules::default()),
            ..Default::default()
        };
        parse_object_list(&bytes, "f").unwrap().replace(&mut spec);
        assert_eq!(spec.rules, None);
        let database = &spec.databases[0];
        assert_eq!(
            (database.name.as_str(), database.rename_to.as_str()),
            ("shop", "new")
        );
        let orders = TableSelection {
            name: "orders".into(),
            rename_to: "o".into(),
            ..chosen
        };
        assert_eq!(database.tables[0], orders);
        assert_eq!(database.tables[1].name, "items");

        let text = "source_database,source_table,destination_database,filter,column_mapping\n\
                    d,a,x,id > 1,\nd,b,y,,\nd,c,x,,\"`a\"\n";
        let error = parse_object_list(text.as_bytes(), "f").unwrap_err().to_string();
        assert!(
            error.contains("f:4: column_mapping: a name has no closing `"),
            "{error}"
        );
        assert!(error.contains("f:3: in a list with filters"), "{error}");
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
                "source_database,source_table,condition\n",
                "unknown column \"condition\"",
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
            let objects = names.iter().map(|(d, t)| ([d.as_str(), t.as_str(), t.as_str(), d.as_str()], None));
            let bytes = write_object_list(objects).unwrap();
            let ObjectList::Rules(rules) = parse_object_list(&bytes, "f").unwrap() else {
                panic!("nothing is chosen")
            };
            let expected: Vec<String> = names
                .iter()
                .map(|(d, t)| [quoted(d), ".".into(), quoted(t), "=".into(), quoted(t), ".".into(), quoted(d)].concat())
                .collect();
            proptest::prop_assert_eq!(rules.include, expected);
        }
    }
}
