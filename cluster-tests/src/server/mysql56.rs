//! MySQL 5.6: a bare `mysqld` with its share folder.

use std::path::Path;
use std::process::Command;

use super::launch::{Accounts, Launch, mysqld_arguments, privileges, run};
use crate::error::{Result, TestbedError};

fn base(program: &Path) -> Command {
    let home = program.parent().unwrap_or(Path::new("/"));
    let mut command = Command::new(program);
    // libaio lies beside the program.
    command.env("LD_LIBRARY_PATH", home);
    command.arg("--no-defaults");
    command.arg(format!("--basedir={}", home.display()));
    command.arg(format!("--lc-messages-dir={}", home.join("share").display()));
    command.arg(format!(
        "--character-sets-dir={}",
        home.join("share/charsets").display()
    ));
    command
}

/// Makes a fresh data folder by running the server's own system table scripts; there is no install script in the package.
pub(crate) fn prepare(program: &Path, data: &Path) -> Result<()> {
    let share = program.parent().unwrap_or(Path::new("/")).join("share");
    let system = data.join("mysql");
    std::fs::create_dir_all(&system).map_err(TestbedError::file(&system))?;
    let mut script = b"USE mysql;\n".to_vec();
    for name in ["mysql_system_tables.sql", "mysql_system_tables_data.sql"] {
        let path = share.join(name);
        script.extend(std::fs::read(&path).map_err(TestbedError::file(&path))?);
    }
    let mut command = base(program);
    command
        .arg("--bootstrap")
        .arg(format!("--datadir={}", data.display()));
    command.args(["--innodb-log-file-size=24M", "--innodb-buffer-pool-size=32M"]);
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    run("preparing a MySQL 5.6 data folder", &mut command, Some(script))
}

/// Statements that create the accounts, one a line.
pub(crate) fn accounts(accounts: &Accounts<'_>) -> String {
    let Accounts { password, role } = accounts;
    format!(
        "SET sql_log_bin=0;\n\
         DELETE FROM mysql.user WHERE User='' OR (User='root' AND Host<>'localhost');\n\
         FLUSH PRIVILEGES;\n\
         SET PASSWORD FOR 'root'@'localhost' = PASSWORD('{password}');\n\
         GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' IDENTIFIED BY '{password}' WITH GRANT OPTION;\n\
         GRANT {} ON *.* TO 'oms'@'%' IDENTIFIED BY '{password}';\n",
        privileges(*role)
    )
}

/// The start command.
pub(crate) fn command(launch: &Launch<'_>) -> Command {
    let mut command = base(launch.program);
    let mut choices = vec![
        ("innodb_log_file_size", Some("24M")),
        ("explicit_defaults_for_timestamp", Some("1")),
    ];
    if launch.options.binlog {
        choices.extend([
            ("log_bin", Some("binlog")),
            ("binlog_format", Some("ROW")),
            ("binlog_row_image", Some("FULL")),
            ("log_slave_updates", Some("1")),
        ]);
        if launch.options.gtid {
            choices.extend([("gtid_mode", Some("ON")), ("enforce_gtid_consistency", Some("1"))]);
        }
    }
    mysqld_arguments(&mut command, launch, &choices);
    command
}
