//! The replicated state machine: pure, deterministic, without I/O or clock.
//!
//! * [`MetaState::apply`] is the only mutation. It is total: a command that cannot be carried out
//!   leaves the state as it was and is answered with a refusal. Equal states and equal commands
//!   give equal states and replies on every node; time comes in the command, maps are ordered.
//! * [`schedule`] compares what is with what should be and proposes commands. It is level
//!   triggered: it may run at any time, on stale views and twice; every command that it proposes
//!   names what it expects, so a stale one is refused.

mod changes;
mod command;
mod component;
mod data_source;
mod definitions;
mod leadership;
mod node;
mod object;
mod overlap;
mod project;
mod recovery;
mod reverse;
mod schedule;
mod setting;
mod state;
mod steps;
mod switchover;
mod template;
mod token;
mod tuning;
mod view;
mod voters;

pub use command::{FEATURE_LEVEL, MetaCommand, chooses_rows_or_columns, command, level_of};
pub use leadership::{Followers, Handover, LeadershipPolicy, Tenure, successor};
pub use schedule::{SchedulePolicy, schedule};
pub use setting::{SETTINGS, SettingEffect};
pub use state::{MetaState, StateError};
pub use steps::{component_of, steps_of};
pub use switchover::{
    DEFAULT_MAX_LAG_SECONDS, SwitchoverOrder, SwitchoverWork, planned_switchover, switched_over,
    switchover_missing, switchover_order,
};
pub use tuning::{MOST_WORKERS, check_full, check_incremental};
pub use view::{ClusterView, Liveness, Members, NodeView};
pub use voters::{VoterChange, VoterPolicy, voter_change};

/// Version of commands, replies and snapshots that this binary writes.
pub const VERSION: u32 = 1;
