//! Collecting items.

use oms_core::{ErrorCode, Failure, PrecheckItem, PrecheckSide, PrecheckStatus};

use super::keys::KEYS;

/// At most this many names are listed in one message.
const LISTED: usize = 20;

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    items: Vec<PrecheckItem>,
}

impl Ledger {
    pub(super) fn passed(&mut self, key: &'static str, side: PrecheckSide, message: impl Into<String>) {
        self.add(key, side, PrecheckStatus::Passed, false, None, message.into(), "");
    }

    pub(super) fn warning(
        &mut self,
        key: &'static str,
        side: PrecheckSide,
        message: impl Into<String>,
        action: &str,
    ) {
        self.add(
            key,
            side,
            PrecheckStatus::Warning,
            false,
            None,
            message.into(),
            action,
        );
    }

    pub(super) fn failed(
        &mut self,
        key: &'static str,
        side: PrecheckSide,
        code: ErrorCode,
        message: impl Into<String>,
        action: &str,
    ) {
        self.add(
            key,
            side,
            PrecheckStatus::Failed,
            false,
            Some(code),
            message.into(),
            action,
        );
    }

    pub(super) fn failed_skippable(
        &mut self,
        key: &'static str,
        side: PrecheckSide,
        code: Option<ErrorCode>,
        message: impl Into<String>,
        action: &str,
    ) {
        self.add(
            key,
            side,
            PrecheckStatus::Failed,
            true,
            code,
            message.into(),
            action,
        );
    }

    pub(super) fn not_checked(&mut self, key: &'static str, side: PrecheckSide, message: impl Into<String>) {
        self.add(
            key,
            side,
            PrecheckStatus::NotChecked,
            false,
            None,
            message.into(),
            "",
        );
    }

    /// The item fails as the failure says.
    pub(super) fn failure(&mut self, key: &'static str, side: PrecheckSide, failure: &Failure) {
        let code = failure.code();
        self.failed(
            key,
            side,
            code,
            format!("{}: {}", code.title(), failure.detail()),
            code.action(),
        );
    }

    /// Passes when nothing is listed.
    pub(super) fn none_of(
        &mut self,
        key: &'static str,
        side: PrecheckSide,
        code: ErrorCode,
        found: &[String],
        what: &str,
        action: &str,
    ) {
        if found.is_empty() {
            self.passed(key, side, format!("no {what}"));
        } else {
            self.failed(key, side, code, format!("{what}: {}", listed(found)), action);
        }
    }

    pub(super) fn into_items(self) -> Vec<PrecheckItem> {
        self.items
    }

    // One private funnel behind the named ones above.
    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        key: &'static str,
        side: PrecheckSide,
        status: PrecheckStatus,
        skippable: bool,
        code: Option<ErrorCode>,
        message: String,
        action: &str,
    ) {
        debug_assert!(KEYS.binary_search(&key).is_ok(), "{key} is not listed");
        self.items.push(PrecheckItem {
            key,
            side,
            status,
            skippable,
            code,
            message,
            action: action.to_owned(),
        });
    }
}

/// The first names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let rest = names.len().saturating_sub(LISTED);
    if rest == 0 {
        shown.join(", ")
    } else {
        format!("{} and {rest} more", shown.join(", "))
    }
}
