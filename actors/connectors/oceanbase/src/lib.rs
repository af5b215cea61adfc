//! OceanBase connector: what OceanBase as a destination needs beyond the MySQL family's sink.
//!
//! OceanBase speaks the MySQL protocol, so [`OceanBaseSink`] is `oms-mysql`'s sink with
//! [`OceanBaseDialect`]: its isolation level, limits and error numbers.

mod dialect;
mod sink;

pub use dialect::OceanBaseDialect;
pub use sink::OceanBaseSink;
