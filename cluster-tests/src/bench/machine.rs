//! What everything was measured on.

use std::fmt;
use std::fs;
use std::io::Write;
use std::time::Instant;

use super::Spread;

/// The machine in short; the page with the results quotes it.
#[derive(Debug, Clone)]
pub struct Machine {
    cores: usize,
    model: String,
    memory_gib: f64,
    kernel: String,
    /// Milliseconds.
    sync: Spread,
}

impl Machine {
    /// Looks at it: takes well below a second on most disks.
    pub fn look() -> anyhow::Result<Self> {
        let value = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split_once(':')
                .map_or("unknown".to_owned(), |(_, v)| v.trim().to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal");
        let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        let mut file = tempfile::tempfile()?;
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            model: value("/proc/cpuinfo", "model name"),
            memory_gib: kib / f64::from(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            sync: Spread::of(times).unwrap_or(Spread {
                median: 0.0,
                min: 0.0,
                max: 0.0,
            }),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "machine: {} cores ({}), {:.0} GiB, Linux {}; 4 KiB written and synced in {:.2} ms ({:.2}..{:.2})",
            self.cores,
            self.model,
            self.memory_gib,
            self.kernel,
            self.sync.median,
            self.sync.min,
            self.sync.max
        )
    }
}
