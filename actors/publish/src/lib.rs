//! A queue of messages as the destination of a project.
//!
//! [`TopicSink`] is an [`oms_core::Sink`] that writes to an [`oms_core::MessageSink`]: incremental synchronization and full
//! import run over it as they run over a database. What they rest on (positions, receipts and effects that commit
//! together, behind a claim) is what the queue's transactions give. The argument is on the page
//! `node/docs/synchronization-projects.md`.

mod composer;
mod note_records;
mod notebook;
mod publication;
mod receipt_note;
mod topic_applier;
mod topic_chunk_writer;
mod topic_claim;
mod topic_sink;

pub use note_records::NoteRecords;
pub use publication::{NewTopics, PlanOf, Publication, PublishedTable, TopicOf};
pub use topic_sink::{Clock, TopicSink};
