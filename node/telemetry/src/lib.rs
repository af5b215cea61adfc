//! Logs, traces and metrics of the daemon.
