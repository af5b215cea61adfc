//! Network namespaces by `ip netns` (iproute2) and `iptables` in them.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a program of the system; its error output becomes the error.
pub(super) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} is needed: run deploy/servers network"))?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Why namespaces cannot be used on this machine; `None`: they can.
pub(super) fn obstacle() -> Option<String> {
    if std::env::var_os("TESTBED_LOOPBACK").is_some_and(|v| v == "1") {
        return Some("TESTBED_LOOPBACK is set".to_owned());
    }
    let name = format!("omsprobe-{}-{:x}", std::process::id(), rand::random::<u32>());
    let attempt = || {
        run("ip", &["netns", "add", &name])?;
        let result = run("ip", &["netns", "exec", &name, "iptables", "-w", "-L", "-n"])
            .and_then(|_| {
                run(
                    "ip",
                    &[
                        "-n", &name, "link", "add", "name", "a", "type", "veth", "peer", "name", "b",
                    ],
                )
            })
            .and_then(|_| run("ip", &["-n", &name, "link", "add", "name", "c", "type", "bridge"]));
        run("ip", &["netns", "del", &name])?;
        result
    };
    attempt().err().map(|error| error.to_string())
}

/// Ends what runs in namespaces whose name begins with `prefix`, and removes them.
pub(super) fn sweep(prefix: &str) -> anyhow::Result<()> {
    let listed = run("ip", &["netns", "list"])?;
    // A line is NAME or `NAME (id: N)`.
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(prefix)) {
        let processes = run("ip", &["netns", "pids", name])?;
        for pid in processes.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        run("ip", &["netns", "del", name])?;
    }
    let links = run("ip", &["-o", "link", "show"])?;
    // `NUMBER: NAME@PEER: ...`.
    let links = links
        .lines()
        .filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    for link in links.filter(|link| link.starts_with(prefix)) {
        // It goes with its other end, which may be just now.
        let _ = run("ip", &["link", "del", link]);
    }
    Ok(())
}
