//! The cell of a list of objects that says which columns move.

use oms_proto::v1::{NameRule, TableSelection};

/// Reads a cell into a selection: entries between commas, each the name of a column that moves, maybe with `=` and its
/// name at the destination; `*` for all other columns; `-` and a name for one that does not move. Names may be between
/// backquotes.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_columns(cell: &str, table: &mut TableSelection) -> Result<(), String> {
    let mut rest = cell.trim();
    let mut all = false;
    if rest.is_empty() {
        return Ok(());
    }
    loop {
        if let Some(after) = rest.strip_prefix('*') {
            all = true;
            rest = after.trim_start();
        } else if let Some(after) = rest.strip_prefix('-') {
            let (name, after) = name(after)?;
            table.omit_columns.push(name);
            rest = after;
        } else {
            let (from, after) = name(rest)?;
            rest = after;
            if let Some(after) = rest.strip_prefix('=') {
                let (to, after) = name(after)?;
                table.rename_columns.push(NameRule {
                    from: from.clone(),
                    to,
                });
                rest = after;
            }
            table.columns.push(from);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => break,
            None => return Err(format!("column_mapping: a comma is expected before {rest:?}")),
        }
    }
    if all {
        table.columns.clear();
    } else if !table.omit_columns.is_empty() {
        return Err("column_mapping: `-` needs `*`: without it only the named columns move".to_owned());
    }
    Ok(())
}

/// A name, and what comes behind it.
fn name(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    let (name, rest) = if let Some(mut rest) = text.strip_prefix('`') {
        let mut name = String::new();
        loop {
            let (part, after) = rest
                .split_once('`')
                .ok_or("column_mapping: a name has no closing `")?;
            name.push_str(part);
            match after.strip_prefix('`') {
                Some(after) => {
                    name.push('`');
                    rest = after;
                }
                None => break (name, after),
            }
        }
    } else {
        let end = text.find([',', '=']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        (name.trim_end().to_owned(), rest)
    };
    if name.is_empty() {
        return Err("column_mapping: a name is missing".to_owned());
    }
    Ok((name, rest.trim_start()))
}

/// Writes the cell of a selection; empty where all columns move under their names.
pub(crate) fn write_columns(table: &TableSelection) -> String {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let renamed = |name: &str| {
        let rule = table
            .rename_columns
            .iter()
            .find(|r| r.from.to_lowercase() == name.to_lowercase());
        rule.map_or_else(|| quoted(name), |r| format!("{}={}", quoted(name), quoted(&r.to)))
    };
    let mut entries: Vec<String> = Vec::new();
    if table.columns.is_empty() {
        if table.rename_columns.is_empty() && table.omit_columns.is_empty() {
            return String::new();
        }
        entries.push("*".to_owned());
        entries.extend(table.rename_columns.iter().map(|r| renamed(&r.from)));
        entries.extend(table.omit_columns.iter().map(|c| format!("-{}", quoted(c))));
    } else {
        entries.extend(table.columns.iter().map(|c| renamed(c)));
    }
    entries.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(cell: &str) -> Result<TableSelection, String> {
        let mut table = TableSelection::default();
        read_columns(cell, &mut table).map(|()| table)
    }

    #[test]
    fn cells_are_read() {
        let table = read(" *, id = `the number`, -`a,b` , - c").unwrap();
        assert_eq!(table.omit_columns, ["a,b", "c"]);
        assert_eq!(table.rename_columns[0].to, "the number");
        assert!(table.columns.is_empty());
        let table = read("id, n=m").unwrap();
        assert_eq!(table.columns, ["id", "n"]);
        assert_eq!(read("").unwrap(), TableSelection::default());
        for (bad, part) in [
            ("a,,b", "a name is missing"),
            ("a,", "a name is missing"),
            ("`a", "no closing"),
            ("`a`b", "a comma is expected"),
            ("a=", "a name is missing"),
            ("a,-b", "`-` needs `*`"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(names in proptest::collection::btree_set("[^\\x00]{1,5}", 1..5), rename in any::<bool>(), all in any::<bool>()) {
            let names: Vec<String> = names.into_iter().collect();
            let mut table = TableSelection::default();
            if all {
                table.omit_columns = names.clone();
            } else {
                table.columns = names.clone();
                // Names that differ in case only are one column.
                let lower: std::collections::BTreeSet<String> = names.iter().map(|n| n.to_lowercase()).collect();
                prop_assume!(lower.len() == names.len());
                if rename {
                    table.rename_columns = vec![NameRule { from: names[0].clone(), to: "x`=,".into() }];
                }
            }
            prop_assert_eq!(read(&write_columns(&table)).unwrap(), table);
        }

        #[test]
        fn any_cell_is_read_or_refused(cell in "\\PC{0,30}") {
            let _ = read(&cell);
        }
    }
}
