//! Everything that is printed. No other module writes to standard output or standard error.
//!
//! Standard output carries data, so that it can be piped; notes, questions and errors go to standard
//! error. Colour is used on a terminal only. Text that comes from servers is freed of control
//! characters before it reaches a terminal.

mod bars;
mod human;
mod table;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::error::CliError;

pub(crate) use bars::{Bar, Bars};
pub(crate) use human::{Human, amount, bytes, count, duration_ms, timestamp};
pub(crate) use table::Table;

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: one document, or one object per line where the output is a stream
    Json,
}

/// Where output goes and how it looks.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    colour: bool,
    live: bool,
}

impl Output {
    /// Looks at the terminal and at NO_COLOR and TERM.
    pub(crate) fn new(format: Format, no_color: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            format,
            colour: terminal && !no_color && !dumb && !set("NO_COLOR"),
            live: terminal && !dumb && format == Format::Table,
        }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether bars can be drawn.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether colours can be used.
    pub(crate) fn has_colour(&self) -> bool {
        self.colour
    }

    /// Writes one line of data. Nothing is buffered behind it.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", printable(text))
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }

    /// Writes a text as it is.
    pub(crate) fn raw(&self, text: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text)
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }

    /// Writes a table, which may hold colours of ours.
    pub(crate) fn table(&self, table: &Table) -> Result<(), CliError> {
        self.raw(format!("{}\n", table.render(self.colour)).as_bytes())
    }

    /// Writes one JSON document over several lines.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        self.line(&serde_json::to_string_pretty(value).map_err(unserialisable)?)
    }

    /// Writes one JSON object in one line.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        self.line(&serde_json::to_string(value).map_err(unserialisable)?)
    }

    /// Writes a document for programs or a line for people.
    pub(crate) fn done<T: Serialize>(&self, value: &T, words: &str) -> Result<(), CliError> {
        if self.is_json() {
            self.json(value)
        } else {
            self.line(words)
        }
    }

    /// Tells people something that is no data.
    pub(crate) fn note(&self, text: &str) -> Result<(), CliError> {
        writeln!(io::stderr(), "{}", printable(text)).map_err(CliError::Output)
    }

    /// Asks a question; the cursor stays behind it.
    pub(crate) fn prompt(&self, text: &str) -> Result<(), CliError> {
        let mut err = io::stderr().lock();
        write!(err, "{}", printable(text))
            .and_then(|()| err.flush())
            .map_err(CliError::Output)
    }

    /// Says why a command failed, with the code and what to do.
    pub(crate) fn error(&self, error: &CliError) {
        let text = if self.is_json() {
            let mut body = serde_json::Map::new();
            if let Some(code) = error.code() {
                body.insert("code".to_owned(), code.into());
            }
            body.insert("message".to_owned(), error.to_string().into());
            if let Some(action) = error.action() {
                body.insert("action".to_owned(), action.into());
            }
            serde_json::json!({ "error": body }).to_string()
        } else {
            let (red, bold, plain) = if self.colour && io::stderr().is_terminal() {
                ("\x1b[1;31m", "\x1b[1m", "\x1b[0m")
            } else {
                ("", "", "")
            };
            let mut text = match error.code() {
                Some(code) => format!(
                    "{red}error[{code}]{plain}{bold}: {}{plain}",
                    printable(&error.to_string())
                ),
                None => format!(
                    "{red}error{plain}{bold}: {}{plain}",
                    printable(&error.to_string())
                ),
            };
            if let Some(action) = error.action() {
                text += &format!("\n  what to do: {action}");
            }
            if let CliError::ProjectFailed { error, .. } = error
                && !error.code.is_empty()
            {
                text += &format!("\n  more: omsnode explain {}", printable(&error.code));
            }
            text
        };
        // There is nowhere left to report that standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn unserialisable(error: serde_json::Error) -> CliError {
    CliError::Output(io::Error::other(error))
}

/// Replaces control characters other than line ends and tabs, so that no server's text can steer a
/// terminal.
pub(crate) fn printable(text: &str) -> String {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(bad) {
        text.replace(bad, "\u{fffd}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_a_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\tc\n\u{9b}x\r"),
            "a\u{fffd}[2Jb\tc\n\u{fffd}x\u{fffd}"
        );
        assert_eq!(printable("größer 数据"), "größer 数据");
    }
}
