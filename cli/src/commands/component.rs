//! `omsnode component`.

use clap::Subcommand;
use oms_proto::v1::{
    Component, FreezeComponentRequest, GetComponentRequest, ListComponentsRequest, MoveComponentRequest,
    ReadComponentLogRequest, UnfreezeComponentRequest,
};
use tokio_stream::StreamExt as _;

use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    output::{Human, Table, count, timestamp},
    watch::component_text,
};

#[derive(Subcommand, Debug)]
pub(crate) enum ComponentCommand {
    /// List components
    #[command(visible_alias = "ls")]
    List {
        /// Only those of this project (name or id)
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
    },
    /// Show one component
    Show {
        /// The component's id, as `list` shows it
        id: String,
    },
    /// Show a component's latest log lines
    Logs {
        /// The component's id, as `list` shows it
        id: String,
        /// Go on with new lines until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// How many of the latest lines
        #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        lines: u32,
    },
    /// Give a component to another node
    Move {
        /// The component's id, as `list` shows it
        id: String,
        /// The number of the node that takes it
        node: u64,
    },
    /// Keep a component on its node, even if that is lost
    Freeze {
        /// The component's id, as `list` shows it
        id: String,
        /// Why, for others to read
        #[arg(long)]
        reason: String,
    },
    /// Let a frozen component move again
    Unfreeze {
        /// The component's id, as `list` shows it
        id: String,
    },
}

pub(crate) async fn run(command: ComponentCommand, context: &Context) -> Result<Exit, CliError> {
    let mut client = context.components().await?;
    let out = &context.out;
    match command {
        ComponentCommand::List { project } => {
            let request = ListComponentsRequest {
                project: project.unwrap_or_default(),
            };
            let list = client
                .list_components(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            if out.is_json() {
                out.json(&list)?;
            } else if list.components.is_empty() {
                out.note("there are no components")?;
            } else {
                let mut table = Table::new(&[
                    "ID", "PROJECT", "KIND", "STATE", "NODE>", "EPOCH>", "RETRIES>", "PROGRESS",
                ]);
                for c in &list.components {
                    table.row([
                        c.id.clone(),
                        c.project_name.clone(),
                        c.kind.clone(),
                        c.state().name().to_owned(),
                        if c.node == 0 {
                            "-".to_owned()
                        } else {
                            c.node.to_string()
                        },
                        c.epoch.to_string(),
                        count(c.retries),
                        component_text(c),
                    ]);
                }
                out.table(&table)?;
            }
        }
        ComponentCommand::Show { id } => {
            let c = client
                .get_component(GetComponentRequest { id })
                .await
                .map_err(context.failed())?
                .into_inner();
            if out.is_json() {
                out.json(&c)?
            } else {
                out.table(&properties(&c))?
            }
        }
        ComponentCommand::Logs { id, follow, lines } => {
            let request = ReadComponentLogRequest { id, follow, lines };
            let mut stream = client
                .read_component_log(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            while let Some(line) = stream.next().await {
                let line = line.map_err(context.failed())?;
                if out.is_json() {
                    out.json_line(&line)?;
                } else {
                    out.line(&format!(
                        "{} {:5} {}",
                        timestamp(line.at_ms),
                        line.level,
                        line.message
                    ))?;
                }
            }
        }
        ComponentCommand::Move { id, node } => {
            let request = MoveComponentRequest { id, node };
            let c = client
                .move_component(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let words = format!("{} goes to node {} under epoch {}", c.id, c.node, c.epoch);
            out.done(&c, &words)?;
        }
        ComponentCommand::Freeze { id, reason } => {
            let request = FreezeComponentRequest { id, reason };
            let c = client
                .freeze_component(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let words = format!("{} stays on node {} until it is unfrozen", c.id, c.node);
            out.done(&c, &words)?;
        }
        ComponentCommand::Unfreeze { id } => {
            let request = UnfreezeComponentRequest { id };
            let c = client
                .unfreeze_component(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            out.done(&c, &format!("{} may move again", c.id))?;
        }
    }
    Ok(Exit::Ok)
}

fn properties(c: &Component) -> Table {
    let human = Human::now();
    let mut table = Table::properties();
    table.property("Id", &c.id);
    table.property("Project", format!("{} ({})", c.project_name, c.project));
    table.property("Kind", &c.kind);
    table.property("State", c.state().name());
    table.property(
        "Node",
        if c.node == 0 {
            String::new()
        } else {
            c.node.to_string()
        },
    );
    table.property("Epoch", c.epoch.to_string());
    table.property("Assigned", human.moment(c.assigned_at_ms));
    table.property("Because", &c.placed_because);
    table.property("Waiting", &c.waiting);
    table.property("Frozen", &c.frozen_reason);
    if c.failovers > 0 {
        table.property("Failovers", count(c.failovers));
    }
    table.property(
        "Guarantee",
        match c.guarantee.as_str() {
            "exactly-once" => "exactly once: rows, position and epoch commit together at the destination",
            "replaying" => "replaying: a former owner may repeat what was done, which changes nothing",
            "none" => "none needed: it does not write to the destination",
            other => other,
        },
    );
    table.property("Updated", human.moment(c.updated_at_ms));
    if let Some(progress) = &c.progress {
        table.property("Progress", component_text(c));
        table.property("Position", &progress.position);
        table.property("Working on", &progress.detail);
    }
    if c.retries > 0 {
        table.property("Retries", count(c.retries));
        table.property("Last retry", &c.last_retry);
    }
    if let Some(error) = &c.error {
        table.property("Error", format!("{} {}", error.code, error.message));
        table.property("Failed", human.moment(error.failed_at_ms));
    }
    table
}
