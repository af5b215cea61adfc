//! One server process that cannot outlive its owner.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Result, TestbedError};

/// Runs in the background of the shell that becomes the server: when the owner's end of standard input closes without
/// the word `release`, the owner is gone, so the server is ended and its folder removed.
const WATCHED: &str = r#"exec 3<&0
( while read -r word; do [ "$word" = release ] && exit 0; done <&3
  kill -KILL $$; sleep 0.2; [ -z "$0" ] || rm -rf -- "$0" ) >/dev/null 2>&1 &
exec 3<&-
exec "$@" </dev/null
"#;

const FREEZE_BOUND: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills it; so does the end of this process, however it comes, `SIGKILL` included.
///
/// It has its own process group, so a Ctrl-C at the terminal reaches the owner and not the server.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    watch: ChildStdin,
    frozen: bool,
    log: PathBuf,
    name: &'static str,
}

impl ServerProcess {
    /// Starts `command` with its output appended to `log`. `remove` is the folder to remove if this process dies.
    pub(crate) fn spawn(name: &'static str, command: &Command, remove: &Path, log: &Path) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(TestbedError::file(log))?;
        let errors = output.try_clone().map_err(TestbedError::file(log))?;
        let mut watched = Command::new("sh");
        watched
            .arg("-c")
            .arg(WATCHED)
            .arg(remove)
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => watched.env(key, value),
                None => watched.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            watched.current_dir(folder);
        }
        watched
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let mut child = watched
            .spawn()
            .map_err(|e| TestbedError::program(format!("starting {name}"), e))?;
        let watch = child.stdin.take().ok_or(TestbedError::NotRunning)?;
        Ok(Self {
            child,
            watch,
            frozen: false,
            log: log.to_owned(),
            name,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited()?.is_some() {
            return Err(TestbedError::NotRunning);
        }
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(TestbedError::NotRunning)?;
        kill_process(pid, signal)
            .map_err(|e| TestbedError::program(format!("signal to {}", self.name), e))?;
        match signal {
            Signal::STOP => self.frozen = true,
            Signal::CONT => self.frozen = false,
            _ => {}
        }
        Ok(())
    }

    /// Sends `SIGSTOP` and returns when every thread of the process has stopped: until then it may still answer.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let end = Instant::now() + FREEZE_BOUND;
        while !all_threads_stopped(self.pid()) {
            if Instant::now() > end {
                return Err(TestbedError::Timeout {
                    what: format!("the freezing of {}", self.name),
                    seconds: FREEZE_BOUND.as_secs(),
                    log: log_end(&self.log),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The exit status when the process has ended.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .map_err(|e| TestbedError::program(format!("waiting for {}", self.name), e))
    }

    /// Ends it with `SIGTERM`; an error (and `SIGKILL`) when it takes longer than `bound`.
    pub(crate) async fn stop(mut self, bound: Duration) -> Result<()> {
        if self.frozen {
            self.signal(Signal::CONT)?;
        }
        self.signal(Signal::TERM)?;
        let end = Instant::now() + bound;
        while self.exited()?.is_none() {
            if Instant::now() > end {
                return Err(TestbedError::Timeout {
                    what: format!("the end of {}", self.name),
                    seconds: bound.as_secs(),
                    log: log_end(&self.log),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Ends it with `SIGKILL` and waits for that.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.watch.write_all(b"release\n");
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// The last lines of a log file, for an error message.
pub(crate) fn log_end(path: &Path) -> String {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Whether the kernel shows every thread as stopped. The state is the first word behind the name in parentheses
/// (proc_pid_stat(5)).
fn all_threads_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(
        |thread| match std::fs::read_to_string(thread.path().join("stat")) {
            Ok(stat) => stat
                .rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T')),
            // A thread that ended meanwhile does nothing either.
            Err(_) => true,
        },
    )
}
