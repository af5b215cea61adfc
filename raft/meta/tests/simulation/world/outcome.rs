//! Whether all is well.

use oms_proto::v1::{ProjectState, StepKind, StepState};

use super::{Tally, World};
use crate::database::Violation;

impl World {
    /// No step of verification is over before its run has told a result.
    pub(super) fn verified(&self) -> Result<(), Violation> {
        for (project, (_, destination)) in self.databases.iter().enumerate() {
            let Some(record) = self.state().project(&Self::project_id(project)) else {
                continue;
            };
            let steps = record.public.iter().flat_map(|p| &p.steps);
            let mut over =
                steps.filter(|s| s.kind() == StepKind::FullVerifier && s.state() == StepState::Finished);
            if over.next().is_some() && !destination.has_result(record.verify_run.into()) {
                return Err(format!(
                    "the verification of p{project} is finished, and run {} told no result",
                    record.verify_run
                ));
            }
        }
        Ok(())
    }

    /// Whether every project that was not given up has everything its source has.
    pub(crate) fn caught_up(&self) -> bool {
        self.databases
            .iter()
            .enumerate()
            .all(|(project, (source, destination))| {
                let Some(p) = self
                    .state()
                    .project(&Self::project_id(project))
                    .and_then(|r| r.public.as_ref())
                else {
                    return true;
                };
                match p.state() {
                    ProjectState::Released => true,
                    ProjectState::Running => {
                        let over = |state| matches!(state, StepState::Monitoring | StepState::Finished);
                        p.steps.iter().all(|s| over(s.state())) && destination.rows.equals(source).is_ok()
                    }
                    _ => false,
                }
            })
    }

    /// What happened, at the end.
    pub(crate) fn sum(&self) -> Tally {
        let mut tally = self.tally;
        for (_, destination) in &self.databases {
            tally.refused += destination.refused;
            tally.transactions += destination.rows.applied().0;
            tally.verified += destination
                .journals
                .values()
                .filter(|j| j.result.is_some())
                .count() as u64;
        }
        tally.dropped += self.log.beside(self.committed);
        tally
    }

    /// What stands in the way, for people.
    pub(crate) fn stuck(&self) -> String {
        let mut words = Vec::new();
        for (project, (source, destination)) in self.databases.iter().enumerate() {
            let Some(record) = self.state().project(&Self::project_id(project)) else {
                continue;
            };
            let p = record.public.as_ref().unwrap();
            words.push(format!(
                "{} {:?}, {:?} of {}",
                p.id,
                p.state(),
                destination.rows.applied(),
                source.end
            ));
            for c in &record.components {
                let at = format!(
                    "{} {:?} {:?} on {} in {}",
                    c.kind,
                    c.desired(),
                    c.state(),
                    c.node,
                    c.epoch
                );
                words.push(format!("{at} {}", c.waiting));
            }
        }
        let nodes = self
            .state()
            .nodes()
            .map(|n| format!("node {} {:?}", n.id, n.state()));
        words.extend(nodes);
        words.push(format!("members {:?}", self.log.entry(self.committed).config));
        for (n, node) in self.nodes.iter().enumerate() {
            let (end, committed) = (self.end(n), self.log.entry(self.committed));
            words.push(format!(
                "process {} at {} is gone: {}, has {} of {}, term {}, leads {}, goes by {:?}, lease {}",
                node.id,
                node.mono_us,
                node.gone,
                end.index,
                committed.index,
                node.term,
                node.leading.is_some(),
                end.config.sets,
                node.lease_until
            ));
            words.extend(node.disk.iter().map(|(p, d)| format!("store {p} {d:?}")));
            words.extend(node.workers.values().map(|w| format!("{w:?}")));
        }
        words.join("; ")
    }
}
