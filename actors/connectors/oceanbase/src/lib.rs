//! OceanBase connector: destination dialect, fences and prechecks.
