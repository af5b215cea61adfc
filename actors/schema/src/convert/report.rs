//! What happened during one conversion.

use oms_core::{ErrorCode, codes};

use super::{ConversionNote, Outcome, Refusal};

#[derive(Default)]
pub(super) struct Report {
    notes: Vec<ConversionNote>,
    refusals: Vec<Refusal>,
}

impl Report {
    fn note(
        &mut self,
        object: &str,
        what: &str,
        from: impl Into<String>,
        to: impl Into<String>,
        lossy: bool,
    ) {
        let (object, what) = (object.to_owned(), what.to_owned());
        self.notes.push(ConversionNote {
            object,
            what,
            from: from.into(),
            to: to.into(),
            lossy,
        });
    }

    /// Something became something else that serves the same purpose.
    pub(super) fn changed(
        &mut self,
        object: &str,
        what: &str,
        from: impl Into<String>,
        to: impl Into<String>,
    ) {
        self.note(object, what, from, to, false);
    }

    /// Something became something else that is not quite the same.
    pub(super) fn weakened(
        &mut self,
        object: &str,
        what: &str,
        from: impl Into<String>,
        to: impl Into<String>,
    ) {
        self.note(object, what, from, to, true);
    }

    /// Something that has no effect on contents was left out.
    pub(super) fn dropped(&mut self, object: &str, what: &str, from: impl Into<String>) {
        self.note(object, what, from, "", false);
    }

    /// Something that could matter was left out.
    pub(super) fn lost(&mut self, object: &str, what: &str, from: impl Into<String>) {
        self.note(object, what, from, "", true);
    }

    /// Something stays as it is and is worth knowing.
    pub(super) fn remark(&mut self, object: &str, what: &str, value: impl Into<String>) {
        let value = value.into();
        self.note(object, what, value.clone(), value, false);
    }

    pub(super) fn refuse(&mut self, code: ErrorCode, reason: impl Into<String>) {
        self.refusals.push(Refusal {
            code,
            reason: reason.into(),
        });
    }

    pub(super) fn refuse_construct(&mut self, reason: impl Into<String>) {
        self.refuse(codes::schema::CONSTRUCT_NOT_SUPPORTED, reason);
    }

    pub(super) fn finish(self) -> (Vec<ConversionNote>, Outcome) {
        let outcome = match self.refusals.first() {
            Some(first) => Outcome::NotSupported(Refusal {
                code: first.code,
                reason: self
                    .refusals
                    .iter()
                    .map(|r| r.reason.as_str())
                    .collect::<Vec<_>>()
                    .join("; "),
            }),
            None if self.notes.iter().any(ConversionNote::is_change) => Outcome::Converted,
            None => Outcome::Compatible,
        };
        (self.notes, outcome)
    }
}
