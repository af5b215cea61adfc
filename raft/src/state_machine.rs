//! What consensus is about.

/// A snapshot that cannot be read back.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the snapshot does not restore: {0}")]
pub struct RestoreError(pub String);

/// The replicated state.
///
/// # Contract
/// - `apply` is total and deterministic: the same commands in the same order give the same state and
///   the same replies on every node and every version of the program. A refusal is a reply. It reads no
///   clock, no randomness and no iteration order of a hash map, and it never panics on any input.
/// - `apply` is called once per committed command, in index order, by one caller at a time. After a
///   restart the commands since the last snapshot are applied again to the restored state.
/// - `restore(snapshot())` gives an equal state; a failed `restore` leaves the state unchanged.
/// - `apply` and `view` are quick: readers wait while they run.
pub trait StateMachine: Send + Sync + 'static {
    /// What readers get: a copy that is cheap to make (shared pointers), fixed at one applied index.
    type View: Clone + Send + Sync + 'static;

    /// Applies a command and returns its reply. Indexes rise strictly but not by one: consensus itself
    /// uses some.
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8>;

    /// The whole state as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the state by that of a snapshot.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;

    /// The state as readers see it.
    fn view(&self) -> Self::View;
}
