//! Which rows, columns and changes of tables a spec chooses.

use std::{collections::BTreeMap, sync::Arc};

use oms_apply::{AddedColumn, ChangeKinds, Shape, TableShape, TextDecoder, added_column_type, check_syntax};
use oms_core::{Failure, Source, TableName, codes};
use oms_meta::steps_of;
use oms_proto::{
    meta::SelectedObject,
    v1::{DmlSelection, PartialRows, ProjectSpec, StepKind, TableSelection},
};

/// The kinds of changes that a selection names; none means all.
fn kinds(dml: &DmlSelection) -> ChangeKinds {
    let DmlSelection {
        insert,
        update,
        delete,
    } = *dml;
    if !(insert || update || delete) {
        return ChangeKinds::default();
    }
    ChangeKinds {
        insert,
        update,
        delete,
    }
}

/// What is chosen of a table of the list, where the project applies `changes` by itself.
fn shape(table: &TableSelection, changes: ChangeKinds) -> TableShape {
    TableShape {
        filter: (!table.filter.is_empty()).then(|| table.filter.clone()),
        columns: table.columns.clone(),
        omitted: table.omit_columns.clone(),
        renamed: table
            .rename_columns
            .iter()
            .map(|r| (r.from.clone(), r.to.clone()))
            .collect(),
        added: table
            .add_columns
            .iter()
            .map(|a| AddedColumn {
                name: a.name.clone(),
                ty: a.r#type.clone(),
                value: a.value.clone(),
            })
            .collect(),
        changes: table.dml.as_ref().map_or(changes, kinds),
    }
}

/// Which changes the project applies of tables that do not say otherwise.
fn project_kinds(spec: &ProjectSpec) -> ChangeKinds {
    let dml = spec.incremental.as_ref().and_then(|i| i.dml);
    dml.as_ref().map(kinds).unwrap_or_default()
}

/// What is chosen of the selected tables, by their names at the source. Tables that move as they are are not among them.
pub(crate) fn choices(spec: &ProjectSpec, selection: &[SelectedObject]) -> BTreeMap<TableName, TableShape> {
    let changes = project_kinds(spec);
    let mut listed: BTreeMap<(&str, &str), &TableSelection> = BTreeMap::new();
    for database in &spec.databases {
        for table in &database.tables {
            listed.insert((&database.name, &table.name), table);
        }
    }
    let tables = selection
        .iter()
        .filter(|o| !o.view)
        .filter_map(|o| o.source.as_ref());
    tables
        .map(|s| {
            let table = listed.get(&(s.database.as_str(), s.table.as_str()));
            let shape = match table {
                Some(table) => shape(table, changes),
                None => TableShape {
                    changes,
                    ..TableShape::default()
                },
            };
            (TableName::new(&s.database, &s.table), shape)
        })
        .filter(|(_, shape)| !(shape.is_plain() && shape.changes.is_all()))
        .collect()
}

