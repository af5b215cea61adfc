//! Ports for servers, one owner each.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;

use crate::error::{Result, TestbedError};

// Below the range from which Linux takes the ports of outgoing connections, so that a client cannot sit on one.
const FIRST: u16 = 21_000;
const LAST: u16 = 29_999;

/// A TCP port that no other lease on this machine holds, also not one in another process, until it is dropped.
///
/// The port stays leased while its server is down, so a restart finds it free.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    // Held for its lock.
    _lock: File,
}

impl PortLease {
    /// Takes the next free port.
    pub fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join("omsnode-testbed-ports");
        std::fs::create_dir_all(&folder).map_err(TestbedError::file(&folder))?;
        // Start at different places, so that test processes that start together do not walk over each other.
        let span = LAST - FIRST + 1;
        let start = (std::process::id().wrapping_mul(7919) % u32::from(span)) as u16;
        for step in 0..span {
            let port = FIRST + (start + step) % span;
            let path = folder.join(port.to_string());
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(TestbedError::file(&path))?;
            if lock.try_lock().is_err() {
                continue;
            }
            // seekdb listens on all interfaces, therefore all are tried.
            if TcpListener::bind(("0.0.0.0", port)).is_ok() {
                return Ok(Self { port, _lock: lock });
            }
        }
        Err(TestbedError::NoPort(FIRST, LAST))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leases_never_share_a_port() {
        let leases: Vec<_> = (0..20).map(|_| PortLease::take().unwrap()).collect();
        let mut ports: Vec<_> = leases.iter().map(PortLease::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        for port in ports {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}
