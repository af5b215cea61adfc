//! What is kept of an object.

use oms_core::{ErrorCode, Failure, ObjectName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ObjectOperation, ObjectState};
use crate::ConversionNote;

/// Why an object failed, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectError {
    /// The public code.
    pub code: String,
    /// The text.
    pub text: String,
}

impl ObjectError {
    /// From a code and a text.
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            text: text.into(),
        }
    }
}

impl From<&Failure> for ObjectError {
    fn from(failure: &Failure) -> Self {
        Self::new(failure.code(), failure.detail())
    }
}

/// An operation that the object's state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation:?} is not possible while the object is {state:?}")]
pub struct OperationRefused {
    /// What was asked for.
    pub operation: ObjectOperation,
    /// The state at that time.
    pub state: ObjectState,
}

/// An object of the schema step. It changes only through its methods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Its name at the source.
    pub source: ObjectName,
    /// Its name at the destination.
    pub name: ObjectName,
    /// Its state.
    pub state: ObjectState,
    /// What the source said.
    pub source_definition: String,
    /// The converted statements.
    pub statements: Vec<String>,
    /// The user's statement in their place.
    pub edited: Option<String>,
    /// What was changed.
    pub notes: Vec<ConversionNote>,
    /// Why it failed.
    pub error: Option<ObjectError>,
}

impl ObjectRecord {
    /// A new object, `Initializing`.
    pub fn new(source: ObjectName, name: ObjectName) -> Self {
        Self {
            source,
            name,
            state: ObjectState::Initializing,
            source_definition: String::new(),
            statements: Vec::new(),
            edited: None,
            notes: Vec::new(),
            error: None,
        }
    }

    /// What is executed: the user's statement if there is one.
    pub fn to_execute(&self) -> Vec<&str> {
        match &self.edited {
            Some(statement) => vec![statement],
            None => self.statements.iter().map(String::as_str).collect(),
        }
    }

    /// What the user may do now.
    pub fn operations(&self) -> Vec<ObjectOperation> {
        self.state.operations(self.edited.is_some())
    }

    /// The definition was read.
    pub fn obtained(&mut self, definition: impl Into<String>) {
        self.source_definition = definition.into();
        self.state = ObjectState::Obtained;
        self.error = None;
    }

    /// The definition could not be read or understood.
    pub fn not_obtained(&mut self, error: ObjectError) {
        self.state = ObjectState::FailedToObtain;
        self.error = Some(error);
    }

    /// The definition was converted.
    pub fn ready(&mut self, statements: Vec<String>, notes: Vec<ConversionNote>) {
        self.statements = statements;
        self.notes = notes;
        self.state = ObjectState::Ready;
        self.error = None;
    }

    /// The destination has nothing like it.
    pub fn not_supported(&mut self, error: ObjectError, notes: Vec<ConversionNote>) {
        self.notes = notes;
        self.state = ObjectState::NotSupported;
        self.error = Some(error);
    }

    /// Execution begins. False, and nothing changes, unless it is `Ready`, or `Creating` because an
    /// earlier execution was cut off.
    pub fn start(&mut self) -> bool {
        let may = matches!(self.state, ObjectState::Ready | ObjectState::Creating);
        if may {
            self.state = ObjectState::Creating;
        }
        may
    }

    /// It is at the destination.
    pub fn succeeded(&mut self) {
        let changed = self.edited.is_some() || self.notes.iter().any(ConversionNote::is_change);
        self.state = if changed {
            ObjectState::CompletedWithConversion
        } else {
            ObjectState::Completed
        };
        self.error = None;
    }

    /// The destination refused it.
    pub fn failed(&mut self, error: ObjectError) {
        self.state = ObjectState::Failed;
        self.error = Some(error);
    }

    fn permit(&self, operation: ObjectOperation) -> Result<(), OperationRefused> {
        if self.operations().contains(&operation) {
            Ok(())
        } else {
            Err(OperationRefused {
                operation,
                state: self.state,
            })
        }
    }

    /// Tries again: with the user's statement if there is one, else from where it failed.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn retry(&mut self) -> Result<(), OperationRefused> {
        self.permit(ObjectOperation::Retry)?;
        let has_statement = self.edited.is_some() || !self.statements.is_empty();
        self.state = if has_statement {
            ObjectState::Ready
        } else {
            ObjectState::Initializing
        };
        self.error = None;
        Ok(())
    }

    /// Leaves it to the user. Final.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn skip(&mut self) -> Result<(), OperationRefused> {
        self.permit(ObjectOperation::Skip)?;
        self.state = ObjectState::Skipped;
        Ok(())
    }

    /// Takes it out of the project. Final; what is at the destination stays there.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn remove(&mut self) -> Result<(), OperationRefused> {
        self.permit(ObjectOperation::Remove)?;
        self.state = ObjectState::Removed;
        Ok(())
    }

    /// Replaces the statement; it is executed by the next retry.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn edit(&mut self, statement: impl Into<String>) -> Result<(), OperationRefused> {
        self.permit(ObjectOperation::Edit)?;
        self.edited = Some(statement.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{ObjectKind, codes};

    use super::*;

    fn record() -> ObjectRecord {
        let name = ObjectName {
            kind: ObjectKind::Table,
            database: "d".into(),
            table: "t".into(),
            part: String::new(),
        };
        ObjectRecord::new(name.clone(), name)
    }

    fn error() -> ObjectError {
        ObjectError::new(codes::schema::OBJECT_FAILED, "1050")
    }

    #[test]
    fn a_failed_object_is_edited_retried_and_completed() {
        let mut r = record();
        assert!(r.operations().is_empty() && !r.start());
        r.obtained("CREATE TABLE …");
        r.ready(vec!["CREATE".into()], Vec::new());
        assert!(r.skip().is_err() && r.edit("x").is_err());
        assert!(r.start() && r.state == ObjectState::Creating && r.start());
        r.failed(error());
        assert_eq!(r.to_execute(), ["CREATE"]);
        r.edit("CREATE EDITED").unwrap();
        assert_eq!(r.state, ObjectState::Failed);
        r.retry().unwrap();
        assert_eq!(
            (r.state, r.to_execute(), &r.error),
            (ObjectState::Ready, vec!["CREATE EDITED"], &None)
        );
        assert!(r.start());
        r.succeeded();
        assert_eq!(r.state, ObjectState::CompletedWithConversion);
        assert!(r.retry().is_err() && r.skip().is_err());
        r.remove().unwrap();
        assert!(r.state.is_settled());
    }

    #[test]
    fn what_is_not_supported_is_retried_only_after_an_edit() {
        let mut r = record();
        r.obtained("x");
        r.not_supported(error(), Vec::new());
        assert!(r.retry().is_err());
        r.edit("CREATE").unwrap();
        r.retry().unwrap();
        assert_eq!(r.state, ObjectState::Ready);
    }

    #[test]
    fn a_definition_that_could_not_be_read_is_read_again() {
        let mut r = record();
        r.not_obtained(error());
        assert!(r.state.needs_decision());
        r.retry().unwrap();
        assert_eq!(r.state, ObjectState::Initializing);
        r.not_obtained(error());
        r.skip().unwrap();
        assert_eq!(r.state, ObjectState::Skipped);
        assert_eq!(r.retry().unwrap_err().state, ObjectState::Skipped);
    }
}
