//! Quotas: what captures or applies changes never waits for a verification.

use oms_meta::{ClusterView, Liveness, MetaCommand, MetaState};
use oms_proto::{
    meta::{ComponentRecord, Desired, command::Body},
    v1::{ComponentState, NodeState},
};

use super::World;
use crate::{database::Violation, setup::quota_of};

const VERIFICATION: &str = "full-verification";

fn runs(c: &ComponentRecord) -> bool {
    let live = matches!(c.state(), ComponentState::Assigned | ComponentState::Running);
    live && c.desired() == Desired::Run
}

fn writes(kind: &str) -> bool {
    matches!(kind, "store" | "incr-sync")
}

/// How many components were given a place where a verification stops.
pub(super) fn made(plan: &[MetaCommand]) -> u64 {
    let given = plan
        .iter()
        .filter(|body| matches!(body, Body::AssignComponent(a) if a.because.contains(" room")));
    given.count() as u64
}

/// The same plan by a scheduler that lets verifications run and the others wait.
pub(super) fn without(plan: Vec<MetaCommand>) -> Vec<MetaCommand> {
    if made(&plan) == 0 {
        return plan;
    }
    let left = |body: &MetaCommand| {
        let Body::AssignComponent(a) = body else {
            return true;
        };
        let stops = a.kind == VERIFICATION && a.desired() == Desired::Stop;
        !stops && !a.because.contains(" room")
    };
    plan.into_iter().filter(left).collect()
}

/// Whether all that writes has its place, as far as verifications stand in the way: looked at where nothing is due.
pub(super) fn given(state: &MetaState, view: &ClusterView) -> Result<(), Violation> {
    // A leader that was not told of all nodes yet waits for their word.
    if state
        .nodes()
        .any(|n| n.state() != NodeState::Removed && view.liveness(n.id) == Liveness::Unknown)
    {
        return Ok(());
    }
    let all = || state.projects().flat_map(|p| &p.components);
    for record in state.projects() {
        let p = record.public.as_ref().unwrap();
        for c in record.components.iter().filter(|c| writes(&c.kind)) {
            let (runs_there, lost) = (runs(c), runs(c) && !view.is_alive(c.node));
            let waits = !c.waiting.is_empty() && c.frozen_reason.is_empty();
            if !waits || (runs_there && !lost) {
                continue;
            }
            for node in state.nodes() {
                let takes = node.state() == NodeState::Active
                    && view.is_alive(node.id)
                    && !node.witness
                    && !(lost && node.id == c.node);
                let load = all().filter(|o| runs(o) && o.node == node.id).count();
                let compares = |o: &&ComponentRecord| {
                    runs(o) && o.node == node.id && o.kind == VERIFICATION && o.frozen_reason.is_empty()
                };
                let stopping = all().filter(compares).count();
                let quota = usize::try_from(node.quota).unwrap();
                if takes && stopping > 0 && load - stopping < quota {
                    return Err(format!(
                        "{}.{} waits for a verification on node {}, which runs {load} of {quota}: {}",
                        p.id, c.kind, node.id, c.waiting
                    ));
                }
            }
        }
    }
    Ok(())
}

impl World {
    /// Now and then somebody changes the quota of a node.
    pub(crate) fn squeeze(&mut self) -> Result<(), Violation> {
        let Some(mut quotas) = self.quotas.take() else {
            return Ok(());
        };
        let command = quotas.percent(6).then(|| {
            let node = quotas.index(self.nodes.len());
            quota_of(self.nodes[node].id, u32::try_from(quotas.within(1, 3)).unwrap())
        });
        self.quotas = Some(quotas);
        if let (Some(body), Some(leader)) = (command, self.speaker()) {
            let _ = self.commit(leader, body)?;
        }
        Ok(())
    }

    /// Where quotas allow less than the projects need, one node is allowed as much more: for each project what captures
    /// and applies or copies, and one verification for all.
    pub(crate) fn make_ends_meet(&mut self, leader: usize) -> Result<(), Violation> {
        let lives = |id: u64| self.place_of(id).is_some_and(|n| !self.nodes[n].gone);
        let fit: Vec<(u64, u32)> = self
            .state()
            .nodes()
            .filter(|n| n.state() == NodeState::Active && !n.witness && lives(n.id))
            .map(|n| (n.id, n.quota))
            .collect();
        if self.quotas.is_none() || fit.iter().any(|(_, quota)| *quota == 0) {
            return Ok(());
        }
        let needed = u32::try_from(2 * self.databases.len() + 1).unwrap();
        let lacking = needed.saturating_sub(fit.iter().map(|(_, quota)| *quota).sum());
        if let Some((id, quota)) = fit.first().filter(|_| lacking > 0) {
            let _ = self.commit(leader, quota_of(*id, quota + lacking))?;
        }
        Ok(())
    }
}
