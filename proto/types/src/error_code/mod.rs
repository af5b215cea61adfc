//! The catalogue of public error codes.
//!
//! A code is stable: once released it keeps its meaning and is never given to anything else. Each
//! entry says what happened, why, and what to do; `omsnode explain CODE` prints it. The
//! disposition in the entry is the only place that decides between retrying and stopping.

use std::fmt;

/// What a component does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Expected to pass by itself: retry with back-off until the retry window ends.
    Retry,
    /// Needs a decision: stop the component and show the error.
    StopAndAsk,
    /// A newer owner exists: stop at once and never retry.
    Fenced,
    /// Should be impossible: stop and ask for a report.
    Bug,
}

/// One entry of the catalogue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) action: &'static str,
    pub(crate) disposition: Disposition,
}

/// A stable public error code such as `OMS-SRC-0003`.
#[derive(Clone, Copy)]
pub struct ErrorCode(&'static Entry);

impl ErrorCode {
    /// The code's text.
    pub fn as_str(self) -> &'static str {
        self.0.code
    }

    /// A short name of what happened.
    pub fn title(self) -> &'static str {
        self.0.title
    }

    /// Why it happens.
    pub fn cause(self) -> &'static str {
        self.0.cause
    }

    /// What the reader should do.
    pub fn action(self) -> &'static str {
        self.0.action
    }

    /// What a component does about it.
    pub fn disposition(self) -> Disposition {
        self.0.disposition
    }

    /// Finds a code by its text, ignoring case.
    pub fn find(text: &str) -> Option<Self> {
        catalogue().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl PartialEq for ErrorCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
    }
}
impl Eq for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.code)
    }
}
impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

/// Declares one area of the catalogue: `NAME = "OMS-AREA-NNNN", Disposition, "title", "cause", "what to do";`
macro_rules! area {
    ($($name:ident = $code:literal, $disposition:ident, $title:literal, $cause:literal, $action:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title, ".")]
            pub const $name: crate::ErrorCode = crate::error_code::ErrorCode(&crate::error_code::Entry {
                code: $code,
                title: $title,
                cause: $cause,
                action: $action,
                disposition: crate::Disposition::$disposition,
            });
        )+
        pub(crate) const ALL: &[crate::ErrorCode] = &[$($name),+];
    };
}

/// The codes by area.
pub mod codes {
    pub mod api;
    pub mod apply;
    pub mod cluster;
    pub mod config;
    pub mod dst;
    pub mod filter;
    pub mod import;
    pub mod message;
    pub mod precheck;
    pub mod schema;
    pub mod src;
    pub mod store;
    pub mod switchover;
    pub mod verify;
}

/// All codes, by area and number.
pub fn catalogue() -> impl Iterator<Item = ErrorCode> {
    [
        codes::api::ALL,
        codes::apply::ALL,
        codes::cluster::ALL,
        codes::config::ALL,
        codes::dst::ALL,
        codes::filter::ALL,
        codes::import::ALL,
        codes::message::ALL,
        codes::precheck::ALL,
        codes::schema::ALL,
        codes::src::ALL,
        codes::store::ALL,
        codes::switchover::ALL,
        codes::verify::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for code in catalogue() {
            assert!(seen.insert(code.as_str()), "{code} is declared twice");
            let parts: Vec<_> = code.as_str().split('-').collect();
            assert_eq!(parts.len(), 3, "{code}");
            assert_eq!(parts[0], "OMS");
            assert!(
                parts[2].len() == 4 && parts[2].bytes().all(|b| b.is_ascii_digit()),
                "{code}"
            );
            for text in [code.title(), code.cause(), code.action()] {
                assert!(!text.trim().is_empty(), "{code} has an empty text");
            }
        }
        assert!(ErrorCode::find("oms-src-0001").is_some());
        assert!(ErrorCode::find("OMS-SRC-9999").is_none());
    }
}
