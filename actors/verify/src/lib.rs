//! Full verification: all columns of all rows of both sides are compared while both are written to.
//!
//! `node/docs/verification.md` is the argument why a reported difference is real and why none is
//! overlooked. In short: a difference that is seen once is a *candidate*; candidates are read again
//! by key on both sides until they agree or are proven.
//!
//! * [`Verifier`] runs a verification: workers, chunks, re-checks, progress, resumption;
//! * [`Results`] reads back what was found: keys without row values, in records at the destination that every
//!   node can read;
//! * [`Inspector`] reads recorded differences again, with values and correction statements.
//!
//! The crate knows databases only through [`oms_core::SnapshotReader`].

mod compare;
mod error;
mod inspect;

mod options;
mod progress;
mod results;
mod scan;
mod sides;
#[cfg(feature = "testing")]
pub mod testing;
mod verifier;

pub use compare::{Charsets, Utf8Charsets};
pub use error::VerifyError;
pub use inspect::{ColumnValues, InspectedDifference, Inspector, KeyValue, PREAMBLE};

pub use options::{Pacing, Preset, Scope, VerifyOptions};
pub use progress::{TableProgress, TableStage, VerifyProgress};
pub use results::{
    Difference, DifferenceKey, DifferenceKind, DifferenceReader, Results, RunResults, RunSummary,
    TableResult, TableVerdict,
};
pub use sides::{Barrier, Pause, Side, Sides, SourceAndSink, TokioPause};
pub use verifier::{Ended, Verification, Verifier};
