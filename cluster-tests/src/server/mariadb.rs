//! MariaDB from the system's package.

use std::path::Path;
use std::process::Command;

use super::launch::{Accounts, Launch, mysqld_arguments, privileges, run};
use crate::error::Result;

/// Makes a fresh data folder.
pub(crate) fn prepare(data: &Path) -> Result<()> {
    let mut command = Command::new("mariadb-install-db");
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()));
    command.args([
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
    ]);
    command.arg("--innodb-log-file-size=32M");
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    run("preparing a MariaDB data folder", &mut command, None)
}

/// Statements that create the accounts, one a line.
pub(crate) fn accounts(accounts: &Accounts<'_>) -> String {
    let Accounts { password, role } = accounts;
    format!(
        "SET sql_log_bin=0;\n\
         DELETE FROM mysql.global_priv WHERE User='' OR (User='root' AND Host<>'localhost');\n\
         FLUSH PRIVILEGES;\n\
         ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n\
         CREATE OR REPLACE USER 'root'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;\n\
         CREATE OR REPLACE USER 'oms'@'%' IDENTIFIED BY '{password}';\n\
         GRANT {} ON *.* TO 'oms'@'%';\n",
        privileges(*role)
    )
}

/// The start command.
pub(crate) fn command(launch: &Launch<'_>) -> Command {
    let mut command = Command::new(launch.program);
    command.arg("--no-defaults");
    let mut choices = vec![("innodb_log_file_size", Some("32M"))];
    if launch.options.binlog {
        choices.extend([
            ("log_bin", Some("binlog")),
            ("binlog_format", Some("ROW")),
            ("binlog_row_image", Some("FULL")),
            ("log_slave_updates", Some("1")),
        ]);
    }
    mysqld_arguments(&mut command, launch, &choices);
    command
}
