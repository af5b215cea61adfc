//! Whose a socket is, from what the kernel shows in `/proc` (proc_net(5), proc_pid_fd(5)).

/// Whether a process holds the IPv4 TCP socket with this local port.
pub(super) fn holds_port(pid: u32, port: u16) -> bool {
    let Some(inode) = inode(port) else {
        return false;
    };
    let wanted = format!("socket:[{inode}]");
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|target| target.to_string_lossy() == wanted)
}

/// A line is `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...`, ports in hexadecimal.
fn inode(port: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = *fields.get(9)?;
        (fields.get(1)?.ends_with(&suffix) && inode != "0").then(|| inode.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(holds_port(std::process::id(), port));
        assert!(!holds_port(1, port) || std::process::id() == 1);
        drop(client);
    }
}
