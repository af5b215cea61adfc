//! OceanBase connector: what OceanBase needs beyond the MySQL family, as a destination and as a source.
//!
//! OceanBase speaks the MySQL protocol, so [`OceanBaseSink`] is `oms-mysql`'s sink with
//! [`OceanBaseDialect`]: its isolation level, limits and error numbers. It writes no log that can be
//! followed over SQL, so [`OceanBaseSource`] compares its states at two moments.

mod dialect;
mod sink;
mod source;

pub use dialect::OceanBaseDialect;
pub use sink::OceanBaseSink;
pub use source::OceanBaseSource;
