//! Following a project until it gets somewhere.

mod progress;
mod until;
mod view;

use std::time::{Duration, Instant};

use clap::Args;
use oms_proto::v1::{Project, ProjectRequest, ProjectSnapshot};
use oms_types::codes;
use tokio_stream::StreamExt as _;

use crate::{client::Context, error::CliError, exit::Exit};

pub(crate) use progress::{component_text, step_name};
pub(crate) use until::Until;

use until::{Verdict, verdict};
use view::View;

/// Pause between two attempts to reach the daemon again.
const PAUSE: Duration = Duration::from_millis(500);

/// How to follow.
#[derive(Args, Clone, Debug)]
pub(crate) struct FollowArgs {
    /// Where to stop watching. Watching also ends, with exit code 1, when the project fails
    #[arg(long, value_enum, default_value = "finished")]
    pub(crate) until: Until,
    /// Without a terminal: a line of progress this often
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) interval: Duration,
    /// How long to try when the daemon is lost
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) reconnect: Duration,
}

impl Default for FollowArgs {
    fn default() -> Self {
        Self {
            until: Until::Finished,
            interval: Duration::from_secs(5),
            reconnect: Duration::from_secs(60),
        }
    }
}

/// Reads `90`, `90s`, `500ms`, `5m`, `2h`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("use a number with ms, s, m, h or d, for example 90s".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "use a number with ms, s, m, h or d, for example 90s".to_owned())?;
    number
        .checked_mul(factor)
        .map(Duration::from_millis)
        .ok_or_else(|| "too long".to_owned())
}

/// Follows a project and shows what it does. Snapshots older than `from_version` are passed over, so
/// that what was true before a change just made does not end the watch.
pub(crate) async fn follow(
    context: &Context,
    name: &str,
    from_version: u64,
    arguments: &FollowArgs,
) -> Result<Exit, CliError> {
    let mut view = View::new(&context.out, arguments.interval);
    let result = follow_into(context, name, from_version, arguments, &mut view).await;
    view.finish();
    let (verdict, project) = result?;
    let shown = project.spec.as_ref().map_or(name, |spec| spec.name.as_str());
    match verdict {
        Verdict::Reached(words) => {
            if !context.out.is_json() {
                context.out.line(&format!("project {shown}: {words}"))?;
            }
            Ok(Exit::Ok)
        }
        Verdict::Differs => {
            context.out.note(&format!(
                "{} both sides differ; `omsnode project diff {shown}` lists the rows, with --sql the statements that repair them",
                codes::verify::DIFFERENCES
            ))?;
            Ok(Exit::Differences)
        }
        Verdict::Failed(error) => Err(CliError::ProjectFailed {
            name: shown.to_owned(),
            error,
        }),
    }
}

async fn follow_into(
    context: &Context,
    name: &str,
    from_version: u64,
    arguments: &FollowArgs,
    view: &mut View<'_>,
) -> Result<(Verdict, Project), CliError> {
    let mut seen = false;
    let mut lost_since: Option<Instant> = None;
    loop {
        let lost = match attempt(
            context,
            name,
            from_version,
            arguments.until,
            view,
            &mut seen,
            &mut lost_since,
        )
        .await
        {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => None,
            Err(error) if seen && error.is_lost() => Some(error),
            Err(CliError::Api(info)) if seen && info.code == codes::api::NOT_FOUND.as_str() => {
                let message = format!("project {name} was deleted");
                return Err(CliError::Api(oms_proto::v1::ErrorInfo { message, ..info }));
            }
            Err(error) => return Err(error),
        };
        // The stream also ends without an error: when the daemon stops, and when the project is deleted, which the
        // next attempt will find out.
        let since = *lost_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= arguments.reconnect {
            return Err(lost.unwrap_or_else(|| CliError::Unreachable {
                server: context.server.clone(),
                cause: "the daemon ends the watch again and again".to_owned(),
            }));
        }
        if let Some(error) = lost {
            view.lost(&error)?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One connection: shows snapshots until the watch is over or the stream ends.
async fn attempt(
    context: &Context,
    name: &str,
    from_version: u64,
    until: Until,
    view: &mut View<'_>,
    seen: &mut bool,
    lost_since: &mut Option<Instant>,
) -> Result<Option<(Verdict, Project)>, CliError> {
    let mut client = context.projects().await?;
    let request = ProjectRequest {
        project: name.to_owned(),
    };
    let mut stream = client
        .watch_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    while let Some(snapshot) = stream.next().await {
        let snapshot: ProjectSnapshot = snapshot.map_err(context.failed())?;
        let Some(project) = &snapshot.project else {
            continue;
        };
        if project.version < from_version {
            continue;
        }
        *seen = true;
        *lost_since = None;
        view.show(&snapshot)?;
        if let Some(end) = verdict(until, project) {
            return Ok(Some((end, project.clone())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("90", 90_000),
            ("90s", 90_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "5 m",
            "-1s",
            "1.5s",
            "5w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
