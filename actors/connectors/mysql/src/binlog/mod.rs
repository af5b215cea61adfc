//! Following and decoding the binary log.
