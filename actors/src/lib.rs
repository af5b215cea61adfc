//! Supervised component actors: store, full import, incremental synchronization, verification.
//!
//! A component is a [`Behavior`] under a [`ComponentHost`]. The host gives each component an actor of
//! its own: the actor is the control surface (stop, observe) and the supervisor of one worker, which
//! moves the data on bounded channels. Rows never travel through a mailbox.
//!
//! What happens when a worker ends with an error is decided in one place from the error's
//! disposition: transient errors and crashes are retried in place with a growing pause until the
//! [`RetryPolicy`] gives up; everything else ends the component and is reported. A component that was
//! fenced ends without writing anything more.

mod behavior;
mod clock;
mod context;
mod host;
mod live;
mod log;
mod observation;
mod reporter;
mod retry;
mod worker;

mod components;

pub use behavior::{Behavior, Completion};
pub use clock::{Clock, SystemClock};
pub use components::{
    Alone, DdlDecision, DdlEntry, DefinitionPorts, EchoCount, EntryState, EntryStep, FollowSettings,
    FollowedSelection, FullImport, FullImportSettings, FullVerification, FullVerificationSettings, History,
    IncrSync, IncrSyncSettings, Lanes, LogConsumer, LogStart, LogStream, Mapping, NewTables, OtherNodes,
    Settle, Shelf, ShelfGuard, ShelvedLog, SourceDefinitions, SourceFacts, Store, StoreSettings, StoreSite,
    load_pairs_each,
};
pub use context::Context;
pub use host::{ComponentHost, HostError};
pub use live::Live;
pub use log::{ComponentLog, LogLevel, LogLine};
pub use observation::{Observation, Progress, ProgressCell, RunState, Trouble};
pub use reporter::{Facts, Reporter};
pub use retry::RetryPolicy;
