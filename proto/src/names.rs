//! Short names of enum values in files, tables and JSON.

include!(concat!(env!("OUT_DIR"), "/names.rs"));

pub(crate) fn is_zero(value: &i32) -> bool {
    *value == 0
}
