//! The node's side of its lease: registers, then tells the leader again and again that it is alive.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use oms_actors::ComponentHost;
use oms_core::{Failure, codes};
use oms_meta::MetaCommand;
use oms_proto::{
    error_of,
    meta::{NodeRecord, RegisterNode},
    peer::{HeartbeatRequest, Trouble},
    v1::{NodeLoad, NodeState},
};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ending::Ending,
    lease::Lease,
    liveness::{Heard, LivenessTable},
    load::LoadMeter,
    metadata::Metadata,
    peer::PeerChannels,
};

/// Heartbeats whose answers are waited for, at most.
const MOST_UNDER_WAY: usize = 4;
/// How often load and troubles are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Errors that are younger are not worth telling.
const YOUNGEST_TROUBLE: Duration = Duration::from_secs(1);
/// Deadline of asking a node that may not be the leader.
const ASK: Duration = Duration::from_secs(1);
/// Deadline of saying goodbye.
const LEAVE: Duration = Duration::from_millis(500);
/// How often consensus is told where this node is, until it knows.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// What a heartbeat tells besides that it comes.
#[derive(Default)]
struct Report {
    load: NodeLoad,
    troubles: Vec<Trouble>,
}

/// Keeps this node's lease.
pub(crate) struct Heart {
    pub(crate) metadata: Metadata,
    pub(crate) lease: Arc<Lease>,
    pub(crate) liveness: Arc<LivenessTable>,
    pub(crate) peers: Arc<PeerChannels>,
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) ending: Ending,
    pub(crate) cluster_id: String,
    /// What this node says about itself.
    pub(crate) record: NodeRecord,
    pub(crate) data_dir: PathBuf,
    /// Under which this process is registered; 0 before that.
    pub(crate) generation: Arc<AtomicU64>,
    /// The highest term whose leader has renewed the lease.
    pub(crate) granted: AtomicU64,
}

/// Tells the leader that this node is about to stop.
pub(crate) struct Leave {
    metadata: Metadata,
    peers: Arc<PeerChannels>,
    generation: Arc<AtomicU64>,
    cluster_id: String,
}

impl Leave {
    /// Says so, if there is another node that leads. From then on nothing is given to this node, and what it
    /// has goes elsewhere at once. Without an answer it takes until its lease is over.
    pub(crate) async fn say(&self) {
        let metrics = self.metadata.metrics();
        let leader = metrics.status.leader.filter(|id| *id != self.metadata.node_id());
        let Some(leader) = leader.and_then(|id| metrics.members.get(&id)) else {
            return;
        };
        let generation = self.generation.load(Ordering::Acquire);
        let Ok(mut client) = self.peers.client(&leader.address) else {
            return;
        };
        let request = HeartbeatRequest {
            cluster_id: self.cluster_id.clone(),
            node: self.metadata.node_id(),
            generation,
            leaving: true,
            ..HeartbeatRequest::default()
        };
        match tokio::time::timeout(LEAVE, client.heartbeat(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::info!("the leader was not told that this node stops: {status}"),
            Err(_) => tracing::info!("the leader was not told that this node stops: no answer"),
        }
    }
}

impl Heart {
    /// What says goodbye.
    pub(crate) fn leave(&self) -> Leave {
        Leave {
            metadata: self.metadata.clone(),
            peers: self.peers.clone(),
            generation: self.generation.clone(),
            cluster_id: self.cluster_id.clone(),
        }
    }

    /// Registers this node under a new generation.
    pub(crate) async fn register(metadata: &Metadata, record: &NodeRecord) -> Result<u64, Failure> {
        let command = RegisterNode {
            node: Some(record.clone()),
        };
        metadata.propose(MetaCommand::RegisterNode(command)).await
    }

