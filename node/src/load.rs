//! How busy this machine is, from /proc and the file system.

use std::path::Path;

use oms_proto::v1::NodeLoad;

/// Takes readings; processor use is measured between two of them.
#[derive(Debug, Default)]
pub(crate) struct LoadMeter {
    /// Busy and all processor time at the last reading.
    last: Option<(u64, u64)>,
}

impl LoadMeter {
    /// A reading. What the system does not tell stays 0. Reads small files of the kernel only.
    pub(crate) fn read(&mut self, data_dir: &Path) -> NodeLoad {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut load = NodeLoad::default();
        if let Some(now) = processor_times(&text("/proc/stat")) {
            load.cpu_percent = self.last.map_or(0, |last| share(last, now));
            self.last = Some(now);
        }
        load.memory_percent = memory_percent(&text("/proc/meminfo")).unwrap_or_default();
        load.resident_bytes = resident_bytes(&text("/proc/self/status")).unwrap_or_default();
        if let Ok(disk) = rustix::fs::statvfs(data_dir) {
            load.disk_free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            load.disk_total_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
        }
        load
    }
}

/// Busy and all time since the start of the machine, in ticks: the line `cpu` of proc_stat(5).
fn processor_times(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|l| l.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|t| t.parse().ok())
        .take(8)
        .collect();
    // user nice system idle iowait irq softirq steal
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    let all = ticks.iter().fold(0u64, |sum, t| sum.saturating_add(*t));
    Some((all.saturating_sub(idle), all))
}

fn share(last: (u64, u64), now: (u64, u64)) -> u32 {
    let (busy, all) = (now.0.saturating_sub(last.0), now.1.saturating_sub(last.1));
    let percent = busy.saturating_mul(100).checked_div(all).unwrap_or_default();
    u32::try_from(percent.min(100)).unwrap_or_default()
}

/// The number of a line `name: n kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Memory that a new program could not have, of proc_meminfo(5).
fn memory_percent(meminfo: &str) -> Option<u32> {
    let total = kilobytes(meminfo, "MemTotal")?;
    let available = kilobytes(meminfo, "MemAvailable")?;
    let used = total
        .saturating_sub(available)
        .saturating_mul(100)
        .checked_div(total)?;
    u32::try_from(used).ok()
}

fn resident_bytes(status: &str) -> Option<u64> {
    Some(kilobytes(status, "VmRSS")?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_use_is_what_was_not_idle_between_two_readings() {
        let first = processor_times("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1 1 1").unwrap();
        let second = processor_times("cpu  150 0 125 725 100 0 0 0 0 0\n").unwrap();
        assert_eq!(share(first, second), 75);
        assert_eq!(share(second, second), 0);
        assert_eq!(processor_times("intr 1 2"), None);
    }

    #[test]
    fn memory_is_what_nobody_else_could_have() {
        let text = "MemTotal:       1000 kB\nMemFree: 10 kB\nMemAvailable:    250 kB\n";
        assert_eq!(memory_percent(text), Some(75));
        assert_eq!(memory_percent("MemTotal: 0 kB\nMemAvailable: 0 kB"), None);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12_288));
    }

    #[test]
    fn this_machine_can_be_read() {
        let load = LoadMeter::default().read(Path::new("/"));
        assert!(load.resident_bytes > 0 && load.disk_total_bytes > 0, "{load:?}");
    }
}
