//! Any text is a statement or is refused in words; it never panics.
#![no_main]

#[path = "../any_ddl.rs"]
mod any_ddl;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    any_ddl::read(text);
});
