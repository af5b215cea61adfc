//! Options of projects that exist.

use oms_core::{Failure, codes};
use oms_meta::{MetaCommand, SETTINGS, SettingEffect};
use oms_proto::{
    meta::SetProject,
    v1::{ProjectSpec, ProjectState, SetProjectRequest, SetProjectResponse, Setting, SettingChange},
};
use oms_types::ComponentKind;
use serde_json::{Map, Value};

use super::{Projects, find, public};
use crate::selection::check_spec;

impl Projects {
    pub(super) async fn set(&self, request: SetProjectRequest) -> Result<SetProjectResponse, Failure> {
        let state = self.0.metadata.latest().await?;
        let project = public(find(&state, &request.project)?)?;
        if request.expected_version != 0 && request.expected_version != project.version {
            return Err(Failure::new(
                codes::api::CONFLICT,
                format!(
                    "the project has version {}, not {}",
                    project.version, request.expected_version
                ),
            ));
        }
        let old = project.spec.clone().unwrap_or_default();
        let (new, changes, restart) = changed(&old, project.state(), &request.settings)?;
        check_spec(&new)?;
        if request.dry_run || changes.is_empty() {
            let project = Some(project);
            return Ok(SetProjectResponse { project, changes });
        }
        let body = MetaCommand::SetProject(SetProject {
            id: project.id.clone(),
            expected_version: project.version,
            spec: Some(new),
            restart: restart.iter().map(|k| k.as_str().to_owned()).collect(),
        });
        self.0.metadata.propose(body).await?;
        tracing::info!(
            project = project.id,
            settings = changes
                .iter()
                .map(|c| c.key.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            "options were set"
        );
        let project = Some(self.get(&project.id).await?);
        Ok(SetProjectResponse { project, changes })
    }
}

type Changed = (ProjectSpec, Vec<SettingChange>, Vec<ComponentKind>);

/// The spec with the settings, what they change, and what begins anew. All problems are reported at once.
fn changed(old: &ProjectSpec, state: ProjectState, settings: &[Setting]) -> Result<Changed, Failure> {
    let internal = |e: serde_json::Error| Failure::new(codes::api::INTERNAL, e.to_string());
    let before = serde_json::to_value(old).map_err(internal)?;
    let mut spec = old.clone();
    let mut problems = Vec::new();
    let mut changes = Vec::new();
    let mut restart = Vec::new();
    if settings.is_empty() {
        problems.push("name at least one option".to_owned());
    }
    for (i, setting) in settings.iter().enumerate() {
        let key = setting.key.as_str();
        let Some((_, effect)) = SETTINGS.iter().find(|(known, _)| *known == key) else {
            problems.push(format!("{key}: not an option of a project that exists"));
            continue;
        };
        if settings.iter().take(i).any(|s| s.key == key) {
            problems.push(format!("{key}: named twice"));
            continue;
        }
        let after = match with(&spec, key, &setting.value) {
            Ok(after) => after,
            Err(problem) => {
                problems.push(format!("{key}: {problem}"));
                continue;
            }
        };
        let value = serde_json::to_value(&after).map_err(internal)?;
        let (was, is) = (shown(&before, key), shown(&value, key));
        spec = after;
        if was == is {
            continue;
        }
        if !effect.allows(state) {
            problems.push(format!(
                "{key}: the project is {}; {}",
                state.name(),
                when(*effect)
            ));
            continue;
        }
        if let SettingEffect::Restarts(kind) = effect
            && !restart.contains(kind)
        {
            restart.push(*kind);
        }
        changes.push(SettingChange {
            key: key.to_owned(),
            before: was,
            after: is,
            effect: takes(*effect, state),
        });
    }
    if problems.is_empty() {
        Ok((spec, changes, restart))
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

fn when(effect: SettingEffect) -> &'static str {
    match effect {
        SettingEffect::AtOnce | SettingEffect::Later | SettingEffect::Restarts(_) => {
            "options do not change then"
        }
        SettingEffect::AtRest => "it can change in INIT, SUSPEND and FAILED",
        SettingEffect::BeforeStart => "it can change in INIT only",
    }
}

fn takes(effect: SettingEffect, state: ProjectState) -> String {
    match (effect, state) {
        (_, ProjectState::Init) => "when the project starts".to_owned(),
        (_, ProjectState::Suspend | ProjectState::Failed) => "when the project goes on".to_owned(),
        (SettingEffect::Restarts(kind), _) => format!("at once: {kind} begins anew where it stands"),
        (SettingEffect::Later, _) => "with the next verification".to_owned(),
        _ => "at once".to_owned(),
    }
}

/// The spec with one option as the text says it; an empty text is the default.
fn with(spec: &ProjectSpec, key: &str, text: &str) -> Result<ProjectSpec, String> {
    let parse = |value: Option<Value>| -> Result<ProjectSpec, String> {
        let mut root = serde_json::to_value(spec).map_err(|e| e.to_string())?;
        put(&mut root, key, value);
        serde_json::from_value(root).map_err(|e| e.to_string())
    };
    if text.is_empty() {
        return parse(None);
    }
    let typed = serde_json::from_str::<Value>(text).ok();
    let list = Value::Array(
        text.split(',')
            .map(|t| Value::String(t.trim().to_owned()))
            .collect(),
    );
    // A number, a truth value or a list as it is written; else a word, or a list of words.
    let candidates = [typed, Some(Value::String(text.to_owned())), Some(list)];
    let mut first = None;
    for candidate in candidates.into_iter().flatten() {
        match parse(Some(candidate)) {
            Ok(spec) => return Ok(spec),
            Err(problem) => first = first.or(Some(problem)),
        }
    }
    Err(first.unwrap_or_else(|| "cannot be read".to_owned()))
}

fn put(root: &mut Value, key: &str, value: Option<Value>) {
    let mut at = root;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let Value::Object(fields) = at else {
            return;
        };
        if parts.peek().is_none() {
            match value {
                Some(value) => fields.insert(part.to_owned(), value),
                None => fields.remove(part),
            };
            return;
        }
        at = fields
            .entry(part.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
}

/// The option's value in words; empty: the default.
fn shown(root: &Value, key: &str) -> String {
    let found = key
        .split('.')
        .try_fold(root, |at, part| at.get(part))
        .unwrap_or(&Value::Null);
    match found {
        Value::Null => String::new(),
        Value::Number(n) if n.as_u64() == Some(0) => String::new(),
        Value::Bool(false) => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::{CommitOrder, Concurrency};

    use super::*;

    fn set(state: ProjectState, settings: &[(&str, &str)]) -> Result<Changed, String> {
        let old = ProjectSpec {
            name: "p".into(),
            ..Default::default()
        };
        let settings: Vec<Setting> = settings
            .iter()
            .map(|(key, value)| Setting {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        changed(&old, state, &settings).map_err(|f| f.text())
    }

    #[test]
    fn every_option_can_be_set_and_taken_back_before_the_start() {
        for (key, _) in SETTINGS {
            let value = match *key {
                "name" => "q",
                "full.concurrency" | "incremental.concurrency" | "verify.concurrency" => "stable",
                "full.on_existing_rows" => "ignore",
                "incremental.commit_order" => "strict",
                "incremental.partial_rows" => "apply",
                "precheck.skip" => "DB_TIME_SYNC,DB_INCR_LOG",
                "schema.charsets" | "schema.collations" => r#"[{"from":"a","to":"b"}]"#,
                "schema.omit_views" | "schema.omit_foreign_keys" => "true",
                _ => "7",
            };
            let (spec, changes, _) =
                set(ProjectState::Init, &[(key, value)]).unwrap_or_else(|e| panic!("{key}: {e}"));
            assert_eq!(changes.len(), 1, "{key}");
            assert_eq!(
                (changes[0].key.as_str(), changes[0].before.is_empty()),
                (*key, *key != "name")
            );
            if *key != "name" {
                let back = with(&spec, key, "").unwrap();
                assert_eq!(shown(&serde_json::to_value(&back).unwrap(), key), "", "{key}");
            }
        }
    }

    #[test]
    fn a_running_project_takes_what_is_safe_and_says_what_begins_anew() {
        let settings = [
            ("incremental.lanes", "8"),
            ("incremental.commit_order", "strict"),
            ("incremental.retention_hours", "48"),
            ("full.concurrency", "fast"),
        ];
        let (spec, changes, restart) = set(ProjectState::Running, &settings).unwrap();
        let incremental = spec.incremental.unwrap();
        assert_eq!(
            (incremental.lanes, incremental.commit_order()),
            (8, CommitOrder::Strict)
        );
        assert_eq!(spec.full.unwrap().concurrency(), Concurrency::Fast);
        assert_eq!(changes.len(), 4);
        assert_eq!(restart, [ComponentKind::IncrSync, ComponentKind::Store]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let settings = [
            ("full.chunk_rows", "5"),
            ("full.on_existing_rows", "ignore"),
            ("steps.full", "true"),
            ("incremental.lanes", "many"),
            ("full.workers", "1"),
            ("full.workers", "2"),
        ];
        let problems = set(ProjectState::Running, &settings).unwrap_err();
        for part in [
            "full.chunk_rows: the project is running; it can change in INIT, SUSPEND and FAILED",
            "full.on_existing_rows: the project is running; it can change in INIT only",
            "steps.full: not an option",
            "incremental.lanes: ",
            "full.workers: named twice",
        ] {
            assert!(
                problems.to_lowercase().contains(&part.to_lowercase()),
                "{part}: {problems}"
            );
        }
        assert!(set(ProjectState::RunningModifying, &[("name", "q")]).is_err());
        assert!(set(ProjectState::Released, &[("name", "q")]).is_err());
        // What is so already may be said again.
        assert!(set(ProjectState::Running, &[("full.on_existing_rows", "")]).is_ok());
    }
}
