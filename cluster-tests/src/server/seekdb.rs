//! OceanBase's stand-alone server. It listens on all interfaces and begins without a password, so the password is set
//! as soon as it answers.

use std::collections::BTreeMap;
use std::process::Command;

use super::launch::{Accounts, Launch, privileges};

/// The start command. Parameters are stored by the server, so a restart needs only port and folder.
pub(crate) fn command(launch: &Launch<'_>, first: bool) -> Command {
    let mut command = Command::new(launch.program);
    command.env("TELEMETRY_ENABLED", "false");
    command.arg("--nodaemon");
    command.arg("--port").arg(launch.port.to_string());
    command.arg("--base-dir").arg(launch.folder.join("data"));
    if first {
        let mut parameters: BTreeMap<&str, &str> = BTreeMap::from([
            ("memory_budget", "2G"),
            ("log_disk_size", "2G"),
            ("datafile_size", "64M"),
            ("datafile_next", "64M"),
            ("datafile_maxsize", "20G"),
        ]);
        for (name, value) in &launch.options.variables {
            parameters.insert(name, value.as_deref().unwrap_or("true"));
        }
        for (name, value) in parameters {
            command.arg("--parameter").arg(format!("{name}={value}"));
        }
    }
    command
}

/// Statements that set the passwords, to be run by `root` with an empty one; the last sets `root`'s.
pub(crate) fn accounts(accounts: &Accounts<'_>) -> Vec<String> {
    let Accounts { password, role } = accounts;
    // No binlog, hence no replication privileges to give.
    let privileges = match role {
        super::Role::Source => "SELECT",
        super::Role::Destination => privileges(*role),
    };
    vec![
        // The first definition after the start takes long to be made known, and a client that is killed meanwhile jams the
        // server (3 of 127 tries, 0 of 167 behind these statements): tests that kill clients shall not find the server's
        // defect instead of ours.
        "CREATE DATABASE first_definitions".to_owned(),
        "CREATE TABLE first_definitions.one (id INT PRIMARY KEY)".to_owned(),
        "DROP DATABASE first_definitions".to_owned(),
        format!("CREATE USER 'oms'@'%' IDENTIFIED BY '{password}'"),
        format!("GRANT {privileges} ON *.* TO 'oms'@'%'"),
        format!("ALTER USER root IDENTIFIED BY '{password}'"),
    ]
}
