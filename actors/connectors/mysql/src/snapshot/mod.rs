//! Reading rows by queries.
