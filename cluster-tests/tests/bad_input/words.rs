//! What an answer must say.

use oms_proto::error_of;
use oms_proto::v1::{DatabaseSelection, PrecheckItem, PrecheckStatus};
use tonic::Status;

/// The error has the code and says all of the words.
#[track_caller]
pub(crate) fn says<T: std::fmt::Debug>(answer: Result<T, Status>, code: &str, words: &[&str]) {
    let error = error_of(&answer.unwrap_err());
    assert_eq!(error.code, code, "{}", error.message);
    mentions(&error.message, words);
}

#[track_caller]
pub(crate) fn mentions(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// The item of that key, which failed.
#[track_caller]
pub(crate) fn item<'i>(items: &'i [PrecheckItem], key: &str) -> &'i PrecheckItem {
    let found = |i: &&PrecheckItem| i.key == key && i.status() == PrecheckStatus::Failed;
    items
        .iter()
        .find(found)
        .unwrap_or_else(|| panic!("{key} did not fail: {items:?}"))
}

/// A whole database.
pub(crate) fn whole(database: &str) -> DatabaseSelection {
    DatabaseSelection {
        name: database.to_owned(),
        ..Default::default()
    }
}
