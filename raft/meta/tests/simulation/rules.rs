//! What must hold of the metadata at every moment.

use std::collections::BTreeMap;

use oms_meta::MetaState;
use oms_proto::{meta::ReportComponent, v1::NodeState};
use oms_types::ComponentKind;

use crate::database::Violation;

/// Remembers what was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The node of each epoch of each component.
    owners: BTreeMap<(String, String, u64), u64>,
    epochs: BTreeMap<(String, String), u64>,
    /// The process that runs each epoch: node and its start.
    running: BTreeMap<(usize, ComponentKind, u64), usize>,
    /// Who led each term.
    leaders: BTreeMap<u64, usize>,
}

impl Rules {
    /// After every command.
    pub(crate) fn state(&mut self, state: &MetaState) -> Result<(), Violation> {
        let active = state.nodes().filter(|n| n.state() != NodeState::Removed).count();
        if active == 0 {
            return Err("there is no node left".into());
        }
        for record in state.projects() {
            let id = &record.public.as_ref().unwrap().id;
            for c in &record.components {
                let last = self.epochs.entry((id.clone(), c.kind.clone())).or_default();
                if c.epoch < *last {
                    return Err(format!(
                        "the epoch of {id}.{} fell from {last} to {}",
                        c.kind, c.epoch
                    ));
                }
                if c.epoch == *last && c.epoch > 0 {
                    let owner = self.owners.get(&(id.clone(), c.kind.clone(), c.epoch));
                    if owner != Some(&c.node) {
                        return Err(format!("{id}.{} has two owners in epoch {}", c.kind, c.epoch));
                    }
                }
                if c.epoch > *last {
                    *last = c.epoch;
                    self.owners.insert((id.clone(), c.kind.clone(), c.epoch), c.node);
                }
            }
        }
        Ok(())
    }

    /// What is wrong with taking this report, if it is of a former owner.
    pub(crate) fn is_former(&self, report: &ReportComponent) -> Option<Violation> {
        let (id, kind) = (&report.project, &report.kind);
        let epoch = self.epochs.get(&(id.clone(), kind.clone()))?;
        (report.epoch < *epoch).then(|| {
            format!(
                "a report on {id}.{kind} of epoch {} was taken in epoch {epoch}",
                report.epoch
            )
        })
    }

    /// A node starts to run a component.
    pub(crate) fn starts(
        &mut self,
        project: usize,
        kind: ComponentKind,
        epoch: u64,
        node: usize,
    ) -> Result<(), Violation> {
        let owner = *self.running.entry((project, kind, epoch)).or_insert(node);
        if owner == node {
            Ok(())
        } else {
            Err(format!(
                "{kind} runs in epoch {epoch} on nodes {owner} and {node}"
            ))
        }
    }

    /// A node was elected.
    pub(crate) fn leads(&mut self, term: u64, node: usize) -> Result<(), Violation> {
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader == node {
            Ok(())
        } else {
            Err(format!("term {term} has the leaders {leader} and {node}"))
        }
    }
}
