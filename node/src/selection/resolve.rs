//! From names or rules to objects.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{Failure, codes};
use oms_mysql::catalog::{Object, ObjectType};
use oms_proto::{
    meta::{QualifiedName, SelectedObject},
    v1::{DatabaseSelection, MatchRules, ProjectSpec, UnselectedObject},
};

use super::rule::Rule;

/// What a spec selects, and what it leaves behind in the databases that it names.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// What moves, in the order of databases in the spec and of names in them.
    pub(crate) selected: Vec<SelectedObject>,
    /// What stays, each with the reason.
    pub(crate) unselected: Vec<UnselectedObject>,
}

impl Resolved {
    fn select(&mut self, database: &str, object: &Object, to: (String, String)) {
        self.selected.push(SelectedObject {
            source: Some(QualifiedName {
                database: database.to_owned(),
                table: object.name.table.clone(),
            }),
            destination: Some(QualifiedName {
                database: to.0,
                table: to.1,
            }),
            view: object.object_type == ObjectType::View,
            gone: false,
        });
    }

    fn leave(&mut self, database: &str, object: &Object, reason: impl Into<String>) {
        let kind = if object.object_type == ObjectType::View {
            "view"
        } else {
            "table"
        };
        self.unselected.push(UnselectedObject {
            kind: kind.to_owned(),
            database: database.to_owned(),
            name: object.name.table.clone(),
            reason: reason.into(),
        });
    }
}

/// The databases of the source whose objects [`resolve`] needs, in the order in which it takes them.
pub(crate) fn databases(spec: &ProjectSpec) -> Vec<String> {
    let mut names: Vec<String> = spec.databases.iter().map(|d| d.name.clone()).collect();
    for rule in spec
        .rules
        .iter()
        .flat_map(|r| &r.include)
        .filter_map(|text| Rule::parse(text).ok())
    {
        if !names.contains(&rule.database) {
            names.push(rule.database);
        }
    }
    names
}

