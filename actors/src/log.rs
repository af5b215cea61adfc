//! The recent log lines of a component.

use std::{collections::VecDeque, sync::Arc};

use oms_core::ComponentId;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::Clock;

/// Lines kept for readers that come late.
const KEPT: usize = 2_000;
/// Lines a slow follower may fall behind before it loses some.
const FOLLOW: usize = 512;

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Normal.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How serious.
    pub level: LogLevel,
    /// The words. Never row values or secrets.
    pub message: String,
}

/// The log of one component: the latest lines in memory, and every line in the daemon's log.
pub struct ComponentLog {
    id: ComponentId,
    clock: Arc<dyn Clock>,
    lines: Mutex<VecDeque<LogLine>>,
    follow: broadcast::Sender<LogLine>,
}

impl ComponentLog {
    /// An empty log.
    pub fn new(id: ComponentId, clock: Arc<dyn Clock>) -> Self {
        Self {
            id,
            clock,
            lines: Mutex::new(VecDeque::new()),
            follow: broadcast::channel(FOLLOW).0,
        }
    }

    /// Writes a line.
    pub fn info(&self, message: impl Into<String>) {
        self.write(LogLevel::Info, message.into());
    }

    /// Writes a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.write(LogLevel::Warn, message.into());
    }

    /// Writes an error.
    pub fn error(&self, message: impl Into<String>) {
        self.write(LogLevel::Error, message.into());
    }

    fn write(&self, level: LogLevel, message: String) {
        let component = &self.id;
        match level {
            LogLevel::Info => tracing::info!(%component, "{message}"),
            LogLevel::Warn => tracing::warn!(%component, "{message}"),
            LogLevel::Error => tracing::error!(%component, "{message}"),
        }
        let line = LogLine {
            at_ms: self.clock.now_ms(),
            level,
            message,
        };
        let mut lines = self.lines.lock();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.clone());
        // Sent under the lock, so that a follower sees every line once. No follower is no error.
        let _ = self.follow.send(line);
    }

    /// The latest `count` lines, oldest first, and a receiver of the lines after them.
    pub fn tail(&self, count: usize) -> (Vec<LogLine>, broadcast::Receiver<LogLine>) {
        let lines = self.lines.lock();
        let skip = lines.len().saturating_sub(count);
        (
            lines.iter().skip(skip).cloned().collect(),
            self.follow.subscribe(),
        )
    }
}
