//! `omsnode explain`.

use clap::Args;
use oms_types::{Disposition, ErrorCode, catalogue};
use serde::Serialize;

use crate::{
    error::CliError,
    exit::Exit,
    nearest::nearest,
    output::{Output, Table},
};

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The code, for example OMS-SRC-0001
    #[arg(required_unless_present = "all")]
    code: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

#[derive(Serialize)]
struct Explanation {
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    action: &'static str,
    disposition: &'static str,
}

impl From<ErrorCode> for Explanation {
    fn from(code: ErrorCode) -> Self {
        Self {
            code: code.as_str(),
            title: code.title(),
            cause: code.cause(),
            action: code.action(),
            disposition: match code.disposition() {
                Disposition::Retry => "retry",
                Disposition::StopAndAsk => "stop_and_ask",
                Disposition::Fenced => "fenced",
                Disposition::Bug => "bug",
            },
        }
    }
}

fn consequence(code: ErrorCode) -> &'static str {
    match code.disposition() {
        Disposition::Retry => "The component retries by itself.",
        Disposition::StopAndAsk => "The component stops until somebody decides.",
        Disposition::Fenced => "The component stops at once: a newer owner works elsewhere.",
        Disposition::Bug => "The component stops. This should be impossible.",
    }
}

pub(crate) fn run(arguments: &ExplainArgs, out: &Output) -> Result<Exit, CliError> {
    let Some(wanted) = &arguments.code else {
        if out.is_json() {
            out.json(&catalogue().map(Explanation::from).collect::<Vec<_>>())?;
        } else {
            let mut table = Table::new(&["CODE", "WHAT HAPPENED"]);
            for code in catalogue() {
                table.row([code.as_str(), code.title()]);
            }
            out.table(&table)?;
        }
        return Ok(Exit::Ok);
    };
    let Some(code) = find(wanted) else {
        let hint = suggestion(wanted)
            .map(|code| format!("; did you mean {code}?"))
            .unwrap_or_default();
        return Err(CliError::Usage(format!(
            "there is no error code {wanted:?}{hint} `omsnode explain --all` lists all codes"
        )));
    };
    if out.is_json() {
        out.json(&Explanation::from(code))?;
    } else {
        out.line(&format!(
            "{code}: {}\n\nWhy:        {}\nWhat to do: {}\nMeanwhile:  {}",
            code.title(),
            code.cause(),
            code.action(),
            consequence(code)
        ))?;
    }
    Ok(Exit::Ok)
}

/// Finds a code, also as it is copied from an error message: `error[OMS-SRC-0001]:`.
fn find(text: &str) -> Option<ErrorCode> {
    let bare = text
        .trim()
        .trim_start_matches("error[")
        .trim_end_matches([':', ']']);
    ErrorCode::find(bare).or_else(|| ErrorCode::find(&format!("OMS-{bare}")))
}

fn suggestion(wanted: &str) -> Option<&'static str> {
    // In the same area first: the number is what people mistype.
    let upper = wanted.to_uppercase();
    let area = upper
        .rsplit_once('-')
        .map(|(area, _)| area.to_owned())
        .unwrap_or_default();
    let same = catalogue()
        .map(ErrorCode::as_str)
        .filter(|code| code.rsplit_once('-').is_some_and(|(a, _)| a == area));
    nearest(&upper, same).or_else(|| nearest(&upper, catalogue().map(ErrorCode::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_however_it_is_copied() {
        for code in catalogue() {
            for text in [
                code.as_str().to_owned(),
                code.as_str().to_lowercase(),
                format!("error[{code}]:"),
                code.as_str().trim_start_matches("OMS-").to_owned(),
            ] {
                assert_eq!(find(&text), Some(code), "{text}");
            }
        }
        assert_eq!(find("OMS-SRC-9999"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn a_mistyped_code_finds_a_neighbour() {
        assert!(suggestion("OMS-SCR-0001").is_some_and(|code| code.starts_with("OMS-SRC-")));
        assert!(suggestion("oms-api-0099").is_some_and(|code| code.starts_with("OMS-API-")));
        assert_eq!(suggestion("nonsense"), None);
    }
}
