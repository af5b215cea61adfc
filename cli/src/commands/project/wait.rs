//! `omsnode project wait`.

use std::time::{Duration, Instant};

use oms_proto::v1::{CaughtUpProgress, ErrorInfo, ProjectRequest};
use oms_types::codes;
use tokio_stream::StreamExt as _;

use crate::{client::Context, error::CliError, exit::Exit, output::duration_ms};

/// How often progress is shown to people.
const EVERY: Duration = Duration::from_secs(5);

pub(super) async fn caught_up(
    context: &Context,
    name: String,
    timeout: Option<Duration>,
) -> Result<Exit, CliError> {
    let mut last = None;
    let began = Instant::now();
    let work = Box::pin(listen(context, &name, &mut last));
    let done = match timeout {
        None => work.await?,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(done) => done?,
            Err(_) => {
                let limit = duration_ms(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
                let at = last
                    .map(|p| format!(": applied {}, wanted {}", p.applied, p.target))
                    .unwrap_or_default();
                return Err(CliError::TimedOut(format!(
                    "project {name} has not caught up within {limit}{at}"
                )));
            }
        },
    };
    if !context.out.is_json() {
        let took = duration_ms(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        context.out.line(&format!(
            "project {name} has applied everything up to {} ({took})",
            done.target
        ))?;
    }
    Ok(Exit::Ok)
}

/// Follows until the daemon says that the target is reached.
async fn listen(
    context: &Context,
    name: &str,
    last: &mut Option<CaughtUpProgress>,
) -> Result<CaughtUpProgress, CliError> {
    let mut client = context.projects().await?;
    let request = ProjectRequest {
        project: name.to_owned(),
    };
    let mut stream = client
        .wait_caught_up(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let mut shown = Instant::now();
    while let Some(progress) = stream.next().await {
        let progress = progress.map_err(context.failed())?;
        if context.out.is_json() {
            context.out.json_line(&progress)?;
        } else if !progress.done && shown.elapsed() >= EVERY {
            shown = Instant::now();
            let applied = if progress.applied.is_empty() {
                "nothing yet"
            } else {
                &progress.applied
            };
            context.out.note(&format!(
                "applied {applied}, wanted {}, lag {}",
                progress.target,
                duration_ms(progress.lag_ms)
            ))?;
        }
        if progress.done {
            return Ok(progress);
        }
        *last = Some(progress);
    }
    Err(CliError::Api(ErrorInfo {
        code: codes::api::UNAVAILABLE.as_str().to_owned(),
        message: "the daemon ended the wait before the destination had caught up".to_owned(),
        failed_at_ms: 0,
    }))
}
