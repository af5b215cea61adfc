//! From a spec's selection to the objects that move.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{Failure, codes};
use oms_mysql::{
    catalog::{Database, Object, ObjectType},
    precheck::KEYS,
};
use oms_proto::{
    meta::{QualifiedName, SelectedObject},
    v1::{DatabaseSelection, ProjectSpec},
};

/// Checks a spec as far as that needs no database. All problems are reported at once.
pub(crate) fn check_spec(spec: &ProjectSpec) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if !(1..=128).contains(&spec.name.chars().count()) {
        problems.push("name: 1 to 128 characters".to_owned());
    }
    if spec.labels.len() > 5 {
        problems.push("labels: at most 5".to_owned());
    }
    for label in &spec.labels {
        if !(1..=20).contains(&label.chars().count()) || label.contains(char::is_whitespace) {
            problems.push(format!(
                "labels: {label:?} must have 1 to 20 characters without white space"
            ));
        }
    }
    for (field, text) in [("source", &spec.source), ("destination", &spec.destination)] {
        if text.is_empty() {
            problems.push(format!("{field}: the name of a data source is missing"));
        }
    }
    if !spec.source.is_empty() && spec.source == spec.destination {
        problems.push("destination: must not be the source".to_owned());
    }
    if spec.databases.is_empty() {
        problems.push("databases: nothing is selected".to_owned());
    }
    let mut seen = BTreeSet::new();
    for (i, database) in spec.databases.iter().enumerate() {
        if database.name.is_empty() {
            problems.push(format!("databases[{i}].name: missing"));
        } else if Database::is_system(&database.name) {
            problems.push(format!(
                "databases[{i}].name: {:?} belongs to the server",
                database.name
            ));
        }
        if !seen.insert(&database.name) {
            problems.push(format!("databases[{i}].name: {:?} is named twice", database.name));
        }
        let mut tables = BTreeSet::new();
        for (j, table) in database.tables.iter().enumerate() {
            if table.name.is_empty() {
                problems.push(format!("databases[{i}].tables[{j}].name: missing"));
            }
            if !tables.insert(&table.name) {
                problems.push(format!(
                    "databases[{i}].tables[{j}].name: {:?} is named twice",
                    table.name
                ));
            }
            if database.exclude.contains(&table.name) {
                problems.push(format!(
                    "databases[{i}].exclude: {:?} is selected too",
                    table.name
                ));
            }
        }
    }
    let skipped = spec.precheck.iter().flat_map(|p| &p.skip);
    for key in skipped.filter(|k| !KEYS.iter().any(|known| known.eq_ignore_ascii_case(k))) {
        problems.push(format!(
            "precheck.skip: {key:?} is not a precheck; there are {}",
            KEYS.join(", ")
        ));
    }
    let steps = spec.steps.unwrap_or_default();
    if steps.schema && !(steps.full || steps.incremental || steps.verification) && spec.full.is_some() {
        problems.push("full: has no effect without the step `full`".to_owned());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

/// The objects that a spec selects among those that exist, in order of their names.
///
/// # Errors
/// `OMS-SRC-0011` names every selected or excluded object that does not exist, `OMS-API-0001` two
/// objects that would get one name, or a selection that matches nothing.
pub(crate) fn resolve(
    spec: &ProjectSpec,
    existing: &BTreeMap<String, Vec<Object>>,
) -> Result<Vec<SelectedObject>, Failure> {
    let mut missing = Vec::new();
    let mut selected = Vec::new();
    for database in &spec.databases {
        let Some(objects) = existing.get(&database.name) else {
            missing.push(format!("database `{}`", database.name));
            continue;
        };
        select(database, objects, &mut selected, &mut missing);
    }
    if !missing.is_empty() {
        return Err(Failure::new(
            codes::src::TABLE_MISSING,
            format!("{} not found, or not visible to this account", missing.join(", ")),
        ));
    }
    if selected.is_empty() {
        return Err(Failure::new(
            codes::api::INVALID_ARGUMENT,
            "the selection matches no table or view",
        ));
    }
    let mut targets: BTreeMap<(String, String), String> = BTreeMap::new();
    for object in &selected {
        if let (Some(source), Some(destination)) = (&object.source, &object.destination) {
            let from = format!("`{}`.`{}`", source.database, source.table);
            // Names that differ only in case would collide on many destinations.
            let key = (
                destination.database.to_lowercase(),
                destination.table.to_lowercase(),
            );
            if let Some(other) = targets.insert(key, from.clone()) {
                return Err(Failure::new(
                    codes::api::INVALID_ARGUMENT,
                    format!(
                        "{other} and {from} would both become `{}`.`{}`",
                        destination.database, destination.table
                    ),
                ));
            }
        }
    }
    Ok(selected)
}

fn select(
    database: &DatabaseSelection,
    objects: &[Object],
    selected: &mut Vec<SelectedObject>,
    missing: &mut Vec<String>,
) {
    let target = |rename: &str, name: &str| {
        if rename.is_empty() {
            name.to_owned()
        } else {
            rename.to_owned()
        }
    };
    let to_database = target(&database.rename_to, &database.name);
    let exists = |name: &str| objects.iter().any(|o| o.name.table == name);
    for name in database
        .exclude
        .iter()
        .chain(database.tables.iter().map(|t| &t.name))
    {
        if !exists(name) {
            missing.push(format!("`{}`.`{name}`", database.name));
        }
    }
    for object in objects {
        let name = &object.name.table;
        if database.exclude.contains(name) {
            continue;
        }
        let rename = match (
            database.tables.is_empty(),
            database.tables.iter().find(|t| t.name == *name),
        ) {
            (true, _) => "",
            (false, Some(table)) => table.rename_to.as_str(),
            (false, None) => continue,
        };
        selected.push(SelectedObject {
            source: Some(QualifiedName {
                database: database.name.clone(),
                table: name.clone(),
            }),
            destination: Some(QualifiedName {
                database: to_database.clone(),
                table: target(rename, name),
            }),
            view: object.object_type == ObjectType::View,
        });
    }
}

#[cfg(test)]
mod tests {
    use oms_core::TableName;
    use oms_proto::v1::TableSelection;

    use super::*;

    fn object(name: &str, object_type: ObjectType) -> Object {
        Object {
            name: TableName::new("d", name),
            object_type,
            engine: "InnoDB".into(),
            estimated_rows: 0,
            estimated_bytes: 0,
            collation: String::new(),
            options: String::new(),
            comment: String::new(),
        }
    }

    fn existing() -> BTreeMap<String, Vec<Object>> {
        let objects = vec![
            object("a", ObjectType::Table),
            object("b", ObjectType::Table),
            object("v", ObjectType::View),
        ];
        BTreeMap::from([("d".to_owned(), objects)])
    }

    fn spec(database: DatabaseSelection) -> ProjectSpec {
        ProjectSpec {
            databases: vec![database],
            ..Default::default()
        }
    }

    fn names(selected: &[SelectedObject]) -> Vec<String> {
        selected
            .iter()
            .filter_map(|o| {
                o.destination
                    .as_ref()
                    .map(|d| format!("{}.{}{}", d.database, d.table, if o.view { "*" } else { "" }))
            })
            .collect()
    }

    #[test]
    fn a_whole_database_with_exclusions_and_another_name() {
        let s = spec(DatabaseSelection {
            name: "d".into(),
            rename_to: "e".into(),
            exclude: vec!["b".into()],
            ..Default::default()
        });
        assert_eq!(names(&resolve(&s, &existing()).unwrap()), ["e.a", "e.v*"]);
    }

    #[test]
    fn what_does_not_exist_is_named_all_at_once() {
        let table = |n: &str| TableSelection {
            name: n.into(),
            rename_to: String::new(),
        };
        let s = spec(DatabaseSelection {
            name: "d".into(),
            tables: vec![table("a"), table("x"), table("y")],
            ..Default::default()
        });
        let error = resolve(&s, &existing()).unwrap_err();
        assert_eq!(error.code(), codes::src::TABLE_MISSING);
        assert!(
            error.detail().contains("`x`") && error.detail().contains("`y`"),
            "{error}"
        );
    }

    #[test]
    fn two_objects_cannot_get_one_name() {
        let t = |n: &str, to: &str| TableSelection {
            name: n.into(),
            rename_to: to.into(),
        };
        let s = spec(DatabaseSelection {
            name: "d".into(),
            tables: vec![t("a", "B"), t("b", "")],
            ..Default::default()
        });
        assert!(
            resolve(&s, &existing())
                .unwrap_err()
                .detail()
                .contains("would both become")
        );
    }

    #[test]
    fn all_problems_of_a_spec_are_reported_at_once() {
        let error = check_spec(&ProjectSpec {
            source: "a".into(),
            destination: "a".into(),
            databases: vec![DatabaseSelection {
                name: "mysql".into(),
                ..Default::default()
            }],
            ..Default::default()
        })
        .unwrap_err();
        for part in ["name:", "destination:", "belongs to the server"] {
            assert!(error.detail().contains(part), "{error}");
        }
    }
}
