//! Comparing a definition that was followed with one that a server shows.

use crate::{
    CheckDefinition, ColumnDefinition, DataType, DefaultValue, Difference, ForeignKeyDefinition,
    IndexDefinition, IndexKind, IndexPartKey, PartitionMethod, PartitionValues, Partitioning,
    ReferenceAction, TableDefinition, syntax,
};

/// What differs between two definitions of a table that should be the same, of which one may be as a
/// server shows it. Ways of writing the same thing are no difference: blanks and parentheses of
/// expressions, numbers of defaults, aliases of character sets, orders of keys, display widths,
/// options that say how the table is kept. Empty: they are the same.
pub fn layout_differences(expected: &TableDefinition, shown: &TableDefinition) -> Vec<Difference> {
    let mut list = Vec::new();
    let names = |t: &TableDefinition| t.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    note(
        &mut list,
        "columns",
        names(expected).join(", "),
        names(shown).join(", "),
    );
    for column in &expected.columns {
        if let Some(other) = shown.column(&column.name) {
            let label = format!("column {}", syntax::identifier(&column.name));
            let (a, b) = (self::column(expected, column), self::column(shown, other));
            note(&mut list, &label, a, b);
        }
    }
    let mut keys = (sorted(&expected.indexes, index), sorted(&shown.indexes, index));
    pairs(&mut list, "key", &mut keys);
    let mut keys = (
        sorted(&expected.foreign_keys, foreign_key),
        sorted(&shown.foreign_keys, foreign_key),
    );
    pairs(&mut list, "foreign key", &mut keys);
    let shown_checks = named_as_expected(&expected.checks, &shown.checks);
    let mut checks = (sorted(&expected.checks, check), sorted(&shown_checks, check));
    pairs(&mut list, "check", &mut checks);
    note(
        &mut list,
        "comment",
        expected.options.comment.clone(),
        shown.options.comment.clone(),
    );
    note(&mut list, "character set", charset(expected), charset(shown));
    note(
        &mut list,
        "system versioning",
        expected.system_versioned.to_string(),
        shown.system_versioned.to_string(),
    );
    let text = |p: &Option<Partitioning>| p.as_ref().map(partitions).unwrap_or_default();
    note(
        &mut list,
        "partitions",
        text(&expected.partitioning),
        text(&shown.partitioning),
    );
    list
}

fn note(list: &mut Vec<Difference>, object: &str, expected: String, shown: String) {
    if expected != shown {
        list.push(Difference {
            object: object.to_owned(),
            reason: format!("{shown} instead of {expected}"),
        });
    }
}

fn sorted<T>(items: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    let mut list: Vec<String> = items.iter().map(text).collect();
    list.sort();
    list
}

fn pairs(list: &mut Vec<Difference>, what: &str, texts: &mut (Vec<String>, Vec<String>)) {
    let (expected, shown) = (texts.0.clone(), texts.1.clone());
    for text in expected.iter().filter(|t| !shown.contains(t)) {
        list.push(Difference {
            object: format!("{what} {text}"),
            reason: "is not shown".to_owned(),
        });
    }
    for text in shown.iter().filter(|t| !expected.contains(t)) {
        list.push(Difference {
            object: format!("{what} {text}"),
            reason: "is not expected".to_owned(),
        });
    }
}

/// The checks that a server shows. One whose name the server made up, because it was created without, has no name here.
fn named_as_expected(expected: &[CheckDefinition], shown: &[CheckDefinition]) -> Vec<CheckDefinition> {
    let text = |c: &CheckDefinition| (syntax::comparable(&c.expression), c.enforced);
    let mut unnamed: Vec<_> = expected.iter().filter(|c| c.name.is_none()).map(text).collect();
    let is_expected = |c: &CheckDefinition| expected.iter().any(|e| e.name.is_some() && check(e) == check(c));
    let mut list = Vec::with_capacity(shown.len());
    for found in shown {
        let mut found = found.clone();
        if !is_expected(&found)
            && let Some(at) = unnamed.iter().position(|e| *e == text(&found))
        {
            unnamed.swap_remove(at);
            found.name = None;
        }
        list.push(found);
    }
    list
}

