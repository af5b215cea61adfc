//! What differs between the kinds when a server is prepared and started.

use std::path::Path;
use std::process::Command;

use super::options::{Role, ServerOptions};
use crate::error::{Result, TestbedError};

/// The accounts every server of the testbed has.
#[derive(Debug, Clone)]
pub(crate) struct Accounts<'a> {
    pub(crate) password: &'a str,
    pub(crate) role: Role,
}

/// Everything a start command is made of.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) port: u16,
    pub(crate) server_id: u32,
    pub(crate) options: &'a ServerOptions,
    /// Only at the first start: a file of statements that create the accounts.
    pub(crate) init_file: Option<&'a Path>,
}

/// Arguments of a `mysqld`-like server: the testbed's choices with the caller's over them.
pub(crate) fn mysqld_arguments(command: &mut Command, launch: &Launch<'_>, choices: &[(&str, Option<&str>)]) {
    let folder = launch.folder;
    command.arg(format!("--datadir={}", folder.join("data").display()));
    command.arg(format!("--socket={}", folder.join("s.sock").display()));
    command.arg(format!("--pid-file={}", folder.join("server.pid").display()));
    command.arg(format!("--tmpdir={}", folder.display()));
    command.arg(format!("--port={}", launch.port));
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    if let Some(file) = launch.init_file {
        command.arg(format!("--init-file={}", file.display()));
    }
    let durable = launch.options.durable;
    let server_id = launch.server_id.to_string();
    let shared: [(&str, Option<&str>); 14] = [
        ("bind_address", Some("127.0.0.1")),
        ("skip_name_resolve", None),
        ("secure_file_priv", Some("")),
        ("local_infile", Some("1")),
        ("character_set_server", Some("utf8mb4")),
        ("max_connections", Some("200")),
        ("max_allowed_packet", Some("256M")),
        ("innodb_buffer_pool_size", Some("128M")),
        (
            "innodb_flush_log_at_trx_commit",
            Some(if durable { "1" } else { "2" }),
        ),
        ("performance_schema", Some("OFF")),
        ("table_open_cache", Some("400")),
        ("innodb_file_per_table", Some("1")),
        ("server_id", Some(&server_id)),
        ("sync_binlog", Some(if durable { "1" } else { "0" })),
    ];
    let own = &launch.options.variables;
    for (name, value) in shared.iter().chain(choices) {
        if !own.contains_key(*name) {
            argument(command, name, *value);
        }
    }
    for (name, value) in own {
        argument(command, name, value.as_deref());
    }
}

fn argument(command: &mut Command, name: &str, value: Option<&str>) {
    let name = name.replace('_', "-");
    match value {
        Some(value) => command.arg(format!("--{name}={value}")),
        None => command.arg(format!("--{name}")),
    };
}

/// Privileges of the account that the project itself uses.
pub(crate) fn privileges(role: Role) -> &'static str {
    match role {
        Role::Source => "SELECT, SHOW VIEW, REPLICATION SLAVE, REPLICATION CLIENT",
        Role::Destination => "ALL PRIVILEGES",
    }
}

/// Runs a preparation command to its end; its output becomes part of the error.
pub(crate) fn run(what: &str, command: &mut Command, input: Option<Vec<u8>>) -> Result<()> {
    use std::io::Write;
    use std::process::Stdio;
    let fail = |e: std::io::Error| TestbedError::program(what, e);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(fail)?;
    let stdin = child.stdin.take();
    let feeder = std::thread::spawn(move || {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that ends early closes the pipe; its own exit status says why.
            let _ = stdin.write_all(&input);
        }
    });
    let output = child.wait_with_output().map_err(fail)?;
    let _ = feeder.join();
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(TestbedError::program(what, format!("{}\n{text}", output.status)))
}
