//! `omsnode project tune`.

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser as _};
use oms_proto::v1::{Concurrency, FullOptions, FullTuning, Project, TuneProjectRequest};

use super::lifecycle::name_of;
use crate::{client::Context, error::CliError, exit::Exit};

#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct TuneArgs {
    /// Name or id
    name: String,
    /// Full import: most rows per second; 0: no limit
    #[arg(long, group = "change", value_name = "N")]
    full_rows_per_second: Option<u64>,
    /// Full import: most bytes per second; 0: no limit
    #[arg(long, group = "change", value_name = "N")]
    full_bytes_per_second: Option<u64>,
    /// Full import: how much load it may cause
    #[arg(long, group = "change", value_parser = concurrency_parser())]
    full_concurrency: Option<Concurrency>,
    /// Full import: readers and writers at the same time; 0: as the concurrency says
    #[arg(long, group = "change", value_name = "N")]
    full_workers: Option<u32>,
}

fn concurrency_parser() -> impl clap::builder::TypedValueParser<Value = Concurrency> {
    PossibleValuesParser::new(Concurrency::NAMES)
        .map(|name| Concurrency::from_name(&name).unwrap_or_default())
}

impl TuneArgs {
    fn full(&self) -> Option<FullTuning> {
        let tuning = FullTuning {
            max_rows_per_second: self.full_rows_per_second,
            max_bytes_per_second: self.full_bytes_per_second,
            concurrency: self.full_concurrency.map(|c| c as i32),
            workers: self.full_workers,
        };
        (tuning != FullTuning::default()).then_some(tuning)
    }
}

pub(super) async fn tune(context: &Context, arguments: TuneArgs) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = TuneProjectRequest {
        full: arguments.full(),
        project: arguments.name,
    };
    let project = client
        .tune_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let words = format!("project {}: full import {}", name_of(&project), full_of(&project));
    context.out.done(&project, &words)?;
    Ok(Exit::Ok)
}

/// The options of full import that can be changed, in words.
pub(super) fn full_of(project: &Project) -> String {
    let full: FullOptions = project.spec.as_ref().and_then(|s| s.full).unwrap_or_default();
    let mut words = match (full.workers, full.concurrency()) {
        (0, Concurrency::Unspecified) => Concurrency::Auto.name().to_owned(),
        (0, preset) => preset.name().to_owned(),
        (1, _) => "1 worker".to_owned(),
        (n, _) => format!("{n} workers"),
    };
    for (limit, unit) in [
        (full.max_rows_per_second, "rows/s"),
        (full.max_bytes_per_second, "bytes/s"),
    ] {
        if limit > 0 {
            words.push_str(&format!(", at most {limit} {unit}"));
        }
    }
    words
}