fn alias(name: &str) -> String {
    name.replace("utf8mb3", "utf8")
}

/// The default collation of a character set is not always shown: `?` stands for it.
fn charset(table: &TableDefinition) -> String {
    let (charset, collation) = table.effective_charset(&|charset| format!("{charset}_?"));
    known(&charset, &collation)
}

fn known(charset: &str, collation: &str) -> String {
    // Without knowing the server's defaults only the character set can be told then.
    let is_usual = collation.ends_with("_?")
        || ["_general_ci", "_0900_ai_ci", "_swedish_ci", "_chinese_ci"]
            .iter()
            .any(|s| collation.ends_with(s));
    let collation = if is_usual { "usual" } else { collation };
    alias(&format!("{charset} {collation}"))
}

fn column(table: &TableDefinition, column: &ColumnDefinition) -> String {
    let mut text = plain_type(&column.ty);
    if column.ty.is_character() {
        let (charset, collation) = table.column_charset(column, &|charset| format!("{charset}_?"));
        text.push_str(&format!(" {}", known(&charset, &collation)));
    }
    if !column.nullable {
        text.push_str(" not null");
    }
    if let Some(value) = default(column) {
        text.push_str(&format!(" default {value}"));
    }
    if let Some(fraction) = column.on_update_now {
        text.push_str(&format!(" on update now({fraction})"));
    }
    if let Some(generated) = &column.generated {
        let expression = syntax::comparable(&generated.expression);
        text.push_str(&format!(" generated {expression} {:?}", generated.kept));
    }
    if column.auto_increment {
        text.push_str(" auto_increment");
    }
    if column.invisible {
        text.push_str(" invisible");
    }
    if let Some(check) = &column.check {
        text.push_str(&format!(" check {}", syntax::comparable(check)));
    }
    if !column.comment.is_empty() {
        text.push_str(&format!(" comment {}", column.comment));
    }
    text
}

/// Without display width, except where it means something.
fn plain_type(ty: &DataType) -> String {
    match ty {
        DataType::Integer {
            kind,
            unsigned,
            zerofill,
            width,
        } => DataType::Integer {
            kind: *kind,
            width: width.filter(|_| *zerofill),
            unsigned: *unsigned,
            zerofill: *zerofill,
        }
        .to_string(),
        other => other.to_string(),
    }
}

fn default(column: &ColumnDefinition) -> Option<String> {
    let is_number = matches!(
        column.ty,
        DataType::Integer { .. } | DataType::Decimal { .. } | DataType::Real { .. } | DataType::Year
    );
    match column.default.as_ref()? {
        DefaultValue::Null => None,
        DefaultValue::Text(text) | DefaultValue::Number(text) if is_number => {
            // Year 0 is shown as 0000, 5 of a decimal as 5.00.
            Some(
                text.trim()
                    .parse::<f64>()
                    .map_or_else(|_| text.clone(), |n| n.to_string()),
            )
        }
        DefaultValue::Text(text) | DefaultValue::Number(text) => {
            Some(format!("'{}'", whole_time(&column.ty, text)))
        }
        DefaultValue::Bits(bits) => Some(bits.to_lowercase()),
        DefaultValue::Now(fraction) => Some(format!("now({fraction})")),
        DefaultValue::Expression(text) => Some(syntax::comparable(text)),
    }
}

/// A date as a default of a point in time is shown with the time, and with its fraction.
fn whole_time(ty: &DataType, text: &str) -> String {
    let (DataType::DateTime(fraction) | DataType::Timestamp(fraction)) = ty else {
        return text.to_owned();
    };
    let mut text = match text {
        "0" => "0000-00-00 00:00:00".to_owned(),
        other => other.to_owned(),
    };
    if text.len() == 10 {
        text.push_str(" 00:00:00");
    }
    if *fraction > 0 && text.len() == 19 {
        text.push('.');
        text.push_str(&"0".repeat(usize::from(*fraction)));
    }
    text
}

