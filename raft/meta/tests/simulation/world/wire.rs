//! What travels between nodes and to databases, apart from consensus: late, and sometimes very late.

use oms_meta::MetaCommand;
use oms_proto::{peer::Trouble, v1::NodeState};
use oms_types::ComponentKind;

use super::World;
use crate::{
    breach::Breach,
    database::{Answer, Op, Violation},
};

/// Who asked a database, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(super) node: usize,
    pub(super) start: u64,
    pub(super) project: usize,
    pub(super) kind: ComponentKind,
    pub(super) epoch: u64,
    pub(super) request: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    Heartbeat {
        from: usize,
        to: usize,
        sent: i64,
        /// Whether the node held a lease when it sent this.
        leased: bool,
        troubles: Vec<Trouble>,
    },
    Lease {
        to: usize,
        sent: i64,
        lease: i64,
    },
    Propose {
        to: usize,
        body: Box<MetaCommand>,
    },
    Request {
        caller: Caller,
        op: Op,
    },
    Reply {
        caller: Caller,
        answer: Answer,
    },
}

impl World {
    pub(super) fn linked(&self, from: usize, to: usize) -> bool {
        from == to || !self.cut.contains(&(from, to))
    }

    pub(super) fn send(&mut self, delay: u64, message: Message) {
        self.messages += 1;
        self.queue.insert((self.tick + delay, self.messages), message);
    }

    /// Most are fast, some are not.
    pub(super) fn delay(&mut self) -> u64 {
        if self.random.percent(2) {
            self.random.within(3, 40)
        } else {
            self.random.below(3)
        }
    }

    /// The same over a link that may be slow.
    pub(super) fn delay_between(&mut self, from: usize, to: usize) -> u64 {
        self.delay() + self.slow.get(&(from, to)).copied().unwrap_or_default()
    }

    pub(super) fn deliver(&mut self) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.tick {
                return Ok(());
            }
            let message = entry.remove();
            let receiver = match &message {
                Message::Heartbeat { to, .. } | Message::Lease { to, .. } | Message::Propose { to, .. } => {
                    Some(*to)
                }
                Message::Reply { caller, .. } => Some(caller.node),
                Message::Request { .. } => None,
            };
            if let Some(to) = receiver {
                let node = &self.nodes[to];
                if !node.up {
                    continue;
                }
                // What arrives at a process that is stopped waits in its socket.
                if node.frozen_until > self.tick {
                    let wait = node.frozen_until - self.tick;
                    self.send(wait, message);
                    continue;
                }
            }
            self.receive(message)?;
        }
        Ok(())
    }

    fn receive(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Heartbeat {
                from,
                to,
                sent,
                leased,
                troubles,
            } => {
                // Removed nodes get no lease. As long as they vote it counts that they are there.
                let id = self.nodes[from].id;
                let known = self
                    .known(to)
                    .node(id)
                    .is_some_and(|n| n.state() != NodeState::Removed);
                let heard = known || self.breach != Some(Breach::EarlyEnd) && self.may_vote(to, id);
                // Who holds a lease of this leader has answered it: over slow links its rounds get through by chance alone.
                let tick = self.tick;
                if let Some(leading) = self.nodes[to].leading.as_mut()
                    && leased
                {
                    leading.answered.insert(id, tick);
                }
                let granted = if heard {
                    let breach = self.breach;
                    self.nodes[to].hear(id, leased || !known, troubles, breach)
                } else {
                    None
                };
                let lease = granted.filter(|_| known);
                if let Some(lease) = lease
                    && self.linked(to, from)
                {
                    let delay = self.delay_between(to, from);
                    self.send(
                        delay,
                        Message::Lease {
                            to: from,
                            sent,
                            lease,
                        },
                    );
                }
            }
            Message::Lease { to, sent, lease } => {
                let node = &mut self.nodes[to];
                node.lease_until = node.lease_until.max(sent + lease);
            }
            Message::Propose { to, body } => {
                if self.nodes[to].leading.is_some() {
                    let _ = self.commit(to, *body)?;
                }
            }
            Message::Request { caller, op } => {
                let (_, destination) = &mut self.databases[caller.project];
                let answer = destination.execute(caller.kind, caller.epoch, op)?;
                if let Answer::Claimed {
                    checkpoint: Some((_, above)),
                    ..
                } = &answer
                    && caller.kind == ComponentKind::IncrSync
                {
                    self.tally.gaps += u64::from(!above.is_empty());
                }
                let database = Self::database(caller.project, caller.kind);
                if !self.cut_database.contains(&(caller.node, database, false)) {
                    let delay = self.delay();
                    self.send(delay, Message::Reply { caller, answer });
                }
            }
            Message::Reply { caller, answer } => {
                let node = &mut self.nodes[caller.node];
                let now = node.mono_us;
                if node.start == caller.start
                    && let Some(worker) = node.workers.get_mut(&(caller.project, caller.kind))
                    && worker.epoch == caller.epoch
                {
                    worker.answered(caller.request, answer, now);
                    if let Some((run, chunk)) = worker.compared.take() {
                        self.databases[caller.project].1.compares(run, chunk);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn propose(&mut self, n: usize, body: MetaCommand) {
        let Some(leader) = self.nodes[n].leader else {
            return;
        };
        if self.linked(n, leader) {
            let delay = self.delay_between(n, leader);
            let body = Box::new(body);
            self.send(delay, Message::Propose { to: leader, body });
        }
    }

    pub(super) fn ask(&mut self, caller: Caller, op: Op) {
        self.messages = self.messages.max(caller.request) + 1;
        let database = Self::database(caller.project, caller.kind);
        let cut = self.cut_database.contains(&(caller.node, database, true));
        let delay = match (cut, self.random.percent(50)) {
            (false, _) => self.delay(),
            (true, true) => return,
            // It is sent again and again, and arrives when nobody expects it any more.
            (true, false) => self.random.within(10, 200),
        };
        self.send(delay, Message::Request { caller, op });
    }
}
