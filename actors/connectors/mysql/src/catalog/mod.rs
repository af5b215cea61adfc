//! Reading definitions and server properties.
