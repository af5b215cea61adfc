//! Data folders that are prepared once and copied for every start.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::kind::{ServerKind, servers_folder};
use super::launch::run;
use super::{mariadb, mysql56, mysql97};
use crate::error::{Result, TestbedError};

/// Copies a prepared data folder of `kind` to `data`, preparing it first when this program has none yet. seekdb makes its
/// own folder in less time than a copy takes.
pub(crate) fn copy(kind: ServerKind, program: &Path, data: &Path) -> Result<()> {
    if kind == ServerKind::SeekDb {
        return std::fs::create_dir_all(data).map_err(TestbedError::file(data));
    }
    let template = template(kind, program)?;
    let mut command = Command::new("cp");
    command
        .args(["-a", "--reflink=auto", "--sparse=always"])
        .arg(&template)
        .arg(data);
    run("copying a data folder", &mut command, None)
}

fn template(kind: ServerKind, program: &Path) -> Result<PathBuf> {
    let meta = std::fs::metadata(program).map_err(TestbedError::file(program))?;
    let changed = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let folder = servers_folder().join("templates");
    std::fs::create_dir_all(&folder).map_err(TestbedError::file(&folder))?;
    // Another program file means another template.
    let template = folder.join(format!("{}-{}-{}", kind.name(), meta.len(), changed.as_secs()));
    if template.is_dir() {
        return Ok(template);
    }
    let lock_path = folder.join(format!("{}.lock", kind.name()));
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(TestbedError::file(&lock_path))?;
    lock.lock().map_err(TestbedError::file(&lock_path))?;
    if template.is_dir() {
        return Ok(template);
    }
    let work = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&folder)
        .map_err(TestbedError::file(&folder))?;
    let data = work.path().join("data");
    match kind {
        ServerKind::MariaDb => mariadb::prepare(&data)?,
        ServerKind::Mysql56 => mysql56::prepare(program, &data)?,
        ServerKind::Mysql97 => mysql97::prepare(program, &data)?,
        ServerKind::SeekDb => return Err(TestbedError::program("preparing a template", "seekdb needs none")),
    }
    // Each copy must become a server with an identity of its own.
    match std::fs::remove_file(data.join("auto.cnf")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(TestbedError::file(data.join("auto.cnf"))(e));
        }
        _ => {}
    }
    std::fs::rename(&data, &template).map_err(TestbedError::file(&template))?;
    Ok(template)
}
