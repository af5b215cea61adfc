//! The omsnode command.
fn main() {}