/// The objects that a spec, which has been checked, selects among those that exist.
///
/// # Errors
/// `OMS-SRC-0011` names every selected or excluded object and every database that does not exist; `OMS-API-0001` names
/// two objects that would get one name, rules that contradict each other, rules that select nothing, or says that the
/// whole selection matches nothing.
pub(crate) fn resolve(
    spec: &ProjectSpec,
    existing: &BTreeMap<String, Vec<Object>>,
) -> Result<Resolved, Failure> {
    let mut missing = Vec::new();
    let mut problems = Vec::new();
    let mut resolved = Resolved::default();
    for database in &spec.databases {
        match existing.get(&database.name) {
            Some(objects) => by_name(database, objects, &mut resolved, &mut missing),
            None => missing.push(format!("database `{}`", database.name)),
        }
    }
    if let Some(rules) = &spec.rules {
        by_rules(rules, existing, &mut resolved, &mut missing, &mut problems)?;
    }
    if !missing.is_empty() {
        return Err(Failure::new(
            codes::src::TABLE_MISSING,
            format!("{} not found, or not visible to this account", missing.join(", ")),
        ));
    }
    problems.extend(collisions(&resolved.selected, spec.merge_tables));
    if problems.is_empty() && resolved.selected.is_empty() {
        problems.push("the selection matches no table or view".to_owned());
    }
    if problems.is_empty() {
        Ok(resolved)
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

/// Objects that would get one name at the destination, but for tables that are to be merged.
fn collisions(selected: &[SelectedObject], merge: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut targets: BTreeMap<(String, String), (&SelectedObject, String)> = BTreeMap::new();
    for object in selected {
        if let (Some(source), Some(destination)) = (&object.source, &object.destination) {
            let from = format!("`{}`.`{}`", source.database, source.table);
            // Names that differ only in case would collide on many destinations.
            let key = (
                destination.database.to_lowercase(),
                destination.table.to_lowercase(),
            );
            if let Some((first, other)) = targets.insert(key, (object, from.clone())) {
                let exactly = first.destination.as_ref() == Some(destination);
                let tables = !first.view && !object.view;
                if merge && exactly && tables {
                    continue;
                }
                let hint = if exactly && tables {
                    "; `merge_tables: true` merges them"
                } else {
                    ""
                };
                problems.push(format!(
                    "{other} and {from} would both become `{}`.`{}`{hint}",
                    destination.database, destination.table
                ));
            }
        }
    }
    problems
}

fn by_name(
    database: &DatabaseSelection,
    objects: &[Object],
    resolved: &mut Resolved,
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
    let exists: BTreeSet<&str> = objects.iter().map(|o| o.name.table.as_str()).collect();
    let listed: BTreeMap<&str, &str> = database
        .tables
        .iter()
        .map(|t| (t.name.as_str(), t.rename_to.as_str()))
        .collect();
    let excluded: BTreeSet<&str> = database.exclude.iter().map(String::as_str).collect();
    for name in database
        .exclude
        .iter()
        .chain(database.tables.iter().map(|t| &t.name))
    {
        if !exists.contains(name.as_str()) {
            missing.push(format!("`{}`.`{name}`", database.name));
        }
    }
    for object in objects {
        let name = object.name.table.as_str();
        if excluded.contains(name) {
            resolved.leave(&database.name, object, "excluded by name");
            continue;
        }
        match (listed.is_empty(), listed.get(name)) {
            (true, _) => resolved.select(&database.name, object, (to_database.clone(), name.to_owned())),
            (false, Some(rename)) => {
                resolved.select(
                    &database.name,
                    object,
                    (to_database.clone(), target(rename, name)),
                );
            }
            (false, None) => resolved.leave(&database.name, object, "not listed"),
        }
    }
}

fn by_rules(
    rules: &MatchRules,
    existing: &BTreeMap<String, Vec<Object>>,
    resolved: &mut Resolved,
    missing: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let parse = |texts: &[String]| {
        let rules: Result<Vec<Rule>, _> = texts.iter().map(|text| Rule::parse(text)).collect();
        rules.map_err(|e| Failure::new(codes::api::INVALID_ARGUMENT, format!("rules: {e}")))
    };
    let include = parse(&rules.include)?;
    let exclude = parse(&rules.exclude)?;
    // How many objects a rule matches, and how many of them are excluded.
    let mut counts = vec![(0_usize, 0_usize); include.len()];
    let (including, excluding) = (Index::of(&include), Index::of(&exclude));
    let mut done = BTreeSet::new();
    for database in include.iter().map(|rule| &rule.database) {
        if !done.insert(database) {
            continue;
        }
        let Some(objects) = existing.get(database) else {
            missing.push(format!("database `{database}`"));
            continue;
        };
        for object in objects {
            let name = object.name.table.as_str();
            let matching = including.matching(database, name);
            let excluded = excluding.matching(database, name);
            for (i, _) in &matching {
                if let Some((all, gone)) = counts.get_mut(*i) {
                    *all += 1;
                    *gone += usize::from(!excluded.is_empty());
                }
            }
            let matching: Vec<&Rule> = matching.into_iter().map(|(_, rule)| rule).collect();
            match (matching.is_empty(), excluded.first()) {
                (true, _) => resolved.leave(database, object, "no rule matches"),
                (false, Some((_, rule))) => {
                    resolved.leave(database, object, format!("excluded by the rule {:?}", rule.text));
                }
                (false, None) => match destination(&matching, name) {
                    Ok(to) => resolved.select(database, object, to),
                    Err((one, other)) => problems.push(format!(
                        "`{database}`.`{name}`: the rules {:?} and {:?} name different destinations",
                        one.text, other.text
                    )),
                },
            }
        }
    }
    for (rule, (all, gone)) in include.iter().zip(counts) {
        if !existing.contains_key(&rule.database) {
            continue;
        }
        if all == 0 {
            problems.push(format!("the rule {:?} matches no table or view", rule.text));
        } else if all == gone {
            problems.push(format!(
                "everything that the rule {:?} matches is excluded",
                rule.text
            ));
        }
    }
    Ok(())
}

/// Rules by the objects that they can match, so that ten thousand names against ten thousand objects stay cheap.
#[derive(Default)]
struct Index<'r> {
    /// Rules for one object, by its database and name, each with its place.
    exact: BTreeMap<(&'r str, String), Vec<(usize, &'r Rule)>>,
    /// Rules with wildcards, by their database.
    wild: BTreeMap<&'r str, Vec<(usize, &'r Rule)>>,
}

impl<'r> Index<'r> {
    fn of(rules: &'r [Rule]) -> Self {
        let mut index = Self::default();
        for place in rules.iter().enumerate() {
            let database = place.1.database.as_str();
            match place.1.exact() {
                Some(name) => index.exact.entry((database, name)).or_default().push(place),
                None => index.wild.entry(database).or_default().push(place),
            }
        }
        index
    }

    /// The rules that match an object, with their places, in their order.
    fn matching<'q>(&self, database: &'q str, name: &str) -> Vec<(usize, &'r Rule)>
    where
        'r: 'q,
    {
        let exact = self.exact.get(&(database, name.to_owned())).into_iter().flatten();
        let wild = self.wild.get(database).into_iter().flatten();
        let wild = wild.filter(|(_, rule)| rule.pattern.matches(name));
        let mut found: Vec<_> = exact.chain(wild).copied().collect();
        found.sort_by_key(|(place, _)| *place);
        found
    }
}

