//! What a spec selects by name, with objects added to it and taken out of it.

use oms_proto::{
    meta::SelectedObject,
    v1::{ChangedObject, DatabaseSelection, ProjectSpec, TableSelection},
};

/// Names at the source that are selected of a database.
fn tables_of<'s>(selection: &'s [SelectedObject], database: &'s str) -> impl Iterator<Item = &'s str> {
    selection
        .iter()
        .filter_map(|o| o.source.as_ref())
        .filter(move |s| s.database == database)
        .map(|s| s.table.as_str())
}

/// Selects what `added` selects, too: `objects` of it exist, and `all` are those of the project with them.
pub(super) fn add_to(
    spec: &mut ProjectSpec,
    added: &[DatabaseSelection],
    objects: &[SelectedObject],
    all: &[SelectedObject],
) {
    for database in added {
        // Named one by one: a database as a whole would take in what is created later.
        let tables: Vec<TableSelection> = if database.tables.is_empty() {
            tables_of(objects, &database.name).map(by_name).collect()
        } else {
            database.tables.clone()
        };
        let Some(present) = spec.databases.iter_mut().find(|d| d.name == database.name) else {
            spec.databases.push(DatabaseSelection {
                tables,
                exclude: Vec::new(),
                ..database.clone()
            });
            continue;
        };
        let plain = tables.iter().all(|t| *t == by_name(&t.name));
        present.exclude.retain(|e| !tables.iter().any(|t| t.name == *e));
        if present.tables.is_empty() && !plain {
            present.exclude.clear();
            present.tables = tables_of(all, &database.name)
                .filter(|name| !tables.iter().any(|t| t.name == *name))
                .map(by_name)
                .collect();
            present.tables.extend(tables);
        } else if !present.tables.is_empty() {
            present.tables.extend(tables);
        }
    }
}

/// Selects them no more; `left` is what the project still moves.
pub(super) fn take_out(spec: &mut ProjectSpec, objects: &[ChangedObject], left: &[SelectedObject]) {
    for object in objects {
        let Some(present) = spec.databases.iter_mut().find(|d| d.name == object.database) else {
            continue;
        };
        if present.tables.is_empty() {
            if !present.exclude.contains(&object.table) {
                present.exclude.push(object.table.clone());
            }
        } else {
            present.tables.retain(|t| t.name != object.table);
        }
    }
    // Without tables a database would mean all of them.
    spec.databases
        .retain(|d| tables_of(left, &d.name).next().is_some());
}

fn by_name(name: &str) -> TableSelection {
    TableSelection {
        name: name.to_owned(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use oms_proto::meta::QualifiedName;
    use proptest::prelude::*;

    use super::*;

    /// What a spec selects of tables that exist.
    fn selects(spec: &ProjectSpec, exist: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        exist
            .iter()
            .filter(|(d, t)| {
                spec.databases.iter().any(|s| {
                    s.name == *d
                        && (s.tables.is_empty() || s.tables.iter().any(|x| x.name == *t))
                        && !s.exclude.iter().any(|e| e == t)
                })
            })
            .map(|(d, t)| ((*d).to_owned(), (*t).to_owned()))
            .collect()
    }

    fn selected(names: &BTreeSet<(String, String)>) -> Vec<SelectedObject> {
        names
            .iter()
            .map(|(database, table)| {
                let name = QualifiedName {
                    database: database.clone(),
                    table: table.clone(),
                };
                SelectedObject {
                    source: Some(name.clone()),
                    destination: Some(name),
                    view: false,
                    gone: false,
                }
            })
            .collect()
    }

    const EXIST: [(&str, &str); 8] = [
        ("a", "1"),
        ("a", "2"),
        ("a", "3"),
        ("a", "4"),
        ("b", "1"),
        ("b", "2"),
        ("c", "1"),
        ("c", "2"),
    ];

    proptest! {
        /// A spec selects what was selected and added, without what was removed, whether databases are named as a whole
        /// or table by table, with renames or not.
        #[test]
        fn a_spec_selects_what_it_should(
            whole in any::<bool>(),
            moves in proptest::collection::vec((any::<bool>(), 0usize..8, any::<bool>()), 0..20),
        ) {
            let mut spec = ProjectSpec {
                databases: vec![DatabaseSelection {
                    name: "a".into(),
                    tables: if whole { vec![] } else { vec![by_name("1"), by_name("2")] },
                    exclude: if whole { vec!["3".into(), "4".into()] } else { vec![] },
                    ..Default::default()
                }],
                ..Default::default()
            };
            let mut now = selects(&spec, &EXIST);
            for (add, which, rename) in moves {
                let (d, t) = EXIST[which];
                let name = (d.to_owned(), t.to_owned());
                if add && !now.contains(&name) {
                    now.insert(name.clone());
                    let one = selected(&BTreeSet::from([name]));
                    let added = DatabaseSelection {
                        name: d.into(),
                        tables: vec![TableSelection {
                            rename_to: if rename { "x".into() } else { String::new() },
                            ..by_name(t)
                        }],
                        ..Default::default()
                    };
                    add_to(&mut spec, &[added], &one, &selected(&now));
                } else if !add && now.contains(&name) && now.len() > 1 {
                    now.remove(&name);
                    let gone = ChangedObject { database: d.into(), table: t.into(), ..Default::default() };
                    take_out(&mut spec, &[gone], &selected(&now));
                }
                prop_assert_eq!(selects(&spec, &EXIST), now.clone());
            }
        }
    }
}
