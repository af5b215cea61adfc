//! MySQL 9.7, run through the loader and the libraries that were unpacked with it.

use std::path::Path;
use std::process::Command;

use super::launch::{Accounts, Launch, mysqld_arguments, privileges, run};
use crate::error::Result;

fn base(program: &Path) -> Command {
    // program is HOME/usr/sbin/mysqld
    let usr = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let libraries = usr.join("lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(&libraries).arg(program);
    command.arg("--no-defaults");
    command.arg(format!("--basedir={}", usr.display()));
    command.arg(format!("--lc-messages-dir={}", usr.join("share/mysql").display()));
    command.arg(format!(
        "--character-sets-dir={}",
        usr.join("share/mysql/charsets").display()
    ));
    command.arg(format!("--plugin-dir={}", usr.join("lib/mysql/plugin").display()));
    command
}

/// Makes a fresh data folder.
pub(crate) fn prepare(program: &Path, data: &Path) -> Result<()> {
    let mut command = base(program);
    command
        .arg("--initialize-insecure")
        .arg(format!("--datadir={}", data.display()));
    command.args(["--secure-file-priv=", "--innodb-redo-log-capacity=64M"]);
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    run("preparing a MySQL 9.7 data folder", &mut command, None)
}

/// Statements that create the accounts, one a line.
pub(crate) fn accounts(accounts: &Accounts<'_>) -> String {
    let Accounts { password, role } = accounts;
    format!(
        "SET sql_log_bin=0;\n\
         ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n\
         CREATE USER 'root'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;\n\
         CREATE USER 'oms'@'%' IDENTIFIED BY '{password}';\n\
         GRANT {} ON *.* TO 'oms'@'%';\n",
        privileges(*role)
    )
}

/// The start command.
pub(crate) fn command(launch: &Launch<'_>) -> Command {
    let mut command = base(launch.program);
    let mut choices = vec![("mysqlx", Some("OFF")), ("innodb_redo_log_capacity", Some("64M"))];
    if launch.options.binlog {
        choices.extend([("log_bin", Some("binlog")), ("binlog_row_image", Some("FULL"))]);
    } else {
        choices.push(("skip_log_bin", None));
    }
    let gtid = launch.options.gtid && launch.options.binlog;
    let mode = if gtid { "ON" } else { "OFF" };
    choices.extend([
        ("gtid_mode", Some(mode)),
        ("enforce_gtid_consistency", Some(mode)),
    ]);
    mysqld_arguments(&mut command, launch, &choices);
    command
}
