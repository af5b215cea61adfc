//! MySQL's binary JSON: to text, and changed by the differences that partial updates log.

mod binary;
mod difference;
mod document;
mod text;

pub(crate) use binary::to_text;
pub(crate) use difference::apply;
pub(crate) use document::Document;
