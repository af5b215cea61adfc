//! What holds between the ends of a network, for connections that a proxy carries.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::sockets;

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A node by its number.
    Node(u8),
    /// The source database.
    Source,
    /// The destination database.
    Destination,
    /// Who asks a node from outside: tests and users.
    Outside,
}

/// One direction of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing passes; nobody is told.
    pub cut: bool,
    /// How long everything is under way.
    pub delay: Duration,
    /// At most so many bytes per second; 0: no limit.
    pub bytes_per_second: u64,
}

#[derive(Debug, Clone, Default)]
struct State {
    ways: BTreeMap<(End, End), Way>,
    /// How often the connections between two ends were broken off.
    resets: BTreeMap<(End, End), u64>,
}

/// All links of a network. Changes hold at once, also for connections that exist.
#[derive(Debug)]
pub struct Links {
    state: watch::Sender<State>,
    hosts: Mutex<BTreeMap<Ipv4Addr, End>>,
    processes: Mutex<BTreeMap<u32, End>>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            hosts: Mutex::default(),
            processes: Mutex::default(),
        }
    }
}

impl Links {
    /// Delay and rate of both directions between two ends.
    pub fn shape(&self, a: End, b: End, delay: Duration, bytes_per_second: u64) {
        self.state.send_modify(|state| {
            for pair in [(a, b), (b, a)] {
                let way = state.ways.entry(pair).or_default();
                way.delay = delay;
                way.bytes_per_second = bytes_per_second;
            }
        });
    }

    /// Delay and rate of every link of an end to `others`; zero of both: as fast as the machine.
    pub fn shape_all(&self, end: End, others: &[End], delay: Duration, bytes_per_second: u64) {
        for other in others.iter().filter(|other| **other != end) {
            self.shape(end, *other, delay, bytes_per_second);
        }
    }

    /// Stalls one direction, or lets it go on: bytes wait, connections stay.
    pub fn cut(&self, from: End, to: End, cut: bool) {
        self.state
            .send_modify(|state| state.ways.entry((from, to)).or_default().cut = cut);
    }

    /// Breaks off every connection between two ends that exists now.
    pub fn reset(&self, a: End, b: End) {
        self.state
            .send_modify(|state| *state.resets.entry((a.min(b), a.max(b))).or_default() += 1);
    }

    /// No direction is cut any more; delays and rates stay.
    pub fn heal(&self) {
        self.state
            .send_modify(|state| state.ways.values_mut().for_each(|way| way.cut = false));
    }

    pub(super) fn place(&self, address: Ipv4Addr, end: End) {
        self.hosts.lock().insert(address, end);
    }

    pub(super) fn run_as(&self, pid: u32, end: End) {
        let mut processes = self.processes.lock();
        processes.retain(|_, known| *known != end);
        processes.insert(pid, end);
    }

    /// Who opened a connection: by its address, or on the loopback device by the process that holds the socket.
    pub(super) fn opener(&self, from: SocketAddr) -> End {
        if let IpAddr::V4(address) = from.ip()
            && let Some(end) = self.hosts.lock().get(&address)
        {
            return *end;
        }
        let processes = self.processes.lock().clone();
        let holder = processes
            .iter()
            .find(|(pid, _)| sockets::holds_port(**pid, from.port()));
        holder.map_or(End::Outside, |(_, end)| *end)
    }

    pub(super) fn watch(&self, from: End, to: End) -> WayWatch {
        WayWatch {
            state: self.state.subscribe(),
            from,
            to,
        }
    }
}

/// One direction as a connection sees it.
#[derive(Debug, Clone)]
pub(super) struct WayWatch {
    state: watch::Receiver<State>,
    from: End,
    to: End,
}

impl WayWatch {
    pub(super) fn now(&self) -> Way {
        let state = self.state.borrow();
        state.ways.get(&(self.from, self.to)).copied().unwrap_or_default()
    }

    /// Returns when the direction is not cut.
    pub(super) async fn passable(&mut self) {
        let pair = (self.from, self.to);
        // An error: the network is gone, and this connection with it.
        let open = |state: &State| !state.ways.get(&pair).is_some_and(|way| way.cut);
        let _ = self.state.wait_for(open).await;
    }

    /// Returns when connections between the two ends are broken off.
    pub(super) async fn reset(&mut self) {
        let pair = (self.from.min(self.to), self.from.max(self.to));
        let count = |state: &State| state.resets.get(&pair).copied().unwrap_or_default();
        let before = count(&self.state.borrow());
        let _ = self.state.wait_for(|state| count(state) != before).await;
    }
}
