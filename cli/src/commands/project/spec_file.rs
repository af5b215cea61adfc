//! The files that say what a project shall do.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;
use oms_proto::v1::ProjectSpec;

use crate::{error::CliError, object_list::parse_object_list, spec::parse_spec};

/// More than this is neither a spec file nor a list of objects; the parser says so.
const MAX_BYTES: u64 = (16 << 20) + 1;

/// A spec file, and a list of objects in place of its selection.
#[derive(Args, Clone, Debug)]
pub(crate) struct SpecFile {
    /// Spec file, YAML or JSON; `-`: standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Take exactly these objects instead of what the spec selects: CSV with the columns source_database,
    /// source_table, destination_database, destination_table, column_mapping, filter (`project preview --csv` writes one)
    #[arg(long, value_name = "CSV")]
    objects: Option<PathBuf>,
}

impl SpecFile {
    /// Reads both.
    pub(super) fn read(&self) -> Result<ProjectSpec, CliError> {
        let (bytes, name) = bytes(&self.file)?;
        let mut spec = parse_spec(&bytes, &name)?;
        if let Some(list) = &self.objects {
            if list == Path::new("-") && self.file == Path::new("-") {
                return Err(CliError::Usage(
                    "--file and --objects cannot both be standard input".to_owned(),
                ));
            }
            let (bytes, name) = self::bytes(list)?;
            if bytes.len() as u64 >= MAX_BYTES {
                return Err(CliError::Usage(format!(
                    "{name}: larger than 16 MiB, which no list of objects is"
                )));
            }
            parse_object_list(&bytes, &name)?.replace(&mut spec);
        }
        Ok(spec)
    }
}

/// Reads a spec file without a list of objects beside it.
pub(super) fn read(file: &Path) -> Result<ProjectSpec, CliError> {
    let (bytes, name) = bytes(file)?;
    Ok(parse_spec(&bytes, &name)?)
}

fn bytes(file: &Path) -> Result<(Vec<u8>, String), CliError> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let name = "standard input".to_owned();
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(CliError::io(&name))?;
        return Ok((bytes, name));
    }
    let name = file.display().to_string();
    let open = std::fs::File::open(file).map_err(CliError::io(&name))?;
    open.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(CliError::io(&name))?;
    Ok((bytes, name))
}
