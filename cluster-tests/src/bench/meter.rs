//! What processes use between two points in time.

use std::fs;

use anyhow::Context;
use serde::Serialize;

/// Reads processor time and peak memory of running processes from procfs; begins with [`Meter::start`].
#[derive(Debug)]
pub struct Meter {
    watched: Vec<(String, u32, f64)>,
}

/// What one process used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProcessUse {
    /// Which process.
    pub name: String,
    /// Processor seconds of all its threads in user and kernel mode, with those of its ended children.
    pub cpu_s: f64,
    /// The most memory that it had in RAM, in MiB.
    pub rss_mb: f64,
}

impl Meter {
    /// Begins to count for these processes, by name and process id. Their peak of memory begins anew.
    pub fn start(processes: &[(&str, u32)]) -> anyhow::Result<Self> {
        let mut watched = Vec::new();
        for &(name, pid) in processes {
            // proc_pid_clear_refs(5): 5 sets VmHWM to the present value.
            fs::write(format!("/proc/{pid}/clear_refs"), "5").with_context(|| format!("{name}: its peak"))?;
            watched.push((name.to_owned(), pid, cpu_seconds(pid)?));
        }
        Ok(Self { watched })
    }

    /// Begins to count for this process.
    pub fn own(name: &str) -> anyhow::Result<Self> {
        Self::start(&[(name, std::process::id())])
    }

    /// What they used since, in the order of the start. An error when one of them has ended.
    pub fn stop(self) -> anyhow::Result<Vec<ProcessUse>> {
        let used = self.watched.into_iter().map(|(name, pid, before)| {
            let cpu_s = cpu_seconds(pid).with_context(|| name.clone())? - before;
            let rss_mb = peak_mb(pid).with_context(|| name.clone())?;
            Ok(ProcessUse { name, cpu_s, rss_mb })
        });
        used.collect()
    }
}

impl ProcessUse {
    /// The greatest of each over several runs of the same processes.
    pub fn most(runs: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for run in runs {
            match all.iter_mut().find(|known| known.name == run.name) {
                Some(known) => {
                    known.cpu_s = known.cpu_s.max(run.cpu_s);
                    known.rss_mb = known.rss_mb.max(run.rss_mb);
                }
                None => all.push(run),
            }
        }
        all
    }
}

/// Processor seconds until now; also of a process that has ended and was not waited for.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    // proc_pid_stat(5): utime, stime, cutime and cstime are the fields 14 to 17; the name in parentheses is the second.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat
        .rsplit_once(") ")
        .context("no name in the process statistics")?;
    let mut ticks = 0u64;
    for field in rest.split(' ').skip(11).take(4) {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The peak of resident memory in MiB (`VmHWM` of proc_pid_status(5)).
pub(super) fn peak_mb(pid: u32) -> anyhow::Result<f64> {
    status_mb(pid, "VmHWM:")
}

/// The present resident memory in MiB (`VmRSS` of proc_pid_status(5)).
pub(super) fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    status_mb(pid, "VmRSS:")
}

fn status_mb(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let kib: f64 = line
        .and_then(|l| l.trim().strip_suffix(" kB"))
        .with_context(|| format!("no {field} in the process status"))?
        .parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_seen() {
        let meter = Meter::own("this").unwrap();
        let (begun, before) = (std::time::Instant::now(), meter.watched[0].2);
        let mut memory = vec![0u8; 64 << 20];
        let mut sum = 0u64;
        while cpu_seconds(std::process::id()).unwrap() < before + 0.1 {
            for byte in &mut memory {
                *byte = byte.wrapping_add(1);
            }
            sum += u64::from(memory[memory.len() / 2]);
            assert!(begun.elapsed().as_secs() < 60, "{sum}");
        }
        let used = meter.stop().unwrap();
        assert!(used[0].cpu_s >= 0.09, "{used:?}");
        assert!(used[0].rss_mb >= 64.0, "{used:?}");
    }
}
