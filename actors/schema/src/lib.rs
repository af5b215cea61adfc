//! Table definitions, type mapping and dialect translation.