fn index(index: &IndexDefinition) -> String {
    let parts: Vec<_> = index
        .parts
        .iter()
        .map(|part| {
            let key = match &part.key {
                IndexPartKey::Column(name) => name.to_lowercase(),
                IndexPartKey::Expression(text) => format!("({})", syntax::comparable(text)),
            };
            // Servers shorten what a key that restricts nothing covers of a long column.
            let prefix = part.prefix.filter(|_| index.kind != IndexKind::Plain);
            let prefix = prefix.map(|n| format!("({n})")).unwrap_or_default();
            format!("{key}{prefix}{}", if part.descending { " desc" } else { "" })
        })
        .collect();
    let kind = match index.kind {
        IndexKind::Primary => "primary",
        IndexKind::Unique => "unique",
        IndexKind::Plain => "",
        IndexKind::FullText => "fulltext",
        IndexKind::Spatial => "spatial",
    };
    let invisible = if index.invisible { " invisible" } else { "" };
    format!(
        "{} {kind} ({}){invisible} {}",
        index.name.to_lowercase(),
        parts.join(","),
        index.comment
    )
}

fn foreign_key(key: &ForeignKeyDefinition) -> String {
    // RESTRICT and NO ACTION are one, and what holds when nothing is said.
    let action = |action: Option<ReferenceAction>| match action {
        None | Some(ReferenceAction::Restrict | ReferenceAction::NoAction) => "",
        Some(other) => other.words(),
    };
    format!(
        "{} ({}) {}.{} ({}) {}/{}",
        key.name,
        key.columns.join(",").to_lowercase(),
        key.database.as_deref().unwrap_or(""),
        key.table,
        key.referenced.join(",").to_lowercase(),
        action(key.on_delete),
        action(key.on_update)
    )
}

fn check(check: &CheckDefinition) -> String {
    let enforced = if check.enforced { "" } else { " not enforced" };
    let name = check.name.as_deref().unwrap_or("");
    format!("{name} {}{enforced}", syntax::comparable(&check.expression))
}

fn partitions(p: &Partitioning) -> String {
    let method = |method: &PartitionMethod, linear: bool| {
        let linear = if linear { "linear " } else { "" };
        let text = match method {
            PartitionMethod::Range(text) => format!("range {}", syntax::comparable(text)),
            PartitionMethod::RangeColumns(names) => format!("range columns {}", names.join(",")),
            PartitionMethod::List(text) => format!("list {}", syntax::comparable(text)),
            PartitionMethod::ListColumns(names) => format!("list columns {}", names.join(",")),
            PartitionMethod::Hash(text) => format!("hash {}", syntax::comparable(text)),
            PartitionMethod::Key(names) => format!("key {}", names.join(",")),
            PartitionMethod::SystemTime(text) => format!("system_time {}", syntax::comparable(text)),
        };
        format!("{linear}{text}").to_lowercase()
    };
    let spreads = matches!(p.method, PartitionMethod::Hash(_) | PartitionMethod::Key(_));
    let mut text = method(&p.method, p.linear);
    if spreads {
        let listed = u32::try_from(p.definitions.len()).unwrap_or(u32::MAX);
        text.push_str(&format!(" in {}", p.count.unwrap_or(listed.max(1))));
    }
    if let Some(sub) = &p.sub {
        text.push_str(&format!(" by {}", method(&sub.method, sub.linear)));
    }
    if spreads {
        return text;
    }
    for partition in &p.definitions {
        let items = |items: &[String]| {
            let items: Vec<_> = items.iter().map(|i| syntax::comparable(i)).collect();
            items.join(",")
        };
        let values = match &partition.values {
            PartitionValues::LessThan(list) => format!("< {}", items(list)),
            PartitionValues::In(list) => format!("in {}", items(list)),
            other => format!("{other:?}"),
        };
        text.push_str(&format!("; {} {values}", partition.name));
    }
    text
}
