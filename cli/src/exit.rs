//! How the command ends.

use std::process::ExitCode;

/// Exit codes. They are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Not done; standard error says why.
    Failure = 1,
    /// The command line is wrong, or a confirmation is missing.
    Usage = 2,
    /// Done, and both sides differ.
    Differences = 3,
    /// The time given with `--timeout` is over.
    TimedOut = 4,
    /// Ended by Ctrl-C, or by a second signal while stopping.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
