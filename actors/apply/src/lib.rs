//! Object mapping, conflict graph, apply lanes and safe mode.
