//! Any bytes decode as a binary log or fail; they never panic.
#![no_main]

#[path = "../any_log.rs"]
mod any_log;

use std::sync::OnceLock;

use any_log::AnyLog;
use libfuzzer_sys::fuzz_target;

static ANY_LOG: OnceLock<AnyLog> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    ANY_LOG.get_or_init(AnyLog::new).decode(data);
});
