//! Programs that a bench runs to their end.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::ProcessUse;
use super::meter::{cpu_seconds, peak_mb};

/// A child program such as a dump tool. It is ended when this process ends by a signal to the group only; a run is meant
/// to be short.
#[derive(Debug)]
pub struct Tool {
    name: String,
    command: Command,
}

/// How a [`Tool`] ran.
#[derive(Debug, Clone)]
pub struct ToolRun {
    /// From start to end.
    pub seconds: f64,
    /// Processor time with that of its children, and the peak of its memory.
    pub used: ProcessUse,
    /// What it wrote to standard output, when that was asked for.
    pub output: String,
}

impl Tool {
    /// The program `program`, found by `PATH`.
    pub fn new(program: &str) -> Self {
        let command = Command::new(program);
        Self {
            name: program.to_owned(),
            command,
        }
    }

    /// A shell pipeline with failures of every part reported; `name` stands for it in results.
    pub fn pipeline(name: &str, script: &str) -> Self {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", script]);
        Self {
            name: name.to_owned(),
            command,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable; passwords belong here (`MYSQL_PWD`), not into arguments.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs it with its standard output thrown away; an error with the end of its words when it fails.
    pub async fn run(self) -> anyhow::Result<ToolRun> {
        self.finish(None).await
    }

    /// Runs it and keeps its standard output.
    pub async fn run_for_output(self) -> anyhow::Result<ToolRun> {
        let file = tempfile::tempfile()?;
        self.finish(Some(file)).await
    }

    async fn finish(self, output: Option<File>) -> anyhow::Result<ToolRun> {
        tokio::task::spawn_blocking(move || self.finish_here(output)).await?
    }

    fn finish_here(mut self, mut output: Option<File>) -> anyhow::Result<ToolRun> {
        let name = self.name;
        let mut errors = tempfile::tempfile()?;
        let stdout = match &output {
            Some(file) => Stdio::from(file.try_clone()?),
            None => Stdio::null(),
        };
        self.command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(errors.try_clone()?);
        let begun = Instant::now();
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("{name}: is it installed?"))?;
        let id = child.id();
        let pid = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id")?;
        let ended = AtomicBool::new(false);
        let (seconds, rss_mb) = std::thread::scope(|scope| -> anyhow::Result<_> {
            let sampler = scope.spawn(|| {
                let mut peak = 0.0f64;
                // The peak only grows, so what is missed is what came in the last moment.
                while !ended.load(Ordering::Relaxed) {
                    peak = peak.max(peak_mb(id).unwrap_or_default());
                    std::thread::sleep(Duration::from_millis(5));
                }
                peak
            });
            // Without taking its status: until then its statistics can be read.
            let waited = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let seconds = begun.elapsed().as_secs_f64();
            ended.store(true, Ordering::Relaxed);
            let peak = sampler.join().unwrap_or_default();
            waited.with_context(|| format!("waiting for {name}"))?;
            Ok((seconds, peak))
        })?;
        let cpu_s = cpu_seconds(id)?;
        let status = child.wait()?;
        if !status.success() {
            let text = text_of(&mut errors)?;
            let lines: Vec<_> = text.lines().collect();
            let end = lines
                .get(lines.len().saturating_sub(15)..)
                .unwrap_or_default()
                .join("\n");
            bail!("{name} ended with {status}:\n{end}");
        }
        let output = output.as_mut().map(text_of).transpose()?.unwrap_or_default();
        let used = ProcessUse { name, cpu_s, rss_mb };
        Ok(ToolRun {
            seconds,
            used,
            output,
        })
    }
}

fn text_of(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_failure_and_use_of_children_are_seen() {
        let run = Tool::pipeline("words", "echo a; echo b | cat")
            .run_for_output()
            .await
            .unwrap();
        assert_eq!(run.output, "a\nb\n");
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let run = Tool::pipeline("busy", &format!("( {busy} ); true"))
            .run()
            .await
            .unwrap();
        assert!(run.used.cpu_s > 0.0 && run.seconds > 0.0, "{run:?}");
        let failed = Tool::pipeline("fails", "echo why >&2; false | cat").run().await;
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("why") && error.contains("fails"), "{error}");
    }
}
