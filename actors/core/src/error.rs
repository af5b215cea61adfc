//! The error that crosses connector traits.

use std::{error::Error as StdError, fmt, time::Duration};

use oms_types::{Disposition, ErrorCode};

/// What went wrong, in public terms.
///
/// The detail names the object (table, statement kind, position) and never holds row values or
/// secrets, because it is logged and shown in the API. Row values that a user asked for travel in
/// results, not in failures.
#[derive(Debug)]
pub struct Failure {
    code: ErrorCode,
    detail: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    lasting: Duration,
}

impl Failure {
    /// A failure with its code and the detail that makes it actionable.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            source: None,
            lasting: Duration::ZERO,
        }
    }

    /// Says for how long it had lasted already when it was noticed: for example since when nothing had been heard.
    pub fn lasting_for(mut self, time: Duration) -> Self {
        self.lasting = time;
        self
    }

    /// For how long it had lasted already when it was noticed; zero unless known.
    pub fn lasting(&self) -> Duration {
        self.lasting
    }

    /// Adds the error that caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts words in front of the detail, for example the table that was being worked on. Words that it
    /// begins with already are not repeated.
    pub fn context(mut self, words: impl fmt::Display) -> Self {
        let words = format!("{words}: ");
        if !self.detail.starts_with(&words) {
            self.detail.insert_str(0, &words);
        }
        self
    }

    /// Its public code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The detail.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Everything but the code: title, detail and causes, for places that show the code beside it.
    pub fn text(&self) -> String {
        let whole = self.to_string();
        let code = format!("{} ", self.code);
        whole.strip_prefix(&code).map_or(whole.clone(), str::to_owned)
    }

    /// What a component does about it.
    pub fn disposition(&self) -> Disposition {
        self.code.disposition()
    }

    /// Whether trying again may help without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        self.disposition() == Disposition::Retry
    }

    /// Whether a newer owner exists.
    pub fn is_fenced(&self) -> bool {
        self.disposition() == Disposition::Fenced
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.code.title(), self.detail)?;
        let mut cause = self.source.as_deref().map(|e| e as &dyn StdError);
        while let Some(error) = cause {
            let text = error.to_string();
            if !self.detail.contains(&text) {
                write!(f, ": {text}")?;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_put_in_front_once() {
        let failure = Failure::new(oms_types::codes::api::INTERNAL, "`t`: no such column");
        let failure = failure.context("`t`").context("`t`").context("source");
        assert_eq!(failure.detail(), "source: `t`: no such column");
        let failure = Failure::new(oms_types::codes::api::INTERNAL, "`tt`: words").context("`t`");
        assert_eq!(failure.detail(), "`t`: `tt`: words");
    }
}
