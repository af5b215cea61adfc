//! `omsnode admin`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use oms_proto::v1::BackupRequest;

use crate::{client::Context, error::CliError, exit::Exit};

#[cfg(feature = "daemon")]
use super::config::ConfigArgs;
#[cfg(feature = "daemon")]
use crate::confirm::confirm;

#[derive(Subcommand, Debug)]
pub(crate) enum AdminCommand {
    /// Save the cluster's metadata (data sources, projects, states) to a file
    #[command(
        after_help = "Passwords in the file are sealed. To restore them too, keep the file `secret.key` of any node's data folder, in another place."
    )]
    Backup {
        /// The file; it must not exist
        file: PathBuf,
    },
    /// Begin a new cluster on this machine from a backup file. Works without a running node
    #[cfg(feature = "daemon")]
    #[command(
        after_help = "The data folder must be empty. Start the node afterwards with the same settings. Projects that ran go on by themselves; nodes of the former cluster must not."
    )]
    Restore {
        /// The backup file
        file: PathBuf,
        /// The file `secret.key` of a node of the former cluster; without it passwords must be set anew
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make this machine's stopped node the only one of a new cluster, when a majority is lost for good
    #[cfg(feature = "daemon")]
    #[command(
        after_help = "Every epoch is raised: components of nodes that come back can no longer write to a destination once the new owner has claimed it. Nodes of the former cluster must be emptied and join again. What only the lost nodes knew is lost."
    )]
    ForceRecover {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

pub(crate) async fn run(command: AdminCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        AdminCommand::Backup { file } => backup(&file, context).await,
        #[cfg(feature = "daemon")]
        AdminCommand::Restore { file, key, config } => {
            let config = config.load()?;
            let read = |path: &Path| std::fs::read(path).map_err(CliError::io(path.display().to_string()));
            let bytes = read(&file)?;
            let key = key.as_deref().map(read).transpose()?;
            let recovered =
                oms_node::restore_backup(&config, &bytes, key.as_deref()).map_err(|e| failed(&e))?;
            report(context, &recovered, "restored")
        }
        #[cfg(feature = "daemon")]
        AdminCommand::ForceRecover { config } => {
            let config = config.load()?;
            let dir = config.data_dir.display().to_string();
            confirm(
                context,
                &format!("The node in {dir} leaves its cluster for good and begins a new one; all other nodes are given up"),
                "recover",
            )
            .await?;
            let recovered = oms_node::force_recover(&config).map_err(|e| failed(&e))?;
            report(context, &recovered, "recovered")
        }
    }
}

async fn backup(file: &Path, context: &Context) -> Result<Exit, CliError> {
    let name = file.display().to_string();
    let mut client = context.admin().await?;
    let mut stream = client
        .backup(BackupRequest {})
        .await
        .map_err(context.failed())?
        .into_inner();
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(CliError::io(name.as_str()))?;
    let written = async {
        let mut bytes = 0u64;
        while let Some(piece) = stream.message().await.map_err(context.failed())? {
            out.write_all(&piece.data).map_err(CliError::io(name.as_str()))?;
            bytes += piece.data.len() as u64;
        }
        out.sync_all().map_err(CliError::io(name.as_str()))?;
        Ok::<_, CliError>(bytes)
    }
    .await;
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => {
            // Half a backup must not be taken for one.
            let _ = std::fs::remove_file(file);
            return Err(error);
        }
    };
    context.out.done(
        &serde_json::json!({ "file": name, "bytes": bytes }),
        &format!("saved {bytes} bytes to {name}; passwords in it need the file secret.key of a node"),
    )?;
    Ok(Exit::Ok)
}

#[cfg(feature = "daemon")]
fn failed(failure: &oms_node::DaemonError) -> CliError {
    CliError::Daemon {
        code: failure.code(),
        message: super::start::message_of(failure),
    }
}

#[cfg(feature = "daemon")]
fn report(context: &Context, recovered: &oms_node::Recovered, verb: &str) -> Result<Exit, CliError> {
    let kept = recovered.kept.as_ref().map(|path| path.display().to_string());
    let mut text = format!(
        "{verb} {} projects and {} data sources as node {} of the new cluster {}",
        recovered.projects, recovered.data_sources, recovered.node_id, recovered.cluster_id
    );
    if recovered.uncommitted > 0 {
        text.push_str(&format!(
            "\n{} changes count now of which this node did not know whether they were made",
            recovered.uncommitted
        ));
    }
    if let Some(kept) = &kept {
        text.push_str(&format!("\nthe metadata of before is kept in {kept}"));
    }
    if !recovered.has_key {
        text.push_str("\nthe key is missing: set the passwords anew with `omsnode datasource update`");
    }
    text.push_str("\nnow run `omsnode start` with the same settings");
    context.out.done(
        &serde_json::json!({
            "cluster_id": recovered.cluster_id,
            "former_cluster_id": recovered.former_cluster_id,
            "node_id": recovered.node_id,
            "projects": recovered.projects,
            "data_sources": recovered.data_sources,
            "uncommitted": recovered.uncommitted,
            "kept": kept,
            "has_key": recovered.has_key,
        }),
        &text,
    )?;
    Ok(Exit::Ok)
}
