//! A disk that can be filled.

use std::ffi::CString;
use std::fs::{File, create_dir_all, read_to_string, remove_file};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Begins the names of these disks in the table of mounts; the number of the process that mounted them follows.
const NAME: &str = "omsnode-testbed-";
/// Pages of tmpfs(5).
const PAGE: u64 = 4_096;

/// A small file system in memory (tmpfs), taken away when dropped. What killed processes left behind is taken away by
/// the next one.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one on a folder, which is made if it is missing. Needs root.
    pub fn mount(path: &Path, megabytes: u32) -> anyhow::Result<Self> {
        sweep();
        create_dir_all(path)?;
        let size = CString::new(format!("size={megabytes}m"))?;
        let name = format!("{NAME}{}", std::process::id());
        mount(name.as_str(), path, "tmpfs", MountFlags::empty(), size.as_c_str())
            .with_context(|| format!("mounting a small disk on {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Takes every byte that is free.
    pub fn fill(&self) -> anyhow::Result<()> {
        let ballast = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.ballast())?;
        let mut length = ballast.metadata()?.len();
        let mut piece = 64 << 20;
        while piece >= PAGE {
            match fallocate(ballast.as_fd(), FallocateFlags::empty(), length, piece) {
                Ok(()) => length += piece,
                Err(_) => piece /= 2,
            }
        }
        Ok(())
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn empty(&self) -> anyhow::Result<()> {
        Ok(remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process may still hold files open when a test fails.
        let _ = unmount(&self.path, UnmountFlags::DETACH);
    }
}

/// Takes away the disks of processes that are gone.
fn sweep() {
    // A line is NAME PATH TYPE OPTIONS (proc_pid_mounts(5)). The paths of the testbed hold no spaces.
    let mounts = read_to_string("/proc/self/mounts").unwrap_or_default();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(path)) = (words.next(), words.next()) else {
            continue;
        };
        let owner = name.strip_prefix(NAME).and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = unmount(path, UnmountFlags::DETACH);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};

    use super::*;

    #[test]
    fn a_disk_is_filled_and_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(disk) = SmallDisk::mount(&folder.path().join("disk"), 4) else {
            // Only root may mount; what needs it says that it is left out.
            return;
        };
        let file = folder.path().join("disk/file");
        let write = || File::create(&file).and_then(|mut f| f.write_all(&[1; 100_000]));
        write().unwrap();
        remove_file(&file).unwrap();
        disk.fill().unwrap();
        assert_eq!(write().unwrap_err().kind(), ErrorKind::StorageFull);
        disk.empty().unwrap();
        write().unwrap();
        drop(disk);
        assert!(!file.exists());
    }
}
