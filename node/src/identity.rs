//! Who this node is: kept in its data folder, made once.

use std::path::{Path, PathBuf};

use oms_core::{Failure, codes};
use serde::{Deserialize, Serialize};

use crate::durable_file;

const FILE: &str = "identity";
/// Where folders from before there were clusters keep their cluster's id.
const OLD_FILE: &str = "cluster-id";
const VERSION: u32 = 1;
/// What may lie in a folder that a node can join with.
const HARMLESS: &[&str] = &[
    "lock",
    FILE,
    "identity.new",
    "secret.key",
    "secret.new",
    "lost+found",
];

/// Who a node is.
///
/// A folder is *founded*: it began a cluster of its own as node 1; or it *joined*: the cluster gave it its id.
/// While a join is under way, only the folder's own id is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    version: u32,
    /// The cluster; empty while a join is under way.
    pub(crate) cluster: String,
    /// The node's id in it; 0 while a join is under way.
    pub(crate) node: u64,
    /// Made at random with the folder. A repeated join is recognised by it.
    pub(crate) folder: String,
    /// Whether the cluster was there before the folder.
    pub(crate) joined: bool,
    /// Whether it only votes, as was said when it joined.
    #[serde(default)]
    pub(crate) witness: bool,
}

impl Identity {
    /// A new cluster's first node.
    pub(crate) fn founder() -> Self {
        Self {
            version: VERSION,
            cluster: uuid::Uuid::new_v4().to_string(),
            node: 1,
            folder: uuid::Uuid::new_v4().to_string(),
            joined: false,
            witness: false,
        }
    }

    /// A node that has not been let in yet.
    pub(crate) fn newcomer(witness: bool) -> Self {
        Self {
            cluster: String::new(),
            node: 0,
            joined: true,
            witness,
            ..Self::founder()
        }
    }

    /// The same folder as a member.
    pub(crate) fn admitted(&self, cluster: &str, node: u64) -> Self {
        Self {
            cluster: cluster.to_owned(),
            node,
            ..self.clone()
        }
    }

    /// Whether the node belongs to a cluster.
    pub(crate) fn is_member(&self) -> bool {
        self.node != 0 && !self.cluster.is_empty()
    }

    /// Reads the folder's identity; a folder from before there were clusters is node 1 of its own.
    ///
    /// # Errors
    /// `OMS-CLUSTER-0002` when the file does not say who the node is, `OMS-CLUSTER-0005` when a newer version
    /// wrote it, `OMS-CLUSTER-0007` when it cannot be read.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let Some(text) = text_of(&path)? else {
            let old = text_of(&dir.join(OLD_FILE))?;
            return Ok(old.map(|cluster| Self {
                cluster: cluster.trim().to_owned(),
                ..Self::founder()
            }));
        };
        let damaged = |why: String| {
            Failure::new(
                codes::cluster::METADATA_CORRUPT,
                format!("{}: {why}", path.display()),
            )
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|v| v > u64::from(VERSION)) {
            return Err(Failure::new(
                codes::cluster::UNSUPPORTED_FORMAT,
                format!("{} was written by a newer version of omsnode", path.display()),
            ));
        }
        let identity: Self = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
        let whole =
            identity.is_member() || (identity.joined && identity.node == 0 && identity.cluster.is_empty());
        if identity.folder.is_empty() || !whole {
            return Err(damaged("it does not say who the node is".to_owned()));
        }
        Ok(Some(identity))
    }

    /// Makes this the folder's identity, durably.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Failure::new(codes::api::INTERNAL, e.to_string()))?;
        durable_file::replace(&path, format!("{text}\n").as_bytes(), false).map_err(|e| io(&path, &e))
    }
}

/// Fails unless a node can join with this folder.
///
/// # Errors
/// `OMS-CLUSTER-0031` names what lies there.
pub(crate) fn check_empty(dir: &Path) -> Result<(), Failure> {
    let entries = std::fs::read_dir(dir).map_err(|e| io(dir, &e))?;
    for entry in entries {
        let name = entry.map_err(|e| io(dir, &e))?.file_name();
        if !HARMLESS.iter().any(|harmless| name == *harmless) {
            return Err(Failure::new(
                codes::cluster::FOLDER_NOT_EMPTY,
                format!("{} holds {}", dir.display(), name.display()),
            ));
        }
    }
    Ok(())
}

fn text_of(path: &PathBuf) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io(path, &e)),
    }
}

fn io(path: &Path, e: &std::io::Error) -> Failure {
    let code = match e.kind() {
        std::io::ErrorKind::StorageFull => codes::cluster::DISK_FULL,
        _ => codes::cluster::METADATA_IO,
    };
    Failure::new(code, format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_identity() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(dir.path()).unwrap(), None);
        let new = Identity::newcomer(true);
        new.write(dir.path()).unwrap();
        assert_eq!(Identity::read(dir.path()).unwrap().unwrap(), new);
        assert!(!new.is_member());
        let member = new.admitted("c", 7);
        member.write(dir.path()).unwrap();
        let read = Identity::read(dir.path()).unwrap().unwrap();
        assert_eq!((read.node, read.folder.as_str()), (7, new.folder.as_str()));
        assert!(read.is_member() && read.joined && read.witness);
    }

    #[test]
    fn an_old_folder_is_the_first_node_of_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(OLD_FILE), "abc\n").unwrap();
        let read = Identity::read(dir.path()).unwrap().unwrap();
        assert_eq!((read.cluster.as_str(), read.node, read.joined), ("abc", 1, false));
    }

    #[test]
    fn what_is_not_an_identity_is_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let code_of = |text: &str| {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            Identity::read(dir.path()).unwrap_err().code()
        };
        assert_eq!(code_of("{"), codes::cluster::METADATA_CORRUPT);
        assert_eq!(code_of("{\"version\":2}"), codes::cluster::UNSUPPORTED_FORMAT);
        let half = r#"{"version":1,"cluster":"c","node":0,"folder":"f","joined":true}"#;
        assert_eq!(code_of(half), codes::cluster::METADATA_CORRUPT);
        let extra = r#"{"version":1,"cluster":"c","node":2,"folder":"f","joined":true,"x":1}"#;
        assert_eq!(code_of(extra), codes::cluster::METADATA_CORRUPT);
    }

    #[test]
    fn only_an_empty_folder_can_join() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), "").unwrap();
        check_empty(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("meta")).unwrap();
        let refused = check_empty(dir.path()).unwrap_err();
        assert_eq!(refused.code(), codes::cluster::FOLDER_NOT_EMPTY);
        assert!(refused.to_string().contains("meta"), "{refused}");
    }
}
