//! Where a password comes from.

use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{client::Context, error::CliError};

/// Larger input is no password.
const MAX_BYTES: u64 = 64 << 10;

/// Ways to give a password. Without any: OMSNODE_PASSWORD, else a question on the terminal.
#[derive(Args, Clone, Debug, Default)]
#[group(id = "password-options", multiple = false)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input (up to the first line end)
    #[arg(long, help_heading = "Password")]
    password_stdin: bool,
    /// Take the password from this environment variable
    #[arg(long, value_name = "VAR", help_heading = "Password")]
    password_env: Option<String>,
    /// The password itself. Other users of this machine can see it in the list of processes: prefer
    /// one of the other ways
    #[arg(long, help_heading = "Password")]
    password: Option<String>,
    /// Ask for the password on the terminal
    #[arg(long, help_heading = "Password")]
    password_prompt: bool,
    /// The account has an empty password
    #[arg(long, help_heading = "Password")]
    no_password: bool,
}

impl PasswordArgs {
    /// The password, if one of the options names it.
    pub(crate) async fn explicit(&self, context: &Context) -> Result<Option<String>, CliError> {
        if self.no_password {
            return Ok(Some(String::new()));
        }
        if let Some(password) = &self.password {
            context
                .out
                .note("warning: a password on the command line can be seen by other users of this machine")?;
            return Ok(Some(password.clone()));
        }
        if let Some(name) = &self.password_env {
            return match std::env::var(name) {
                Ok(password) => Ok(Some(password)),
                Err(error) => Err(CliError::Usage(format!("--password-env {name}: {error}"))),
            };
        }
        if self.password_stdin {
            return read_password_from_stdin().map(Some);
        }
        if self.password_prompt {
            return prompt(context).await.map(Some);
        }
        Ok(None)
    }

    /// The password, in whatever way it is given.
    pub(crate) async fn required(&self, context: &Context) -> Result<String, CliError> {
        if let Some(password) = self.explicit(context).await? {
            return Ok(password);
        }
        match std::env::var("OMSNODE_PASSWORD") {
            Ok(password) => Ok(password),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(CliError::Usage("OMSNODE_PASSWORD is not UTF-8 text".to_owned()))
            }
            Err(std::env::VarError::NotPresent) => prompt(context).await,
        }
    }
}

fn read_password_from_stdin() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(CliError::io("--password-stdin"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::Usage("--password-stdin: the password is not UTF-8 text".to_owned()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn prompt(context: &Context) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "no password: use --password-stdin, --password-env VAR, --no-password or OMSNODE_PASSWORD"
                .to_owned(),
        ));
    }
    // Dropped with this future when Ctrl-C ends it, so that the terminal is never left silent.
    let silence = Silence::begin().map_err(CliError::io("the terminal"))?;
    context.out.prompt("Password: ")?;
    let line = read_line().await;
    drop(silence);
    context.out.note("")?;
    line.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads one line from the terminal without holding up the runtime.
pub(crate) async fn read_line() -> Result<String, CliError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    match read.await {
        Ok(line) => line.map_err(CliError::io("standard input")),
        Err(error) => Err(CliError::Io {
            what: "standard input".to_owned(),
            source: io::Error::other(error),
        }),
    }
}

/// Keeps a terminal from showing what is typed.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
