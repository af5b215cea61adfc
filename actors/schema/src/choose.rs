//! Which columns of a table move, and under which names.

use serde::{Deserialize, Serialize};

use crate::{
    ColumnDefinition, ConversionNote, ConvertOptions, DefaultValue, IndexPartKey, PartitionMethod,
    TableDefinition, TableName,
};

/// What the user chose of a table's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChoice {
    /// Only these; empty: all.
    pub only: Vec<String>,
    /// Not these.
    pub omitted: Vec<String>,
    /// Names at the source and at the destination.
    pub renamed: Vec<(String, String)>,
    /// Columns that only the destination has.
    pub added: Vec<ColumnDefinition>,
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl ColumnChoice {
    fn takes(&self, column: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|c| same(c, column)))
            && !self.omitted.iter().any(|c| same(c, column))
    }

    fn name<'n>(&'n self, column: &'n str) -> &'n str {
        let renamed = self.renamed.iter().find(|(from, _)| same(from, column));
        renamed.map_or(column, |(_, to)| to)
    }

    /// The names, if all of them move.
    fn names(&self, columns: &[String]) -> Option<Vec<String>> {
        let each = columns
            .iter()
            .map(|c| self.takes(c).then(|| self.name(c).to_owned()));
        each.collect()
    }

    /// The expression under the names at the destination; `None`: it reads a column that does not move.
    fn expression(&self, table: &TableDefinition, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(['\'', '"', '`']) {
            let (before, quoted) = rest.split_at_checked(start)?;
            out.push_str(before);
            let quote = quoted.chars().next()?;
            let mut end = None;
            let mut characters = quoted.char_indices().skip(1).peekable();
            while let Some((i, c)) = characters.next() {
                if c == '\\' && quote != '`' {
                    characters.next();
                } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
                    end = Some(i + quote.len_utf8());
                    break;
                }
            }
            let (token, behind) = quoted.split_at_checked(end?)?;
            let inner = token.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
            let name = inner.map(|n| n.replace("``", "`"));
            match name.filter(|n| table.column(n).is_some()) {
                None => out.push_str(token),
                Some(name) if self.takes(&name) => {
                    out.push('`');
                    out.push_str(&self.name(&name).replace('`', "``"));
                    out.push('`');
                }
                Some(_) => return None,
            }
            rest = behind;
        }
        out.push_str(rest);
        Some(out)
    }
}

impl ConvertOptions {
    fn choice(&self, table: &TableName) -> Option<&ColumnChoice> {
        self.columns
            .iter()
            .find(|(name, _)| name == table)
            .map(|(_, c)| c)
    }
}

fn note(object: String, why: &str, lossy: bool) -> ConversionNote {
    ConversionNote {
        object,
        what: format!("left out: {why}"),
        from: "is there".to_owned(),
        to: String::new(),
        lossy,
    }
}

const OMITTED: &str = "one of its columns does not move";

/// Leaves out the columns of a definition that do not move, with what is built on them, renames and adds columns. Tells
/// what was left out besides.
///
/// # Errors
/// In words, what cannot be left out: the definition would mean something else.
pub(crate) fn choose_columns(
    table: &mut TableDefinition,
    name: &TableName,
    options: &ConvertOptions,
) -> Result<Vec<ConversionNote>, String> {
    let mut notes = Vec::new();
    foreign_keys(table, name, options, &mut notes);
    let Some(choice) = options.choice(name) else {
        return Ok(notes);
    };
    let before = table.clone();
    let rewritten = |text: &str| choice.expression(&before, text);
    table.columns.retain(|c| choice.takes(&c.name));
    for column in &mut table.columns {
        let old = std::mem::take(&mut column.name);
        column.name = choice.name(&old).to_owned();
        if let Some(generated) = &mut column.generated {
            generated.expression = rewritten(&generated.expression).ok_or_else(|| {
                format!("column `{old}` is computed from a column that does not move: omit it, too")
            })?;
        }
        if let Some(DefaultValue::Expression(text)) = &mut column.default {
            *text = rewritten(text).ok_or_else(|| {
                format!("the default of column `{old}` is computed from a column that does not move")
            })?;
        }
        if let Some(check) = column.check.take() {
            column.check = rewritten(&check);
            if column.check.is_none() {
                notes.push(note(format!("check of column `{old}`"), OMITTED, true));
            }
        }
    }
    table.columns.extend(choice.added.iter().cloned());
    table.indexes.retain_mut(|index| {
        let kept = index.parts.iter_mut().all(|part| match &mut part.key {
            IndexPartKey::Column(column) => {
                let takes = choice.takes(column);
                *column = choice.name(column).to_owned();
                takes
            }
            IndexPartKey::Expression(text) => match rewritten(text) {
                Some(new) => {
                    *text = new;
                    true
                }
                None => false,
            },
        });
        if !kept {
            notes.push(note(format!("key `{}`", index.name), OMITTED, index.is_unique()));
        }
        kept
    });
    table
        .checks
        .retain_mut(|check| match rewritten(&check.expression) {
            Some(text) => {
                check.expression = text;
                true
            }
            None => {
                let name = check.name.clone().unwrap_or_default();
                notes.push(note(format!("check `{name}`"), OMITTED, true));
                false
            }
        });
    let periods = table.periods.iter_mut().flat_map(|p| [&mut p.start, &mut p.end]);
    for column in periods {
        if !choice.takes(column) {
            return Err(format!("column `{column}` belongs to a period and must move"));
        }
        *column = choice.name(column).to_owned();
    }
    if let Some(partitioning) = &mut table.partitioning {
        let methods =
            std::iter::once(&mut partitioning.method).chain(partitioning.sub.as_mut().map(|s| &mut s.method));
        for method in methods {
            let done = match method {
                PartitionMethod::Range(text) | PartitionMethod::List(text) | PartitionMethod::Hash(text) => {
                    rewritten(text).map(|new| *text = new)
                }
                PartitionMethod::RangeColumns(columns)
                | PartitionMethod::ListColumns(columns)
                | PartitionMethod::Key(columns) => choice.names(columns).map(|new| *columns = new),
                PartitionMethod::SystemTime(_) => Some(()),
            };
            done.ok_or("the table is partitioned by a column that does not move")?;
        }
    }
    Ok(notes)
}