/// Checks what needs no database: syntax of conditions, types, what excludes each other.
pub(super) fn check_choices(spec: &ProjectSpec, problems: &mut Vec<String>) {
    let steps = steps_of(spec);
    let has = |kind: StepKind| steps.iter().any(|s| s.kind() == kind);
    let applies_partial = spec
        .incremental
        .as_ref()
        .is_some_and(|i| i.partial_rows() == PartialRows::Apply);
    let mut incomplete = Vec::new();
    let dml = spec.incremental.as_ref().and_then(|i| i.dml);
    if let Some(dml) = &dml {
        if !kinds(dml).is_all() {
            incomplete.push("incremental.dml".to_owned());
        }
        if !has(StepKind::IncrTransfer) {
            problems.push("incremental.dml: has no effect without the step `incremental`".to_owned());
        }
    }
    for (i, database) in spec.databases.iter().enumerate() {
        for (j, table) in database.tables.iter().enumerate() {
            let place = format!("databases[{i}].tables[{j}]");
            if !table.filter.is_empty()
                && let Err(mistake) = check_syntax(&table.filter)
            {
                problems.push(format!("{place}.filter: {mistake}"));
            }
            if !table.columns.is_empty() && !table.omit_columns.is_empty() {
                problems.push(format!(
                    "{place}.omit_columns: name the columns that move in `columns`, or those that do not here"
                ));
            }
            for (k, added) in table.add_columns.iter().enumerate() {
                let place = format!("{place}.add_columns[{k}]");
                if added.name.is_empty() {
                    problems.push(format!("{place}.name: missing"));
                }
                if let Err(why) = added_column_type(&added.r#type) {
                    problems.push(format!("{place}.type: {why}"));
                }
                if added.value.is_empty() {
                    problems.push(format!("{place}.value: missing; write NULL if it holds nothing"));
                } else if let Err(mistake) = check_syntax(&added.value) {
                    problems.push(format!("{place}.value: {mistake}"));
                }
            }
            if applies_partial && !(table.filter.is_empty() && table.add_columns.is_empty()) {
                problems.push(format!(
                    "{place}: filters and added columns need whole rows: `incremental.partial_rows` cannot be `apply`"
                ));
            }
            if let Some(dml) = &table.dml {
                if !kinds(dml).is_all() {
                    incomplete.push(format!("{place}.dml"));
                }
                if !has(StepKind::IncrTransfer) {
                    problems.push(format!(
                        "{place}.dml: has no effect without the step `incremental`"
                    ));
                }
            }
        }
    }
    if has(StepKind::FullVerifier) {
        for place in incomplete {
            problems.push(format!(
                "{place}: where changes are left out both sides differ by intent, so that they cannot be verified: name \
                 the steps of the project without `verification`"
            ));
        }
    }
}

