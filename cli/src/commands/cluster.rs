//! `omsnode cluster`.

use clap::Subcommand;
use oms_proto::v1::GetClusterRequest;

use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    output::{Table, amount},
};

#[derive(Subcommand, Debug)]
pub(crate) enum ClusterCommand {
    /// Show who leads, who votes, and how many may be lost
    Show,
}

pub(crate) async fn run(command: ClusterCommand, context: &Context) -> Result<Exit, CliError> {
    let ClusterCommand::Show = command;
    let mut client = context.nodes().await?;
    let cluster = client
        .get_cluster(GetClusterRequest {})
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&cluster)?;
        return Ok(Exit::Ok);
    }
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut table = Table::properties();
    table.property("Cluster", &cluster.id);
    table.property(
        "Leader",
        match cluster.leader {
            0 => "none: a majority of the voters is missing, or is just electing one".to_owned(),
            id => format!("node {id}"),
        },
    );
    table.property("Term", cluster.term.to_string());
    table.property("Log", format!("applied up to {}", cluster.commit_index));
    table.property("Voters", ids(&cluster.voters));
    table.property("Learners", ids(&cluster.learners));
    table.property(
        "May be lost",
        match cluster.tolerates {
            _ if cluster.leader == 0 => String::new(),
            0 => "no further voter: losing one stops all changes".to_owned(),
            n => format!("{} at the same time", amount(u64::from(n), "voter")),
        },
    );
    table.property("Features", format!("level {}", cluster.feature_level));
    table.property("Asked", format!("node {}", cluster.answered_by));
    context.out.table(&table)?;
    Ok(Exit::Ok)
}
