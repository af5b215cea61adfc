//! The folders.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use super::{
    difference::Difference,
    files::{self, Line, damaged, failed},
    journal::{Journal, JournalState},
    table_result::{RunSummary, TableResult},
};
use crate::{Scope, VerifyError};

const VERSION: u32 = 1;

/// The results of a project. Only plain file operations, which block for a short time.
#[derive(Clone, Debug)]
pub struct Results {
    folder: PathBuf,
}

impl Results {
    /// The results of a project below `root` (`<data dir>/verify`). Nothing is created yet.
    ///
    /// # Errors
    /// When the project's name cannot be the name of a folder.
    pub fn new(root: &Path, project: &str) -> Result<Self, VerifyError> {
        let usable = !project.is_empty()
            && project.len() <= 200
            && !project.starts_with('.')
            && !project.contains(['/', '\\', '\0']);
        if !usable {
            return Err(VerifyError::Unknown(
                "the project's name cannot be the name of a folder".into(),
            ));
        }
        Ok(Self {
            folder: root.join(project),
        })
    }

    /// Numbers of the runs that have begun, ascending.
    pub fn runs(&self) -> Result<Vec<u32>, VerifyError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(&self.folder)(e)),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(&self.folder))?;
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok());
            runs.extend(number.filter(|_| entry.path().join("run.json").exists()));
        }
        runs.sort_unstable();
        Ok(runs)
    }

    /// A run that has begun.
    pub fn run(&self, number: u32) -> Result<RunFolder, VerifyError> {
        let folder = self.folder.join(number.to_string());
        let manifest: Option<Manifest> = files::read_json(&folder.join("run.json"))?;
        let manifest =
            manifest.ok_or_else(|| VerifyError::Unknown(format!("there is no verification run {number}")))?;
        if manifest.version != VERSION {
            let detail = format!("version {} is not known here", manifest.version);
            return Err(damaged(&folder.join("run.json"), detail));
        }
        Ok(RunFolder { folder, manifest })
    }

    /// Begins a run, or takes up the one with this number that was begun before.
    ///
    /// # Errors
    /// When the number was begun with another scope or other tables.
    pub fn begin(
        &self,
        number: u32,
        scope: Scope,
        tables: Vec<(TableName, TableName)>,
    ) -> Result<RunFolder, VerifyError> {
        let folder = self.folder.join(number.to_string());
        let manifest = Manifest {
            version: VERSION,
            number,
            scope,
            tables,
        };
        if folder.join("run.json").exists() {
            let run = self.run(number)?;
            if run.manifest.scope != manifest.scope || run.manifest.tables != manifest.tables {
                let words = format!("verification run {number} was begun with another scope or other tables");
                return Err(VerifyError::Unknown(words));
            }
            return Ok(run);
        }
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
        files::write_json(&folder.join("run.json"), &manifest)?;
        files::sync_folder(&folder).map_err(failed(&folder))?;
        Ok(RunFolder { folder, manifest })
    }

    /// Removes all runs. Idempotent.
    pub fn remove(&self) -> Result<(), VerifyError> {
        match fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(&self.folder)(e)),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    number: u32,
    scope: Scope,
    tables: Vec<(TableName, TableName)>,
}

/// The results of a run. Readable while it runs.
#[derive(Clone, Debug)]
pub struct RunFolder {
    folder: PathBuf,
    manifest: Manifest,
}

impl RunFolder {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.manifest.number
    }

    /// What it looks at.
    pub fn scope(&self) -> Scope {
        self.manifest.scope
    }

    fn file(&self, table: usize, kind: &str) -> PathBuf {
        self.folder.join(format!("{table:06}.{kind}"))
    }

    /// The results of its tables, in the order of the project; [`crate::TableVerdict::Unfinished`]
    /// for those that have not ended.
    pub fn tables(&self) -> Result<Vec<TableResult>, VerifyError> {
        let result = |index: usize, (source, destination): &(TableName, TableName)| {
            let known = self.table_result(index)?;
            Ok(known.unwrap_or_else(|| TableResult::unfinished(source.clone(), destination.clone())))
        };
        self.manifest
            .tables
            .iter()
            .enumerate()
            .map(|(i, names)| result(i, names))
            .collect()
    }

    /// The run's result, when it is complete.
    pub fn summary(&self) -> Result<Option<RunSummary>, VerifyError> {
        files::read_json(&self.folder.join("summary.json"))
    }

    /// The differences of a table, when it has ended; none before.
    pub fn differences(&self, source: &TableName) -> Result<DifferenceReader, VerifyError> {
        let index = self.manifest.tables.iter().position(|(s, _)| s == source);
        let index =
            index.ok_or_else(|| VerifyError::Unknown(format!("{source} is not in this verification run")))?;
        let path = self.file(index, "differences");
        let file = match File::open(&path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(&path)(e)),
        };
        Ok(DifferenceReader { path, file })
    }

    pub(crate) fn table_result(&self, table: usize) -> Result<Option<TableResult>, VerifyError> {
        files::read_json(&self.file(table, "json"))
    }

    pub(crate) fn journal(
        &self,
        table: usize,
        fingerprint: &str,
    ) -> Result<(Journal, JournalState), VerifyError> {
        Journal::open(&self.file(table, "journal"), fingerprint)
    }

    /// Ends a table: differences first, then the result that says they are complete.
    pub(crate) fn end_table(
        &self,
        table: usize,
        result: &TableResult,
        differences: &[Difference],
    ) -> Result<(), VerifyError> {
        let path = self.file(table, "differences");
        files::write_whole(&path, |out| {
            differences
                .iter()
                .try_for_each(|d| out.write_all(&files::line(d)?))
        })?;
        files::write_json(&self.file(table, "json"), result)?;
        let journal = self.file(table, "journal");
        match fs::remove_file(&journal) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(&journal)(e)),
            _ => Ok(()),
        }
    }

    pub(crate) fn end(&self, summary: &RunSummary) -> Result<(), VerifyError> {
        files::write_json(&self.folder.join("summary.json"), summary)
    }
}

/// Reads the differences of a table one after the other; memory for one of them. Ends after an error.
#[derive(Debug)]
pub struct DifferenceReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
}

impl Iterator for DifferenceReader {
    type Item = Result<Difference, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = files::next_line(self.file.as_mut()?);
        match outcome {
            Ok(Line::Whole(difference, _)) => Some(Ok(difference)),
            Ok(Line::End) => {
                self.file = None;
                None
            }
            Ok(Line::Broken) => {
                self.file = None;
                Some(Err(damaged(&self.path, "a line is damaged")))
            }
            Err(e) => {
                self.file = None;
                Some(Err(failed(&self.path)(e)))
            }
        }
    }
}