/// Checks what is chosen against the tables as they are.
///
/// # Errors
/// `OMS-API-0001` with all mistakes of all tables; what reading the definitions fails with.
pub(crate) async fn check_against(
    source: &dyn Source,
    spec: &ProjectSpec,
    selection: &[SelectedObject],
    texts: &Arc<dyn TextDecoder>,
) -> Result<BTreeMap<TableName, Shape>, Failure> {
    let mut problems = Vec::new();
    for database in &spec.databases {
        for table in &database.tables {
            let is_view = |o: &SelectedObject| {
                o.view
                    && o.source
                        .as_ref()
                        .is_some_and(|s| s.database == database.name && s.table == table.name)
            };
            let chosen = shape(table, ChangeKinds::default());
            if !(chosen.is_plain() && chosen.changes.is_all()) && selection.iter().any(is_view) {
                problems.push(format!(
                    "`{}`.`{}` is a view: it has no rows of its own to choose from",
                    database.name, table.name
                ));
            }
        }
    }
    let choices = choices(spec, selection);
    let names: Vec<TableName> = choices.keys().cloned().collect();
    let tables = if names.is_empty() {
        Vec::new()
    } else {
        source.load_tables(&names).await?
    };
    let mut shapes = BTreeMap::new();
    for table in tables {
        let Some(choice) = choices.get(&table.name) else {
            continue;
        };
        let name = table.name.clone();
        if !choice.changes.is_all() && table.row_key().is_none() {
            problems.push(format!(
                "{name}: has no key, so that changes can only be applied if all of them are; `dml` cannot leave any out"
            ));
        }
        match Shape::new(choice, Arc::new(table), texts) {
            Ok(shape) => {
                shapes.insert(name, shape);
            }
            Err(mistakes) => problems.extend(mistakes.iter().map(|m| format!("{name}: {m}"))),
        }
    }
    if problems.is_empty() {
        Ok(shapes)
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::{
        meta::QualifiedName,
        v1::{DatabaseSelection, IncrementalOptions, NameRule, Steps},
    };

    use super::*;

    fn spec(table: TableSelection) -> ProjectSpec {
        ProjectSpec {
            databases: vec![DatabaseSelection {
                name: "shop".into(),
                tables: vec![table],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn problems(spec: &ProjectSpec) -> String {
        let mut problems = Vec::new();
        check_choices(spec, &mut problems);
        problems.join("\n")
    }

    #[test]
    fn statements_are_followed_of_tables_that_move_as_they_are() {
        let following = |table: TableSelection| ProjectSpec {
            name: "p".into(),
            source: "a".into(),
            destination: "b".into(),
            incremental: Some(IncrementalOptions {
                ddl: oms_proto::v1::DdlSynchronization::Follow as i32,
                ..Default::default()
            }),
            ..spec(table)
        };
        let plain = TableSelection {
            name: "orders".into(),
            ..Default::default()
        };
        let refused = |spec: &ProjectSpec| match crate::selection::check_spec(spec) {
            Ok(()) => String::new(),
            Err(failure) => failure.text(),
        };
        assert_eq!(refused(&following(plain.clone())), "");
        let told = refused(&following(TableSelection {
            filter: "id > 1".into(),
            ..plain
        }));
        assert!(told.contains("do not go together"), "{told}");
    }

    #[test]
    fn all_mistakes_have_places() {
        let bad = spec(TableSelection {
            name: "orders".into(),
            filter: "id >".into(),
            columns: vec!["id".into()],
            omit_columns: vec!["note".into()],
            add_columns: vec![oms_proto::v1::AddedColumn {
                name: String::new(),
                r#type: "JSON".into(),
                value: "'x".into(),
            }],
            dml: Some(DmlSelection {
                insert: true,
                ..Default::default()
            }),
            ..Default::default()
        });
        let all = problems(&bad);
        for part in [
            "databases[0].tables[0].filter: character 5: a value is expected here, not the end",
            "databases[0].tables[0].omit_columns: name the columns",
            "databases[0].tables[0].add_columns[0].name: missing",
            "databases[0].tables[0].add_columns[0].type: \"JSON\" is not a type",
            "databases[0].tables[0].add_columns[0].value: character 1: the text has no closing '",
            "databases[0].tables[0].dml: where changes are left out",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }

    #[test]
    fn changes_are_chosen_for_the_project_and_for_tables() {
        let insert_only = DmlSelection {
            insert: true,
            ..Default::default()
        };
        let mut s = spec(TableSelection {
            name: "orders".into(),
            rename_columns: vec![NameRule {
                from: "a".into(),
                to: "b".into(),
            }],
            dml: Some(DmlSelection::default()),
            ..Default::default()
        });
        s.incremental = Some(IncrementalOptions {
            dml: Some(insert_only),
            ..Default::default()
        });
        s.steps = Some(Steps {
            incremental: true,
            ..Default::default()
        });
        assert_eq!(problems(&s), "");
        let object = |table: &str, view| SelectedObject {
            source: Some(QualifiedName {
                database: "shop".into(),
                table: table.into(),
            }),
            destination: None,
            view,
            gone: false,
        };
        let selection = [object("orders", false), object("items", false), object("v", true)];
        let chosen = choices(&s, &selection);
        assert_eq!(chosen.len(), 2);
        assert!(chosen[&TableName::new("shop", "orders")].changes.is_all());
        let items = &chosen[&TableName::new("shop", "items")];
        assert!(items.is_plain() && !items.changes.update && items.changes.insert);
        s.steps = None;
        assert!(problems(&s).contains("incremental.dml: where changes are left out"));
        s.steps = Some(Steps {
            full: true,
            ..Default::default()
        });
        assert!(problems(&s).contains("incremental.dml: has no effect"));
    }

    #[test]
    fn partial_rows_and_filters_exclude_each_other() {
        let mut s = spec(TableSelection {
            name: "orders".into(),
            filter: "id > 1".into(),
            ..Default::default()
        });
        s.incremental = Some(IncrementalOptions {
            partial_rows: PartialRows::Apply as i32,
            ..Default::default()
        });
        assert!(problems(&s).contains("need whole rows"));
    }
}
