//! The components of a migration project.
