//! Who writes where: no table is written by two projects, nor by its own project's source.

use oms_proto::{
    meta::{ProjectRecord, QualifiedName},
    v1::{Connection, ProjectState},
};
use oms_types::{ErrorCode, codes};

use crate::state::{MetaState, project_name};

/// Names in a message.
const LISTED: usize = 5;

impl MetaState {
    /// Why a project must not be created, or get further tables, beside what other projects there are, if so.
    ///
    /// Names are compared without regard to letter case, because many servers do so. Servers are the same when the data
    /// source is the same or their addresses are.
    pub(crate) fn overlap(&self, wanted: &ProjectRecord) -> Option<(ErrorCode, String)> {
        if self.same_server(&wanted.source_id, &wanted.destination_id) {
            let onto_itself: Vec<_> = wanted
                .selection
                .iter()
                .filter_map(|o| Some((o.source.as_ref()?, o.destination.as_ref()?)))
                .filter(|(s, d)| folded(s) == folded(d))
                .map(|(s, _)| s)
                .collect();
            if !onto_itself.is_empty() {
                return Some((
                    codes::api::INVALID_ARGUMENT,
                    format!(
                        "source and destination are the same server, and {} would be written onto itself",
                        listed(&onto_itself)
                    ),
                ));
            }
        }
        let released = |r: &ProjectRecord| {
            r.public
                .as_ref()
                .is_some_and(|p| p.state() == ProjectState::Released)
        };
        let id = |r: &ProjectRecord| r.public.as_ref().map(|p| p.id.clone());
        let own = id(wanted);
        for other in self.projects().filter(|r| !released(r) && id(r) != own) {
            if !self.same_server(&other.destination_id, &wanted.destination_id) {
                continue;
            }
            let taken: std::collections::BTreeSet<_> = other
                .selection
                .iter()
                .filter(|o| !o.gone)
                .filter_map(|o| o.destination.as_ref())
                .map(folded)
                .collect();
            let shared: Vec<_> = wanted
                .selection
                .iter()
                .filter_map(|o| o.destination.as_ref())
                .filter(|t| taken.contains(&folded(t)))
                .collect();
            if !shared.is_empty() {
                return Some((
                    codes::api::OVERLAPPING_OBJECTS,
                    format!("project {:?} writes {}", project_name(other), listed(&shared)),
                ));
            }
        }
        None
    }

    fn same_server(&self, one: &str, other: &str) -> bool {
        let address = |id: &str| {
            let record = self.data_sources.get(id)?;
            Some(address(record.public.as_ref()?.connection.as_ref()?))
        };
        one == other || address(one).is_some_and(|a| Some(a) == address(other))
    }
}

/// Host, port and, of OceanBase's `user@tenant#cluster`, what is behind the user.
fn address(connection: &Connection) -> (String, u32, &str) {
    let tenant = connection.user.split_once('@').map_or("", |(_, tenant)| tenant);
    (
        connection.host.trim().to_ascii_lowercase(),
        connection.port,
        tenant,
    )
}

fn folded(name: &QualifiedName) -> (String, String) {
    (name.database.to_lowercase(), name.table.to_lowercase())
}

fn listed(names: &[&QualifiedName]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(LISTED)
        .map(|t| format!("`{}`.`{}`", t.database, t.table))
        .collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
