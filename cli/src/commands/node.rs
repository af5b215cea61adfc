//! `omsnode node` and `omsnode leave`.

use std::time::Duration;

use clap::{Args, Subcommand};
use oms_proto::v1::{
    CordonNodeRequest, DrainNodeRequest, GetClusterRequest, GetNodeRequest, ListNodesRequest, Node,
    NodeHealth, NodeLoad, NodeRole, NodeState, RemoveNodeRequest, SetNodeQuotaRequest, UncordonNodeRequest,
};
use tokio::time::Instant;

use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Human, Table, amount, bytes, duration_ms},
    watch::duration,
};

/// How often a node that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Subcommand, Debug)]
pub(crate) enum NodeCommand {
    /// List the nodes of the cluster
    #[command(visible_alias = "ls")]
    List {
        /// Also those that were removed
        #[arg(long)]
        all: bool,
    },
    /// Show one node
    Show {
        /// The node's number, as `list` shows it
        id: u64,
    },
    /// Give a node no new components. What it runs stays
    Cordon {
        /// The node's number
        id: u64,
        /// Why, for others to read
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a cordoned or drained node take components again
    Uncordon {
        /// The node's number
        id: u64,
    },
    /// Move all components of a node elsewhere, and give it no new ones
    Drain {
        /// The node's number
        id: u64,
        /// Why, for others to read
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Take a node out of the cluster for good
    #[command(visible_alias = "rm")]
    Remove {
        /// The node's number
        id: u64,
        /// Although it is neither down nor drained: its components start anew elsewhere
        #[arg(long)]
        force: bool,
    },
    /// Change how many components a node may run
    Quota {
        /// The node's number
        id: u64,
        /// Number of components; 0: no limit
        components: u32,
    },
}

/// Whether and how long to wait.
#[derive(Args, Debug)]
pub(crate) struct Waiting {
    /// Return when the node has no components any more
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time, for example 90s or 10m (exit code 4); the node goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct LeaveArgs {
    /// The node that leaves [default: the one that --server names]
    #[arg(long, value_name = "NUMBER")]
    node: Option<u64>,
    /// Return when the others work without it
    #[arg(long)]
    wait: bool,
    /// Give up after this time, for example 90s or 10m (exit code 4); the node stays drained
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(command: NodeCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        NodeCommand::List { all } => list(context, all).await,
        NodeCommand::Show { id } => show(context, id).await,
        NodeCommand::Cordon { id, reason } => {
            let mut client = context.nodes().await?;
            let request = CordonNodeRequest { id, reason };
            let node = client
                .cordon_node(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let words = format!(
                "node {id} takes no new components and keeps {}",
                amount(node.components, "component")
            );
            context.out.done(&node, &words)?;
            Ok(Exit::Ok)
        }
        NodeCommand::Uncordon { id } => {
            let mut client = context.nodes().await?;
            let request = UncordonNodeRequest { id };
            let node = client
                .uncordon_node(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            context
                .out
                .done(&node, &format!("node {id} takes components again"))?;
            Ok(Exit::Ok)
        }
        NodeCommand::Drain { id, reason, waiting } => {
            let mut node = drain(context, id, reason).await?;
            if waiting.wait {
                node = drained(context, id, deadline(waiting.timeout)).await?;
            }
            context.out.done(&node, &drain_words(&node))?;
            Ok(Exit::Ok)
        }
        NodeCommand::Remove { id, force } => {
            let what = if force {
                format!(
                    "node {id} will be taken out of the cluster for good, although it may be running components: they \
                     start anew elsewhere, and it cannot come back under this number"
                )
            } else {
                format!(
                    "node {id} will be taken out of the cluster for good; it cannot come back under this number"
                )
            };
            confirm(context, &what, &id.to_string()).await?;
            remove(context, id, force).await?;
            let done = serde_json::json!({ "removed": id });
            context.out.done(&done, &format!("node {id} is removed"))?;
            Ok(Exit::Ok)
        }
        NodeCommand::Quota { id, components } => {
            let mut client = context.nodes().await?;
            let request = SetNodeQuotaRequest {
                id,
                quota: components,
            };
            let node = client
                .set_node_quota(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let words = match node.quota {
                0 => format!("node {id} may run any number of components"),
                quota => format!("node {id} may run {}", amount(u64::from(quota), "component")),
            };
            context.out.done(&node, &words)?;
            Ok(Exit::Ok)
        }
    }
}

/// Drains a node, removes it and, when asked, waits until it is no member of consensus any more.
pub(crate) async fn leave(arguments: LeaveArgs, context: &Context) -> Result<Exit, CliError> {
    let mut client = context.nodes().await?;
    let id = match arguments.node {
        Some(id) => id,
        None => {
            let cluster = client
                .get_cluster(GetClusterRequest {})
                .await
                .map_err(context.failed())?;
            cluster.into_inner().answered_by
        }
    };
    let nodes = nodes(context, false).await?;
    if !nodes.iter().any(|n| n.id == id) {
        return Err(CliError::Usage(format!(
            "node {id} is not in the cluster; `omsnode node list` shows all"
        )));
    }
    if nodes.len() < 2 {
        return Err(CliError::Usage(format!(
            "node {id} is the only one of its cluster and has nobody to leave its work to; stop it instead"
        )));
    }
    let what = format!("node {id} will give its components away and leave the cluster for good");
    confirm(context, &what, &id.to_string()).await?;
    let until = deadline(arguments.timeout);
    drain(context, id, "it leaves the cluster".to_owned()).await?;
    drained(context, id, until).await?;
    remove(context, id, false).await?;
    if arguments.wait {
        // The node that left may answer no more: ask the others.
        let others: Vec<&Node> = nodes.iter().filter(|n| n.id != id).collect();
        gone(context, &others, id, until).await?;
    }
    let done = serde_json::json!({ "left": id });
    context.out.done(
        &done,
        &format!("node {id} has left the cluster; its data folder can be deleted"),
    )?;
    Ok(Exit::Ok)
}

async fn nodes(context: &Context, all: bool) -> Result<Vec<Node>, CliError> {
    let mut client = context.nodes().await?;
    let list = client
        .list_nodes(ListNodesRequest { all })
        .await
        .map_err(context.failed())?;
    Ok(list.into_inner().nodes)
}

async fn drain(context: &Context, id: u64, reason: String) -> Result<Node, CliError> {
    let mut client = context.nodes().await?;
    let drained = client.drain_node(DrainNodeRequest { id, reason }).await;
    Ok(drained.map_err(context.failed())?.into_inner())
}

async fn remove(context: &Context, id: u64, force: bool) -> Result<(), CliError> {
    let mut client = context.nodes().await?;
    let removed = client.remove_node(RemoveNodeRequest { id, force }).await;
    removed.map(|_| ()).map_err(context.failed())
}

fn drain_words(node: &Node) -> String {
    if node.components == 0 {
        format!("node {} is drained", node.id)
    } else {
        format!(
            "node {} is giving away {}",
            node.id,
            amount(node.components, "component")
        )
    }
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    // One that lies beyond what a clock can show is none.
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

fn over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// Waits until a node has no components. Says how many are left whenever that changes.
async fn drained(context: &Context, id: u64, until: Option<Instant>) -> Result<Node, CliError> {
    let mut client = context.nodes().await?;
    let mut said = None;
    loop {
        let asked = client
            .get_node(GetNodeRequest { id })
            .await
            .map_err(context.failed());
        match asked {
            Ok(node) => {
                let node = node.into_inner();
                if node.components == 0 {
                    return Ok(node);
                }
                if node.state() != NodeState::Draining {
                    let words = format!(
                        "node {id} is {} now: somebody ended the draining",
                        node.state().name()
                    );
                    return Err(CliError::TimedOut(words));
                }
                if said != Some(node.components) {
                    context.out.note(&drain_words(&node))?;
                    said = Some(node.components);
                }
            }
            // The leader may be changing.
            Err(error) if error.is_lost() && until.is_some() => {}
            Err(error) => return Err(error),
        }
        if over(until) {
            let words = format!(
                "node {id} still has {}; it goes on draining",
                amount(said.unwrap_or_default(), "component")
            );
            return Err(CliError::TimedOut(words));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the others no longer count a node as a member.
async fn gone(context: &Context, others: &[&Node], id: u64, until: Option<Instant>) -> Result<(), CliError> {
    loop {
        let mut last = None;
        for other in others {
            let there = context.at(&other.address);
            let look = async {
                let mut client = there.nodes().await?;
                let node = client
                    .get_node(GetNodeRequest { id })
                    .await
                    .map_err(there.failed())?;
                Ok::<_, CliError>(node.into_inner())
            };
            match look.await {
                Ok(node) if node.role() == NodeRole::Outside => return Ok(()),
                Ok(_) => {
                    last = None;
                    break;
                }
                Err(error) => last = Some(error),
            }
        }
        if over(until) {
            let words = format!("node {id} is removed, but still counted as a member of the cluster");
            return Err(last.unwrap_or(CliError::TimedOut(words)));
        }
        if let (None, Some(error)) = (until, last) {
            return Err(error);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn list(context: &Context, all: bool) -> Result<Exit, CliError> {
    let mut client = context.nodes().await?;
    let list = client
        .list_nodes(ListNodesRequest { all })
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
        "STATE",
        "HEALTH",
        "COMPONENTS>",
        "CPU>",
        "MEMORY>",
        "DISK FREE>",
        "VERSION",
    ]);
    for node in &list.nodes {
        let load = |show: fn(&NodeLoad) -> String| node.load.as_ref().map_or_else(|| "-".to_owned(), show);
        table.row([
            node.id.to_string(),
            node.address.clone(),
            node.region.clone(),
            node.zone.clone(),
            role(node),
            node.state().name().to_owned(),
            node.health().name().to_owned(),
            match node.quota {
                0 => node.components.to_string(),
                quota => format!("{}/{quota}", node.components),
            },
            load(|l| format!("{}%", l.cpu_percent)),
            load(|l| format!("{}%", l.memory_percent)),
            load(|l| bytes(l.disk_free_bytes)),
            node.version.clone(),
        ]);
    }
    context.out.table(&table)?;
    let mut present = list.nodes.iter().filter(|n| n.state() != NodeState::Removed);
    if present.all(|n| n.health() == NodeHealth::Unknown) && !list.nodes.is_empty() {
        context
            .out
            .note("no leader answers: this is what the asked node knows, without health")?;
    }
    Ok(Exit::Ok)
}

fn role(node: &Node) -> String {
    let witness = if node.witness { " (witness)" } else { "" };
    format!("{}{witness}", node.role().name())
}

async fn show(context: &Context, id: u64) -> Result<Exit, CliError> {
    let mut client = context.nodes().await?;
    let node = client
        .get_node(GetNodeRequest { id })
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&node)?;
    } else {
        context.out.table(&properties(&node))?;
    }
    Ok(Exit::Ok)
}

fn properties(node: &Node) -> Table {
    let human = Human::now();
    let mut table = Table::properties();
    table.property("Id", node.id.to_string());
    table.property("Address", &node.address);
    table.property("Region", &node.region);
    table.property("Zone", &node.zone);
    table.property("Role", role(node));
    table.property("State", node.state().name());
    table.property("Reason", &node.reason);
    table.property("Health", node.health().name());
    if let Some(silent) = node.silent_ms.filter(|_| node.health() != NodeHealth::Online) {
        table.property("Silent for", duration_ms(silent));
    }
    table.property("Components", node.components.to_string());
    table.property(
        "Quota",
        match node.quota {
            0 => "none".to_owned(),
            quota => quota.to_string(),
        },
    );
    table.property("Version", &node.version);
    table.property("Joined", human.moment(node.joined_at_ms));
    table.property("Starts", node.generation.to_string());
    table.property("Applied", node.applied_index.to_string());
    if let Some(load) = &node.load {
        table.property("CPU", format!("{}%", load.cpu_percent));
        table.property("Memory", format!("{}% of the machine", load.memory_percent));
        table.property("Resident", bytes(load.resident_bytes));
        table.property(
            "Disk",
            format!(
                "{} free of {}",
                bytes(load.disk_free_bytes),
                bytes(load.disk_total_bytes)
            ),
        );
    }
    table
}
