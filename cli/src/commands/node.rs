//! `omsnode node`.

use clap::Subcommand;
use oms_proto::v1::ListNodesRequest;

use crate::{client::Context, error::CliError, exit::Exit, output::Table};

#[derive(Subcommand, Debug)]
pub(crate) enum NodeCommand {
    /// List the nodes of the cluster
    #[command(visible_alias = "ls")]
    List,
}

pub(crate) async fn run(command: NodeCommand, context: &Context) -> Result<Exit, CliError> {
    let NodeCommand::List = command;
    let mut client = context.nodes().await?;
    let list = client
        .list_nodes(ListNodesRequest {})
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&[
        "ID>",
        "ADDRESS",
        "REGION",
        "ZONE",
        "ROLE",
        "COMPONENTS>",
        "VERSION",
    ]);
    for node in &list.nodes {
        table.row([
            node.id.to_string(),
            node.address.clone(),
            node.region.clone(),
            node.zone.clone(),
            if node.leader { "leader" } else { "follower" }.to_owned(),
            node.components.to_string(),
            node.version.clone(),
        ]);
    }
    context.out.table(&table)?;
    Ok(Exit::Ok)
}
