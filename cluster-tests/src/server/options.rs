//! How a server is started.

use std::collections::BTreeMap;

/// What a server is for; sets whether it writes a binlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Binlog on, row format, full images, a server id.
    Source,
    /// Binlog off, `local_infile` on.
    Destination,
}

/// Settings of one server. Begin with [`ServerOptions::source`] or [`ServerOptions::destination`].
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub(crate) role: Role,
    pub(crate) gtid: bool,
    pub(crate) binlog: bool,
    pub(crate) durable: bool,
    pub(crate) variables: BTreeMap<String, Option<String>>,
}

impl ServerOptions {
    /// A source: binlog in row format with full images; GTID on where it can be chosen.
    pub fn source() -> Self {
        Self {
            role: Role::Source,
            gtid: true,
            binlog: true,
            durable: false,
            variables: BTreeMap::new(),
        }
    }

    /// A destination: no binlog, `LOAD DATA LOCAL` allowed.
    pub fn destination() -> Self {
        Self {
            role: Role::Destination,
            gtid: false,
            binlog: false,
            durable: false,
            variables: BTreeMap::new(),
        }
    }

    /// MySQL's `gtid_mode`; MariaDB has its GTIDs always and seekdb none, both ignore this.
    pub fn gtid(mut self, on: bool) -> Self {
        self.gtid = on;
        self
    }

    /// Whether MySQL's `gtid_mode` is asked for.
    pub fn gives_gtids(&self) -> bool {
        self.gtid
    }

    /// Whether there is a binlog at all (seekdb has none and ignores this).
    pub fn binlog(mut self, on: bool) -> Self {
        self.binlog = on;
        self
    }

    /// Flush and sync at every commit. Off by default: an ended process loses nothing either way, only an ended machine
    /// does.
    pub fn durable(mut self, on: bool) -> Self {
        self.durable = on;
        self
    }

    /// Sets a server variable (a parameter for seekdb), over the testbed's own choice. Underscores as in `SHOW VARIABLES`.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.variables
            .insert(variable.replace('-', "_"), Some(value.to_owned()));
        self
    }

    /// Adds an option that has no value, such as `skip_ssl`.
    pub fn flag(mut self, option: &str) -> Self {
        self.variables.insert(option.replace('-', "_"), None);
        self
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }
}
