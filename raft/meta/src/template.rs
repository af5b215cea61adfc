//! Templates: options to make projects of.

use std::sync::Arc;

use oms_proto::v1::Template;
use oms_types::codes;

use crate::{
    check_full, check_incremental,
    state::{MetaState, Outcome, refuse},
};

/// Templates of a cluster.
const MOST: usize = 1_000;

impl MetaState {
    pub(crate) fn put_template(&mut self, now: i64, template: Option<&Template>) -> Outcome {
        let Some((template, spec)) = template.and_then(|t| Some((t, t.spec.as_ref()?))) else {
            return refuse(codes::api::INVALID_ARGUMENT, "the template is missing");
        };
        let name = &template.name;
        if !(1..=64).contains(&name.chars().count()) || name.contains(char::is_whitespace) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "a template's name has 1 to 64 characters without white space",
            );
        }
        let of_a_project = !(spec.name.is_empty()
            && spec.labels.is_empty()
            && spec.source.is_empty()
            && spec.destination.is_empty()
            && spec.databases.is_empty()
            && spec.rules.is_none());
        if of_a_project {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "a template names no project, labels, data sources and objects",
            );
        }
        let problems = [
            spec.full.as_ref().map(check_full),
            spec.incremental.as_ref().map(check_incremental),
        ];
        for problem in problems.into_iter().flatten() {
            if let Err(problem) = problem {
                return refuse(codes::api::INVALID_ARGUMENT, problem);
            }
        }
        if self.templates.len() >= MOST && !self.templates.contains_key(name) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("there are {MOST} templates; delete one first"),
            );
        }
        let version = self
            .templates
            .get(name)
            .map_or(0, |t| t.version)
            .saturating_add(1);
        let stored = Template {
            version,
            updated_at_ms: now,
            ..template.clone()
        };
        Arc::make_mut(&mut self.templates).insert(name.clone(), stored);
        Ok(version)
    }

    pub(crate) fn delete_template(&mut self, name: &str) -> Outcome {
        if Arc::make_mut(&mut self.templates).remove(name).is_none() {
            return refuse(codes::api::NOT_FOUND, format!("template {name:?} does not exist"));
        }
        Ok(0)
    }
}