/// Foreign keys, whose columns may be chosen at both ends.
fn foreign_keys(
    table: &mut TableDefinition,
    name: &TableName,
    options: &ConvertOptions,
    notes: &mut Vec<ConversionNote>,
) {
    let all = ColumnChoice::default();
    let here = options.choice(name).unwrap_or(&all);
    table.foreign_keys.retain_mut(|key| {
        let database = key.database.clone().unwrap_or_else(|| name.database.clone());
        let there = options
            .choice(&TableName::new(database, &key.table))
            .unwrap_or(&all);
        match (here.names(&key.columns), there.names(&key.referenced)) {
            (Some(columns), Some(referenced)) => {
                (key.columns, key.referenced) = (columns, referenced);
                true
            }
            _ => {
                notes.push(note(format!("foreign key `{}`", key.name), OMITTED, true));
                false
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE `orders` (\n  `id` int(11) NOT NULL,\n  `total` int(11) DEFAULT NULL,\n  \
        `double` int(11) GENERATED ALWAYS AS (`total` * 2) STORED,\n  `note` varchar(20) DEFAULT 'the `total`',\n  \
        `secret` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  KEY `by_total` (`total`),\n  \
        UNIQUE KEY `by_secret` (`secret`,`id`),\n  CONSTRAINT `some` CHECK (`total` > 0 or `note` = 'x `secret`'),\n  \
        CONSTRAINT `hidden` CHECK (`secret` > `total`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

    fn options(choice: ColumnChoice) -> ConvertOptions {
        ConvertOptions {
            columns: vec![(TableName::new("shop", "orders"), choice)],
            ..Default::default()
        }
    }

    #[test]
    fn what_is_built_on_columns_goes_with_them() {
        let mut table = TableDefinition::parse(TABLE).unwrap();
        let choice = ColumnChoice {
            omitted: vec!["SECRET".into()],
            renamed: vec![("total".into(), "sum".into())],
            added: vec![ColumnDefinition::new("region", crate::DataType::Char(2))],
            ..Default::default()
        };
        let name = TableName::new("shop", "orders");
        let notes = choose_columns(&mut table, &name, &options(choice)).unwrap();
        let columns: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(columns, ["id", "sum", "double", "note", "region"]);
        assert_eq!(
            table.columns[2].generated.as_ref().unwrap().expression,
            "`sum` * 2"
        );
        assert_eq!(table.indexes.len(), 2);
        assert_eq!(table.checks.len(), 1);
        assert_eq!(table.checks[0].expression, "`sum` > 0 or `note` = 'x `secret`'");
        let left: Vec<_> = notes.iter().map(|n| n.object.as_str()).collect();
        assert_eq!(left, ["key `by_secret`", "check `hidden`"]);
        assert!(notes.iter().all(|n| n.lossy));
    }

    #[test]
    fn a_computed_column_needs_its_columns() {
        let mut table = TableDefinition::parse(TABLE).unwrap();
        let choice = ColumnChoice {
            only: vec!["id".into(), "double".into()],
            ..Default::default()
        };
        let name = TableName::new("shop", "orders");
        let error = choose_columns(&mut table, &name, &options(choice)).unwrap_err();
        assert!(error.contains("column `double`"), "{error}");
    }
}
