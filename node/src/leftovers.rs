//! Change logs that a Store left on this node when it went to another.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use oms_actors::{ComponentHost, Store};
use oms_core::{ComponentId, ComponentKind};
use oms_meta::MetaState;
use oms_proto::v1::ComponentState;
use oms_types::ProjectId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metadata::Metadata;

/// How often the folders are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// How long a log must have been of no use before it is removed. Until then a Store that comes back goes
/// on with it instead of reading the source again.
const KEPT: Duration = Duration::from_secs(3_600);

/// Where a node keeps the change log of a project.
pub(crate) fn log_folder(data_dir: &Path, project: &str) -> PathBuf {
    logs(data_dir).join(project)
}

fn logs(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

/// Removes logs of which this node's Stores have no more use.
pub(crate) struct Leftovers {
    pub(crate) metadata: Metadata,
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) data_dir: PathBuf,
}

impl Leftovers {
    /// Sweeps until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut useless: BTreeMap<PathBuf, Instant> = BTreeMap::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            self.sweep(&mut useless, Instant::now()).await;
        }
    }

    /// One look; `useless` holds since when each folder is of no use.
    async fn sweep(&self, useless: &mut BTreeMap<PathBuf, Instant>, now: Instant) {
        // A copy of the state that is behind could lack a project that has just come here.
        let Ok(state) = self.metadata.latest().await else {
            return;
        };
        let me = self.metadata.node_id();
        let found: Vec<PathBuf> = folders(&logs(&self.data_dir))
            .into_iter()
            .filter(|(project, _)| !is_running(&self.host, project) && is_useless(&state, me, project))
            .map(|(_, folder)| folder)
            .collect();
        useless.retain(|folder, _| found.contains(folder));
        for folder in found {
            let since = *useless.entry(folder.clone()).or_insert(now);
            if now.duration_since(since) < KEPT {
                continue;
            }
            let shown = folder.display();
            match Store::discard(&folder).await {
                Ok(()) => tracing::info!("removed the change log {shown}: its Store is elsewhere for good"),
                Err(failure) => tracing::warn!("the change log {shown} is not removed yet: {failure}"),
            }
            useless.remove(&folder);
        }
    }
}

/// The folders that are named by a project.
fn folders(logs: &Path) -> Vec<(ProjectId, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(logs) else {
        return Vec::new();
    };
    let projects = entries.flatten().filter_map(|entry| {
        let project = entry.file_name().to_str()?.parse().ok()?;
        Some((project, entry.path()))
    });
    projects.collect()
}

fn is_running(host: &ComponentHost, project: &ProjectId) -> bool {
    let store = ComponentId::new(project.clone(), ComponentKind::Store);
    host.list().iter().any(|(id, _)| *id == store)
}

/// Whether nobody will ask this node for the project's log: there is no such project, or its Store runs
/// on another node, or was removed there.
fn is_useless(state: &MetaState, me: u64, project: &ProjectId) -> bool {
    let Some(record) = state.project(project.as_str()) else {
        return true;
    };
    record
        .components
        .iter()
        .find(|c| c.kind == ComponentKind::Store.as_str())
        .is_some_and(|store| store.node != me && (store.state() == ComponentState::Running || store.removed))
}

#[cfg(test)]
mod tests {
    use oms_proto::{
        meta::{ComponentRecord, ProjectRecord, State},
        v1::Project,
    };
    use prost::Message as _;

    use super::*;

    fn state(store: Option<ComponentRecord>) -> MetaState {
        let project = ProjectRecord {
            public: Some(Project {
                id: "p_1".into(),
                ..Default::default()
            }),
            components: store.into_iter().collect(),
            ..Default::default()
        };
        let state = State {
            projects: vec![project],
            ..Default::default()
        };
        MetaState::restore(&state.encode_to_vec()).unwrap()
    }

    fn store(node: u64, state: ComponentState, removed: bool) -> Option<ComponentRecord> {
        Some(ComponentRecord {
            kind: "store".into(),
            node,
            state: state as i32,
            removed,
            ..Default::default()
        })
    }

    #[test]
    fn only_logs_that_nobody_will_ask_for_are_useless() {
        let is_useless = |store, project: &str| is_useless(&state(store), 1, &project.parse().unwrap());
        assert!(is_useless(None, "p_2"), "no such project");
        assert!(!is_useless(None, "p_1"), "its Store may come");
        assert!(
            !is_useless(store(1, ComponentState::Stopped, false), "p_1"),
            "it is ours"
        );
        assert!(
            !is_useless(store(2, ComponentState::Assigned, false), "p_1"),
            "the other may fail"
        );
        assert!(
            !is_useless(store(2, ComponentState::Failed, false), "p_1"),
            "the other may fail"
        );
        assert!(is_useless(store(2, ComponentState::Running, false), "p_1"));
        assert!(is_useless(store(2, ComponentState::Stopped, true), "p_1"));
    }

    #[test]
    fn folders_are_projects() {
        let data = tempfile::tempdir().unwrap();
        assert!(folders(&logs(data.path())).is_empty());
        for name in ["p_1", "p_1.discarded"] {
            std::fs::create_dir_all(log_folder(data.path(), name)).unwrap();
        }
        let found: Vec<_> = folders(&logs(data.path())).into_iter().map(|f| f.1).collect();
        assert_eq!(found, [log_folder(data.path(), "p_1")]);
    }
}
