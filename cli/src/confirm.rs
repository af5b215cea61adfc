//! Asking before something is lost.

use std::io::IsTerminal as _;

use crate::{client::Context, error::CliError, password::read_line};

/// Asks for the name of what is about to be lost. `--yes` answers in advance; without it and without
/// a terminal the command is refused, because nobody could answer.
pub(crate) async fn confirm(context: &Context, what: &str, name: &str) -> Result<(), CliError> {
    if context.yes {
        return Ok(());
    }
    if context.out.is_json() || !std::io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "{what}. Repeat the command with --yes to confirm"
        )));
    }
    context.out.note(&format!("{what}."))?;
    context.out.prompt(&format!("Type {name} to go on: "))?;
    if read_line().await?.trim() == name {
        Ok(())
    } else {
        Err(CliError::Declined)
    }
}
