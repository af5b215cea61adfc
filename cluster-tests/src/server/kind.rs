//! The kinds of servers the testbed can start.

use std::path::PathBuf;

use crate::error::{Result, TestbedError};

/// A database server that `deploy/servers` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// MariaDB 10.11 or what the system's package holds.
    MariaDb,
    /// MySQL 5.6.24.
    Mysql56,
    /// MySQL 9.7.
    Mysql97,
    /// OceanBase's stand-alone server, kernel 4.3.5.
    SeekDb,
}

impl ServerKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::MariaDb, Self::Mysql56, Self::Mysql97, Self::SeekDb];
    /// The kinds that have a binlog.
    pub const SOURCES: [Self; 3] = [Self::MariaDb, Self::Mysql56, Self::Mysql97];
    /// The kinds that the project writes to.
    pub const DESTINATIONS: [Self; 3] = [Self::SeekDb, Self::Mysql97, Self::MariaDb];

    /// The name on the command line of `omsnode-testbed` and `deploy/servers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::Mysql56 => "mysql56",
            Self::Mysql97 => "mysql97",
            Self::SeekDb => "seekdb",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The server's program; an error that names `deploy/servers` when it is not there.
    pub fn program(self) -> Result<PathBuf> {
        let folder = servers_folder();
        let candidates = match self {
            Self::MariaDb => {
                let mut found: Vec<PathBuf> = std::env::var_os("PATH")
                    .map(|path| {
                        std::env::split_paths(&path)
                            .map(|folder| folder.join("mariadbd"))
                            .collect()
                    })
                    .unwrap_or_default();
                found.extend(["/usr/sbin/mariadbd".into(), "/usr/local/sbin/mariadbd".into()]);
                found
            }
            Self::Mysql56 => vec![folder.join("mysql-5.6/mysqld")],
            Self::Mysql97 => vec![folder.join("mysql-9.7/usr/sbin/mysqld")],
            Self::SeekDb => vec![folder.join("seekdb-1.4.0/seekdb")],
        };
        candidates
            .iter()
            .find(|path| path.is_file())
            .cloned()
            .ok_or_else(|| TestbedError::NotInstalled {
                kind: self.name(),
                path: candidates
                    .last()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
                argument: self.name(),
            })
    }
}

impl std::fmt::Display for ServerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where `deploy/servers` puts what it installs: `$OMSNODE_SERVERS`, else a folder in the user's cache.
pub fn servers_folder() -> PathBuf {
    match std::env::var_os("OMSNODE_SERVERS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into()))
            .join(".cache/omsnode/servers"),
    }
}
