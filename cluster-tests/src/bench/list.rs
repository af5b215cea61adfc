//! Which benches there are.

use std::future::Future;
use std::pin::Pin;

use super::{BenchOptions, BenchResult};

/// A bench at work. It stays on the thread that began it.
pub type BenchFuture<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<BenchResult>>> + 'a>>;

/// One bench.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// What people write.
    pub name: &'static str,
    /// What `deploy/servers` installs for it.
    pub needs: &'static str,
    /// How much data it takes when nothing else is asked for.
    pub rows: &'static str,
    /// How many rounds it takes when nothing else is asked for.
    pub rounds: &'static str,
    /// What it measures.
    pub about: &'static str,
    run: for<'a> fn(&'a BenchOptions, &'a mut dyn FnMut(String)) -> BenchFuture<'a>,
}

impl Bench {
    /// Measures. `progress` hears what happens meanwhile.
    pub fn run<'a>(&self, options: &'a BenchOptions, progress: &'a mut dyn FnMut(String)) -> BenchFuture<'a> {
        (self.run)(options, progress)
    }
}

macro_rules! list {
    ($(bench $module:ident $name:literal, $needs:literal, $rows:literal, $rounds:literal, $about:literal;)*) => {
        &[$(Bench {
            name: $name,
            needs: $needs,
            rows: stringify!($rows),
            rounds: stringify!($rounds),
            about: $about,
            run: |options, progress| Box::pin(super::$module::$module(options, progress)),
        }),*]
    };
}

// bench MODULE "NAME", "NEEDS", ROWS, ROUNDS, "SENTENCE"; (one line each: deploy/bench reads them)
const BENCHES: &[Bench] = list! {
    bench decode "decode", "mariadb sysbench", 400000, 5, "Decode a binlog on one core, beside mysqlbinlog -v and the driver's own decoding";
    bench capture "capture", "mariadb sysbench", 800000, 5, "Bring a binlog over the network to local disk, beside a replica's I/O thread";
    bench incr_sync "incr-sync", "mariadb seekdb sysbench", 2000000, 5, "Drain a backlog of row changes, beside MariaDB's own replication and beside ready statements";
    bench kafka "kafka", "mariadb kafka debezium sysbench", 400000, 5, "Drain a backlog of row changes into Kafka, beside Debezium and beside a producer of ready messages";
    bench latency "latency", "mariadb", 10000, 5, "Time from commit at the source to visible at the destination, at 1,000 transactions a second";
    bench full_import "full-import", "mariadb seekdb mydumper", 5000000, 5, "Move eight tables into an empty server, beside mydumper and dump, and beside ready texts";
    bench verify "verify", "mariadb seekdb percona", 5000000, 5, "Compare all rows of two databases, beside pt-table-checksum and a plain scan of both";
    bench memory "memory", "mariadb", 10000, 1, "Peak memory of a node with values of 64 MB, a transaction of 3 GB, 10,000 tables, 100 projects";
    bench idle "idle", "network", 30, 5, "Time to the first answer, and memory and processor time of nodes that have nothing to do; --rows: seconds of idling";
    bench failover "failover", "mariadb network", 0, 20, "Kill incr-sync's node and wait for the first row that its new owner applied";
};

/// All benches in the order in which they are listed.
pub fn benches() -> &'static [Bench] {
    BENCHES
}
