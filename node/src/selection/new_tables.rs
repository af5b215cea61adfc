//! Where tables go that did not exist when the project was created.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{Failure, TableName, codes};
use oms_proto::v1::ProjectSpec;

use super::{resolve::destination, rule::Rule};

/// What a spec says of tables that come later: rules select what they match, a database without a list of tables selects
/// all that is not excluded, and a list of names selects nothing else.
pub(crate) struct NewTables {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
    /// Databases that are selected as a whole: their name at the destination and what is excluded.
    whole: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl NewTables {
    /// Of a spec, which has been checked.
    pub(crate) fn of(spec: &ProjectSpec) -> Result<Self, Failure> {
        let rules = spec.rules.clone().unwrap_or_default();
        let parse = |texts: &[String]| {
            let rules: Result<Vec<Rule>, _> = texts.iter().map(|text| Rule::parse(text)).collect();
            rules.map_err(|e| Failure::new(codes::api::INVALID_ARGUMENT, format!("rules: {e}")))
        };
        let whole = spec.databases.iter().filter(|d| d.tables.is_empty()).map(|d| {
            let to = if d.rename_to.is_empty() {
                d.name.clone()
            } else {
                d.rename_to.clone()
            };
            (d.name.clone(), (to, d.exclude.iter().cloned().collect()))
        });
        Ok(Self {
            include: parse(&rules.include)?,
            exclude: parse(&rules.exclude)?,
            whole: whole.collect(),
        })
    }

    /// Where a new table goes; `None` if it is not selected. Rules that contradict each other select nothing.
    pub(crate) fn destination(&self, table: &TableName) -> Option<TableName> {
        if let Some((to, exclude)) = self.whole.get(&table.database) {
            return (!exclude.contains(&table.table)).then(|| TableName::new(to, &table.table));
        }
        let matches = |rule: &&Rule| rule.database == table.database && rule.pattern.matches(&table.table);
        let matching: Vec<&Rule> = self.include.iter().filter(matches).collect();
        if matching.is_empty() || self.exclude.iter().any(|rule| matches(&rule)) {
            return None;
        }
        let (database, name) = destination(&matching, &table.table).ok()?;
        Some(TableName::new(&database, &name))
    }

    /// Databases whose new tables may be selected, and their names at the destination.
    pub(crate) fn databases(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = self
            .include
            .iter()
            .map(|rule| {
                let to = rule
                    .target
                    .as_ref()
                    .map_or(&rule.database, |(database, _)| database);
                (rule.database.clone(), to.clone())
            })
            .collect();
        all.extend(
            self.whole
                .iter()
                .map(|(from, (to, _))| (from.clone(), to.clone())),
        );
        all
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::{DatabaseSelection, MatchRules, TableSelection};

    use super::*;

    fn to(spec: ProjectSpec, database: &str, table: &str) -> Option<String> {
        let new = NewTables::of(&spec).unwrap();
        new.destination(&TableName::new(database, table))
            .map(|t| t.to_string())
    }

    #[test]
    fn rules_and_whole_databases_select_what_comes_later() {
        let rules = || ProjectSpec {
            rules: Some(MatchRules {
                include: vec!["d.*".into(), "d.log=e.log".into()],
                exclude: vec!["d.tmp*".into()],
            }),
            ..Default::default()
        };
        assert_eq!(to(rules(), "d", "new"), Some("`d`.`new`".into()));
        assert_eq!(to(rules(), "d", "log"), Some("`e`.`log`".into()));
        assert_eq!(to(rules(), "d", "tmp1"), None);
        assert_eq!(to(rules(), "x", "new"), None);
        let names = |tables: &[&str]| ProjectSpec {
            databases: vec![DatabaseSelection {
                name: "d".into(),
                rename_to: "f".into(),
                exclude: vec!["no".into()],
                tables: tables
                    .iter()
                    .map(|t| TableSelection {
                        name: (*t).into(),
                        ..Default::default()
                    })
                    .collect(),
            }],
            ..Default::default()
        };
        assert_eq!(to(names(&[]), "d", "new"), Some("`f`.`new`".into()));
        assert_eq!(to(names(&[]), "d", "no"), None);
        assert_eq!(to(names(&["a"]), "d", "new"), None);
    }
}
