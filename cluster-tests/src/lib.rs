//! Testbed with real servers: starts the databases that `deploy/servers` installed, fills them with a corpus of every type
//! and shape, writes to them, judges their content, and takes everything away again.
//!
//! End-to-end tests, fault injection and benches stand on it.

mod auditor;
mod bank;
pub mod bench;
mod checksum;
mod client;
mod cluster;
mod corpus;
mod error;
mod load;
pub mod nemesis;
mod node;
mod port;
mod server;
mod sysbench;

pub use auditor::{Audit, Auditor};
pub use bank::{Bank, BankOptions};
pub use checksum::{
    ColumnClass, ColumnShape, Comparison, TableChecksum, columns, compare_tables, identifier, table_checksum,
};
pub use client::{Client, RawValue};
pub use cluster::{Deployment, DeploymentOptions, End, Home, Lan, Links, NodeCluster, Place, SmallDisk, Way};
pub use corpus::Corpus;
pub use error::{Result, TestbedError};
pub use load::{LOAD_TABLES, Load, LoadCounters, LoadOptions};
pub use node::{Admission, Answer, CorpusRun, OmsNode, ProjectClient, Scenario, data_source_kind};
pub use port::PortLease;
pub use server::{Debezium, KafkaCluster, Listener, Role, Server, ServerKind, ServerOptions, servers_folder};
pub use sysbench::{Sysbench, SysbenchLoad};
