//! The leader's own time in office: when it hands over, and how.
//!
//! A handover must cost nothing but a moment without a leader. With a lease of `L` and the times that are derived from it:
//! the leader has itself confirmed (0), and falls silent; every voter accepts another leader after at most 0.47 `L`; the
//! chosen one is elected within a round trip and, at once, has itself confirmed and renews the nodes' leases, which last
//! until `L`. If nothing has come of it after 0.7 `L` the leader goes on, and renews them itself. So no lease ends on the
//! way, and nothing has to stop or move. See `node/docs/leadership.md`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use oms_core::{Failure, codes};
use oms_meta::{Handover, LeadershipPolicy, Tenure, successor};
use oms_proto::peer::StandForElectionRequest;
use tokio::time::Instant;

use crate::{lease::Lease, liveness::LivenessTable, metadata::Metadata, peer::PeerChannels};

/// What it takes to hand over.
#[derive(Clone)]
pub(crate) struct Deed {
    pub(crate) metadata: Metadata,
    pub(crate) liveness: Arc<LivenessTable>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) peers: Arc<PeerChannels>,
    pub(crate) cluster_id: String,
}

impl Deed {
    /// Hands leadership to a voter; returns when another node leads.
    ///
    /// # Errors
    /// `OMS-API-0009` when it did not work: this node leads on, or another one is about to be elected.
    pub(crate) async fn hand_to(&self, to: u64) -> Result<(), Failure> {
        // The leases that are out there shall last as long as they can, ...
        let begun = self.confirm().await?;
        let handed = self.attempt(to, begun + self.liveness.lease() * 7 / 10).await;
        if handed.is_err() {
            // ... and be renewed before they end.
            let _ = self.confirm().await;
        }
        handed
    }

    /// Has a majority confirm this leader, and with it what it may give; the moment from which that counts.
    async fn confirm(&self) -> Result<Instant, Failure> {
        let length = self.liveness.lease();
        let term = self.metadata.watch().borrow().term;
        let begun = Instant::now();
        if !self.metadata.confirm_leadership(length / 4).await {
            return Err(failed("no majority confirms this leader"));
        }
        let now = Instant::now();
        if !self.liveness.confirm(term, begun, now) {
            return Err(failed("this node leads no more"));
        }
        self.lease.renew(begun, length, now);
        Ok(begun)
    }

    async fn attempt(&self, to: u64, until: Instant) -> Result<(), Failure> {
        let metrics = self.metadata.metrics();
        let member = metrics.members.get(&to);
        let member = member.ok_or_else(|| failed("the node is no member"))?;
        let mut client = self.peers.client(&member.address)?;
        let silence = self.metadata.fall_silent(to, self.liveness.lease() / 8).await?;
        let mut request = tonic::Request::new(StandForElectionRequest {
            cluster_id: self.cluster_id.clone(),
            leader: self.metadata.node_id(),
            term: silence.term(),
            last_log: silence.last_log(),
            after_ms: millis(silence.remaining()),
        });
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        // Ending the call early, as when the time is over, calls the election off.
        let asked = async {
            match client.stand_for_election(request).await {
                // It asks for votes: the rest is waiting.
                Ok(_) => std::future::pending::<Failure>().await,
                Err(status) => failed(&format!("node {to} does not stand: {}", status.message())),
            }
        };
        tokio::select! {
            succeeded = silence.ended_by_another(until) => match succeeded {
                true => Ok(()),
                false => Err(failed("nobody was elected in time")),
            },
            failure = asked => Err(failure),
        }
    }

    /// Before this node stops: hands over to the best voter that is there, if this node leads and there is one.
    pub(crate) async fn resign(&self) {
        let status = self.metadata.watch().borrow().clone();
        if !self.liveness.observe(&status, Instant::now()) {
            return;
        }
        let Ok(state) = self.metadata.state() else { return };
        let members = self.metadata.members();
        let view = self.liveness.view(members.voters.iter().copied(), Instant::now());
        let Some(to) = successor(&state, &view, &members, &self.metadata.followers()) else {
            return;
        };
        match self.hand_to(to).await {
            Ok(()) => tracing::info!(to, "leadership was handed over, as this node stops"),
            Err(failure) => tracing::info!(to, "this node stops as the leader: {failure}"),
        }
    }
}

/// Follows who should lead, on the leader.
pub(crate) struct Office {
    deed: Deed,
    policy: LeadershipPolicy,
    failures: u32,
    tried: Option<Instant>,
    /// Since when each voter has been seen alive without a break.
    steady: BTreeMap<u64, Instant>,
}

impl Office {
    pub(crate) fn new(deed: Deed) -> Self {
        let lease_ms = u64::try_from(deed.liveness.lease().as_millis()).unwrap_or(u64::MAX);
        Self {
            policy: LeadershipPolicy::of_lease(lease_ms),
            deed,
            failures: 0,
            tried: None,
            steady: BTreeMap::new(),
        }
    }

    /// To be called often while this node leads: hands over when that is due.
    pub(crate) async fn look(&mut self) {
        let Some(Handover { to, because }) = self.due(Instant::now()) else {
            return;
        };
        tracing::info!(to, because, "handing leadership over");
        let begun = Instant::now();
        match self.deed.hand_to(to).await {
            Ok(()) => {
                let took_ms = begun.elapsed().as_millis();
                tracing::info!(to, took_ms, "leadership was handed over");
                (self.failures, self.tried) = (0, None);
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                self.tried = Some(Instant::now());
                tracing::warn!(
                    to,
                    failures = self.failures,
                    "leadership was not handed over: {failure}"
                );
            }
        }
    }

    /// Whether leadership shall go before this node loses its vote: a few attempts are worth waiting for.
    pub(crate) fn is_about_to_hand_over(&self) -> bool {
        let anytime = Tenure {
            led_ms: u64::MAX,
            ..Tenure::default()
        };
        self.failures < 3 && self.decide(Instant::now(), anytime).is_some()
    }

    fn due(&mut self, now: Instant) -> Option<Handover> {
        let led = self.deed.liveness.led(now)?;
        let members = self.deed.metadata.members();
        let view = self.deed.liveness.view(members.voters.iter().copied(), now);
        self.steady.retain(|id, _| view.is_alive(*id));
        for id in members.voters.iter().filter(|id| view.is_alive(**id)) {
            self.steady.entry(*id).or_insert(now);
        }
        let tenure = Tenure {
            led_ms: millis(led),
            failures: self.failures,
            tried_ms: self.tried.map(|at| millis(now.saturating_duration_since(at))),
        };
        self.decide(now, tenure)
    }

    fn decide(&self, now: Instant, tenure: Tenure) -> Option<Handover> {
        let metadata = &self.deed.metadata;
        let members = metadata.members();
        let view = self.deed.liveness.view(members.voters.iter().copied(), now);
        let mut followers = metadata.followers();
        let steady = self
            .steady
            .iter()
            .map(|(id, since)| (*id, millis(now.saturating_duration_since(*since))));
        followers.steady_ms = steady.collect();
        self.policy
            .handover(&*metadata.state().ok()?, &view, &members, &followers, tenure)
    }

    /// What was seen under another leadership counts no more.
    pub(crate) fn leave(&mut self) {
        self.steady.clear();
    }
}

fn failed(what: &str) -> Failure {
    Failure::new(codes::api::UNAVAILABLE, what.to_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
