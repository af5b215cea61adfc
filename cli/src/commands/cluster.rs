//! `omsnode cluster`.

use clap::Subcommand;
use oms_proto::v1::{Cluster, GetClusterRequest, SetPreferredRegionsRequest};

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
    /// Say in which regions the leader should be, the best first
    ///
    /// Leadership moves there by itself, and comes back after a loss. It moves nothing else.
    PreferRegions {
        /// Regions, separated by commas, the best first
        #[arg(
            required_unless_present = "none",
            value_delimiter = ',',
            value_name = "REGION"
        )]
        regions: Vec<String>,
        /// Anywhere will do
        #[arg(long, conflicts_with = "regions")]
        none: bool,
    },
}

pub(crate) async fn run(command: ClusterCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        ClusterCommand::Show => {
            let mut client = context.nodes().await?;
            let cluster = client.get_cluster(GetClusterRequest {}).await;
            show(context, &cluster.map_err(context.failed())?.into_inner())?;
        }
        ClusterCommand::PreferRegions { regions, none: _ } => {
            let mut client = context.nodes().await?;
            let request = SetPreferredRegionsRequest { regions };
            let cluster = client.set_preferred_regions(request).await;
            let cluster = cluster.map_err(context.failed())?.into_inner();
            let words = match cluster.preferred_regions.as_slice() {
                [] => "the leader may be in any region".to_owned(),
                regions => format!("the leader should be in region {}", regions.join(", else ")),
            };
            context.out.done(&cluster, &words)?;
        }
    }
    Ok(Exit::Ok)
}

fn show(context: &Context, cluster: &Cluster) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.json(cluster);
    }
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut table = Table::properties();
    table.property("Cluster", &cluster.id);
    table.property(
        "Leader",
        match cluster.leader {
            0 => "none: a majority of the voters is missing, or is just electing one".to_owned(),
            id if cluster.leader_region.is_empty() => format!("node {id}"),
            id => format!("node {id} in region {}", cluster.leader_region),
        },
    );
    let preferred = match cluster.preferred_regions.as_slice() {
        [] => "any region".to_owned(),
        regions => regions.join(", else "),
    };
    table.property("Leader wanted in", preferred);
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
    context.out.table(&table)
}
