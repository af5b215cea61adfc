//! Following the definitions of the source through its log (`node/docs/ddl-synchronization.md`).

mod archive;
mod entry;
mod followed;
mod follower;
mod judgement;
mod ports;
mod selection;
#[cfg(test)]
mod tests;

pub use archive::History;
pub use entry::{DdlDecision, DdlEntry, EntryState, EntryStep};
pub(crate) use follower::{Follower, Parts};
pub use ports::{DefinitionPorts, SourceDefinitions, SourceFacts};
pub use selection::{FollowedSelection, NewTables};
