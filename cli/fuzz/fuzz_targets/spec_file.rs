//! Any bytes are a spec or are refused in words; they never panic.
#![no_main]

#[path = "../any_spec.rs"]
mod any_spec;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    any_spec::read(data);
});
