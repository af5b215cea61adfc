//! What a check before the start of a project found.

use oms_types::ErrorCode;

/// Which end an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrecheckSide {
    /// The source.
    Source,
    /// The destination.
    Destination,
    /// Both, compared with each other.
    Both,
}

impl PrecheckSide {
    /// Its name for people and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "Source",
            Self::Destination => "Destination",
            Self::Both => "Both",
        }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrecheckStatus {
    /// As it should be.
    Passed,
    /// Worth knowing; does not hold anything up.
    Warning,
    /// Must be mended, or skipped where the item allows it.
    Failed,
    /// Not checked, because it does not apply or something it needs failed.
    NotChecked,
}

/// One item of a precheck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecheckItem {
    /// Stable key, for example `DB_INCR_LOG`; with the side it names the item.
    pub key: &'static str,
    /// Which end it is about.
    pub side: PrecheckSide,
    /// What came out.
    pub status: PrecheckStatus,
    /// Whether a project may start although it failed, if its user says so by name.
    pub skippable: bool,
    /// The code that a component would stop with, where one would.
    pub code: Option<ErrorCode>,
    /// What was found. Names objects; no row values, no secrets.
    pub message: String,
    /// What to do; empty when passed.
    pub action: String,
}

impl PrecheckItem {
    /// Whether it holds up the start when the items named in `skipped` are skipped.
    pub fn blocks(&self, skipped: &[String]) -> bool {
        self.status == PrecheckStatus::Failed
            && !(self.skippable && skipped.iter().any(|s| s.eq_ignore_ascii_case(self.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failed_items_block_and_only_skippable_ones_can_be_skipped() {
        let item = |status, skippable| PrecheckItem {
            key: "DB_X",
            side: PrecheckSide::Source,
            status,
            skippable,
            code: None,
            message: String::new(),
            action: String::new(),
        };
        let skip = ["db_x".to_owned()];
        assert!(item(PrecheckStatus::Failed, true).blocks(&[]));
        assert!(!item(PrecheckStatus::Failed, true).blocks(&skip));
        assert!(item(PrecheckStatus::Failed, false).blocks(&skip));
        for status in [
            PrecheckStatus::Passed,
            PrecheckStatus::Warning,
            PrecheckStatus::NotChecked,
        ] {
            assert!(!item(status, false).blocks(&[]));
        }
    }
}
