//! One small network per cluster, one owner each.

use std::fs::{File, OpenOptions};

use anyhow::Context;
use rand::Rng;

use super::netns;

/// A network 10.77.N.0/24 that no other lease on this machine holds, also not one in another process, until it
/// is dropped.
#[derive(Debug)]
pub(super) struct Subnet {
    number: u8,
    // Held for its lock: whoever gets it knows that the former owner is gone.
    _lock: File,
}

impl Subnet {
    /// Takes a free one and clears away what killed owners of any left behind.
    pub(super) fn take() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join("omsnode-testbed-subnets");
        std::fs::create_dir_all(&folder)?;
        let start: u8 = rand::rng().random();
        let mut taken = None;
        for step in 0..=u8::MAX {
            let number = start.wrapping_add(step);
            let path = folder.join(number.to_string());
            let used = path.exists();
            if taken.is_some() && !used {
                continue;
            }
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            if lock.try_lock().is_err() {
                continue;
            }
            let own = Self { number, _lock: lock };
            if used {
                netns::sweep(&own.prefix())?;
            }
            if taken.is_none() {
                taken = Some(own);
            }
        }
        taken.context("all networks of the testbed are in use")
    }

    /// Begins the name of everything that belongs to this network.
    pub(super) fn prefix(&self) -> String {
        format!("oms{}-", self.number)
    }

    /// Address number `host` in it.
    pub(super) fn address(&self, host: u8) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::new(10, 77, self.number, host)
    }

    /// Name of the interface by which this machine itself takes part; at most 15 bytes.
    pub(super) fn interface(&self) -> String {
        format!("oms{}-host", self.number)
    }
}