    /// Beats until cancelled or until the node must end; registers first unless that was done.
    pub(crate) async fn run(self, registered: Option<u64>, cancel: CancellationToken) {
        let this = Arc::new(self);
        let report = Arc::new(Mutex::new(Report::default()));
        let work = async {
            let generation = match registered {
                Some(generation) => Some(generation),
                None => this.register_somehow().await,
            };
            let Some(generation) = generation else { return };
            this.generation.store(generation, Ordering::Release);
            tokio::join!(
                this.announce(),
                this.look(&report),
                this.beat(generation, &report),
                this.lease.keep()
            );
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    }

    /// Tries to register until it is done, or until it is certain that it never will be: `None`.
    async fn register_somehow(&self) -> Option<u64> {
        loop {
            if self.is_removed_here() {
                return self.end(&self.removed());
            }
            let register = Self::register(&self.metadata, &self.record);
            let outcome = tokio::select! {
                outcome = register => outcome,
                // While consensus finds no leader, the others are asked: one may know that this node was
                // removed, or has to be told where it is now.
                failure = self.ask_around_until_refused() => return self.end(&failure),
            };
            match outcome {
                Ok(generation) => {
                    tracing::info!(generation, "this node is registered");
                    return Some(generation);
                }
                Err(failure) if failure.is_transient() => tracing::info!("not registered yet: {failure}"),
                Err(failure) => return self.end(&failure),
            }
            tokio::time::sleep(self.tick()).await;
        }
    }

    fn end(&self, failure: &Failure) -> Option<u64> {
        tracing::error!("this node cannot go on: {failure}");
        self.lease.give_up();
        self.ending.ask(failure);
        None
    }

    /// Corrects what consensus knows about this node. Not yet a member: the leader adds it as it is.
    async fn announce(&self) {
        loop {
            match self.metadata.announce().await {
                Ok(false)
                    if self
                        .metadata
                        .metrics()
                        .members
                        .contains_key(&self.metadata.node_id()) =>
                {
                    return;
                }
                Ok(_) => {}
                Err(failure) => tracing::info!("not announced yet: {failure}"),
            }
            tokio::time::sleep(ANNOUNCE).await;
        }
    }

    /// Keeps the report up to date, so that a heartbeat never waits for it.
    async fn look(&self, report: &Mutex<Report>) {
        let mut meter = LoadMeter::default();
        loop {
            let load = meter.read(&self.data_dir);
            let mut troubles = Vec::new();
            for (id, epoch) in self.host.list() {
                let Some(trouble) = self.host.observe(&id).await.and_then(|o| o.trouble) else {
                    continue;
                };
                if trouble.lasting >= YOUNGEST_TROUBLE {
                    troubles.push(Trouble {
                        component: id.to_string(),
                        epoch: epoch.0,
                        for_ms: millis(trouble.lasting),
                        code: trouble.code.as_str().to_owned(),
                    });
                }
            }
            *report.lock() = Report { load, troubles };
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How often the leader renews its own lease; others do half as often.
    fn tick(&self) -> Duration {
        self.liveness.lease() / 10
    }

    async fn beat(self: &Arc<Self>, generation: u64, report: &Arc<Mutex<Report>>) {
        let mut ticks = tokio::time::interval(self.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut status = self.metadata.watch();
        let mut under_way = JoinSet::new();
        let mut known = None;
        let mut count = 0u64;
        loop {
            let due = tokio::select! {
                _ = ticks.tick() => {
                    count += 1;
                    true
                }
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    false
                }
                Some(_) = under_way.join_next() => false,
            };
            let now = {
                let status = status.borrow_and_update();
                (status.leader, status.term)
            };
            let changed = known != Some(now);
            known = Some(now);
            let leads = now.0 == Some(self.metadata.node_id());
            // As long as it votes the others may need it, to agree that it does not any more.
            if !leads && self.is_removed_here() && !self.votes_here() {
                self.end(&self.removed());
                return;
            }
            let lost = due && count.is_multiple_of(10) && !self.lease.held(Instant::now());
            // A new leader may have to be asked twice before it is sure of itself.
            let eager = leads || self.granted.load(Ordering::Acquire) < now.1;
            if under_way.len() < MOST_UNDER_WAY && (changed || (due && (eager || count.is_multiple_of(2)))) {
                let (this, request) = (self.clone(), self.request(generation, report));
                under_way.spawn(async move {
                    match leads {
                        true => this.renew_own(request).await,
                        false => this.ask_leader(request).await,
                    }
                });
            } else if lost && under_way.len() < MOST_UNDER_WAY {
                let (this, request) = (self.clone(), self.request(generation, report));
                under_way.spawn(async move {
                    if let Err(failure) = this.ask_around(&request).await {
                        this.end(&failure);
                    }
                });
            }
        }
    }

    fn request(&self, generation: u64, report: &Mutex<Report>) -> HeartbeatRequest {
        let report = report.lock();
        HeartbeatRequest {
            load: Some(report.load),
            troubles: report.troubles.clone(),
            ..self.sign_of_life(generation)
        }
    }

    fn sign_of_life(&self, generation: u64) -> HeartbeatRequest {
        HeartbeatRequest {
            cluster_id: self.cluster_id.clone(),
            node: self.metadata.node_id(),
            generation,
            applied_index: self.metadata.watch().borrow().applied,
            address: self.record.address.clone(),
            without_lease: !self.lease.held(Instant::now()),
            ..HeartbeatRequest::default()
        }
    }

    /// The leader renews its own lease, and with it the right to give others theirs, when a majority confirms
    /// its leadership.
    async fn renew_own(&self, request: HeartbeatRequest) {
        let sent = Instant::now();
        let status = self.metadata.watch().borrow().clone();
        if !self.liveness.observe(&status, sent) || !self.metadata.confirm_leadership(self.tick() * 4).await {
            return;
        }
        let now = Instant::now();
        if !self.liveness.confirm(status.term, sent, now) {
            return;
        }
        self.lease.renew(sent, self.liveness.lease(), now);
        self.liveness.hear(
            request.node,
            Heard {
                at: now,
                generation: request.generation,
                applied_index: request.applied_index,
                load: request.load,
                troubles: request.troubles,
                leaving: false,
                without_lease: false,
            },
        );
    }

    async fn ask_leader(&self, request: HeartbeatRequest) {
        let metrics = self.metadata.metrics();
        let Some(leader) = metrics.status.leader.and_then(|id| metrics.members.get(&id)) else {
            return;
        };
        let within = self.liveness.lease() * 3 / 5;
        if let Err(failure) = self.ask(&leader.address, request, within).await {
            self.end(&failure);
        }
    }

    /// Sends a heartbeat; an answer renews the lease. An error says that this node must end.
    async fn ask(&self, address: &str, request: HeartbeatRequest, within: Duration) -> Result<(), Failure> {
        let Ok(mut client) = self.peers.client(address) else {
            return Ok(());
        };
        let sent = Instant::now();
        let mut request = tonic::Request::new(request);
        request.set_timeout(within);
        match tokio::time::timeout(within, client.heartbeat(request)).await {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                let length = Duration::from_millis(answer.lease_ms);
                if answer.lease_ms > 0 {
                    self.granted.fetch_max(answer.term, Ordering::AcqRel);
                }
                self.lease.renew(sent, length, Instant::now());
                Ok(())
            }
            Ok(Err(status)) => {
                let said = error_of(&status);
                let fatal = [codes::cluster::NODE_REMOVED, codes::cluster::SUPERSEDED];
                match fatal.into_iter().find(|code| code.as_str() == said.code) {
                    Some(code) => Err(Failure::new(code, said.message)),
                    None => {
                        tracing::debug!(address, "no lease: {status}");
                        Ok(())
                    }
                }
            }
            Err(_) => {
                tracing::debug!(address, "no answer to a heartbeat");
                self.peers.forget(address);
                Ok(())
            }
        }
    }

    /// Sends the same heartbeat to every node that is known from anywhere.
    async fn ask_around(&self, request: &HeartbeatRequest) -> Result<(), Failure> {
        let me = self.metadata.node_id();
        let mut addresses = BTreeSet::new();
        for (id, node) in self.metadata.metrics().members {
            if id != me {
                addresses.insert(node.address);
            }
        }
        if let Ok(state) = self.metadata.state() {
            let others = state
                .nodes()
                .filter(|n| n.id != me && n.state() != NodeState::Removed);
            addresses.extend(others.map(|n| n.address.clone()));
        }
        addresses.remove(&self.record.address);
        let asked = addresses.iter().map(|a| self.ask(a, request.clone(), ASK));
        futures::future::try_join_all(asked).await.map(drop)
    }

    /// Asks around every second until somebody says that this node must end.
    async fn ask_around_until_refused(&self) -> Failure {
        loop {
            tokio::time::sleep(ASK).await;
            if let Err(failure) = self.ask_around(&self.sign_of_life(0)).await {
                return failure;
            }
        }
    }

    /// Whether the local state says that this node was removed, which nothing ever undoes.
    fn is_removed_here(&self) -> bool {
        let me = self.metadata.node_id();
        let state = self.metadata.state();
        state.is_ok_and(|s| s.node(me).is_some_and(|n| n.state() == NodeState::Removed))
    }

    /// Whether consensus still counts this node's vote, as far as it knows.
    fn votes_here(&self) -> bool {
        let metrics = self.metadata.metrics();
        metrics.may_vote(metrics.node_id)
    }

    fn removed(&self) -> Failure {
        let words = format!("node {} was removed from the cluster", self.metadata.node_id());
        Failure::new(codes::cluster::NODE_REMOVED, words)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