/// Where the rules that match an object send it: those without a wildcard decide, if there are any. Two rules that
/// contradict each other, otherwise.
pub(super) fn destination<'r>(
    matching: &[&'r Rule],
    name: &str,
) -> Result<(String, String), (&'r Rule, &'r Rule)> {
    let exact: Vec<&Rule> = matching
        .iter()
        .copied()
        .filter(|rule| rule.exact().is_some())
        .collect();
    let deciding = if exact.is_empty() { matching } else { &exact };
    let mut decided: Option<(&Rule, (String, String))> = None;
    for rule in deciding {
        let to = rule.destination(name);
        match &decided {
            Some((other, there)) if *there != to => return Err((other, rule)),
            _ => decided = Some((rule, to)),
        }
    }
    Ok(decided.map_or_else(Default::default, |(_, to)| to))
}

#[cfg(test)]
mod tests {
    use oms_core::TableName;
    use oms_proto::v1::{MatchRules, TableSelection};

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
        assert_eq!(
            names(&resolve(&s, &existing()).unwrap().selected),
            ["e.a", "e.v*"]
        );
    }

    #[test]
    fn what_does_not_exist_is_named_all_at_once() {
        let table = |n: &str| TableSelection {
            name: n.into(),
            ..Default::default()
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
            ..Default::default()
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

    fn rules(include: &[&str], exclude: &[&str]) -> ProjectSpec {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        ProjectSpec {
            rules: Some(MatchRules {
                include: texts(include),
                exclude: texts(exclude),
            }),
            ..Default::default()
        }
    }

    fn shards() -> BTreeMap<String, Vec<Object>> {
        let table = |name: &str| object(name, ObjectType::Table);
        let many = vec![
            table("history_1"),
            table("order00"),
            table("order01"),
            table("orderx"),
            table("syslog"),
            object("v", ObjectType::View),
        ];
        BTreeMap::from([("d".to_owned(), many), ("e".to_owned(), vec![table("only")])])
    }

    #[test]
    fn rules_select_what_they_match_and_leave_what_is_excluded() {
        let spec = rules(&["d.*", "e.on?y=x.y"], &["d.history_*", "d.*log", "d.not_there"]);
        assert_eq!(databases(&spec), ["d", "e"]);
        let resolved = resolve(&spec, &shards()).unwrap();
        assert_eq!(
            names(&resolved.selected),
            ["d.order00", "d.order01", "d.orderx", "d.v*", "x.y"]
        );
        let left: Vec<_> = resolved
            .unselected
            .iter()
            .map(|u| (u.name.as_str(), u.reason.as_str()))
            .collect();
        assert_eq!(
            left,
            [
                ("history_1", "excluded by the rule \"d.history_*\""),
                ("syslog", "excluded by the rule \"d.*log\"")
            ]
        );
    }

    #[test]
    fn a_rule_without_wildcards_decides_the_destination() {
        let resolved = resolve(&rules(&["d.order*", "d.orderx=e.other"], &[]), &shards()).unwrap();
        assert_eq!(names(&resolved.selected), ["d.order00", "d.order01", "e.other"]);
    }

    #[test]
    fn contradictions_and_empty_rules_are_named_all_at_once() {
        let spec = rules(
            &[
                "d.order0*=x.a",
                "d.order?0=x.b",
                "d.nothing*",
                "d.syslog",
                "gone.*",
            ],
            &["d.sys*"],
        );
        let missing = resolve(&spec, &shards()).unwrap_err();
        assert!(missing.detail().contains("database `gone`"), "{missing}");
        let mut known = shards();
        known.insert("gone".into(), vec![object("t", ObjectType::Table)]);
        let error = resolve(&spec, &known).unwrap_err();
        for part in [
            "`d`.`order00`: the rules \"d.order0*=x.a\" and \"d.order?0=x.b\" name different destinations",
            "the rule \"d.nothing*\" matches no table or view",
            "everything that the rule \"d.syslog\" matches is excluded",
        ] {
            assert!(error.detail().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn several_tables_become_one_only_if_that_is_asked_for() {
        let mut spec = rules(&["d.order[0-9][0-9]=x.orders", "e.only=x.orders"], &[]);
        let error = resolve(&spec, &shards()).unwrap_err();
        assert!(
            error.detail().contains(
                "`d`.`order00` and `d`.`order01` would both become `x`.`orders`; `merge_tables: true`"
            ),
            "{error}"
        );
        spec.merge_tables = true;
        assert_eq!(
            names(&resolve(&spec, &shards()).unwrap().selected),
            ["x.orders"; 3]
        );
        // Views are not merged, nor what differs in case only.
        let mut spec = rules(&["d.v=x.orders", "d.order00=x.orders", "d.order01=x.Orders"], &[]);
        spec.merge_tables = true;
        let told = resolve(&spec, &shards()).unwrap_err();
        assert_eq!(told.detail().matches("would both become").count(), 2, "{told}");
    }
}
